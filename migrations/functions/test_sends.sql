-- Test mails: rows of their own that belong to no subscriber, so nobody's state changes. What they
-- show is kept, so that a mailout whose content was changed since can be told from a tested one.
-- p_content_hash: of the content the caller has compiled; when it was edited since, nothing is
-- queued ("changed"). p_request_key: as in claim_mailout; a repeat queues nothing again.
create or replace function queue_test(
    p_mailout uuid, p_emails jsonb, p_content_hash text default null,
    p_request_key text default null, p_request_hash text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_known    jsonb := take_request_key(p_request_key, p_request_hash);
    v_response jsonb;
begin
    if v_known is not null then
        return v_known;
    end if;
    insert into mailout_tests as t (mailout_id, content, content_hash)
    select m.id, mailout_content(m), mailout_content_hash(m) from mailouts m
     where m.id = p_mailout and mailout_content_hash(m) = coalesce(p_content_hash, mailout_content_hash(m))
    on conflict (mailout_id) do update
       set content = excluded.content, content_hash = excluded.content_hash, tested_at = now();
    if not found then
        delete from send_requests where key = p_request_key;
        return jsonb_build_object('outcome', 'changed');
    end if;
    insert into send_logs (mailout_id, email, is_test)
    select p_mailout, email, true from jsonb_array_elements_text(p_emails) as e (email);
    select jsonb_build_object('mailout_id', id, 'status', status,
                              'recipients', jsonb_array_length(p_emails), 'test', true)
      into v_response from mailouts where id = p_mailout;
    update send_requests set response = v_response where key = p_request_key;
    return jsonb_build_object('outcome', 'queued', 'response', v_response);
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
