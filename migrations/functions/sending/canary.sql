-- The canary: the first share of an audience goes out alone (marked by queue_recipients, and only
-- these are claimed meanwhile), then the mailout waits for events, then it goes on by itself unless
-- the guards stop it. mailouts.canary_phase: sending → waiting → null.

-- Take the canary's next step, if it is due. Answers whether the mailout still waits.
create or replace function advance_canary(
    p_mailout uuid, p_bounce_rate numeric default null, p_complaint_rate numeric default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout mailouts;
    v_until   timestamptz;
    v_reason  text;
begin
    select * into v_mailout from mailouts
     where id = p_mailout and status = 'sending' and canary_phase is not null for update;
    if not found then
        return to_jsonb(false);
    end if;
    if v_mailout.canary_phase = 'sending' then
        if exists (select from mailout_queues where mailout_id = p_mailout and done_at is null)
           or has_queued_canaries(p_mailout)
           or exists (select from send_batches where mailout_id = p_mailout and recorded_at is null)
        then
            return to_jsonb(true);
        end if;
        -- When everybody in the share left the list before their mail, no event will come.
        v_until := clock_timestamp() + case
            when exists (select from send_batches where mailout_id = p_mailout
                                                    and claimed_at >= v_mailout.started_at)
            then coalesce((v_mailout.canary ->> 'wait')::interval, '0') else '0' end;
    else
        v_until := v_mailout.canary_until;
    end if;
    if v_until > clock_timestamp() then
        v_reason := format('canary: waiting for events until %s UTC',
                           to_char(v_until at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS'));
        update mailouts set canary_phase = 'waiting', canary_until = v_until, status_reason = v_reason
         where id = p_mailout and (canary_phase, status_reason) is distinct from ('waiting', v_reason);
        return to_jsonb(true);
    elsif guard_trip(p_mailout, p_bounce_rate, p_complaint_rate) is not null then
        return to_jsonb(true);   -- still waiting: the next claim answers `guard`, and the sender pauses it
    end if;
    update mailouts set canary_phase = null, canary_until = null, status_reason = null
     where id = p_mailout;
    return to_jsonb(false);
end $$;

-- Choose whom of a slice the canary mails: one in 1/p_share, counted in the order of mail domains so that
-- each mailbox provider is tried, and within a domain in the order of a hash of the address.
create or replace function is_canary(p_position bigint, p_share numeric) returns boolean
language sql immutable as $$
    select ceil(p_position * p_share) > ceil((p_position - 1) * p_share);
$$;
