-- All that is known of one person.

-- The ids that mean this person: their own, and those of subscribers merged into them.
create or replace function person_ids(p_subscriber uuid) returns uuid[]
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select array[p_subscriber] || array(select id from subscriber_aliases where subscriber_id = p_subscriber);
$$;

-- Their rows of the ledger. Looked up mailout by mailout, by the unique index: the ledger has none by subscriber
-- alone, which every mail would pay for. All mailouts in one array: a thousand of them are a thousand looks into an index,
-- and not as many queries.
create or replace function person_mails(p_ids uuid[]) returns setof send_logs
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    v_mailouts uuid[] := array(select id from mailouts where started_at is not null);
    v_id       uuid;
begin
    foreach v_id in array p_ids loop
        return query select * from send_logs
                      where mailout_id = any (v_mailouts) and subscriber_id = v_id and not is_test;
    end loop;
end $$;

-- The history of a person, newest first: [{"at", "kind", "detail", "by"}]. Kinds: `mail` (a mailout and what became of
-- it), `event` (what SES told of a mail; opens and clicks folded), `added`, `changed`, `removed`, `dropped` (mailouts whose
-- details are gone, LEDGER_RETENTION_DAYS: theirs may be among them).
create or replace function subscriber_history(p_subscriber uuid, p_limit integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_ids   uuid[] := person_ids(p_subscriber);
    v_mails send_logs[] := array(select m from person_mails(v_ids) m);
    v_logs  bigint[] := array(select id from unnest(v_mails));
begin
    return (select coalesce(jsonb_agg(jsonb_build_object('at', at, 'kind', kind, 'detail', detail, 'by', by)
                                      order by at desc, n desc), '[]')
              from (select * from (
        select coalesce(sent_at, claimed_at, created_at) as at, 'mail' as kind, 'amazonsender' as by, 1 as n,
               jsonb_strip_nulls(jsonb_build_object(
                   'mailout_id', mailout_id, 'subject', (select subject from mailouts where id = mailout_id),
                   'status', status, 'error_code', error_code, 'error_message', error_message,
                   'bounce_type', bounce_type, 'bounce_subtype', bounce_subtype, 'message_id', message_id,
                   'unsubscribed_at', unsubscribed_at)) as detail
          from unnest(v_mails)
        union all
        select e.occurred_at, 'event', coalesce(e.payload ->> 'provider', 'ses'), 2, jsonb_strip_nulls(jsonb_build_object(
                   'type', e.type, 'mailout_id', e.mailout_id,
                   'bounce_type', e.payload #>> '{bounce,bounceType}',
                   'bounce_subtype', e.payload #>> '{bounce,bounceSubType}',
                   'feedback_type', e.payload #>> '{complaint,complaintFeedbackType}',
                   'details', case when e.payload - 'provider' = '{}' then 'dropped' end))
          from ses_events e where send_log_id = any (v_logs) and type not in ('open', 'click')
        union all
        select at, 'event', 'ses', 2, detail from folded_engagement(v_logs)
        union all
        -- What isn't in it: mails of before that day.
        select max(started_at), 'dropped', 'amazonsender', 3, jsonb_build_object(
                   'mailouts', count(*), 'ended_until', max(ended_at))
          from shrunk_mailouts
         where ended_at >= (select created_at from subscribers where id = p_subscriber) having count(*) > 0
        union all
        select c.at, case when c.before is null and c.after is null then 'added'
                          when c.after is null then 'removed' else 'changed' end, c.by, 3,
               jsonb_strip_nulls(jsonb_build_object('reason', c.reason, 'import_id', c.import_id))
               || case when c.before is null then '{}' else jsonb_build_object('before', c.before) end
               || case when c.after is null then '{}' else jsonb_build_object('after', c.after) end
          from unnest(v_ids) i, lateral (select * from subscriber_changes
                                          where subscriber_id = i order by id desc limit p_limit) c
    ) everything order by at desc, n desc limit p_limit) newest);
end $$;

-- All of it for the person themselves (GDPR, article 15): the row, the mails with the audience they were for, the
-- whole history, and the rows merged into theirs. null: nobody has this address.
create or replace function export_person(p_email text) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_person jsonb := find_subscriber(null, p_email);
    v_id     uuid := (v_person ->> 'id')::uuid;
begin
    return case when v_person is not null then jsonb_build_object(
        'subscriber', v_person,
        'merged', (select coalesce(jsonb_agg(was order by merged_at), '[]')
                     from subscriber_aliases where subscriber_id = v_id),
        'mails', (select coalesce(jsonb_agg(jsonb_build_object(
                             'mailout_id', m.mailout_id, 'subject', o.subject, 'audience', o.audience,
                             'address', m.email, 'queued_at', m.created_at, 'sent_at', m.sent_at,
                             'status', m.status, 'unsubscribed_at', m.unsubscribed_at)
                             order by m.created_at), '[]')
                    from person_mails(person_ids(v_id)) m
                    join lateral (select * from mailouts where id = m.mailout_id) o on true),
        'engagement', export_engagement(person_ids(v_id)),
        'history', subscriber_history(v_id, 100000)) end;
end $$;
