-- A sender reports that it is alive, by which routes it sends, and which rate its settings give each
-- (p_routes: {name: rate}; null from a sender of an earlier version, which has p_region and p_rate_limit). The smallest rate of all living
-- senders holds for all, never above the account's. After a pause longer than the lease `alive_since`
-- starts anew: after an outage of the database every sender's heartbeat looks overdue, so a sender may
-- declare others lost only when it has itself been alive for a full lease (recover_lost.sql).
create or replace function heartbeat(
    p_executor uuid, p_region text, p_label text, p_lease_seconds double precision,
    p_rate_limit double precision default null, p_routes jsonb default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_now    timestamptz := clock_timestamp();
    v_routes jsonb := coalesce(p_routes, jsonb_build_object(p_region, p_rate_limit));
    v_rate   send_rates;
begin
    -- Locked first, so that record_account and other heartbeats compute the rate after this one.
    insert into send_rates (region) select k from jsonb_object_keys(v_routes) k order by k on conflict do nothing;
    perform from send_rates where v_routes ? region order by region for update;
    insert into executors as e (id, region, label, rate_limit, routes, lease_seconds)
    values (p_executor, p_region, p_label, p_rate_limit, v_routes, p_lease_seconds)
    on conflict (id) do update
       set heartbeat_at = v_now, rate_limit = p_rate_limit, routes = v_routes, lease_seconds = p_lease_seconds,
           alive_since = case when e.heartbeat_at > v_now - make_interval(secs => p_lease_seconds)
                              then e.alive_since else v_now end;
    update send_rates r set rate = effective_rate(r.region, r.account) where v_routes ? region
       and rate is distinct from effective_rate(r.region, r.account);
    select * into v_rate from send_rates where region = p_region;
    perform hold_foreign_mailouts();
    delete from send_requests where created_at < now() - interval '8 days';
    return jsonb_build_object(
        'rate', v_rate.rate, 'account', v_rate.account,
        'account_age_seconds', extract(epoch from v_now - v_rate.account_checked_at),
        'executors', (select count(*) from executors e where sends_by(e, p_region) and is_alive(e)));
end $$;

create or replace function is_alive(e executors) returns boolean
language sql volatile set search_path = public, pg_temp as $$
    select e.heartbeat_at > clock_timestamp() - make_interval(secs => e.lease_seconds);
$$;

create or replace function sends_by(e executors, p_route text) returns boolean
language sql immutable set search_path = public, pg_temp as $$
    select case when e.routes = '{}' then e.region = p_route else e.routes ? p_route end;
$$;

-- Recipients per second for a route: what the living executors were told (the smallest), else
-- nine tenths of the account's MaxSendRate, and never above that. null: not known yet. Kept between
-- one recipient in eleven days and a thousand million a second, so that times computed from it are valid.
create or replace function effective_rate(p_region text, p_account jsonb)
returns double precision language sql volatile set search_path = public, pg_temp as $$
    select case when rate > 0 then least(1e9, greatest(1e-6, rate)) else rate end
      from (select least(
        coalesce((select min(case when e.routes = '{}' then e.rate_limit else (e.routes ->> p_region)::double precision end)
                    from executors e where sends_by(e, p_region) and is_alive(e)),
                 (p_account ->> 'max_send_rate')::double precision * 0.9),
        (p_account ->> 'max_send_rate')::double precision) as rate) told;
$$;
