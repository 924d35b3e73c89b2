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
language sql stable set search_path = public, pg_temp as $$
    with mailout as (
        select date_bin('10 seconds', started_at, 'epoch') as start,
               case when status in ('sending', 'paused') then now() else coalesce(sent_at, updated_at) end as ended
          from mailouts where id = p_mailout and started_at is not null
    ), accepted as materialized (
        select 'accepted' as kind, date_bin('10 seconds', b.recorded_at, 'epoch') as slot,
               sum(b.accepted) as n
          from mailout m join send_batches b
            on b.mailout_id = p_mailout and b.claimed_at between m.start and m.ended
         where b.accepted > 0
         group by 2
    ), span as (
        select m.start, a.last_accepted,
               (select max(slot) from event_counts where mailout_id = p_mailout
                   and slot <= greatest(a.last_accepted, m.start) + interval '24 hours') as last_event
          from mailout m, (select max(slot) as last_accepted from accepted) a
    ), grid as (
        select s.start, greatest(s.last_event, s.last_accepted, s.start) as last,
               (select min(x) from unnest(array[10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400]) x
                 where x * 47 >= extract(epoch from greatest(s.last_event, s.last_accepted, s.start) - s.start)) as fits
          from span s
    ), steps as (select start, last, coalesce(fits, 604800) as step from grid
    ), points as (
        select * from accepted
        union all
        select kind, slot, events from event_counts where mailout_id = p_mailout
    )
    select jsonb_build_object('start', g.start, 'step', g.step,
        'steps', floor(extract(epoch from g.last - g.start) / g.step)::integer + 1,
        'points', (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'step', nth, 'n', n)), '[]')
                     from (select kind, sum(n) as n,
                                  greatest(0, floor(extract(epoch from slot - g.start) / g.step))::integer as nth
                             from points where slot <= g.last group by kind, nth) p))
      from steps g;
$$;

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
