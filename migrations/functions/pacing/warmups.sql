-- Warm-ups: a person starts and stops them; senders open each day, once, whichever comes first.

-- p_plan, p_mailboxes, p_zone: as in the table. On a day that has been counted already what was sent stays counted.
create or replace function start_warmup(
    p_region text, p_plan jsonb, p_mailboxes jsonb, p_zone text, p_by text default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_before jsonb;
begin
    perform pg_advisory_xact_lock(hashtext('amazonsender:warmup:' || p_region));
    select shown_warmup(w) into v_before from warmups w where region = p_region;
    if v_before ->> 'state' = 'running' then
        return jsonb_build_object('outcome', 'running', 'warmup', v_before);
    end if;
    insert into warmups as w (region, plan, mailboxes, zone, started_by)
    values (p_region, p_plan, p_mailboxes, p_zone, p_by)
    on conflict (region) do update
       set plan = excluded.plan, mailboxes = excluded.mailboxes, zone = excluded.zone, step = 0, state = 'running',
           held = null, started_at = clock_timestamp(), started_by = excluded.started_by, ended_at = null;
    perform record_audit(p_by, 'warmup.start', p_region, v_before - 'plan',
                         jsonb_build_object('days', jsonb_array_length(p_plan), 'zone', p_zone));
    return jsonb_build_object('outcome', 'started', 'warmup', (select shown_warmup(w) from warmups w where region = p_region));
end $$;

-- From now on there is no cap.
create or replace function stop_warmup(p_region text, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_warmup warmups;
begin
    update warmups set state = 'stopped', ended_at = clock_timestamp()
     where region = p_region and state = 'running' returning * into v_warmup;
    if found then
        perform record_audit(p_by, 'warmup.stop', p_region, '{"state": "running"}',
                             jsonb_build_object('state', 'stopped', 'step', v_warmup.step));
    end if;
    return jsonb_build_object('outcome', case when v_warmup.region is null then 'none' else 'stopped' end);
end $$;

-- Open a day, if the latest is still p_latest (null: this warm-up has none): only one of several senders does.
-- p_step: the plan's day, beyond its end: the warm-up is done. p_held: why it repeats the one before.
create or replace function open_warmup_day(
    p_region text, p_started_at timestamptz, p_latest date, p_day date, p_step integer, p_held text,
    p_ends_at timestamptz)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_warmup warmups;
    v_plan   jsonb;
begin
    select * into v_warmup from warmups
     where region = p_region and state = 'running' and started_at = p_started_at for update;
    if not found or p_latest is distinct from (
        select max(day) from warmup_days where region = p_region and opened_at >= v_warmup.started_at)
    then
        return to_jsonb(false);
    end if;
    if p_latest is not null then
        update warmup_days set verdict = p_held where region = p_region and day = p_latest;
    end if;
    v_plan := v_warmup.plan -> p_step;
    if v_plan is null then
        update warmups set state = 'done', step = p_step, held = null, ended_at = clock_timestamp()
         where region = p_region;
        return to_jsonb(true);
    end if;
    update warmups set step = p_step, held = p_held where region = p_region;
    insert into warmup_days as d (region, day, step, cap, caps, opened_at, ends_at)
    values (p_region, p_day, p_step, (v_plan ->> 'total')::bigint, coalesce(v_plan -> 'providers', '{}'),
            clock_timestamp(), p_ends_at)
    on conflict (region, day) do update   -- started anew on the same day
       set step = excluded.step, cap = greatest(excluded.cap, d.used), caps = excluded.caps,
           used_by = plus(d.used_by, '{}', excluded.caps), opened_at = excluded.opened_at,
           ends_at = excluded.ends_at, verdict = null;
    return to_jsonb(true);
end $$;

-- What a sender needs to open days: each running warm-up with its latest day (null: none yet) and what was told on it.
create or replace function running_warmups() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'region', w.region, 'started_at', w.started_at, 'zone', w.zone, 'step', w.step, 'day', to_jsonb(d),
               'answers', (select jsonb_build_object(
                               'delivered', coalesce(sum(delivered), 0), 'bounced', coalesce(sum(bounced), 0),
                               'complained', coalesce(sum(complained), 0))
                             from provider_answers a
                            where a.region = w.region and a.minute >= date_trunc('minute', d.opened_at))) order by w.region), '[]')
      from warmups w
      left join lateral (select * from warmup_days d where d.region = w.region and d.opened_at >= w.started_at
                          order by day desc limit 1) d on true
     where w.state = 'running';
$$;

create or replace function shown_warmup(w warmups) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(w) - 'mailboxes' || jsonb_build_object(
        'today', (select to_jsonb(d) from warmup_days d
                   where d.region = w.region and d.opened_at >= w.started_at and d.ends_at > clock_timestamp()
                   order by day desc limit 1),
        'days', (select coalesce(jsonb_agg(d order by d.day), '[]') from (
                    select * from warmup_days d where d.region = w.region and d.opened_at >= w.started_at
                     order by day desc limit 400) d));
$$;

create or replace function list_warmups() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(shown_warmup(w) order by w.region), '[]') from warmups w;
$$;

-- Say on every mailout that nobody can send for the caps of a warm-up that it waits, and no longer where somebody
-- can. p_waits: [{"region", "reason"}]: the routes that are out for now. Only words of this function are replaced.
create or replace function note_warmups(p_waits jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    with waits as (
        select m.id, (select w ->> 'reason' from jsonb_array_elements(p_waits) w
                       where m.region is null or w ->> 'region' = m.region
                       order by w ->> 'until', w ->> 'region' limit 1) as reason,
               not exists (select from unnest(open_routes(m.id, '[]')) r
                            where route_answers(r) and not exists (select from jsonb_array_elements(p_waits) w
                                                              where w ->> 'region' = r)) as all_wait
          from mailouts m where m.status = 'sending'
    ), theirs as (
        select m.id, case when w.all_wait then w.reason end as reason
          from mailouts m join waits w using (id)
         where m.status = 'sending' and (m.status_reason is null or m.status_reason like 'Waiting for the warm-up%')
           and m.status_reason is distinct from case when w.all_wait then w.reason end
         order by m.id for no key update of m
    ), noted as (
        update mailouts m set status_reason = t.reason from theirs t where m.id = t.id
        returning 1)
    select to_jsonb(count(*)) from noted;
$$;
