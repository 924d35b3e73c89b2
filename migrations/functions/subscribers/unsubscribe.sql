-- A recipient unsubscribes. Idempotent, and it outranks a bounce. p_mailout: the mailout whose link
-- was used. p_subscriber may have been merged into another since. Answers {"email"}, or null when the
-- subscriber no longer exists. Fails when another session keeps a lock for too long, so that the
-- connection is free for others; the caller may try again.
create or replace function unsubscribe(p_subscriber uuid, p_mailout uuid default null) returns jsonb
language plpgsql
set search_path = public, pg_temp set lock_timeout = '3s' set enable_seqscan = off as $$
declare
    v_subscriber uuid := subscriber_of(p_subscriber);
begin
    update subscribers set status = 'unsubscribed'
     where id = v_subscriber and status in ('active', 'bounced');
    -- Only one row of that mailout: a subscriber that was merged may have kept its own.
    update send_logs set unsubscribed_at = clock_timestamp()
     where id = (select id from send_logs
                  where mailout_id = p_mailout and subscriber_id in (p_subscriber, v_subscriber) and not is_test
                  order by subscriber_id = p_subscriber desc limit 1)
       and unsubscribed_at is null;
    if found then
        perform add_event_counts(p_mailout, 'unsubscribe', clock_timestamp(), 1);
    end if;
    return (select jsonb_build_object('email', email, 'status', status)
              from subscribers where id = v_subscriber);
end $$;

-- By id, or by any spelling of the address.
create or replace function find_subscriber(p_subscriber uuid default null, p_email text default null)
returns jsonb language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(s) from subscribers s
     where s.id = subscriber_of(p_subscriber) or s.address = canonical_address(p_email)
        or s.address is null and s.email = p_email
     limit 1;
$$;
