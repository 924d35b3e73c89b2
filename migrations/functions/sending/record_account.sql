-- What GetAccount said. p_account: max_send_rate, max_24h_send (-1: unlimited), sent_last_24h,
-- sending_enabled, enforcement_status, production_access. Mails claimed since shortly
-- before the question may not be in SES's figure yet, so they are counted beside it.
create or replace function record_account(p_region text, p_account jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_since  timestamptz := clock_timestamp() - interval '5 seconds';   -- in a variable, so that the index is used
    v_recent bigint;
begin
    select coalesce(sum(cardinality(send_log_ids)), 0) into v_recent from send_batches
     where claimed_at > v_since and region = p_region;
    insert into send_rates as r (region, account, account_checked_at)
    values (p_region, p_account, clock_timestamp())
    on conflict (region) do update
       set account = excluded.account, account_checked_at = excluded.account_checked_at,
           taken_since_check = v_recent;
    update send_rates set rate = effective_rate(p_region, account) where region = p_region;
    return (select to_jsonb(rate) from send_rates where region = p_region);
end $$;
