-- A recipient unsubscribes. Idempotent, and it outranks a bounce. p_mailout: the mailout whose link
-- was used. p_by: `link` (a page) or `mail client` (RFC 8058). p_subscriber may have been merged into
-- another since. Answers {"email", "status", "change"}, or null when the subscriber no longer exists.
-- `change`: what `resubscribe` takes back; null: nothing changed. Fails when another session keeps a lock
-- for too long, so that the connection is free for others; the caller may try again.
create or replace function leave_list(p_subscriber uuid, p_mailout uuid, p_by text) returns jsonb
language plpgsql
set search_path = public, pg_temp set lock_timeout = '3s' set enable_seqscan = off as $$
declare
    v_subscriber uuid := subscriber_of(p_subscriber);
    v_change     bigint;
begin
    perform acting(p_by);
    update subscribers set status = 'unsubscribed'
     where id = v_subscriber and status in ('active', 'pending', 'bounced');
    if found then
        -- Written by the trigger just now: nobody else can have changed the row since.
        select max(id) into v_change from subscriber_changes where subscriber_id = v_subscriber;
    end if;
    -- Only one row of that mailout: a subscriber that was merged may have kept its own.
    update send_logs set unsubscribed_at = clock_timestamp()
     where id = (select id from send_logs
                  where mailout_id = p_mailout and subscriber_id in (p_subscriber, v_subscriber) and not is_test
                  order by subscriber_id = p_subscriber desc limit 1)
       and unsubscribed_at is null;
    if found then
        perform add_event_counts(p_mailout, 'unsubscribe', clock_timestamp(), 1);
    end if;
    return (select jsonb_build_object('email', email, 'status', status, 'change', v_change)
              from subscribers where id = v_subscriber);
end $$;

-- Only the previous release calls it.
create or replace function unsubscribe(p_subscriber uuid, p_mailout uuid default null) returns jsonb
language sql set search_path = public, pg_temp as $$
    select leave_list(p_subscriber, p_mailout, 'link');
$$;

-- "I clicked by mistake": give the status back that this change (of leave_list) took, unless anything has
-- happened to the status since. p_subscriber: as in leave_list. Answers {"email", "restored"}, or null when
-- there is no such change.
create or replace function resubscribe(p_subscriber uuid, p_change bigint) returns jsonb
language plpgsql
set search_path = public, pg_temp set lock_timeout = '3s' set enable_seqscan = off as $$
declare
    v_subscriber subscribers;
    v_before     text;
begin
    select * into v_subscriber from subscribers where id = subscriber_of(p_subscriber) for update;
    select before ->> 'status' into v_before from subscriber_changes
     where id = p_change and subscriber_id = v_subscriber.id and after ->> 'status' = 'unsubscribed';
    if v_before is null then
        return null;
    end if;
    if v_subscriber.status = 'unsubscribed' and not exists (
        select from subscriber_changes
         where subscriber_id = v_subscriber.id and id > p_change and after ? 'status')
    then
        perform acting('link', 'Unsubscribed by mistake.');
        update subscribers set status = v_before where id = v_subscriber.id;
        v_subscriber.status := v_before;
    end if;
    return jsonb_build_object('email', v_subscriber.email, 'restored', v_subscriber.status = v_before);
end $$;

-- By id, or by any spelling of the address.
create or replace function find_subscriber(p_subscriber uuid default null, p_email text default null)
returns jsonb language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(s) from subscribers s
     where s.id = subscriber_of(p_subscriber) or s.address = canonical_address(p_email)
        or s.address is null and s.email = p_email
     limit 1;
$$;
