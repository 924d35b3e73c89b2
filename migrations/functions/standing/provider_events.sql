-- Events by mailbox provider (0046_standing.sql): counted from behind, an hour's at a time, so that storing them costs
-- nothing more. Which provider a domain belongs to is known in app/domain/engagement/providers.py alone.

-- Count the events after the last that were counted, p_limit at most, by hour, domain and kind. Answers {"from", "to"
-- (ids), "counts", "more"}. Those of the last p_late_seconds wait: an event whose id is lower may still be
-- uncommitted, or not have found its row.
create or replace function uncounted_events(p_limit integer, p_late_seconds double precision) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set jit = off as $$
declare
    v_from constant bigint := (select counted_to from standing_state);
    v_late constant timestamptz := clock_timestamp() - make_interval(secs => p_late_seconds);
    v_to   bigint;
    v_seen bigint;
begin
    select count(*), coalesce(min(id) filter (where received_at >= v_late) - 1, max(id), v_from)
      into v_seen, v_to
      from (select id, received_at from ses_events where id > v_from order by id limit p_limit) next_ones;
    return jsonb_build_object('from', v_from, 'to', v_to, 'more', v_seen = p_limit and v_to > v_from, 'counts', (
        with events as materialized (
            select type, payload, least(occurred_at, received_at) as at, send_log_id from ses_events
             where id > v_from and id <= v_to and send_log_id is not null
               and type in ('delivery', 'bounce', 'complaint', 'delivery_delay')
        ), mails as materialized (
            select id, lower(split_part(email, '@', 2)) as domain from send_logs
             where id = any (array(select send_log_id from events)) and not is_test
        )
        select coalesce(jsonb_agg(jsonb_build_object('hour', hour, 'domain', domain, 'kind', kind, 'n', n)), '[]')
          from (select date_trunc('hour', e.at, 'UTC') as hour, m.domain, counted_as(e.type, e.payload) as kind, count(*) as n
                  from events e join mails m on m.id = e.send_log_id
                 group by 1, 2, 3) counted
         where kind is not null));
end $$;

-- Add these counts: [{"hour", "provider", and a number for each column}], of the events from p_from to p_to. Answers
-- whether they were added: not, where another process was faster.
create or replace function add_provider_events(p_from bigint, p_to bigint, p_counts jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    update standing_state set counted_to = p_to where counted_to = p_from;
    if not found then
        return to_jsonb(false);
    end if;
    insert into provider_hours as h
    select hour, provider, delivered, bounced, soft_bounced, suppressed, complained, delayed
      from jsonb_populate_recordset(null::provider_hours, p_counts)
     order by hour, provider
    on conflict (hour, provider) do update
       set delivered = h.delivered + excluded.delivered, bounced = h.bounced + excluded.bounced,
           soft_bounced = h.soft_bounced + excluded.soft_bounced, suppressed = h.suppressed + excluded.suppressed,
           complained = h.complained + excluded.complained, delayed = h.delayed + excluded.delayed;
    return to_jsonb(true);
end $$;

-- Of p_windows ([1, 7, 30], in days up to now) the sums by provider, and of the last p_days days those of each day:
-- {"windows": [{"window", "provider", …}], "days": [{"day", "provider", …}], "complained": providers that told of a complaint
-- within 100 days}. Days are those of TIMEZONE.
create or replace function provider_figures(p_windows jsonb, p_days integer) returns jsonb
language sql stable set search_path = public, pg_temp set jit = off as $$
    with here as materialized (select service_timezone() as zone)
    select jsonb_build_object(
        'windows', (select coalesce(jsonb_agg(to_jsonb(w) order by "window", provider), '[]') from (
            select days as "window", provider, sum(delivered)::bigint as delivered, sum(bounced)::bigint as bounced,
                   sum(soft_bounced)::bigint as soft_bounced, sum(suppressed)::bigint as suppressed,
                   sum(complained)::bigint as complained, sum(delayed)::bigint as delayed
              from (select value::integer as days from jsonb_array_elements_text(p_windows)) asked
              join provider_hours on hour > now() - make_interval(days => days)
             group by 1, 2) w),
        'days', (select coalesce(jsonb_agg(to_jsonb(d) order by day, provider), '[]') from (
            select (hour at time zone zone)::date as day, provider, sum(delivered)::bigint as delivered,
                   sum(bounced)::bigint as bounced, sum(soft_bounced)::bigint as soft_bounced,
                   sum(suppressed)::bigint as suppressed, sum(complained)::bigint as complained,
                   sum(delayed)::bigint as delayed
              from here, provider_hours
             where hour >= (select ((now() at time zone zone)::date - p_days + 1)::timestamp at time zone zone from here)
             group by 1, 2) d),
        'complained', (select coalesce(jsonb_agg(distinct provider order by provider), '[]')
                         from provider_hours where complained > 0 and hour > now() - interval '100 days'));
$$;
