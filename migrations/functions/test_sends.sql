-- Test mails: rows of their own that belong to no subscriber, so nobody's state changes. What they
-- show is kept, so that a mailout whose content was changed since can be told from a tested one.
-- p_content_hash: of the content the caller has compiled; null comes back when it was edited since.
create or replace function queue_test(
    p_mailout uuid, p_emails jsonb, p_content_hash text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into mailout_tests as t (mailout_id, content, content_hash)
    select m.id, mailout_content(m), mailout_content_hash(m) from mailouts m
     where m.id = p_mailout and mailout_content_hash(m) = coalesce(p_content_hash, mailout_content_hash(m))
    on conflict (mailout_id) do update
       set content = excluded.content, content_hash = excluded.content_hash, tested_at = now();
    if not found then
        return null;
    end if;
    insert into send_logs (mailout_id, email, is_test)
    select p_mailout, email, true from jsonb_array_elements_text(p_emails) as e (email);
    return to_jsonb(jsonb_array_length(p_emails));
end $$;

-- What the waiting test mails of a mailout show; null when none was ever asked for.
create or replace function tested_content(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('content', content, 'content_hash', content_hash)
      from mailout_tests where mailout_id = p_mailout;
$$;

-- Whose name and fields a test mail shows: the first of the audience; null when it is empty.
create or replace function sample_subscriber(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('id', s.id, 'name', s.name, 'fields', s.fields)
      from subscribers s, mailouts m
     where m.id = p_mailout and s.status = 'active'
       and (audience_tags(m.audience) is null or s.tags && audience_tags(m.audience))
     order by s.id limit 1;
$$;
