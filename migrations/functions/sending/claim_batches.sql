-- Take tokens and recipients in one step: queued → sending with fresh attempts, committed before
-- any byte goes to SES. Up to one batch per given attempt, each of at most p_limit rows and never
-- more than one second's tokens; several only as far as tokens are due, so that at high rates one
-- commit carries many calls.
-- Answers in columns, since to write and read each recipient as an object of its own took a fifth of a claim's time:
-- {"attempts", "sizes", "delays"}, an entry for each batch, and {"ids", "emails", "tries", "subscribers", "names",
-- "fields"}, an entry for each recipient, batch by batch; and the "rate" that the route is granted. Wait `delay` seconds (at most 0.05, when the batch's last token
-- falls due), then send. Or a "reason" for none:
--   wait (with "seconds"): tokens are not due yet        empty: nothing is due (see finish_mailout)
--   skipped: only people who left were found, ask again   not_sending: paused, cancelled or over
--   quota: SES's daily quota is used up                    no_rate: the account's rate isn't known
--   lease: the caller's own heartbeat is overdue           canary: its share is out (canary.sql)
--   guard: the guards stop the mailout (guards.sql; p_…_rate null: no guard)
--   ahead: nobody is due until the next wave              late: a wave was missed (schedules/)
--   elsewhere: it is kept to another route (with "kept")   blocked: this route refused it lately (routes.sql)
--   account: SES lets this account send nothing            closed: it isn't this provider's turn (fallback/)
--   limits: whoever is due waits for a mailbox provider, or for a warm-up (with "at": until then at least)
-- p_attempts: the caller's, so that it can give a claim back whose answer it never got
-- (release_batches.sql). p_after: only rows with a higher id are looked at. In a long mailout the index of
-- queued rows begins with thousands of entries for rows that are no longer queued, until a vacuum removes
-- them. A sender remembers the last id it claimed and passes it, to skip these entries; from time to time
-- it begins with 0 again, to find rows that are to be tried once more.
-- p_kept_only: only of a mailout that is kept to this route.
-- enable_seqscan is off here and in record_results and is_open: a connection keeps the plan that it made
-- while the tables were small, and would go on reading whole tables when they are large. For the same
-- reason large tables are searched by an array of ids, and the result is joined by a hash
-- (enable_nestloop is off): tests/integration/test_reads_at_size.py.
create or replace function claim_recipients(
    p_mailout uuid, p_executor uuid, p_region text, p_limit integer, p_attempts jsonb,
    p_test boolean default false,
    p_bounce_rate numeric default null, p_complaint_rate numeric default null,
    p_after bigint default 0, p_kept_only boolean default false)
returns jsonb language plpgsql
set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off as $$
declare
    c_early    constant double precision := 0.05;   -- seconds a batch may be claimed before its time
    v_attempts uuid[] := array(select jsonb_array_elements_text(p_attempts)::uuid);
    v_now      timestamptz;
    v_bucket   send_rates;
    v_capacity integer;            -- rows of a batch
    v_most     integer;            -- rows of all batches
    v_quota    double precision;
    v_next     timestamptz;
    v_ready    timestamptz;
    v_ids      bigint[];
    v_people   uuid[];
    v_taken    bigint[];           -- who is mailed, in the order of their tokens; beside it:
    v_places   integer[];          -- the number of their batch
    v_rows     jsonb;
    v_batches  jsonb;
    v_count    integer;
    v_canary   text;
    v_limits   jsonb;              -- of mailbox providers and a warm-up (pacing/limits.sql)
    v_held     jsonb;
    v_waves    boolean := false;   -- its recipients have instants of their own
    v_kept     text;               -- the only route that it may take
begin
    perform from executors e where e.id = p_executor and is_alive(e);
    if not found then
        return jsonb_build_object('reason', 'lease');
    end if;
    if is_fallback_route(p_region) and fallback_provider() is distinct from p_region then
        return jsonb_build_object('reason', 'closed');
    end if;
    if not p_test then
        -- The share lock orders this claim and a pause or cancel: whichever commits first counts.
        select canary_phase, waves, region into v_canary, v_waves, v_kept
          from mailouts where id = p_mailout and status = 'sending'
           and is_from_here(started_in) for share;
        if not found then
            return jsonb_build_object('reason', 'not_sending');
        end if;
        if guard_trip(p_mailout, p_bounce_rate, p_complaint_rate) is not null then
            return jsonb_build_object('reason', 'guard');
        end if;
        if is_blocked(p_mailout, p_region) then
            return jsonb_build_object('reason', 'blocked');
        end if;
    elsif not exists (select from mailout_tests where mailout_id = p_mailout) then
        -- Somebody deleted the draft meanwhile, so its test mails have no content.
        update send_logs
           set status = 'cancelled', next_attempt_at = null, error_code = 'deleted',
               error_message = 'The mailout was deleted before this test mail was sent.'
         where mailout_id = p_mailout and status = 'queued' and is_test;
        return jsonb_build_object('reason', 'empty');
    else
        select region into v_kept from mailouts where id = p_mailout;
    end if;
    if v_kept <> p_region or p_kept_only and v_kept is null then
        return jsonb_build_object('reason', 'elsewhere', 'kept', v_kept);
    end if;

    if v_waves then
        case wave_state(p_mailout, clock_timestamp(), p_after)
            when 'late' then return jsonb_build_object('reason', 'late');
            when 'ahead' then return jsonb_build_object('reason', 'ahead');
            when 'due' then null;
            else v_waves := false;   -- none is left, unless of those without an instant
        end case;
    end if;

    select * into v_bucket from send_rates where region = p_region for update;
    if v_bucket.rate is null or v_bucket.rate <= 0 then
        return jsonb_build_object('reason', 'no_rate');
    end if;
    if account_is_stopped(v_bucket.account) and not p_test then
        return jsonb_build_object('reason', 'account');
    end if;
    v_now := clock_timestamp();
    v_capacity := greatest(1, least(p_limit, floor(v_bucket.rate)))::integer;
    v_quota := quota_left(v_bucket);
    if v_quota < 1 then
        return jsonb_build_object('reason', 'quota');
    end if;
    v_capacity := least(v_capacity, floor(v_quota))::integer;   -- after `least`, since a quota may be larger than an integer

    -- Tokens fall due at next_token_at and then every 1/rate seconds; at most one batch of them is
    -- kept. A time far ahead means that the clock was set back.
    v_next := greatest(v_bucket.next_token_at,
                       v_now - make_interval(secs => (v_capacity - 1) / v_bucket.rate));
    if v_next > v_now + make_interval(secs => 2 + 2 * v_capacity / v_bucket.rate) then
        v_next := v_now - make_interval(secs => (v_capacity - 1) / v_bucket.rate);
    end if;
    -- After the first batch only full ones are claimed.
    v_most := floor(least(cardinality(v_attempts),
                          extract(epoch from v_now + make_interval(secs => c_early) - v_next)
                              * v_bucket.rate / v_capacity))::integer * v_capacity;
    v_most := greatest(v_most, v_capacity);
    v_most := least(v_most, floor(v_quota))::integer;

    select ids, people, limits, held into v_ids, v_people, v_limits, v_held
      from permitted_recipients(p_region, p_mailout, v_most, v_now, p_after, p_test, v_canary is not null, v_waves);
    if v_ids is null then
        return coalesce(v_held, jsonb_build_object('reason', case when v_canary is null then 'empty' else 'canary' end));
    end if;

    v_ready := v_next + make_interval(secs => (least(cardinality(v_ids), v_capacity) - 1) / v_bucket.rate);
    if v_ready > v_now + make_interval(secs => c_early) then
        return jsonb_build_object('reason', 'wait',
            'seconds', extract(epoch from v_ready - v_now) - c_early / 2);
    end if;

    -- Found by ids, without a join, so that no plan reads a whole table.
    with people as materialized (
        select id, case when address is null then 'invalid_address' else status end as status, name, fields
          from subscribers where id = any (v_people)
    ), claimed as (
        update send_logs l
           set status = case when s.status = 'active' or p_test then 'sending' else 'skipped' end,
               error_code = case when s.status = 'active' or p_test then null
                                 else coalesce(s.status, 'deleted') end,
               error_message = null, claimed_at = v_now,
               attempt_id = v_attempts[(due.n - 1) / v_capacity + 1],
               attempts = l.attempts + (s.status is not distinct from 'active' or p_test)::integer,
               next_attempt_at = case when v_waves then l.next_attempt_at end, aside = null
          from unnest(v_ids, v_people) with ordinality as due (id, subscriber_id, n)
          left join people s on s.id = due.subscriber_id
         where l.id = due.id and l.id = any (v_ids)
        returning l.id, l.email, l.attempts, l.subscriber_id, l.status, s.name, s.fields, due.n
    )
    select array_agg(id order by n), array_agg((n - 1) / v_capacity + 1 order by n),
           jsonb_build_object(
               'ids', jsonb_agg(id order by n), 'emails', jsonb_agg(email order by n),
               'tries', jsonb_agg(attempts order by n), 'subscribers', jsonb_agg(subscriber_id order by n),
               'names', jsonb_agg(name order by n), 'fields', jsonb_agg(fields order by n))
      into v_taken, v_places, v_rows from claimed where status = 'sending';
    with batches as (
        select v_attempts[place] as attempt_id, place, array_agg(id) as ids, count(*) as size,
               sum(count(*)) over (order by place) as taken   -- tokens up to the end of this one
          from unnest(v_taken, v_places) as t (id, place) group by place
    ), ready as (
        select *, v_next + make_interval(secs => (taken - 1)::double precision / v_bucket.rate) as token_at
          from batches
    ), logged as (
        insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids,
                                  token_at, claimed_at)
        select attempt_id, p_mailout, p_executor, p_region, ids, token_at, v_now from ready
    )
    select sum(size), jsonb_build_object(
               'attempts', jsonb_agg(attempt_id order by place), 'sizes', jsonb_agg(size order by place),
               'delays', jsonb_agg(greatest(0, extract(epoch from token_at - v_now)) order by place))
      into v_count, v_batches from ready;
    if v_waves then
        update mailout_waves w set taken = w.taken + c.n
          from (select next_attempt_at as at, count(*) as n from send_logs where id = any (v_ids) group by 1) c
         where w.mailout_id = p_mailout and w.at = c.at;
    end if;
    if v_count is null then
        return jsonb_build_object('reason', 'skipped');
    end if;

    perform charge_limits(p_region, v_now, v_ids, v_limits);
    update send_rates
       set next_token_at = v_next + make_interval(secs => v_count / v_bucket.rate),
           taken_since_check = taken_since_check + v_count
     where region = p_region;
    return v_batches || v_rows || jsonb_build_object('rate', v_bucket.rate);
end $$;

-- The same, with recipients as objects: {"batches": [{"attempt_id", "rows", "delay"}]}. For the sender of the release before.
create or replace function claim_batches(
    p_mailout uuid, p_executor uuid, p_region text, p_limit integer, p_attempts jsonb,
    p_test boolean default false,
    p_bounce_rate numeric default null, p_complaint_rate numeric default null,
    p_after bigint default 0, p_kept_only boolean default false)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_claim jsonb := claim_recipients(p_mailout, p_executor, p_region, p_limit, p_attempts, p_test, p_bounce_rate,
                                      p_complaint_rate, p_after, p_kept_only);
begin
    if v_claim ? 'reason' then
        return v_claim;
    end if;
    return (
        with rows as (
            select row_number() over () as n, r.*
              from rows from (
                   jsonb_array_elements(v_claim -> 'ids'), jsonb_array_elements(v_claim -> 'emails'),
                   jsonb_array_elements(v_claim -> 'tries'), jsonb_array_elements(v_claim -> 'subscribers'),
                   jsonb_array_elements(v_claim -> 'names'), jsonb_array_elements(v_claim -> 'fields'))
                   as r (id, email, attempts, subscriber_id, name, fields)
        ), batches as (
            select b.*, sum(size::integer) over (order by k) as taken
              from rows from (
                   jsonb_array_elements(v_claim -> 'attempts'), jsonb_array_elements(v_claim -> 'sizes'),
                   jsonb_array_elements(v_claim -> 'delays')) with ordinality as b (attempt_id, size, delay, k)
        )
        select jsonb_build_object('batches', jsonb_agg(jsonb_build_object(
                   'attempt_id', b.attempt_id, 'delay', b.delay, 'rows', (
                       select jsonb_agg(to_jsonb(r) - 'n' order by n) from rows r
                        where n > b.taken - b.size::integer and n <= b.taken)) order by b.k))
          from batches b);
end $$;

-- The next p_limit recipients that are due at p_now, and their subscribers; null: there are none.
-- Each kind of row has a query of its own, because each has a partial index of its own. The queries compare
-- pairs (mailout, id): only the right index has that order, and the index of all ids would lead through
-- the rows of other mailouts. Sorting is off, so that PostgreSQL reads no index whole in order to sort it.
create or replace function due_recipients(
    p_mailout uuid, p_limit integer, p_now timestamptz, p_after bigint, p_test boolean, p_canary boolean,
    p_waves boolean, out ids bigint[], out people uuid[])
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
begin
    if p_test then
        select array_agg(id), array_agg(subscriber_id) into ids, people from (
            select id, subscriber_id from send_logs
             where id = any (array(select id from send_logs
                                    where mailout_id = p_mailout and status = 'queued' and is_test))
               and status = 'queued' and (next_attempt_at is null or next_attempt_at <= p_now)
             order by id limit p_limit for update skip locked) due;
    elsif p_waves then
        -- In the order of their instants. A claimed row keeps its own, which says where to go on.
        select array_agg(id), array_agg(subscriber_id) into ids, people from (
            select id, subscriber_id from send_logs
             where (mailout_id, next_attempt_at, id) > (p_mailout, coalesce((
                       select next_attempt_at from send_logs where id = p_after), '-infinity'), p_after)
               and (mailout_id, next_attempt_at) <= (p_mailout, p_now)
               and status = 'queued' and next_attempt_at is not null and not is_test and aside is null
             order by mailout_id, next_attempt_at, id limit p_limit for update skip locked) due;
    elsif p_canary then
        select array_agg(id), array_agg(subscriber_id) into ids, people from (
            select id, subscriber_id from send_logs
             where (mailout_id, id) > (p_mailout, 0) and mailout_id <= p_mailout
               and status = 'queued' and canary and aside is null
               and (next_attempt_at is null or next_attempt_at <= p_now)
             order by mailout_id, id limit p_limit for update skip locked) due;
    else
        select array_agg(id), array_agg(subscriber_id) into ids, people from (
            select id, subscriber_id from send_logs
             where (mailout_id, id) > (p_mailout, p_after) and mailout_id <= p_mailout
               and status = 'queued' and not is_test and aside is null
               and (next_attempt_at is null or next_attempt_at <= p_now)
             order by mailout_id, id limit p_limit for update skip locked) due;
    end if;
end $$;
