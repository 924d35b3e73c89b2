-- What sending to p_recipients would take from now on, as far as it is known (what isn't is left
-- out): "quota_left" and "daily_quota" (recipients in the rolling 24 hours; left out when SES sets
-- no limit), "rate" (recipients per second), "seconds" until the last one is sent, and "days" on
-- which it sends because the daily quota doesn't suffice at once (else 1). p_rate_limit: RATE_LIMIT_PER_SEC of
-- the caller. When SES wasn't asked about the account for a day, its
-- figures say nothing about these 24 hours.
create or replace function send_outlook(
    p_region text, p_rate_limit double precision, p_recipients bigint)
returns jsonb language plpgsql volatile set search_path = public, pg_temp as $$
declare
    c_day     constant double precision := 86400;
    v_known   send_rates;
    v_limit   double precision;
    v_rate    double precision;
    v_daily   double precision;
    v_left    double precision;
    v_later   double precision := 0;   -- recipients for whom today's quota doesn't suffice
    v_days    double precision := 0;   -- further days they take
    v_seconds double precision;
begin
    select * into v_known from send_rates
     where region = p_region and account_checked_at > clock_timestamp() - interval '1 day';
    v_limit := (v_known.account ->> 'max_send_rate')::double precision;
    -- The same as effective_rate, but with the caller's limit, which no heartbeat has reported yet.
    select least(coalesce(least(min(e.rate_limit), p_rate_limit), v_limit * 0.9), v_limit)
      into v_rate from executors e where e.region = p_region and is_alive(e);
    v_daily := (v_known.account ->> 'max_24h_send')::double precision;
    if v_daily >= 0 then
        v_left := floor(greatest(0, v_daily - v_known.taken_since_check
                                    - (v_known.account ->> 'sent_last_24h')::double precision));
        v_later := greatest(0, p_recipients - v_left);
        v_days := case when v_later > 0 then ceil(v_later / nullif(v_daily, 0)) else 0 end;
    end if;
    v_seconds := greatest(
        p_recipients / nullif(v_rate, 0),
        v_days * c_day + (v_later - greatest(0, v_days - 1) * v_daily) / nullif(v_rate, 0));
    return jsonb_strip_nulls(jsonb_build_object(
        'quota_left', v_left,
        'daily_quota', case when v_daily >= 0 then v_daily end,
        'rate', v_rate,
        'seconds', case when v_days is not null and v_rate > 0 then round(v_seconds::numeric, 1) end,
        'days', case when v_daily is not null then v_days + (v_later = 0 or v_left > 0)::integer end));
end $$;
