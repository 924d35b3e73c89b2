-- Take tokens and recipients in one step: queued → sending with a fresh attempt, committed before
-- any byte goes to SES. At most p_limit rows, never more than one second's tokens.
-- Answers {"attempt_id", "rows", "delay"}: wait `delay` seconds (at most 0.05, when the last token
-- falls due), then send; or no rows and a "reason":
--   wait (with "seconds"): tokens are not due yet        empty: nothing is due (see finish_mailout)
--   skipped: only people who left were found, ask again   not_sending: paused, cancelled or over
--   quota: SES's daily quota is used up                    no_rate: the account's rate isn't known
--   lease: the caller's own heartbeat is overdue           canary: its share is out (canary.sql)
--   guard: the guards stop the mailout (guards.sql; p_…_rate null: no guard)
-- p_attempt: the caller's, so that it can give a claim back whose answer it never got
-- (release_batch.sql).
create or replace function claim_batch(
    p_mailout uuid, p_executor uuid, p_region text, p_limit integer, p_test boolean default false,
    p_bounce_rate numeric default null, p_complaint_rate numeric default null,
    p_attempt uuid default gen_random_uuid())
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    c_early    constant double precision := 0.05;   -- seconds a batch may be claimed before its time
    v_now      timestamptz;
    v_bucket   send_rates;
    v_capacity integer;
    v_quota    double precision;
    v_next     timestamptz;
    v_ready    timestamptz;
    v_ids      bigint[];
    v_rows     jsonb;
    v_count    integer;
    v_canary   text;
begin
    perform from executors e where e.id = p_executor and is_alive(e);
    if not found then
        return jsonb_build_object('reason', 'lease');
    end if;
    if not p_test then
        -- The share lock orders this claim and a pause or cancel: whichever commits first counts.
        select canary_phase into v_canary from mailouts where id = p_mailout and status = 'sending'
           and is_from_here(started_in) for share;
        if not found then
            return jsonb_build_object('reason', 'not_sending');
        end if;
        if guard_trip(p_mailout, p_bounce_rate, p_complaint_rate) is not null then
            return jsonb_build_object('reason', 'guard');
        end if;
    end if;

    select * into v_bucket from send_rates where region = p_region for update;
    if v_bucket.rate is null or v_bucket.rate <= 0 then
        return jsonb_build_object('reason', 'no_rate');
    end if;
    v_now := clock_timestamp();
    v_capacity := greatest(1, least(p_limit, floor(v_bucket.rate)::integer));
    v_quota := (v_bucket.account ->> 'max_24h_send')::double precision;
    if v_quota >= 0 then   -- -1: unlimited; null: not known
        v_quota := v_quota - (v_bucket.account ->> 'sent_last_24h')::double precision
                           - v_bucket.taken_since_check;
        if v_quota < 1 then
            return jsonb_build_object('reason', 'quota');
        end if;
        v_capacity := least(v_capacity, floor(v_quota)::integer);
    end if;

    -- Each written out, so that a plan made for all parameters can use the partial index.
    if p_test then
        select array_agg(id) into v_ids from (
            select id from send_logs
             where mailout_id = p_mailout and status = 'queued' and is_test
             order by id limit v_capacity for update skip locked) due;
    elsif v_canary is null then
        select array_agg(id) into v_ids from (
            select id from send_logs
             where mailout_id = p_mailout and status = 'queued' and not is_test
               and (next_attempt_at is null or next_attempt_at <= v_now)
             order by id limit v_capacity for update skip locked) due;
    else
        select array_agg(id) into v_ids from (
            select id from send_logs
             where mailout_id = p_mailout and status = 'queued' and canary
               and (next_attempt_at is null or next_attempt_at <= v_now)
             order by id limit v_capacity for update skip locked) due;
    end if;
    if v_ids is null then
        return jsonb_build_object('reason', case when v_canary is null then 'empty' else 'canary' end);
    end if;

    -- Tokens fall due at next_token_at and then every 1/rate seconds; at most one batch of them is
    -- kept. A time far ahead means that the clock was set back.
    v_next := greatest(v_bucket.next_token_at,
                       v_now - make_interval(secs => (v_capacity - 1) / v_bucket.rate));
    if v_next > v_now + make_interval(secs => 2 + 2 * v_capacity / v_bucket.rate) then
        v_next := v_now;
    end if;
    v_ready := v_next + make_interval(secs => (cardinality(v_ids) - 1) / v_bucket.rate);
    if v_ready > v_now + make_interval(secs => c_early) then
        return jsonb_build_object('reason', 'wait',
            'seconds', extract(epoch from v_ready - v_now) - c_early / 2);
    end if;

    with claimed as (
        update send_logs l
           set status = case when s.status = 'active' or p_test then 'sending' else 'skipped' end,
               error_code = case when s.status = 'active' or p_test then null
                                 else coalesce(s.status, 'deleted') end,
               error_message = null, attempt_id = p_attempt, claimed_at = v_now,
               attempts = l.attempts + (s.status is not distinct from 'active' or p_test)::integer,
               next_attempt_at = null
          from unnest(v_ids) as due (id)
          join send_logs q on q.id = due.id
          left join subscribers s on s.id = q.subscriber_id
         where l.id = due.id
        returning l.id, l.email, l.attempts, l.subscriber_id, l.status, s.name, s.fields
    )
    select jsonb_agg(jsonb_build_object(
               'id', id, 'email', email, 'attempts', attempts, 'subscriber_id', subscriber_id,
               'name', name, 'fields', fields) order by id) filter (where status = 'sending'),
           count(*) filter (where status = 'sending')
      into v_rows, v_count from claimed;
    if v_count = 0 then
        return jsonb_build_object('reason', 'skipped');
    end if;

    v_ready := v_next + make_interval(secs => (v_count - 1) / v_bucket.rate);
    update send_rates
       set next_token_at = v_next + make_interval(secs => v_count / v_bucket.rate),
           taken_since_check = taken_since_check + v_count
     where region = p_region;
    insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, token_at,
                              claimed_at)
    values (p_attempt, p_mailout, p_executor, p_region,
            array(select (r ->> 'id')::bigint from jsonb_array_elements(v_rows) r), v_ready, v_now);
    return jsonb_build_object(
        'attempt_id', p_attempt, 'rows', v_rows,
        'delay', greatest(0, extract(epoch from v_ready - v_now)));
end $$;
