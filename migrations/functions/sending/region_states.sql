-- What is known of each of p_regions (names), in their order: [{"region", "rate", "account", "account_age_seconds",
-- "used", "breaker"}]. used: recipients of the daily quota. breaker: of the senders that live, the one that lets most
-- go ("closed", "half_open", "open"); null: none has told.
create or replace function region_states(p_regions jsonb) returns jsonb
language sql volatile set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'region', asked.region, 'rate', s.rate, 'account', s.account,
               'account_age_seconds', extract(epoch from clock_timestamp() - s.account_checked_at),
               'used', coalesce((s.account ->> 'sent_last_24h')::double precision, 0)
                       + coalesce(s.taken_since_check, 0),
               'breaker', region_breaker(asked.region)) order by asked.n), '[]')
      from jsonb_array_elements_text(p_regions) with ordinality as asked (region, n)
      left join send_rates s on s.region = asked.region;
$$;

create or replace function region_breaker(p_region text) returns text
language sql volatile set search_path = public, pg_temp as $$
    select min(told.state) from (
        select e.state -> 'routes' -> p_region ->> 'breaker' as state from executors e where is_alive(e)) told;
$$;
