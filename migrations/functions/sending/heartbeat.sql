-- A sender reports that it is alive, and which rate its settings give it. The smallest rate of all living
-- senders holds for all, never above the account's. After a pause longer than the lease `alive_since`
-- starts anew: after an outage of the database every sender's heartbeat looks overdue, so a sender may
-- declare others lost only when it has itself been alive for a full lease (recover_lost.sql).
create or replace function heartbeat(
    p_executor uuid, p_region text, p_label text, p_lease_seconds double precision,
    p_rate_limit double precision default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_now  timestamptz := clock_timestamp();
    v_rate send_rates;
begin
    -- Locked first, so that record_account and other heartbeats compute the rate after this one.
    insert into send_rates (region) values (p_region) on conflict do nothing;
    perform from send_rates where region = p_region for update;
    insert into executors as e (id, region, label, rate_limit, lease_seconds)
    values (p_executor, p_region, p_label, p_rate_limit, p_lease_seconds)
    on conflict (id) do update
       set heartbeat_at = v_now, rate_limit = p_rate_limit, lease_seconds = p_lease_seconds,
           alive_since = case when e.heartbeat_at > v_now - make_interval(secs => p_lease_seconds)
                              then e.alive_since else v_now end;
    update send_rates r set rate = effective_rate(p_region, r.account) where region = p_region
       and rate is distinct from effective_rate(p_region, r.account);
    select * into v_rate from send_rates where region = p_region;
    perform hold_foreign_mailouts();
    delete from send_requests where created_at < now() - interval '8 days';
    return jsonb_build_object(
        'rate', v_rate.rate, 'account', v_rate.account,
        'account_age_seconds', extract(epoch from v_now - v_rate.account_checked_at),
        'executors', (select count(*) from executors e where e.region = p_region and is_alive(e)));
end $$;

create or replace function is_alive(e executors) returns boolean
language sql volatile set search_path = public, pg_temp as $$
    select e.heartbeat_at > clock_timestamp() - make_interval(secs => e.lease_seconds);
$$;

-- Recipients per second for a region: what the living executors were told (the smallest), else
-- nine tenths of the account's MaxSendRate, and never above that. null: not known yet. Kept between
-- one recipient in eleven days and a thousand million a second, so that times computed from it are valid.
create or replace function effective_rate(p_region text, p_account jsonb)
returns double precision language sql volatile set search_path = public, pg_temp as $$
    select case when rate > 0 then least(1e9, greatest(1e-6, rate)) else rate end
      from (select least(
        coalesce((select min(e.rate_limit) from executors e where e.region = p_region and is_alive(e)),
                 (p_account ->> 'max_send_rate')::double precision * 0.9),
        (p_account ->> 'max_send_rate')::double precision) as rate) told;
$$;
