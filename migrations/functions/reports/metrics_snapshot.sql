-- Figures for `GET /metrics` that only the database has: the same whichever process asks. `unknown` counts
-- the mailouts that run or ended within a week, since rows that nobody wants to resend stay as they are.
-- In `regions`, those that SES was asked for within a day, null is not known yet; a `quota` of -1 is
-- no limit; `tokens`: recipients that the shared rate would let go now, as claim_batches counts them.
create or replace function metrics_snapshot() returns jsonb
language sql volatile set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'queued', (select coalesce(sum(recipients_in(id, '{queued}')), 0) from mailouts
                    where status in ('sending', 'paused', 'cancelled')),
        'unknown', (select coalesce(sum(recipients_in(id, '{unknown}')), 0) from mailouts
                     where status in ('sending', 'paused')
                        or coalesce(sent_at, updated_at) > now() - interval '7 days'),
        'mailouts', (select coalesce(jsonb_object_agg(status, n), '{}')
                       from (select status, count(*) as n from mailouts group by status) m),
        'paused', (select coalesce(jsonb_object_agg(because, n), '{}')
                     from (select coalesce(pause_code, 'person') as because, count(*) as n
                             from mailouts where status = 'paused' group by 1) p),
        'senders', (select count(*) from executors e where is_alive(e)),
        'notion_oldest_due_seconds', (select coalesce(extract(epoch from clock_timestamp() - min(due_at)), 0)
                                        from (select due_at from notion_writes where due_at <= clock_timestamp()
                                               union all select asked_at from notion_write_asks) due),
        'hooks', hooks_overview(),
        'fallback', fallback_provider(),
        'paces', (select coalesce(jsonb_agg(jsonb_build_object('region', region, 'provider', key, 'rate', rate)
                                            order by region, key), '[]')
                    from provider_paces where until > clock_timestamp()),
        'warmups', (select coalesce(jsonb_agg(jsonb_build_object(
                        'region', d.region, 'cap', d.cap, 'used', d.used, 'day', d.step + 1) order by d.region), '[]')
                      from warmup_days d join warmups w using (region)
                     where w.state = 'running' and d.ends_at > clock_timestamp() and d.opened_at >= w.started_at),
        'regions', (select coalesce(jsonb_agg(jsonb_build_object(
            'region', region,
            'rate', rate,
            'tokens', case when next_token_at > clock_timestamp() then 0 else
                least(greatest(1, floor(least(rate, 50))),
                      1 + floor(rate * extract(epoch from clock_timestamp()
                          - greatest(next_token_at, clock_timestamp() - interval '1 hour')))) end,
            'max_rate', account -> 'max_send_rate',
            'quota', account -> 'max_24h_send',
            'quota_used', (account ->> 'sent_last_24h')::double precision + taken_since_check,
            'sending_enabled', account -> 'sending_enabled',
            'enforcement_status', account -> 'enforcement_status',
            'checked_at', extract(epoch from account_checked_at),
            'breaker_open', case when not is_fallback_route(region) then region_breaker(region) <> 'closed' end
            ) order by region), '[]')
                      from send_rates
                     where account_checked_at is null
                        or account_checked_at > now() - interval '1 day'));
$$;
