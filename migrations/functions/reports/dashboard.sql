-- What the dashboard shows. Nothing here changes a mailout.

-- One mailout's recipients per status (every status is there), who unsubscribed, and what went wrong,
-- grouped (`message`: of one row of the group); and the figures that the guards judge it by.
create or replace function mailout_outcomes(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    with groups as (
        select status, error_code, bounce_type, bounce_subtype, sum(recipients) as n,
               array_agg(sample) as samples
          from recipient_counts
         where mailout_id = p_mailout
           and (status in ('bounced', 'failed', 'unknown', 'skipped', 'complained')
                or status = 'queued' and error_code is not null)
         group by status, error_code, bounce_type, bounce_subtype having sum(recipients) > 0
         order by n desc limit 30
    )
    select jsonb_build_object(
        'counts', mailout_counts(p_mailout),
        'unsubscribed', unsubscribed_count(p_mailout),
        'routes', mailout_routes(p_mailout),
        'events', (select mailout_events(m) from mailouts m where m.id = p_mailout),
        'rates', (select jsonb_build_object('outcomes', outcomes, 'bounces', bounces, 'complaints', complaints)
                    from guard_figures where mailout_id = p_mailout),
        'groups', (select coalesce(jsonb_agg(to_jsonb(g) - 'samples' || jsonb_build_object(
                              'message', example_message(p_mailout, g.samples, g.status, g.error_code)) order by n desc), '[]')
                     from groups g));
$$;

-- One mailout without its recipients, which cost more; null: there is none.
create or replace function mailout_headline(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select mailout_summary(m) || jsonb_build_object(
               'details_dropped_at', (select started_at from shrunk_mailouts where mailout_id = m.id))
      from mailouts m where m.id = p_mailout;
$$;

-- How many mailouts are in each status, and those being sent, newest first.
create or replace function mailout_overview() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'statuses', (select coalesce(jsonb_object_agg(status, n), '{}')
                       from (select status, count(*) as n from mailouts group by status) s),
        'sending', (select coalesce(jsonb_agg(mailout_summary(m) order by m.created_at desc), '[]')
                      from (select * from mailouts where status = 'sending'
                             order by created_at desc, id desc limit 10) m));
$$;

-- Recipients per second that SES accepted lately: those of the batches recorded in the last 30 seconds,
-- divided by the time since the first of them was claimed. 0: none. p_mailout null: all mailouts.
create or replace function sending_pace(p_mailout uuid default null) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select to_jsonb(coalesce(sum(accepted)
               / greatest(1, extract(epoch from now() - min(claimed_at))), 0))
      from send_batches
     where claimed_at > now() - interval '60 seconds'
       and recorded_at > now() - interval '30 seconds'
       and (p_mailout is null or mailout_id = p_mailout);
$$;

-- One mailout over time: what SES accepted and what its events said, in steps of `step` seconds
-- from `start`, at most 48 of them (up to 24 hours after the last batch). null: never started.
create or replace function mailout_series(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    c_steps    constant integer[] := array[10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400];
    v_start    timestamptz;
    v_end      timestamptz;   -- of the calls that count
    v_accepted timestamptz;
    v_last     timestamptz;
    v_seconds  bigint;
    v_step     bigint;
begin
    select charted_from(m), charted_to(m) into v_start, v_end
      from mailouts m where id = p_mailout and started_at is not null;
    if not found then
        return null;
    end if;
    v_accepted := greatest(v_start, (select max(slot) from accepted_counts where mailout_id = p_mailout),
                           (select max(slot) from uncounted_accepted(p_mailout, v_start, v_end)));
    v_last := greatest(v_accepted, (select max(slot) from event_counts
                                     where mailout_id = p_mailout and slot <= v_accepted + interval '24 hours'));
    v_seconds := extract(epoch from v_last - v_start);
    v_step := coalesce((select min(x) from unnest(c_steps) x where x * 47 >= v_seconds), 604800);
    return jsonb_build_object('start', v_start, 'step', v_step, 'steps', v_seconds / v_step + 1, 'points', (
        select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'step', nth, 'n', n)), '[]')
          from (select kind, greatest(0, floor(extract(epoch from at - v_start) / v_step))::integer as nth, sum(n) as n
                  -- By date_bin first, since `extract` gives a numeric, and those are slow.
                  from (select kind, date_bin(make_interval(secs => v_step), slot, v_start) as at, sum(n) as n
                          from (select 'accepted' as kind, slot, accepted as n from accepted_counts
                                 where mailout_id = p_mailout
                                union all
                                select 'accepted', slot, accepted from uncounted_accepted(p_mailout, v_start, v_end)
                                union all
                                select kind, slot, events from event_counts where mailout_id = p_mailout) each
                         where slot <= v_last group by 1, 2) steps
                 group by 1, 2) points));
end $$;

-- The account in one region, the senders there, and the recent bounce and complaint rates.
create or replace function account_overview(p_region text) returns jsonb
language sql volatile set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'rate', r.rate, 'account', r.account, 'taken_since_check', coalesce(r.taken_since_check, 0),
        'account_age_seconds', extract(epoch from clock_timestamp() - r.account_checked_at),
        'pace', sending_pace(),
        'day', recent_rates(interval '24 hours'),
        'month', recent_rates(interval '30 days'),
        'executors', (select coalesce(jsonb_agg(jsonb_build_object(
                                 'label', e.label, 'region', e.region, 'rate_limit', e.rate_limit,
                                 'started_at', e.started_at, 'alive', is_alive(e),
                                 'silent_seconds', extract(epoch from clock_timestamp() - e.heartbeat_at))
                                 order by e.started_at), '[]')
                        from executors e where e.heartbeat_at > clock_timestamp() - interval '1 hour'))
      from (select p_region as region) asked left join send_rates r using (region);
$$;

create or replace function recent_rates(p_age interval) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('outcomes', coalesce(sum(outcomes), 0), 'bounces', coalesce(sum(bounces), 0),
                              'complaints', coalesce(sum(complaints), 0))
      from guard_hours where hour > now() - p_age;
$$;
