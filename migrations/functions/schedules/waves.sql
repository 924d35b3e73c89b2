-- The waves of a mailout: what the claim asks of them, and what people are shown.

-- What a mailout with waves has for a sender at p_now, behind row p_after (claim_batches.sql): `late`: a wave
-- that nobody was there for, see begin_waves; `due`: rows, or some that are set aside (pacing/limits.sql); `ahead`:
-- only rows whose time is to come; null: none.
create or replace function wave_state(p_mailout uuid, p_now timestamptz, p_after bigint) returns text
language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
begin
    perform from mailout_waves
      where mailout_id = p_mailout and begun_at is null and at < p_now - still_on_time() and recipients > taken;
    if found then
        return 'late';
    end if;
    perform from send_logs
      where (mailout_id, next_attempt_at, id) > (p_mailout, coalesce((
                select next_attempt_at from send_logs where id = p_after), '-infinity'), p_after)
        and (mailout_id, next_attempt_at) <= (p_mailout, p_now)
        and status = 'queued' and next_attempt_at is not null and not is_test and aside is null
      order by mailout_id, next_attempt_at, id limit 1;
    if found or has_aside(p_mailout) then
        return 'due';
    end if;
    perform from send_logs
      where (mailout_id, next_attempt_at) > (p_mailout, p_now) and mailout_id <= p_mailout
        and status = 'queued' and next_attempt_at is not null and not is_test and aside is null
      order by mailout_id, next_attempt_at, id limit 1;
    return case when found then 'ahead' end;
end $$;

-- A mailout's waves in the order of time: [{"at", "zones", "recipients", "unknown", "done"}], with the zones'
-- names in small letters; before it starts, as they were when it was scheduled. `unknown`: recipients whose
-- zone isn't known. null: it has no schedule. `done`: a wave of which nobody waits any more counts as a whole.
create or replace function mailout_waves(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off as $$
declare
    v_mailout mailouts;
    v_queued  bigint;
begin
    select * into v_mailout from mailouts where id = p_mailout;
    if v_mailout.schedule is null or v_mailout.scheduled_at is null then
        return null;
    elsif not v_mailout.waves then
        v_queued := recipients_in(p_mailout, '{queued,sending}');
        return jsonb_build_array(jsonb_build_object(
            'at', v_mailout.scheduled_at, 'zones', jsonb_build_array(v_mailout.schedule ->> 'zone'),
            'recipients', v_mailout.recipients, 'unknown', 0,
            'done', recipients_in(p_mailout, null) - v_queued));
    end if;
    return (
        select coalesce(jsonb_agg(jsonb_build_object(
                   'at', at, 'zones', coalesce(zones, '[]'), 'unknown', coalesce(unknown, 0),
                   'recipients', case when w.at is null then z.recipients else w.recipients end,
                   'done', case when w.at is null then 0
                                when w.taken = 0 or w.at > clock_timestamp() or has_wave(p_mailout, w.at)
                                  or has_aside(p_mailout) then w.taken
                                else w.recipients end) order by at), '[]')
          from (select at, sum(recipients) as recipients,
                       jsonb_agg(zone order by zone) filter (where zone <> '' and recipients > 0) as zones,
                       sum(recipients) filter (where zone = '') as unknown
                  from mailout_zones where mailout_id = p_mailout and at is not null
                 group by at) z
          full join (select * from mailout_waves where mailout_id = p_mailout) w using (at)
         where case when w.at is null then z.recipients else w.recipients end > 0);
end $$;

-- Whether somebody in the common queue still waits for the wave at p_at.
create or replace function has_wave(p_mailout uuid, p_at timestamptz) returns boolean
language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
begin
    perform from send_logs
      where (mailout_id, next_attempt_at, id) > (p_mailout, p_at, 0)
        and (mailout_id, next_attempt_at) <= (p_mailout, p_at)
        and status = 'queued' and next_attempt_at is not null and not is_test and aside is null
      order by mailout_id, next_attempt_at, id limit 1;
    return found;
end $$;
