-- What sending to p_recipients would take from now on, as far as it is known (what isn't is left
-- out): "quota_left" and "daily_quota" (recipients in the rolling 24 hours; left out when SES sets
-- no limit), "rate" (recipients per second), "seconds" until the last one is sent, and "days" on
-- which it sends because the daily quota doesn't suffice at once (else 1). p_rate_limit: RATE_LIMIT_PER_SEC of
-- the caller, which holds in each region. p_regions: names; null: p_region alone. Those of which SES lets one send
-- nothing don't count while another may send. When SES wasn't asked about an account for a day, its
-- figures say nothing about these 24 hours.
create or replace function send_outlook(
    p_region text, p_rate_limit double precision, p_recipients bigint, p_regions jsonb default null)
returns jsonb language plpgsql volatile set search_path = public, pg_temp as $$
declare
    c_day     constant double precision := 86400;
    v_rate    double precision;
    v_daily   double precision;
    v_left    double precision;
    v_later   double precision := 0;   -- recipients for whom today's quota doesn't suffice
    v_days    double precision := 0;   -- further days they take
    v_seconds double precision;
begin
    with asked as (
        select region, s as known, account_is_stopped(s.account) as stopped
          from jsonb_array_elements_text(coalesce(p_regions, jsonb_build_array(p_region))) r(region)
          left join send_rates s using (region)
    ), figures as (
        select a.region, (a.known).account_checked_at > clock_timestamp() - interval '1 day' as fresh,
               ((a.known).account ->> 'max_send_rate')::double precision as most,
               ((a.known).account ->> 'max_24h_send')::double precision as daily,
               quota_left(a.known) as quota
          from asked a where not coalesce(stopped, false) or (select bool_and(coalesce(stopped, false)) from asked)
    )
    -- The rate is the same as effective_rate, but with the caller's limit, which no heartbeat has reported yet.
    select sum(least(coalesce(least(told.rate, p_rate_limit), case when fresh then most end * 0.9),
                     case when fresh then most end)),
           case when min(daily) filter (where fresh) < 0 then -1 else sum(daily) filter (where fresh) end,
           sum(floor(greatest(0, quota))) filter (where fresh)
      into v_rate, v_daily, v_left
      from figures f
      cross join lateral (
          select min(case when e.routes = '{}' then e.rate_limit else (e.routes ->> f.region)::double precision end) as rate
            from executors e where sends_by(e, f.region) and is_alive(e)) told;
    if v_daily >= 0 then
        v_later := greatest(0, p_recipients - v_left);
        v_days := case when v_later > 0 then ceil(v_later / nullif(v_daily, 0)) else 0 end;
    end if;
    v_seconds := greatest(
        p_recipients / nullif(v_rate, 0),
        v_days * c_day + (v_later - greatest(0, v_days - 1) * v_daily) / nullif(v_rate, 0));
    return jsonb_strip_nulls(jsonb_build_object(
        'quota_left', case when v_daily >= 0 then v_left end,
        'daily_quota', case when v_daily >= 0 then v_daily end,
        'rate', v_rate,
        'seconds', case when v_days is not null and v_rate > 0 then round(v_seconds::numeric, 1) end,
        'days', case when v_daily is not null then v_days + (v_later = 0 or v_left > 0)::integer end));
end $$;
