-- SES counts the recipients of the last 24 hours, so each place in the quota is free again 24 hours after
-- it was used.

-- When the first place that this database's mailouts used is free again; null: none was used within 24
-- hours.
create or replace function quota_frees_at(p_region text) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_from timestamptz := clock_timestamp() - interval '24 hours';   -- in a variable, so that the index is used
begin
    return (select to_jsonb(claimed_at + interval '24 hours') from send_batches
             where claimed_at >= v_from and region = p_region and accepted is distinct from 0
             order by claimed_at limit 1);
end $$;

-- Set the reason that is shown for mailouts that wait for the quota.
create or replace function note_quota(p_reason text) returns jsonb
language sql set search_path = public, pg_temp as $$
    with theirs as (
        select id from mailouts
         where status = 'paused' and pause_code = 'quota' and status_reason is distinct from p_reason
         order by id for no key update
    ), noted as (
        update mailouts set status_reason = p_reason where id in (select id from theirs)
        returning 1)
    select to_jsonb(count(*)) from noted;
$$;
