-- Test mails: rows of their own that belong to no subscriber, so nobody's state changes.
create or replace function queue_test(p_mailout uuid, p_emails jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    with queued as (
        insert into send_logs (mailout_id, email, is_test)
        select p_mailout, email, true from jsonb_array_elements_text(p_emails) as e (email)
        returning 1)
    select to_jsonb(count(*)) from queued;
$$;

-- Whose name and fields a test mail shows: the first of the audience; null when it is empty.
create or replace function sample_subscriber(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('id', s.id, 'name', s.name, 'fields', s.fields)
      from subscribers s, mailouts m
     where m.id = p_mailout and s.status = 'active'
       and (audience_tags(m.audience) is null or s.tags && audience_tags(m.audience))
     order by s.created_at, s.id limit 1;
$$;
