-- Looks at the sender's standing (0046_standing.sql): one process at a time takes one, as a background job.

-- Add the job of a look when the last one is p_seconds old, or SES says something else of an account since (it is asked
-- once a minute): who was stopped learns of it at once. What earlier looks did well is
-- forgotten, so that they don't fill the list of jobs. Answers whether it was added.
create or replace function queue_standing(p_seconds double precision) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    if exists (select from standing_state where looked_at > clock_timestamp() - make_interval(secs => p_seconds))
       and not exists (
           select from send_rates r, lateral (
               select sample -> 'account' as account, taken_at from standing_samples s
                where s.region = r.region order by taken_at desc limit 1) seen
            where r.account_checked_at > seen.taken_at and jsonb_typeof(seen.account) = 'object'
              and (r.account -> 'sending_enabled', r.account -> 'enforcement_status')
                  is distinct from (seen.account -> 'sending_enabled', seen.account -> 'enforcement_status'))
    then
        return to_jsonb(false);
    end if;
    delete from jobs where kind = 'standing' and state = 'done';
    return add_job('standing', '{}', 'standing') -> 'added';
end $$;

-- What a look found. p_revision: as it was when it began. p_samples: [{"region", "sample"}]. p_notice, p_ways: as of
-- save_domain_check. Answers whether it was kept: not, where another look was faster.
create or replace function save_standing(
    p_revision bigint, p_samples jsonb, p_alarms jsonb, p_notice jsonb, p_ways jsonb)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
begin
    update standing_state set revision = revision + 1, looked_at = clock_timestamp(), alarms = p_alarms
     where revision = p_revision;
    if not found then
        return to_jsonb(false);
    end if;
    insert into standing_samples (region, taken_at, sample)
    select region, clock_timestamp(), sample from jsonb_to_recordset(p_samples) as s (region text, sample jsonb)
     order by region;
    perform add_owner_news('standing', 'standing', p_notice, p_ways);
    delete from standing_samples where taken_at < now() - interval '400 days';
    -- Of older days the last look stays.
    delete from standing_samples s
     where taken_at < now() - interval '35 days' and taken_at > now() - interval '40 days'
       and exists (select from standing_samples l
                    where l.region = s.region and l.taken_at > s.taken_at
                      and date_trunc('day', l.taken_at, 'UTC') = date_trunc('day', s.taken_at, 'UTC'));
    delete from provider_hours where hour < now() - interval '400 days';
    return to_jsonb(true);
end $$;

-- The latest look: {"revision", "looked_at", "alarms", "waiting" (one is asked for), "regions": [{"region", "taken_at",
-- "sample"}]}. Regions that weren't looked at for 8 days are left out: nothing leaves by them any more.
create or replace function show_standing() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
               'revision', revision, 'looked_at', looked_at, 'alarms', alarms,
               'waiting', exists (select from jobs where key = 'standing' and state in ('waiting', 'running')),
               'regions', (select coalesce(jsonb_agg(to_jsonb(latest) order by region), '[]') from (
                   select distinct on (region) region, taken_at, sample from standing_samples
                    where taken_at > now() - interval '8 days' order by region, taken_at desc) latest))
      from standing_state;
$$;

-- Of each of the last p_days days and each region the most that was sent in 24 hours, and the quota at its end:
-- [{"day", "region", "sent", "quota"}]. Days are those of TIMEZONE.
create or replace function standing_days(p_days integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    with here as materialized (select service_timezone() as zone)
    select coalesce(jsonb_agg(jsonb_build_object('day', day, 'region', region, 'sent', sent, 'quota', quota)
                              order by day, region), '[]')
      from (select (taken_at at time zone zone)::date as day, region,
                   max((sample #>> '{account,sent_last_24h}')::double precision) as sent,
                   (array_agg((sample #>> '{account,max_24h_send}')::double precision order by taken_at desc))[1] as quota
              from here, standing_samples
             where taken_at > now() - make_interval(days => p_days) and jsonb_typeof(sample -> 'account') = 'object'
             group by 1, 2) by_day;
$$;

-- For `GET /metrics` and health: {"looked_at" (Unix time; null: never), "alarms": [{"code", "level", "what"}]}.
create or replace function standing_alarms() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
               'looked_at', extract(epoch from looked_at),
               'alarms', (select coalesce(jsonb_agg(jsonb_build_object(
                              'code', a -> 'code', 'level', a -> 'level', 'what', a -> 'what') order by n), '[]')
                            from jsonb_array_elements(alarms) with ordinality as listed (a, n)))
      from standing_state;
$$;
