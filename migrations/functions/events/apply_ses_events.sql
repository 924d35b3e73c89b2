-- Store a group of events and move their rows, in one transaction. p_events: what
-- domain/ses/events.py:to_row gives; with `provider` it is of SendGrid or Mailgun. A second copy of an SNS message changes nothing; an event that
-- fits no row is kept and parked, unless it is about a notice: a mail of ours to the owner, or to somebody who
-- signs up. Of these the payload isn't kept, as nothing would find it when the person is erased. Answers how many
-- were new and how many of those fit a row, the SNS ids of the copies, and `tripped`: mailouts that
-- the guards stop from now on (guards.sql; p_…_rate null: no guard).
-- Fails when another session keeps a lock for too long: SNS waits 15 s for an answer and repeats.
create or replace function apply_ses_events(
    p_events jsonb, p_bounce_rate numeric default null, p_complaint_rate numeric default null)
returns jsonb
language plpgsql set search_path = public, pg_temp set lock_timeout = '3s' set enable_seqscan = off as $$
declare
    v_new     bigint;
    v_copies  jsonb;
    v_matched bigint[];    -- events
    v_logs    bigint[];    -- their rows, one for each
    v_events  jsonb[];
    v_changes jsonb[];
    v_tripped jsonb := '[]';
    v_late    jsonb;       -- what suppresses somebody, and fits no row
    v_known   text[] := '{}';
    v_unsure  uuid[];      -- mailouts with unknown rows, whose closing words may change
    v_named   bigint[] := array(select (e ->> 'send_log_id')::bigint from jsonb_array_elements(p_events) e);
begin
    v_unsure := array(select distinct mailout_id from send_logs where id = any (v_named) and status = 'unknown');
    with given as materialized (
        select e as event, n, e ->> 'sns_message_id' as sns_id, coalesce(plain.id, match_send_log(e)) as log,
               row_number() over (partition by e ->> 'sns_message_id' order by n) as copy
          from jsonb_array_elements(p_events) with ordinality as given (e, n)
          -- What match_send_log finds of nearly all: the latest attempt, with its message id. A call for each event
          -- costs more than the row.
          left join (select id, mailout_id, attempt_id, message_id from send_logs where id = any (v_named)) plain
            on e ->> 'odd' is null and plain.id = (e ->> 'send_log_id')::bigint
               and plain.mailout_id = (e ->> 'mailout_id')::uuid
               and plain.attempt_id = (e ->> 'attempt')::uuid and plain.message_id = e ->> 'message_id'
    ), stored as (
        insert into ses_events (sns_message_id, type, message_id, mailout_id, send_log_id, payload,
                                parked, occurred_at)
        select sns_id, event ->> 'type', event ->> 'message_id', (event ->> 'mailout_id')::uuid, log,
               case when event ->> 'notice' is null then event -> 'payload' else '{}' end,
               case when log is null and event ->> 'notice' is null then event - 'payload' end,
               (event ->> 'occurred_at')::timestamptz
          from given where copy = 1
         order by sns_id   -- everywhere the same, so that two groups can't block each other
        on conflict (sns_message_id) do nothing
        returning id, sns_message_id
    ), told as (
        select g.*, s.id from given g
          left join stored s on s.sns_message_id = g.sns_id and g.copy = 1
    )
    select count(id), coalesce(jsonb_agg(sns_id) filter (where id is null), '[]'),
           array_agg(id order by n) filter (where id is not null and log is not null),
           array_agg(log order by n) filter (where id is not null and log is not null),
           array_agg(event - 'payload' order by n) filter (where id is not null and log is not null),
           jsonb_agg(event - 'payload') filter (where id is not null and log is null and event ->> 'suppresses' is not null)
      into v_new, v_copies, v_matched, v_logs, v_events, v_late from told;
    if v_matched is not null then
        v_changes := move_recipients(v_logs, v_events);
        perform count_events(v_matched);
        perform fold_engagement(v_matched, v_logs, v_events);
        perform forget_erased_events(v_matched, v_logs);
        if v_unsure <> '{}' then
            perform refresh_reasons(v_unsure);
        end if;
        -- A statement of its own, so that the judgement sees these figures.
        if count_outcomes(v_changes) then
            v_tripped := tripped_mailouts(p_bounce_rate, p_complaint_rate);
        end if;
    end if;
    if v_late is not null then
        v_known := apply_late_events(v_late);
        update ses_events set payload = '{}', parked = null where sns_message_id = any (v_known);
    end if;
    return jsonb_build_object('new', v_new, 'matched', coalesce(cardinality(v_matched), 0) + cardinality(v_known),
                              'copies', v_copies, 'tripped', v_tripped);
end $$;

-- The row an event speaks of, or null. Tags must be those of an attempt that we made: the row's
-- latest, or an earlier one of the same row; and its message id mustn't contradict, nor be another row's. Without
-- tags (the older notifications) SES's message id decides. Tags of which some are missing, doubled or of another form
-- (`odd`, domain/ses/events.py) fit nothing. An address alone never does.
create or replace function match_send_log(p_event jsonb) returns bigint
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_message text := p_event ->> 'message_id';
    v_attempt uuid := (p_event ->> 'attempt')::uuid;
    v_row     send_logs;
begin
    if p_event ->> 'odd' is not null then
        return null;
    elsif p_event ->> 'send_log_id' is null or p_event ->> 'mailout_id' is null then
        if v_message is null then
            return null;
        end if;
        return (select id from send_logs where message_id = v_message limit 1);
    end if;
    select * into v_row from send_logs
     where id = (p_event ->> 'send_log_id')::bigint
       and mailout_id = (p_event ->> 'mailout_id')::uuid and attempt_id is not null;
    if not found or v_row.message_id is distinct from v_message
                    and exists (select from send_logs where message_id = v_message and id <> v_row.id) then
        return null;
    elsif v_attempt is null or v_attempt = v_row.attempt_id then
        return case when coalesce(v_row.message_id = v_message, true) then v_row.id end;
    end if;
    return (select v_row.id from send_batches
             where attempt_id = v_attempt and v_row.id = any (send_log_ids));
end $$;

-- Whether an SNS message with this id was taken before.
create or replace function is_event_known(p_sns_message_id text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(exists (select from ses_events where sns_message_id = p_sns_message_id));
$$;

-- The status that an event gives its row; null: none.
create or replace function event_status(p_event jsonb) returns text
language sql immutable as $$
    select case p_event ->> 'type'
        when 'delivery' then 'delivered'
        when 'bounce' then 'bounced'
        when 'complaint' then case when p_event ->> 'suppresses' is null then 'sent' else 'complained' end
        when 'reject' then 'failed'
        when 'rendering_failure' then 'failed'
        when 'unknown' then null
        when 'subscription' then null
        else 'sent' end;    -- send, delivery_delay, open, click: proof that SES accepted it
$$;

-- Move rows forward, and their subscribers: p_events[i] is about the row p_logs[i]. Answers what that
-- changes in the guards' figures, per mailout; test rows never count. All rows in one statement; where several
-- events are about one row, the second ones in another.
create or replace function move_recipients(p_logs bigint[], p_events jsonb[]) returns jsonb[]
language plpgsql
set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off as $$
declare
    v_rounds  integer := (select max(n) from (select count(*) as n from unnest(p_logs) l group by l) rows);
    v_changes jsonb[] := '{}';
    v_more    jsonb[];
    v_proven  uuid[];   -- attempts whose mails are now known to be accepted
    v_event   jsonb;
    v_log     bigint;
    v_people  uuid[];
begin
    -- In one order, so that two groups can't block each other; the people before their mails, as whoever changes a person.
    v_people := array(select subscriber_of(subscriber_id) from send_logs
                       where id = any (array(select log from unnest(p_logs, p_events) told (log, e)
                                              where e ->> 'suppresses' is not null)));
    if v_people <> '{}' then
        perform from subscribers where id = any (v_people) order by id for no key update;
    end if;
    perform from send_logs where id = any (p_logs) order by id for update;
    for v_round in 1 .. coalesce(v_rounds, 0) loop
        with moves as (
            select log, e, event_status(e) as status, e ->> 'bounce_type' as bounce,
                   (e ->> 'occurred_at')::timestamptz as at
              from (select log, e, row_number() over (partition by log order by n) as round
                      from unnest(p_logs, p_events) with ordinality as told (log, e, n)) numbered
             where round = v_round
        ), moved as (
            update send_logs l
               set status = m.status,
                   -- Only the latest attempt's message id: its own result and later events must match it.
                   message_id = coalesce(l.message_id, case
                       when e ->> 'attempt' is null or (e ->> 'attempt')::uuid = l.attempt_id
                       then e ->> 'message_id' end),
                   event_at = m.at, sent_at = coalesce(l.sent_at, m.at), next_attempt_at = null,
                   bounce_type = case when m.status = 'bounced' then m.bounce else l.bounce_type end,
                   bounce_subtype = case when m.status = 'bounced' then e ->> 'bounce_subtype'
                                         else l.bounce_subtype end,
                   error_code = case when m.status in ('bounced', 'failed') then coalesce(m.bounce, e ->> 'type')
                                     when m.status = 'complained' then e ->> 'complaint_subtype' end,
                   error_message = case when m.status in ('bounced', 'failed') and l.email <> 'erased'
                                        then e ->> 'detail' end
              from moves m, send_logs b
             where l.id = any (p_logs) and l.id = m.log and b.id = any (p_logs) and b.id = m.log
               and send_log_rank(m.status, m.bounce) > send_log_rank(b.status, b.bounce_type)
            returning l.mailout_id, not l.is_test and has_outcome(l) as counts,
                      has_outcome(l)::int - has_outcome(b)::int as outcomes,
                      counts_as_bounce(l)::int - counts_as_bounce(b)::int as bounces,
                      counts_as_complaint(l)::int - counts_as_complaint(b)::int as complaints,
                      case when not l.is_test and is_accepted(l.status) and not is_accepted(b.status)
                           then coalesce((e ->> 'attempt')::uuid, b.attempt_id) end as proven
        )
        -- Added up before it becomes jsonb, which for each row by itself took 5 % of an event.
        select array(select jsonb_build_object('mailout_id', mailout_id, 'outcomes', sum(outcomes),
                                               'bounces', sum(bounces), 'complaints', sum(complaints))
                       from moved where counts group by mailout_id),
               array(select proven from moved where proven is not null) into v_more, v_proven;
        v_changes := v_changes || v_more;
        perform count_proven(v_proven);
    end loop;
    for v_log, v_event in select log, e from unnest(p_logs, p_events) as told (log, e)
                           where e ->> 'suppresses' is not null
    loop
        perform acting(coalesce(v_event ->> 'provider', 'ses'), v_event ->> 'type');
        update subscribers
           set status = v_event ->> 'suppresses',
               bounce_type = coalesce(v_event ->> 'bounce_type', bounce_type),
               bounce_subtype = coalesce(v_event ->> 'bounce_subtype', bounce_subtype)
         where id = (select subscriber_of(subscriber_id) from send_logs where id = v_log)
           and subscriber_rank(status) < subscriber_rank(v_event ->> 'suppresses');
    end loop;
    return v_changes;
end $$;

-- Write the closing sentence of finished mailouts anew when events settled their unknown rows.
create or replace function refresh_reasons(p_mailouts uuid[]) returns void
language sql set search_path = public, pg_temp as $$
    update mailouts set status_reason = closing_reason(id)
     where id = any (p_mailouts) and status = 'sent'
       and status_reason is distinct from closing_reason(id);
$$;

-- Apply events that came before their message id was recorded: those of these results, or (p_results null)
-- the latest ones. The latter finds an event that was being stored at the very moment at which its message
-- id was recorded, so that neither side saw the other.
create or replace function apply_parked_events(p_results jsonb default null) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
begin
    if not exists (select from ses_events where parked is not null) then
        return '0';
    end if;
    return to_jsonb(apply_parked(parked_events(p_results)));
end $$;

-- Ids of the parked events that apply_parked_events should try. The work doesn't grow with the number of
-- parked events: with results, only events with their message ids; without, the newest 1,000 of two hours.
-- keep_house tries each event once more before it gives it up (housekeeping.sql).
-- enable_sort is off where an index has the order, so that PostgreSQL doesn't read and sort another index
-- because its statistics call it small.
create or replace function parked_events(p_results jsonb) returns bigint[]
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_messages text[];
begin
    if p_results is null then
        v_messages := array(select message_id from ses_events
                             where parked is not null and received_at > now() - interval '2 hours'
                             order by received_at desc limit 1000);
        v_messages := array(select message_id from send_logs where message_id = any (v_messages));
    else
        v_messages := array(select r ->> 'message_id' from jsonb_array_elements(p_results) r);
    end if;
    return array(
        select e.id from unnest(v_messages) m, lateral (
            select id from ses_events where parked is not null and message_id between m and m
             order by message_id limit 100) e);
end $$;

-- Apply those of these parked events that fit a row now; gives how many.
create or replace function apply_parked(p_ids bigint[]) returns bigint
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_matched bigint[];
    v_logs    bigint[];
    v_events  jsonb[];
    v_changes jsonb[];
begin
    -- With no ids PostgreSQL may plan to read a whole partial index: "id is one of none" implies every predicate.
    if p_ids = '{}' then
        return 0;
    end if;
    with found as materialized (
        select id, parked, match_send_log(parked) as log from (
            select id, parked from ses_events
             where id = any (p_ids) and parked is not null order by id for update skip locked) still
    ), applied as (
        update ses_events e set send_log_id = f.log, parked = null from found f
         where e.id = any (p_ids) and e.id = f.id and f.log is not null
        returning e.id, f.log, f.parked
    )
    select array_agg(id order by id), array_agg(log order by id), array_agg(parked order by id)
      into v_matched, v_logs, v_events from applied;
    if v_matched is null then
        return 0;
    end if;
    v_changes := move_recipients(v_logs, v_events);
    perform count_events(v_matched);
    perform fold_engagement(v_matched, v_logs, v_events);
    perform forget_erased_events(v_matched, v_logs);
    perform count_outcomes(v_changes);
    return cardinality(v_matched);
end $$;
