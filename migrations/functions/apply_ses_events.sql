-- Store a group of events and move their rows, in one transaction. p_events: what
-- domain/events.py:to_row gives. A second copy of an SNS message changes nothing; an event that
-- fits no row is kept and parked, but for those of our own notices to the owner. Answers how many
-- were new and how many of those fit a row, the SNS ids of the copies, and `tripped`: mailouts that
-- the guards stop from now on (guards.sql; p_…_rate null: no guard).
-- Gives up on a lock that another session keeps: SNS waits 15 s and comes again.
create or replace function apply_ses_events(
    p_events jsonb, p_bounce_rate numeric default null, p_complaint_rate numeric default null)
returns jsonb
language plpgsql set search_path = public, pg_temp set lock_timeout = '3s' as $$
declare
    v_event   jsonb;
    v_id      bigint;
    v_log     bigint;
    v_new     bigint := 0;
    v_matched bigint[] := '{}';
    v_copies  jsonb := '[]';
    v_changes jsonb[] := '{}';
    v_tripped jsonb := '[]';
    v_unsure  uuid[];      -- mailouts with unknown rows, whose closing words may change
begin
    -- By an array of ids and no join, for which a small table is read whole, over and over.
    v_unsure := array(select distinct mailout_id from send_logs
                       where id = any (array(select (e ->> 'send_log_id')::bigint
                                               from jsonb_array_elements(p_events) e))
                         and status = 'unknown');
    -- In the order of the rows, so that two groups lock them in the same order.
    for v_event in select e from jsonb_array_elements(p_events) e
                   order by (e ->> 'send_log_id')::bigint nulls last, e ->> 'message_id'
    loop
        v_log := match_send_log(v_event);
        insert into ses_events (sns_message_id, type, message_id, mailout_id, send_log_id, payload,
                                parked, occurred_at)
        values (v_event ->> 'sns_message_id', v_event ->> 'type', v_event ->> 'message_id',
                (v_event ->> 'mailout_id')::uuid, v_log, v_event -> 'payload',
                case when v_log is null and v_event ->> 'notice' is null then v_event - 'payload' end,
                (v_event ->> 'occurred_at')::timestamptz)
        on conflict (sns_message_id) do nothing
        returning id into v_id;
        if v_id is null then
            v_copies := v_copies || (v_event -> 'sns_message_id');
        else
            v_new := v_new + 1;
            if v_log is not null then
                v_matched := v_matched || v_id;
                v_changes := v_changes || apply_ses_event(v_log, v_event);
            end if;
        end if;
    end loop;
    perform count_events(v_matched);
    perform refresh_reasons(v_unsure);
    -- A statement of its own, so that the judgement sees these figures.
    if count_outcomes(array_remove(v_changes, null)) then
        v_tripped := tripped_mailouts(p_bounce_rate, p_complaint_rate);
    end if;
    return jsonb_build_object('new', v_new, 'matched', cardinality(v_matched), 'copies', v_copies,
                              'tripped', v_tripped);
end $$;

-- The row an event speaks of, or null. Tags must be those of an attempt that we made: the row's
-- latest, or an earlier one of the same row; and its message id mustn't contradict. Without tags
-- (the older notifications) SES's message id decides. An address alone never does.
create or replace function match_send_log(p_event jsonb) returns bigint
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_message text := p_event ->> 'message_id';
    v_attempt uuid := (p_event ->> 'attempt')::uuid;
    v_row     send_logs;
begin
    if p_event ->> 'send_log_id' is null or p_event ->> 'mailout_id' is null then
        if v_message is null then
            return null;
        end if;
        return (select id from send_logs where message_id = v_message limit 1);
    end if;
    select * into v_row from send_logs
     where id = (p_event ->> 'send_log_id')::bigint
       and mailout_id = (p_event ->> 'mailout_id')::uuid and attempt_id is not null;
    if not found then
        return null;
    elsif v_attempt is null or v_attempt = v_row.attempt_id then
        return case when coalesce(v_row.message_id = v_message, true) then v_row.id end;
    end if;
    return (select v_row.id from send_batches
             where attempt_id = v_attempt and v_row.id = any (send_log_ids));
end $$;

-- Move one row forward, and its subscriber. Answers what that changes in the guards' figures.
create or replace function apply_ses_event(p_log bigint, p_event jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_bounce  text := p_event ->> 'bounce_type';
    v_status  text := case p_event ->> 'type'
        when 'delivery' then 'delivered'
        when 'bounce' then 'bounced'
        when 'complaint' then case when p_event ->> 'suppresses' is null then 'sent' else 'complained' end
        when 'reject' then 'failed'
        when 'rendering_failure' then 'failed'
        when 'unknown' then null
        when 'subscription' then null
        else 'sent' end;    -- send, delivery_delay, open, click: proof that SES accepted it
    v_before  send_logs;
    v_change  jsonb;
    v_row     send_logs;
begin
    if v_status is not null then
        select * into v_before from send_logs where id = p_log for update;
        update send_logs
           set status = v_status,
               -- Of the latest attempt only: its own answer and events must still fit.
               message_id = coalesce(message_id, case
                   when p_event ->> 'attempt' is null or (p_event ->> 'attempt')::uuid = attempt_id
                   then p_event ->> 'message_id' end),
               event_at = (p_event ->> 'occurred_at')::timestamptz,
               sent_at = coalesce(sent_at, (p_event ->> 'occurred_at')::timestamptz),
               next_attempt_at = null,
               bounce_type = case when v_status = 'bounced' then v_bounce else bounce_type end,
               bounce_subtype = case when v_status = 'bounced' then p_event ->> 'bounce_subtype'
                                     else bounce_subtype end,
               error_code = case when v_status in ('bounced', 'failed') then coalesce(v_bounce, p_event ->> 'type')
                                 when v_status = 'complained' then p_event ->> 'complaint_subtype' end,
               error_message = case when v_status in ('bounced', 'failed') then p_event ->> 'detail' end
         where id = p_log and send_log_rank(v_status, v_bounce) > send_log_rank(status, bounce_type)
        returning * into v_row;
        if found then
            v_change := outcome_change(v_before, v_row);
        end if;
    end if;
    if p_event ->> 'suppresses' is not null then
        update subscribers
           set status = p_event ->> 'suppresses',
               bounce_type = coalesce(v_bounce, bounce_type),
               bounce_subtype = coalesce(p_event ->> 'bounce_subtype', bounce_subtype)
         where id = (select subscriber_of(subscriber_id) from send_logs where id = p_log)
           and subscriber_rank(status) < subscriber_rank(p_event ->> 'suppresses');
    end if;
    return v_change;
end $$;

-- Events that were faster than the record of their message id: of these results, or (p_results
-- null, a sweep) any of the last hours, for an event that was being stored while its message id was.
create or replace function apply_parked_events(p_results jsonb default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_parked  ses_events;
    v_log     bigint;
    v_matched bigint[] := '{}';
    v_changes jsonb[] := '{}';
begin
    if not exists (select from ses_events where parked is not null) then
        return '0';
    end if;
    for v_parked in
        select e.* from ses_events e
         where e.parked is not null
           and case when p_results is null
                    then e.received_at > now() - interval '2 hours'
                         and exists (select from send_logs l where l.message_id = e.message_id)
                    else e.message_id in (select r ->> 'message_id' from jsonb_array_elements(p_results) r)
                    end
         order by e.id limit 500 for update skip locked
    loop
        v_log := match_send_log(v_parked.parked);
        if v_log is not null then
            update ses_events set send_log_id = v_log, parked = null where id = v_parked.id;
            v_changes := v_changes || apply_ses_event(v_log, v_parked.parked);
            v_matched := v_matched || v_parked.id;
        end if;
    end loop;
    perform count_events(v_matched);
    perform count_outcomes(array_remove(v_changes, null));
    return to_jsonb(cardinality(v_matched));
end $$;

-- The closing words of finished mailouts whose unknown rows were settled, once per mailout.
create or replace function refresh_reasons(p_mailouts uuid[]) returns void
language sql set search_path = public, pg_temp as $$
    update mailouts set status_reason = closing_reason(id)
     where id = any (p_mailouts) and status = 'sent'
       and status_reason is distinct from closing_reason(id);
$$;
