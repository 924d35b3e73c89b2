-- SES counts the recipients of the last 24 hours, so a place frees 24 hours after it was used.

-- When the first of those that were used from here frees; null: none was used within 24 hours.
-- Hour by hour: the index (BRIN) finds an hour quickly, but has no order.
create or replace function quota_frees_at(p_region text) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_from  timestamptz := clock_timestamp() - interval '24 hours';
    v_first timestamptz;
begin
    for v_hour in 0..23 loop
        select min(claimed_at) into v_first from send_batches
         where claimed_at >= v_from + make_interval(hours => v_hour)
           and claimed_at < v_from + make_interval(hours => v_hour + 1)
           and region = p_region and accepted is distinct from 0;
        exit when v_first is not null;
    end loop;
    return to_jsonb(v_first + interval '24 hours');
end $$;

-- What those mailouts say that wait for the quota.
create or replace function note_quota(p_reason text) returns jsonb
language sql set search_path = public, pg_temp as $$
    with noted as (
        update mailouts set status_reason = p_reason
         where status = 'paused' and pause_code = 'quota' and status_reason is distinct from p_reason
        returning 1)
    select to_jsonb(count(*)) from noted;
$$;
