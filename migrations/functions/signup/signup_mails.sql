-- The next confirmation mail that is due: {"id", "to"}, or {"wait"}: its turn is in so many seconds; null: none is
-- due, or SES doesn't let the account send now. As with the notices to the owner the claim commits before the mail
-- is sent, so that nobody gets it twice. It takes a token of the rate that the mailouts share (claim_batches.sql),
-- and counts in their quota.
create or replace function claim_signup_mail(p_region text) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    c_early  constant double precision := 0.05;   -- seconds, as for a batch
    v_now    timestamptz;
    v_rates  send_rates;
    v_next   timestamptz;
    v_answer jsonb;
begin
    if not exists (select from signups
                    where claimed_at is null and outcome is null and due_at <= clock_timestamp()) then
        return null;
    end if;
    select * into v_rates from send_rates where region = p_region for update;
    if v_rates.rate is null or v_rates.rate <= 0
       or not coalesce((v_rates.account ->> 'sending_enabled')::boolean, true)
       or (v_rates.account ->> 'max_24h_send')::double precision between 0 and
          (v_rates.account ->> 'sent_last_24h')::double precision + v_rates.taken_since_check
    then
        return null;
    end if;
    -- At most a second's tokens are kept. A time far ahead means that the clock was set back.
    v_now := clock_timestamp();
    v_next := greatest(v_rates.next_token_at, v_now - interval '1 second');
    if v_next > v_now + make_interval(secs => 2 + 2 * greatest(1, 1 / v_rates.rate)) then
        v_next := v_now;
    elsif v_next > v_now + make_interval(secs => c_early) then
        return jsonb_build_object('wait', extract(epoch from v_next - v_now) - c_early / 2);
    end if;
    update signups set claimed_at = v_now
     where id = (select id from signups
                  where claimed_at is null and outcome is null and due_at <= v_now
                  order by due_at limit 1 for update skip locked)
    returning jsonb_build_object('id', id, 'to', address) into v_answer;
    if v_answer is not null then
        update send_rates
           set next_token_at = v_next + make_interval(secs => 1 / rate), taken_since_check = taken_since_check + 1
         where region = p_region;
    end if;
    return v_answer;
end $$;

-- p_outcome: sent, failed or unknown; null: certainly not accepted, to be tried in p_retry_seconds.
create or replace function settle_signup_mail(
    p_signup uuid, p_outcome text, p_detail text default null,
    p_retry_seconds double precision default 0)
returns jsonb language sql set search_path = public, pg_temp as $$
    update signups
       set outcome = p_outcome, detail = p_detail,
           claimed_at = case when p_outcome is not null then claimed_at end,
           due_at = clock_timestamp() + make_interval(secs => p_retry_seconds)
     where id = p_signup
    returning to_jsonb(true);
$$;

-- Delete sign-ups that are over a week old, and whoever is on the list by nothing else (`only_asked`), with
-- their history: the list keeps nobody's address on a stranger's word. Answers how many sign-ups.
create or replace function tidy_signups(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_addresses text[];
    v_gone      uuid[];
begin
    delete from signup_clients where hour < clock_timestamp() - interval '2 hours';
    with old as (
        delete from signups
         where id = any (array(select id from signups where asked_at <= clock_timestamp() - interval '7 days'
                                order by asked_at limit p_limit for update skip locked))
        returning address)
    select coalesce(array_agg(address), '{}') into v_addresses from old;
    perform acting('sign-up', 'Not confirmed within a week.');
    with gone as (
        delete from subscribers s
         where address = any (v_addresses) and only_asked(s)
           and not exists (select from signups g where g.address = s.address)
        returning id)
    select coalesce(array_agg(id), '{}') into v_gone from gone;
    delete from subscriber_changes where subscriber_id = any (v_gone);
    return cardinality(v_addresses);
end $$;
