-- What became of attempts, row by row: of several at once, so that at high rates one commit settles many calls.
-- p_batches: [{"attempt", "ids", "message_ids", "rest"}]. `ids` and `message_ids`, side by side: whom SES accepted, nearly
-- always everybody. `rest`: [{"id", "outcome", "message_id", "code", "message", "delay"}], everybody else, with the outcomes
--   sent      SES accepted it                          failed   refused for good
--   retry     certainly not accepted, counts           requeue  the same, doesn't count (throttled)
--   unknown   nobody can say: never sent again by itself
-- Only a row's latest attempt may change it. A late result (the row is `unknown` by now, or an event came
-- first) is still recorded. `delay`: seconds before the next try.
-- Answers {"recorded": rows, "statuses": {mailout: its status now}}.
create or replace function record_batches(p_batches jsonb) returns jsonb
language plpgsql
set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off as $$
declare
    v_asked    uuid[] := array(select (b ->> 'attempt')::uuid from jsonb_array_elements(p_batches) b);
    -- The ids are collected first, so that only these rows are read: also by a plan that the connection
    -- made when the ledger was small.
    v_ids      bigint[] := array(
        select id::bigint from jsonb_array_elements(p_batches) b, jsonb_array_elements_text(b -> 'ids') id
        union all
        select (r ->> 'id')::bigint from jsonb_array_elements(p_batches) b, jsonb_array_elements(b -> 'rest') r);
    v_attempts uuid[];   -- of those that exist; beside them:
    v_of       uuid[];   -- their mailouts
    v_by       text[];   -- their routes
    v_before   integer[];   -- what the chart has of them already
    v_mailouts uuid[];   -- each once; beside them:
    v_statuses text[];
    v_waves    boolean[];   -- a row that is queued needs an instant, and others keep theirs
    v_from     timestamptz[];
    v_to       timestamptz[];
    v_batch    jsonb;
    v_mailout  uuid;
    v_proven   bigint[] := '{}';   -- rows that an event has counted (route_counts.sql)
    v_changed  bigint;
    v_now      jsonb := '{}';
begin
    -- Batches and mailouts are locked in the order of their ids, so that two groups can't block each other.
    select array_agg(attempt_id), array_agg(mailout_id), array_agg(region),
           array_agg(case when counted then coalesce(accepted, 0) else 0 end)
      into v_attempts, v_of, v_by, v_before
      from (select attempt_id, mailout_id, region, counted, accepted from send_batches
             where attempt_id = any (v_asked) order by attempt_id for no key update) known;
    if v_attempts is null then
        return jsonb_build_object('recorded', 0, 'statuses', v_now);
    end if;
    -- The lock makes pause, cancel and finish, which update the mailout, come before or after this. None is there
    -- when only test mails of drafts are told of that somebody deleted meanwhile.
    select coalesce(array_agg(id), '{}'), array_agg(status), array_agg(waves), array_agg(starts), array_agg(ends)
      into v_mailouts, v_statuses, v_waves, v_from, v_to
      from (select id, status, waves, charted_from(m) as starts, charted_to(m) as ends
              from mailouts m where id = any (v_of) order by id for share) locked;
    -- One statement, since each takes a connection's time: for a group of eight calls the count is 1 % of this function.
    with told as (
        update send_batches s
           set recorded_at = clock_timestamp(), counted = true,
               accepted = jsonb_array_length(b -> 'ids') + (select count(*) from jsonb_array_elements(b -> 'rest') r
                                                             where r ->> 'outcome' = 'sent')
          from jsonb_array_elements(p_batches) b, unnest(v_attempts, v_before) k (attempt_id, before)
         where s.attempt_id = any (v_attempts) and s.attempt_id = (b ->> 'attempt')::uuid and k.attempt_id = s.attempt_id
        returning s.mailout_id, s.claimed_at, s.recorded_at, s.accepted - k.before as more
    )
    insert into accepted_counts as c
    select t.mailout_id, date_bin('10 seconds', t.recorded_at, 'epoch') as slot, pg_backend_pid(), sum(t.more)
      from told t join unnest(v_mailouts, v_from, v_to) m (id, starts, ends) on m.id = t.mailout_id
     where t.more <> 0 and t.claimed_at between m.starts and m.ends
     group by t.mailout_id, slot
    on conflict (mailout_id, slot, connection) do update set accepted = c.accepted + excluded.accepted;

    -- SES's events bring the message id, by which such rows are known below; those of other providers don't.
    if exists (select from unnest(v_by) region where is_fallback_route(region)) then
        v_proven := array(select id from (select id, status from send_logs
                                           where id = any (v_ids) and attempt_id = any (array(
                                                 select a from unnest(v_attempts, v_by) t (a, region)
                                                  where is_fallback_route(region)))
                                           order by id for no key update) locked
                           where is_accepted(status));
    end if;
    for v_batch in select b from jsonb_array_elements(p_batches) b where b -> 'rest' <> '[]' loop
        perform give_back((v_batch ->> 'attempt')::uuid, v_batch -> 'rest');
    end loop;
    with known as (
        select k.attempt_id, k.mailout_id, k.region, m.status, m.waves
          from unnest(v_attempts, v_of, v_by) k (attempt_id, mailout_id, region)
          left join unnest(v_mailouts, v_statuses, v_waves) m (id, status, waves) on m.id = k.mailout_id
    ), told as (
        select (b ->> 'attempt')::uuid as attempt_id, a.id::bigint as id, 'sent' as outcome, a.message_id,
               null as code, null as message, 0::double precision as delay
          from jsonb_array_elements(p_batches) b,
               rows from (jsonb_array_elements_text(b -> 'ids'),
                          jsonb_array_elements_text(b -> 'message_ids')) as a (id, message_id)
        union all
        select (b ->> 'attempt')::uuid, o.id, o.outcome, o.message_id, o.code, o.message, o.delay
          from jsonb_array_elements(p_batches) b,
               jsonb_to_recordset(b -> 'rest') as o (id bigint, outcome text, message_id text, code text, message text,
                                                     delay double precision)
    ), r as (
        select t.*, k.status as mailout_status, k.waves from told t join known k on k.attempt_id = t.attempt_id
    ), changed as (
        update send_logs l
           set status = case
                   when l.status = 'queued' and r.outcome = 'sent' then 'sent'   -- queued by a resend
                   when l.status not in ('sending', 'unknown') then l.status
                   when r.outcome in ('sent', 'failed', 'unknown') then r.outcome
                   when r.mailout_status in ('sending', 'paused') or l.is_test then 'queued'
                   when r.mailout_status = 'cancelled' then 'cancelled'
                   else 'failed' end,   -- the mailout ended without it: a person may resend
               attempts = l.attempts - (r.outcome = 'requeue' and l.status in ('sending', 'unknown'))::integer,
               message_id = coalesce(l.message_id, r.message_id),
               sent_at = coalesce(l.sent_at, case when r.outcome = 'sent' then clock_timestamp() end),
               next_attempt_at = case when r.outcome in ('retry', 'requeue') and r.delay > 0
                   then clock_timestamp() + make_interval(secs => r.delay)
                   when r.waves and not l.is_test
                   then case when r.outcome in ('retry', 'requeue') then clock_timestamp() else l.next_attempt_at end
                   end,
               error_code = case when l.status in ('sending', 'unknown') then r.code else l.error_code end,
               error_message = case when l.email = 'erased' then null
                                    when l.status in ('sending', 'unknown') then r.message
                                    else l.error_message end
          from r
         where l.id = any (v_ids) and l.id = r.id and l.attempt_id = r.attempt_id
           and (l.status in ('sending', 'unknown') or l.message_id is null)
        returning l.attempt_id, r.outcome = 'sent' and not l.is_test and l.id <> all (v_proven) as taken
    ), by_attempt as (
        select attempt_id, count(*) as n, count(*) filter (where taken) as taken from changed group by attempt_id
    ), counted as (
        insert into route_counts as c
        select k.mailout_id, k.region, pg_backend_pid(), sum(taken)
          from by_attempt a join known k on k.attempt_id = a.attempt_id
         group by k.mailout_id, k.region having sum(taken) > 0
        on conflict (mailout_id, region, connection) do update set accepted = c.accepted + excluded.accepted
    )
    select coalesce(sum(n), 0) into v_changed from by_attempt;

    if exists (select from ses_events where parked is not null) then
        perform apply_parked_events((
            select coalesce(jsonb_agg(jsonb_build_object('message_id', m)), '[]') from (
                select jsonb_array_elements_text(b -> 'message_ids') as m from jsonb_array_elements(p_batches) b
                union all
                select r ->> 'message_id' from jsonb_array_elements(p_batches) b, jsonb_array_elements(b -> 'rest') r) told));
    end if;
    foreach v_mailout in array v_mailouts loop
        v_now := v_now || jsonb_build_object(v_mailout, finish_mailout(v_mailout));
    end loop;
    return jsonb_build_object('recorded', v_changed, 'statuses', v_now);
end $$;

-- One attempt, all of its rows told one by one: for the sender of the release before, and where claims are given back.
create or replace function record_results(p_attempt uuid, p_results jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_recorded jsonb := record_batches(jsonb_build_array(jsonb_build_object(
        'attempt', p_attempt, 'ids', '[]'::jsonb, 'message_ids', '[]'::jsonb, 'rest', p_results)));
begin
    return v_recorded || jsonb_build_object('mailout_status', (
        select value from jsonb_each(v_recorded -> 'statuses')));
end $$;
