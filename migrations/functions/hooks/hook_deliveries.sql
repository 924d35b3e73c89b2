-- Deliveries: who takes which, and what became of it. A holder passes the value of `claims` when it claimed one, so that
-- calls of an earlier holder change nothing. Locks: first hooks, by id, then their deliveries, by id.

-- Up to p_limit deliveries that are due, for p_lease_seconds, with what it takes to send them. Of one hook and subject the
-- oldest that isn't over, and no other: so the order holds. Of one hook p_at_once at most are under way, and one
-- alone after failures in a row (p_failures), and as many as its rate lets go.
-- The hook's lock makes one claimer at a time; others pass it by.
create or replace function claim_hook_deliveries(
    p_limit integer, p_at_once integer, p_failures integer, p_lease_seconds double precision) returns jsonb
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off set enable_bitmapscan = off as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_left  integer := p_limit;
    v_hook  hooks;
    v_busy  uuid[];
    v_room  integer;
    v_due   timestamptz;   -- the last of those that are looked at, with v_last
    v_last  bigint;
    v_are_few boolean;
    v_ids   bigint[];
    v_taken jsonb;
    v_all   jsonb := '[]';
begin
    for v_hook in
        select * from hooks where state = 'active' and next_token_at <= v_now
                              and (held_until is null or held_until <= v_now)
         order by next_token_at for update skip locked
    loop
        exit when v_left <= 0;
        -- Their holder was killed, or without the database for too long.
        v_ids := array(select id from hook_deliveries
                        where hook_id = v_hook.id and state = 'sending' and lease_until <= v_now
                        order by lease_until for update skip locked);
        if v_ids <> '{}' then
            update hook_deliveries set state = 'waiting', lease_until = null where id = any (v_ids);
        end if;
        v_busy := array(select subject from hook_deliveries where hook_id = v_hook.id and state = 'sending');
        v_room := least(
            v_left,
            1 + floor(v_hook.rate_per_second * extract(epoch from v_now - greatest(v_hook.next_token_at, v_now - interval '1 second'))),
            case when v_hook.failures >= p_failures then 1 else p_at_once end - cardinality(v_busy));
        continue when v_room <= 0;
        for v_round in 1..5 loop
            select due_at, id into v_due, v_last from hook_deliveries
             where hook_id = v_hook.id and state = 'waiting' and due_at <= v_now and subject <> all (v_busy)
             order by due_at, id offset 499 limit 1;
            v_are_few := not found;
            if v_are_few then
                v_due := v_now;
                v_last := 9223372036854775807;
            end if;
            v_ids := array(
                select d.id from hook_deliveries d
                 where d.hook_id = v_hook.id and d.state = 'waiting' and d.subject <> all (v_busy)
                   and (d.due_at, d.id) <= (v_due, v_last)
                   and d.id = (select e.id from hook_deliveries e
                                where e.subject = d.subject and e.hook_id = d.hook_id and e.state in ('waiting', 'sending')
                                order by e.id limit 1)
                 order by d.due_at, d.id limit v_room for update skip locked);
            exit when cardinality(v_ids) = v_room;
            -- What waits behind one that is tried later needn't be looked at before: of a hundred thousand such ones
            -- each look would pass by all.
            update hook_deliveries d set due_at = w.due
              from (select f.id, h.due_at as due
                      from (select id, subject, due_at from hook_deliveries
                             where hook_id = v_hook.id and state = 'waiting' and subject <> all (v_busy)
                               and (due_at, id) <= (v_due, v_last)
                             order by due_at, id for update skip locked) f,
                           lateral (select e.due_at from hook_deliveries e
                                     where e.subject = f.subject and e.hook_id = v_hook.id and e.state in ('waiting', 'sending')
                                     order by e.id limit 1) h
                     where h.due_at > f.due_at) w
             where d.id = w.id;
            exit when not found or v_are_few;
        end loop;
        continue when v_ids = '{}';
        v_left := v_left - cardinality(v_ids);
        update hooks
           set next_token_at = greatest(next_token_at, v_now - interval '1 second')
                               + make_interval(secs => cardinality(v_ids) / rate_per_second)
         where id = v_hook.id;
        with taken as (
            update hook_deliveries
               set state = 'sending', claims = claims + 1, lease_until = v_now + make_interval(secs => p_lease_seconds)
             where id = any (v_ids)
            returning *
        )
        select jsonb_agg(jsonb_build_object(
                   'id', id, 'claim', claims, 'hook_id', hook_id, 'url', v_hook.url, 'attempts', attempts,
                   'secrets', jsonb_build_array(v_hook.secret)
                              || case when v_hook.old_secret_until > v_now
                                      then jsonb_build_array(v_hook.old_secret) else '[]' end,
                   'event_id', event_id, 'type', type, 'occurred_at', occurred_at, 'data', data))
          into v_taken from taken;
        v_all := v_all || v_taken;
    end loop;
    return v_all;
end $$;

-- How tries ended. p_results: {"id", "claim", "outcome", "status", "error", "delay_seconds", "hold_seconds"}; outcome: `done`;
-- `retry` in delay_seconds; `dead`; `gone`, which ends the hook; `later`, which doesn't count (a stop of the process).
-- After p_failures failures in a row the endpoint is left alone for p_trip_seconds, twice as long each further time, at
-- most p_trip_cap_seconds; the first that it takes again makes due what failed meanwhile. After p_patience_seconds of
-- nothing but failures it is disabled. Answers the hooks that ended: [{"id", "url", "state", "reason"}].
create or replace function settle_hook_deliveries(
    p_results jsonb, p_failures integer, p_trip_seconds double precision, p_trip_cap_seconds double precision,
    p_patience_seconds double precision) returns jsonb
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_custom_plan as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_ids   bigint[] := array(select (r ->> 'id')::bigint from jsonb_array_elements(p_results) r);
    v_told  record;
    v_hook  hooks;
    v_ended jsonb := '[]';
begin
    perform from hooks where id = any (array(select hook_id from hook_deliveries where id = any (v_ids)))
      order by id for update;
    perform from hook_deliveries where id = any (v_ids) order by id for update;
    for v_told in
        with results as materialized (
            select * from jsonb_to_recordset(p_results) as r (
                id bigint, claim integer, outcome text, status integer, error text,
                delay_seconds double precision, hold_seconds double precision)
        ), settled as (
            update hook_deliveries d
               set state = case r.outcome when 'done' then 'done' when 'dead' then 'dead' else 'waiting' end,
                   attempts = attempts + (r.outcome <> 'later')::integer,
                   due_at = case when r.outcome in ('retry', 'gone')
                                 then v_now + make_interval(secs => coalesce(r.delay_seconds, 0)) else d.due_at end,
                   lease_until = null,
                   status = case when r.outcome = 'later' then d.status else r.status end,
                   error = case when r.outcome = 'later' then d.error else r.error end,
                   tried_at = case when r.outcome = 'later' then d.tried_at else v_now end,
                   settled_at = case when r.outcome in ('done', 'dead') then v_now end
              from results r
             where d.id = any (v_ids) and d.id = r.id and d.claims = r.claim and d.state = 'sending'
            returning d.hook_id, d.subject, d.due_at, r.outcome, r.hold_seconds
        )
        select hook_id, bool_or(outcome = 'done') as any_done, bool_or(outcome = 'gone') as is_gone,
               count(*) filter (where outcome in ('retry', 'dead', 'gone')) as failures, max(hold_seconds) as hold_seconds,
               array_agg(subject) filter (where outcome = 'retry') as subjects,
               array_agg(due_at) filter (where outcome = 'retry') as dues
          from settled group by hook_id
    loop
        -- Those behind one that is tried again later needn't be looked at before.
        update hook_deliveries d set due_at = w.due
          from unnest(v_told.subjects, v_told.dues) as w (subject, due)
         where d.subject = any (v_told.subjects) and d.hook_id = v_told.hook_id and d.subject = w.subject
           and d.state = 'waiting' and d.due_at < w.due;
        select * into v_hook from hooks where id = v_told.hook_id;
        continue when not found;   -- deleted meanwhile
        if v_told.any_done then
            if v_hook.trips > 0 then   -- it is back: what failed meanwhile needn't wait for hours
                perform wake_hook(v_hook.id, 1000);
            end if;
            v_hook.failures := 0;
            v_hook.failing_since := null;
            v_hook.trips := 0;
            v_hook.held_until := null;
            v_hook.delivered_at := v_now;
        elsif v_told.failures > 0 then
            v_hook.failures := v_hook.failures + v_told.failures;
            -- After two days in which nothing was tried nobody knows whether it failed all the time.
            if v_hook.failing_since is null or v_hook.failed_at < v_now - interval '2 days' then
                v_hook.failing_since := v_now;
            end if;
            v_hook.failed_at := v_now;
            if v_hook.failures >= p_failures and coalesce(v_hook.held_until, '-infinity') <= v_now then
                v_hook.held_until := v_now + make_interval(
                    secs => least(p_trip_cap_seconds, p_trip_seconds * 2 ^ least(v_hook.trips, 20)));
                v_hook.trips := v_hook.trips + 1;
            end if;
        end if;
        if v_told.hold_seconds is not null then
            v_hook.held_until := greatest(v_hook.held_until, v_now + make_interval(secs => v_told.hold_seconds));
        end if;
        if v_hook.state = 'active' and v_told.is_gone then
            v_hook.state := 'gone';
            v_hook.reason := 'Its endpoint answered 410: it doesn''t exist any more.';
        elsif v_hook.state = 'active' and v_hook.failing_since < v_now - make_interval(secs => p_patience_seconds) then
            v_hook.state := 'disabled';
            v_hook.reason := format('Nothing could be delivered since %s.',
                                    to_char(v_hook.failing_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'));
        end if;
        update hooks
           set failures = v_hook.failures, failing_since = v_hook.failing_since, failed_at = v_hook.failed_at,
               trips = v_hook.trips, held_until = v_hook.held_until, delivered_at = v_hook.delivered_at,
               state = v_hook.state, reason = v_hook.reason
         where id = v_hook.id and (v_told.any_done or v_told.failures > 0 or v_told.hold_seconds is not null);
        if v_hook.state <> 'active' and (v_told.failures > 0 or v_told.is_gone) then
            v_ended := v_ended || jsonb_build_object(
                'id', v_hook.id, 'url', v_hook.url, 'state', v_hook.state, 'reason', v_hook.reason);
        end if;
    end loop;
    return v_ended;
end $$;

-- A page of a hook's deliveries, newest first. p_before: the id of the last one on the page before.
create or replace function list_hook_deliveries(p_hook uuid, p_limit integer, p_state text default null, p_before bigint default null)
returns jsonb language plpgsql stable
set search_path = public, pg_temp set plan_cache_mode = force_custom_plan set enable_seqscan = off
-- As in list_audit: those of a state are read by their index, and not looked for among all from the end.
set random_page_cost = 0 set seq_page_cost = 0 as $$
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(d) - '{claims,lease_until,hook_id}'::text[] order by id desc), '[]')
          from (select * from hook_deliveries
                 where hook_id = p_hook and (p_state is null or state = p_state) and (p_before is null or id < p_before)
                 order by id desc limit p_limit) d);
end $$;

-- Send deliveries once more that are over: these (p_ids), or the oldest p_limit of those that are dead. They keep their
-- event's id, and go before what waits about the same subject. Answers how many; null: there is no such hook.
create or replace function replay_hook_deliveries(p_hook uuid, p_ids jsonb, p_limit integer, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_ids   bigint[];
    v_count bigint;
begin
    perform from hooks where id = p_hook for update;
    if not found then
        return null;
    end if;
    if p_ids is null then
        v_ids := array(select id from hook_deliveries where hook_id = p_hook and state = 'dead' order by id limit p_limit);
    else
        v_ids := array(select i::bigint from jsonb_array_elements_text(p_ids) i limit p_limit);
    end if;
    if v_ids = '{}' then
        return to_jsonb(0);
    end if;
    update hook_deliveries
       set state = 'waiting', attempts = 0, due_at = clock_timestamp(), settled_at = null
     where id = any (v_ids) and hook_id = p_hook and state in ('dead', 'done');
    get diagnostics v_count = row_count;
    perform pg_notify('amazonsender', 'work');   -- not by a trigger: each failed try is an update, too
    perform record_audit(p_by, 'hook.replay', p_hook::text, null, jsonb_build_object('deliveries', v_count))
      where v_count > 0;
    return to_jsonb(v_count);
end $$;

-- Have one event of this hook written by a person, to see whether it comes. null: there is no such hook.
create or replace function test_hook(p_hook uuid, p_type text, p_data jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_id bigint;
begin
    insert into hook_deliveries (hook_id, event_id, type, subject, data)
    select id, new_event_id(), p_type, gen_random_uuid(), p_data from hooks where id = p_hook
    returning id into v_id;
    return to_jsonb(v_id);
end $$;

-- Remove what nobody looks at any more, p_limit rows at most of each kind. Answers how many.
create or replace function tidy_hooks(p_limit integer, p_done_days integer, p_dead_days integer) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_bitmapscan = off as $$
declare
    v_ids  bigint[];
    v_hook uuid;
begin
    v_ids := array(select id from hook_deliveries
                    where settled_at < now() - make_interval(days => p_done_days) and state = 'done'
                    order by settled_at limit p_limit)
          || array(select id from hook_deliveries
                    where settled_at < now() - make_interval(days => p_dead_days)
                    order by settled_at limit p_limit);
    -- What waits for a hook that isn't active is dead after that time.
    for v_hook in select id from hooks where state <> 'active' loop
        v_ids := v_ids || array(select id from hook_deliveries
                                 where hook_id = v_hook and id = any (array(
                                       select id from hook_deliveries where hook_id = v_hook order by id limit p_limit))
                                   and occurred_at < now() - make_interval(days => p_dead_days));
    end loop;
    -- Of hooks that were deleted: from one id of a hook to the next.
    v_hook := (select hook_id from hook_deliveries order by hook_id, id limit 1);
    while v_hook is not null loop
        if not exists (select from hooks where id = v_hook) then
            v_ids := v_ids || array(select id from hook_deliveries where hook_id = v_hook order by id limit p_limit);
        end if;
        v_hook := (select hook_id from hook_deliveries where hook_id > v_hook order by hook_id, id limit 1);
    end loop;
    if v_ids = '{}' then
        return to_jsonb(0);
    end if;
    delete from hook_deliveries where id = any (v_ids);
    return to_jsonb(cardinality(v_ids));
end $$;

-- For `/metrics` and `/health`. waiting, dead: 100,001 at most.
create or replace function hooks_overview() returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select jsonb_build_object(
        'hooks', (select count(*) from hooks),
        'waiting', (select count(*) from (select from hook_deliveries where state = 'waiting' limit 100001) w),
        'dead', (select count(*) from (select from hook_deliveries where state = 'dead' limit 100001) d),
        'oldest_seconds', (select coalesce(max(extract(epoch from clock_timestamp() - due)), 0)
                             from (select (select min(due_at) from hook_deliveries
                                            where hook_id = h.id and state = 'waiting') as due
                                     from hooks h where state = 'active') o where due <= clock_timestamp()),
        'ended', (select count(*) from hooks where state <> 'active'),
        'failing', (select count(*) from hooks where state = 'active' and trips > 0));
$$;
