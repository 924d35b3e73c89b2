-- These triggers set the times, let a status rise only with a reason, and take a subscriber who is no longer active out of every running mailout,
-- in the same transaction, also when a person edits the table by hand. A claim that committed before keeps
-- the row; a later one finds it `skipped`.
create or replace function subscribers_before_update() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    new.updated_at := now();
    if new.status is distinct from old.status then
        new.status_updated_at := now();
        if status_rises(old.status, new.status)
           and (coalesce(current_setting('amazonsender.reason', true), '') = ''
                or current_setting('amazonsender.by', true) in ('import', 'ses', 'sendgrid', 'mailgun'))
        then
            raise exception 'The subscriber is %: that becomes % only by their own word, or by a person who says why.',
                old.status, new.status
                using errcode = 'check_violation', schema = 'public', table = 'subscribers', column = 'status',
                      constraint = 'subscribers_status_rises',
                      hint = 'Change it on the dashboard or by `amazonsender subscribers set`, with a reason. In SQL, '
                          || 'within the same transaction: select acting(''database'', ''why'');';
        end if;
    end if;
    return new;
end $$;

-- Whether this change may bring mail to somebody who had left, whose mails came back, or who never confirmed.
create or replace function status_rises(p_old text, p_new text) returns boolean
language sql immutable set search_path = public, pg_temp as $$
    select subscriber_rank(p_new) < subscriber_rank(p_old) or p_old = 'pending' and p_new = 'active';
$$;

-- The few running mailouts are looked at one by one, with a condition that only the unique key fits. If the
-- condition named `queued`, PostgreSQL might read all queued rows instead, by statistics from before the
-- queueing.
create or replace function subscribers_after_leaving() returns trigger
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_mailout uuid;
    v_log     bigint;
begin
    for v_mailout in select id from mailouts where status in ('sending', 'paused') order by id loop
        select id into v_log from send_logs
         where mailout_id = v_mailout and subscriber_id = new.id and not is_test;
        update send_logs set status = 'skipped', error_code = new.status, next_attempt_at = null
         where id = v_log and status = 'queued';
    end loop;
    return null;
end $$;

-- Setting the address for the first time doesn't count as a change of the subscriber.
create or replace trigger subscribers_before_update before update on subscribers
    for each row when (old.address is not null or new.address is null)
    execute function subscribers_before_update();
create or replace trigger subscribers_after_leaving after update of status on subscribers
    for each row when (new.status <> 'active' and old.status = 'active')
    execute function subscribers_after_leaving();
