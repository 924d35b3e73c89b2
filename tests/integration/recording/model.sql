-- What became of an attempt, row by row. p_results: [{"id", "outcome", "message_id", "code",
-- "message", "delay"}] with the outcomes
--   sent      SES accepted it                          failed   refused for good
--   retry     certainly not accepted, counts           requeue  the same, doesn't count (throttled)
--   unknown   nobody can say: never sent again by itself
-- Only a row's latest attempt may change it. A late result (the row is `unknown` by now, or an event came
-- first) is still recorded. `delay`: seconds before the next try.
create function record_results_model(p_attempt uuid, p_results jsonb) returns jsonb
language plpgsql
set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off as $$
declare
    -- The ids are collected first, so that only these rows are read: also by a plan that the connection
    -- made when the ledger was small.
    v_ids     bigint[] := array(select (r ->> 'id')::bigint from jsonb_array_elements(p_results) r);
    v_mailout uuid;
    v_status  text;
    v_region  text;
    v_changed bigint;
    v_proven  bigint[] := '{}';   -- rows that an event has counted (route_counts.sql)
    v_taken   bigint;    -- mails that the route accepted, test mails aside
    v_waves   boolean;   -- a row that is queued needs an instant, and others keep theirs
begin
    update send_batches
       set recorded_at = clock_timestamp(),
           accepted = (select count(*) from jsonb_array_elements(p_results) r
                        where r ->> 'outcome' = 'sent')
     where attempt_id = p_attempt returning mailout_id, region into v_mailout, v_region;
    if not found then
        return jsonb_build_object('recorded', 0);
    end if;
    -- The lock makes pause, cancel and finish, which update the mailout, come before or after this.
    select status, waves into v_status, v_waves from mailouts where id = v_mailout for share;

    -- SES's events bring the message id, by which such rows are known below; those of other providers don't.
    if is_fallback_route(v_region) then
        v_proven := array(select id from (select id, status from send_logs where id = any (v_ids) and attempt_id = p_attempt
                                           order by id for no key update) locked
                           where is_accepted(status));
    end if;
    perform give_back(p_attempt, p_results);
    with r as (
        select * from jsonb_to_recordset(p_results)
            as r (id bigint, outcome text, message_id text, code text, message text,
                  delay double precision)
    ), changed as (
        update send_logs l
           set status = case
                   when l.status = 'queued' and r.outcome = 'sent' then 'sent'   -- queued by a resend
                   when l.status not in ('sending', 'unknown') then l.status
                   when r.outcome in ('sent', 'failed', 'unknown') then r.outcome
                   when v_status in ('sending', 'paused') or l.is_test then 'queued'
                   when v_status = 'cancelled' then 'cancelled'
                   else 'failed' end,   -- the mailout ended without it: a person may resend
               attempts = l.attempts - (r.outcome = 'requeue' and l.status in ('sending', 'unknown'))::integer,
               message_id = coalesce(l.message_id, r.message_id),
               sent_at = coalesce(l.sent_at, case when r.outcome = 'sent' then clock_timestamp() end),
               next_attempt_at = case when r.outcome in ('retry', 'requeue') and r.delay > 0
                   then clock_timestamp() + make_interval(secs => r.delay)
                   when v_waves and not l.is_test
                   then case when r.outcome in ('retry', 'requeue') then clock_timestamp() else l.next_attempt_at end
                   end,
               error_code = case when l.status in ('sending', 'unknown') then r.code else l.error_code end,
               error_message = case when l.email = 'erased' then null
                                    when l.status in ('sending', 'unknown') then r.message
                                    else l.error_message end
          from r
         where l.id = any (v_ids) and l.id = r.id and l.attempt_id = p_attempt
           and (l.status in ('sending', 'unknown') or l.message_id is null)
        returning r.outcome = 'sent' and not l.is_test and l.id <> all (v_proven) as taken
    )
    select count(*), count(*) filter (where taken) into v_changed, v_taken from changed;
    if v_taken > 0 then
        insert into route_counts as c values (v_mailout, v_region, pg_backend_pid(), v_taken)
        on conflict (mailout_id, region, connection) do update set accepted = c.accepted + excluded.accepted;
    end if;

    perform apply_parked_events(p_results);
    return jsonb_build_object('recorded', v_changed, 'mailout_status', finish_mailout(v_mailout));
end $$;
