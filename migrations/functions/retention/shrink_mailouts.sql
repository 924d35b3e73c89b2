-- LEDGER_RETENTION_DAYS (docs/personal-data.md): a mailout that ended that long ago shrinks to its counts, a slice a call:
-- first what its report says is kept, then its rows go, with their events, calls to SES, opens and clicks.
-- recipient_counts, route_counts, accepted_counts, event_counts and guard_figures are kept as they are.

-- Do the next slice. p_days null: nothing. Answers {"mailout": null: nothing was due, "rows", "more"}.
create or replace function shrink_old_mailouts(p_days integer, p_limit integer default 1000) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_shrunk shrunk_mailouts;
    v_part   text;
    v_rows   bigint;
begin
    if not may_drop(p_days) then
        return '{"mailout": null, "rows": 0, "more": false}';
    end if;
    select * into v_shrunk from shrunk_mailouts where done_at is null order by started_at limit 1;
    if not found then
        v_shrunk := begin_shrinking(clock_timestamp() - make_interval(days => p_days));
        return jsonb_build_object('mailout', v_shrunk.mailout_id, 'rows', 0, 'more', v_shrunk.mailout_id is not null);
    end if;
    -- A part of the report is a call of its own, since each may read all rows of the mailout.
    select part into v_part from unnest(array['totals', 'links', 'reasons', 'series', 'domain', 'tag']) part
     where not v_shrunk.report ? part limit 1;
    if found then
        update shrunk_mailouts
           set report = report || jsonb_build_object(v_part, report_part(mailout_id, v_part))
         where mailout_id = v_shrunk.mailout_id;
        return jsonb_build_object('mailout', v_shrunk.mailout_id, 'rows', 0, 'more', true);
    end if;
    -- Whoever claimed or scheduled a mailout in the moment in which this one was marked may have read a rule about it
    -- before. As long as every row is there, the mark is taken back and set again later.
    if v_shrunk.cursor = '00000000-0000-0000-0000-000000000000'
       and (exists (select from mailout_queues where done_at is null)
            or is_asked_about((select m from mailouts m where id = v_shrunk.mailout_id))) then
        delete from shrunk_mailouts where mailout_id = v_shrunk.mailout_id;
        return '{"mailout": null, "rows": 0, "more": false}';
    end if;
    v_rows := shrink_slice(v_shrunk, p_limit);
    if v_rows = 0 then
        delete from dry_runs where mailout_id = v_shrunk.mailout_id;
        delete from engagement_counts where mailout_id = v_shrunk.mailout_id;   -- the report has them
        update shrunk_mailouts set done_at = clock_timestamp() where mailout_id = v_shrunk.mailout_id;
    end if;
    return jsonb_build_object('mailout', v_shrunk.mailout_id, 'rows', v_rows, 'more', true);
end $$;

-- The next mailout that is over since p_before, now marked for good; null: there is none. Not while somebody's
-- audience is being queued, or while a scheduled one asks about it: their rules read the ledger.
create or replace function begin_shrinking(p_before timestamptz) returns shrunk_mailouts
language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout mailouts;
    v_shrunk  shrunk_mailouts;
begin
    if exists (select from mailout_queues where done_at is null) then
        return null;
    end if;
    for v_mailout in
        select * from mailouts m
         where status in ('sent', 'failed', 'cancelled') and coalesce(sent_at, updated_at) < p_before
           and not exists (select from shrunk_mailouts where mailout_id = m.id)
         order by coalesce(sent_at, updated_at)
    loop
        perform from mailouts where id = v_mailout.id and status = v_mailout.status for no key update skip locked;
        continue when not found or is_open(v_mailout.id) or recipients_in(v_mailout.id, '{queued,sending}') > 0
            or is_asked_about(v_mailout);
        insert into shrunk_mailouts (mailout_id, ended_at)
        values (v_mailout.id, coalesce(v_mailout.sent_at, v_mailout.updated_at)) returning * into v_shrunk;
        return v_shrunk;
    end loop;
    return null;
end $$;

-- Whether the rule of a scheduled mailout asks who got, opened or clicked this one.
create or replace function is_asked_about(m mailouts) returns boolean
language sql stable set search_path = public, pg_temp as $$
    select exists (
        select from mailouts o, jsonb_path_query(
                   resolved_audience(o.audience),
                   '$.** ? (@.field == "received" || @.field == "opened" || @.field == "clicked")') asked
         where o.status = 'scheduled' and o.audience is not null
           and case asked ->> 'value'
                   when 'any' then m.updated_at >= now() - make_interval(secs => 86400 * (asked ->> 'days')::double precision)
                   else (asked ->> 'value')::uuid = m.id end);
$$;

create or replace function report_part(p_mailout uuid, p_part text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(case p_part
        when 'totals' then engagement_totals(p_mailout)
        when 'links' then engagement_links(p_mailout, 2000)
        when 'reasons' then engagement_reasons(p_mailout)
        when 'series' then engagement_series(p_mailout)
        when 'domain' then engagement_groups(p_mailout, 'domain', 500, 50000)
        when 'tag' then engagement_groups(p_mailout, 'tag', 20, 50000) end, 'null');
$$;

-- A part of the report of a mailout that shrank; null: it didn't, or the part isn't kept yet.
create or replace function kept_report(p_mailout uuid, p_part text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select nullif(report -> p_part, 'null') from shrunk_mailouts where mailout_id = p_mailout;
$$;

-- The next p_limit rows go; gives how many went. Locks as whoever stores events does: rows first, in their order.
create or replace function shrink_slice(p_shrunk shrunk_mailouts, p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_mailout constant uuid := p_shrunk.mailout_id;
    v_ids     bigint[];
    v_last    uuid;
    v_tries   uuid[];
begin
    select array_agg(id), (array_agg(subscriber_id order by subscriber_id desc))[1] into v_ids, v_last
      from (select id, subscriber_id from send_logs
             where (mailout_id, subscriber_id) > (v_mailout, p_shrunk.cursor) and mailout_id <= v_mailout and not is_test
             order by mailout_id, subscriber_id limit p_limit) next_ones;
    if v_ids is null then   -- those without a subscriber, and test mails
        v_ids := array(select id from send_logs where mailout_id = v_mailout and subscriber_id is null and not is_test
                        limit p_limit);
        v_ids := v_ids || array(select id from send_logs where mailout_id = v_mailout and is_test limit p_limit);
    end if;
    if v_ids = '{}' then   -- and those that came to lie behind the cursor: their people were merged meanwhile
        v_ids := array(select id from send_logs
                        where mailout_id = v_mailout and subscriber_id <= p_shrunk.cursor and not is_test
                        order by mailout_id, subscriber_id limit p_limit);
    end if;
    if v_ids = '{}' then
        return 0;
    end if;
    perform from send_logs where id = any (v_ids) order by id for update;
    v_tries := array(select attempt_id from send_logs where id = any (v_ids) and attempt_id is not null group by 1);
    insert into shrunk_rows (mailout_id, marks)
    select v_mailout, array_agg(row_mark(v_mailout, id, canonical_address(email)))
      from send_logs
     where id = any (v_ids) and attempt_id is not null and not is_test and canonical_address(email) is not null
    having count(*) > 0;
    update shrunk_mailouts
       -- Never that of the beginning again: rows are gone, so the mark can't be taken back any more.
       set cursor = greatest(v_last, cursor, '00000000-0000-0000-0000-000000000001'),
           last_mail_at = greatest(last_mail_at, (select max(sent_at) from send_logs where id = any (v_ids)))
     where mailout_id = v_mailout;

    -- SNS's ids are kept for 30 days at least; drop_old_events takes the rest.
    delete from ses_events where send_log_id = any (v_ids) and received_at < clock_timestamp() - interval '30 days';
    update ses_events set payload = '{}', send_log_id = null, message_id = null where send_log_id = any (v_ids);
    perform from engagement_recipients where send_log_id = any (v_ids) order by send_log_id for update;
    delete from engagement_signals where send_log_id = any (v_ids);
    delete from engagement_recipients where send_log_id = any (v_ids);
    perform set_config('amazonsender.shrinking', 'on', true);
    delete from send_logs where id = any (v_ids);
    perform set_config('amazonsender.shrinking', '', true);
    delete from send_batches b where attempt_id = any (v_tries)
       and not exists (select from send_logs where id = any (b.send_log_ids));
    return cardinality(v_ids);
end $$;

-- What is left of a row: 8 bytes of a keyed hash (erased.sql).
create or replace function row_mark(p_mailout uuid, p_row bigint, p_address text) returns bigint
language sql stable set search_path = public, pg_temp as $$
    select ('x' || encode(substr(erased_hash(concat_ws(' ', 'mail', p_mailout, p_row, p_address)), 1, 8), 'hex'))::bit(64)::bigint;
$$;

-- Bounces, complaints and the like about mails whose rows are gone. SES signed them; that they are about a mail of ours
-- their tags and the recipient's address prove together: all three are in the row's mark. The person is suppressed as
-- always; counts stay as they are. What happened more than 30 days before the rows went was applied then: it is a copy.
-- p_events: new ones that fitted no row. Answers the SNS ids of those that were applied.
create or replace function apply_late_events(p_events jsonb) returns text[]
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_event   jsonb;
    v_shrunk  shrunk_mailouts;
    v_address text;
    v_applied text[] := '{}';
begin
    for v_event in select e from jsonb_array_elements(p_events) e
                    where e ->> 'suppresses' is not null and e ->> 'mailout_id' is not null and e ->> 'odd' is null
                      and e ->> 'send_log_id' is not null and jsonb_typeof(e -> 'recipients') = 'array'
                    order by e ->> 'sns_message_id'
    loop
        select * into v_shrunk from shrunk_mailouts where mailout_id = (v_event ->> 'mailout_id')::uuid;
        continue when not found
            or (v_event ->> 'occurred_at')::timestamptz < v_shrunk.started_at - interval '30 days';
        for v_address in select canonical_address(a) from jsonb_array_elements_text(v_event -> 'recipients') a loop
            continue when v_address is null or not exists (
                select from shrunk_rows
                 where mailout_id = v_shrunk.mailout_id
                   and row_mark(mailout_id, (v_event ->> 'send_log_id')::bigint, v_address) = any (marks));
            v_applied := v_applied || (v_event ->> 'sns_message_id');
            perform acting(coalesce(v_event ->> 'provider', 'ses'), v_event ->> 'type');
            update subscribers
               set status = v_event ->> 'suppresses',
                   bounce_type = coalesce(v_event ->> 'bounce_type', bounce_type),
                   bounce_subtype = coalesce(v_event ->> 'bounce_subtype', bounce_subtype)
             where address = v_address and subscriber_rank(status) < subscriber_rank(v_event ->> 'suppresses');
        end loop;
    end loop;
    return v_applied;
end $$;

-- Refuse what asks for details that were dropped. P0D01: the program's DetailsDropped (store/calls.py).
create or replace function refuse_dropped(p_mailout uuid, p_words text) returns void
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_at timestamptz := (select started_at from shrunk_mailouts where mailout_id = p_mailout);
begin
    if v_at is not null then
        raise exception '%', format(p_words, to_char(v_at at time zone service_timezone(), 'YYYY-MM-DD'))
            using errcode = 'P0D01';
    end if;
end $$;

-- The same for conditions on who got, opened or clicked mailouts.
create or replace function refuse_dropped_condition(p_rule jsonb, p_since timestamptz) returns void
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_last timestamptz;
begin
    if p_rule ->> 'value' <> 'any' then
        perform refuse_dropped((p_rule ->> 'value')::uuid, format(
            'audience: who %s mailout %s is not known any more, because its details were dropped on %%s '
            '(LEDGER_RETENTION_DAYS). Take this condition out.',
            case p_rule ->> 'field' when 'received' then 'got' else p_rule ->> 'field' end, p_rule ->> 'value'));
        return;
    end if;
    select max(greatest(last_mail_at, ended_at)) into v_last from shrunk_mailouts;
    if v_last >= p_since then
        raise exception '%', format(
            'audience: it looks back %s days, but who got the mailouts up to %s is not known any more '
            '(LEDGER_RETENTION_DAYS). Ask for fewer days.',
            p_rule ->> 'days', to_char(v_last at time zone service_timezone(), 'YYYY-MM-DD'))
            using errcode = 'P0D01';
    end if;
end $$;
