-- Notices to the owner: the transaction that makes a mailout sent, failed or paused also writes a notice,
-- and one sender mails it. A notice whose outcome is unknown is not mailed again.

-- A quota that frees slowly pauses a mailout again and again; the owner is told once in 12 hours.
create or replace function mailouts_tell_owner() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if not (new.status = 'paused' and new.pause_code in ('account', 'quota') and exists (
                select from owner_notices
                 where mailout_id = new.id and pause_code = new.pause_code
                   and created_at > clock_timestamp() - interval '12 hours'))
    then
        insert into owner_notices (mailout_id, status, pause_code, reason)
        values (new.id, new.status, new.pause_code, new.status_reason);
    end if;
    return null;
end $$;

create or replace trigger mailouts_tell_owner after update of status, pause_code on mailouts
    for each row when (new.status in ('sent', 'failed', 'paused')
                       and (new.status, new.pause_code) is distinct from (old.status, old.pause_code))
    execute function mailouts_tell_owner();

-- The next notice that is due, with the mailout's figures; null: none. Only a mailout's latest notice is
-- mailed, and only within a day and while it is still true. Its mail takes a token of the rate in advance,
-- so the next batch waits for it.
create or replace function claim_owner_notice(p_region text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_notice owner_notices;
    v_answer jsonb;
begin
    loop
        update owner_notices set claimed_at = clock_timestamp()
         where id = (select id from owner_notices
                      where claimed_at is null and outcome is null and due_at <= clock_timestamp()
                      order by due_at, id limit 1 for update skip locked)
        returning * into v_notice;
        if not found then
            return null;
        end if;
        exit when v_notice.created_at > clock_timestamp() - interval '24 hours'
            and not exists (select from owner_notices
                             where mailout_id = v_notice.mailout_id and id > v_notice.id)
            and exists (select from mailouts where id = v_notice.mailout_id and status = v_notice.status);
        update owner_notices set outcome = 'overtaken' where id = v_notice.id;
    end loop;
    select jsonb_build_object(
               'id', v_notice.id, 'status', v_notice.status, 'pause_code', v_notice.pause_code,
               'reason', m.status_reason, 'mailout_id', m.id, 'subject', m.subject,
               'recipients', m.recipients, 'counts', mailout_counts(m.id))
      into v_answer from mailouts m where m.id = v_notice.mailout_id;
    -- Done last: from here to the commit every claim waits for the lock on the rate.
    update send_rates
       set next_token_at = greatest(next_token_at, clock_timestamp()) + make_interval(secs => 1 / rate),
           taken_since_check = taken_since_check + 1
     where region = p_region and rate > 0;
    return v_answer;
end $$;

-- p_outcome: sent, failed or unknown; null: certainly not accepted, to be tried in p_retry_seconds.
create or replace function settle_owner_notice(
    p_notice bigint, p_outcome text, p_detail text default null,
    p_retry_seconds double precision default 0)
returns jsonb language sql set search_path = public, pg_temp as $$
    update owner_notices
       set outcome = p_outcome, detail = p_detail,
           claimed_at = case when p_outcome is not null then claimed_at end,
           due_at = clock_timestamp() + make_interval(secs => p_retry_seconds)
     where id = p_notice
    returning to_jsonb(true);
$$;
