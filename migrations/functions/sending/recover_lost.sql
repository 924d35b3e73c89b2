-- Declare rows `unknown` that are `sending` for a sender without a heartbeat for longer than its lease:
-- nobody knows what became of its calls. They are never queued again by themselves, since SES may have
-- accepted them. Only a sender that has itself been alive for a full lease may declare others lost.
create or replace function recover_lost(p_executor uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_batches bigint;
    v_rows    bigint;
begin
    if not exists (select from executors e where e.id = p_executor and is_alive(e)
                      and e.alive_since < clock_timestamp() - make_interval(secs => e.lease_seconds))
    then
        return jsonb_build_object('batches', 0, 'recipients', 0);
    end if;
    with lost as (
        select b.attempt_id, b.send_log_ids from send_batches b
          left join executors e on e.id = b.executor_id
         where b.recorded_at is null and (e.id is null or not is_alive(e))
           -- A sender has no row when it stopped in good order; the results of its last batch may
           -- still be on their way.
           and b.claimed_at < clock_timestamp() - make_interval(secs => coalesce(e.lease_seconds, 60))
         order by b.attempt_id for update of b skip locked
    ), closed as (
        update send_batches b set recorded_at = clock_timestamp() from lost
         where b.attempt_id = lost.attempt_id
    ), marked as (
        update send_logs l
           set status = 'unknown', error_code = 'sender_lost',
               error_message = 'The sending process stopped before the answer was recorded.'
          from lost
         where l.id = any (lost.send_log_ids) and l.attempt_id = lost.attempt_id
           and l.status = 'sending'
        returning 1
    )
    select (select count(*) from lost), (select count(*) from marked) into v_batches, v_rows;
    delete from executors e where e.heartbeat_at < clock_timestamp() - interval '1 day'
       and not exists (select from send_batches b where b.executor_id = e.id and b.recorded_at is null);
    return jsonb_build_object('batches', v_batches, 'recipients', v_rows);
end $$;
