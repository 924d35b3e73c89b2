-- Why somebody got a mailout, or why not: all that is known of one person and one mailout.

-- By the address, in any spelling, or by the subscriber's id. null: there is no such mailout. Else
--   {"mailout", "found": "person" | "erased" | "deleted" | "nobody", "searched" (null, or of a longer ledger: so many of
--    its rows were looked through for the address, in vain), "person", "consent", "audience": {"rule", "at",
--    "zone", "frozen", "explained" (explain_audience), "then": whether what was then is known, "status_then"},
--    "mails": their rows of the ledger, the one that counts first (people who were merged may have several; none: they
--    got none), "claim", "content", "schedule", "events", "signals", "later"}.
-- Of somebody who was erased there are no words and no person; with the id that the ledger keeps, the bare outcome.
create or replace function why_mailed(p_mailout uuid, p_email text default null, p_subscriber uuid default null)
returns jsonb language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_mailout  mailouts;
    v_person   subscribers;
    v_ids      uuid[];
    v_mails    send_logs[];
    v_mail     send_logs;
    v_audience record;
    v_then     jsonb;
    v_found    text;
    c_reach    constant integer := 50000;   -- 200,000 took 113 to 175 ms on a busy machine
    v_deleted  uuid;
    v_searched integer;
begin
    select * into v_mailout from mailouts where id = p_mailout;
    if not found then
        return null;
    end if;
    select * into v_person from subscribers where id = (find_subscriber(p_subscriber, p_email) ->> 'id')::uuid;
    if v_person.id is not null then
        v_ids := person_ids(v_person.id);
    elsif p_subscriber is not null then
        v_ids := array[p_subscriber];
    elsif not is_erased(p_email) and v_mailout.started_at is not null then
        -- Somebody who was deleted with SQL, or an earlier address: it stands in the mailout's ledger alone.
        v_deleted := in_ledger(p_mailout, array[p_email, lower(p_email), canonical_address(p_email)], c_reach);
        v_ids := array(select coalesce((select id from subscribers where id = subscriber_of(v_deleted)), v_deleted)
                        where v_deleted is not null);
        v_searched := case when v_deleted is null and recipients_in(p_mailout, null) > c_reach then c_reach end;
        select * into v_person from subscribers where id = v_ids[1];
        v_ids := case when v_person.id is not null then person_ids(v_person.id) else v_ids end;
    end if;
    v_mails := array(select l from send_logs l
                      where mailout_id = p_mailout and subscriber_id = any (v_ids) and not is_test
                      order by l.sent_at desc nulls last, l.error_code = 'merged', l.id);
    v_mail := v_mails[1];
    v_found := case when v_person.id is not null then 'person'
                    when v_mail.email = 'erased' or p_email is not null and is_erased(p_email) then 'erased'
                    when v_mail.id is not null then 'deleted' else 'nobody' end;
    select * into v_audience from mailout_audience(p_mailout);
    if v_person.id is not null then
        v_then := person_at(v_person.id, v_audience.at);
    end if;
    return jsonb_build_object(
        'mailout', jsonb_build_object(
            'id', v_mailout.id, 'subject', v_mailout.subject, 'status', v_mailout.status,
            'status_reason', v_mailout.status_reason, 'started_at', v_mailout.started_at,
            'sent_at', v_mailout.sent_at, 'tracking', v_mailout.tracking,
            'details_dropped_at', (select started_at from shrunk_mailouts where mailout_id = p_mailout),
            'canary', v_mailout.canary, 'canary_phase', v_mailout.canary_phase,
            'queued', v_mailout.started_at is not null and not exists (
                select from mailout_queues where mailout_id = p_mailout and done_at is null)),
        'found', v_found, 'searched', v_searched,
        'person', case when v_person.id is not null then jsonb_build_object(
            'id', v_person.id, 'email', v_person.email, 'name', v_person.name, 'status', v_person.status,
            'status_since', v_person.status_updated_at, 'added_at', v_then -> 'added_at',
            'timezone', v_person.timezone,
            'problem', case when v_person.address is null then (read_address(v_person.email)).problem end,
            'others', (select coalesce(jsonb_agg(jsonb_build_object(
                                  'email', was -> 'email', 'merged_at', merged_at) order by merged_at), '[]')
                         from subscriber_aliases where subscriber_id = v_person.id)) end,
        'consent', case when v_person.id is not null then person_consent(v_person, v_ids) end,
        'audience', jsonb_build_object(
            'rule', v_audience.rule, 'at', v_audience.at, 'zone', v_audience.zone,
            'frozen', exists (select from mailout_snapshots where mailout_id = p_mailout and audience is not null),
            'then', coalesce((v_then ->> 'known')::boolean, false),
            'status_then', case when (v_then ->> 'known')::boolean then v_then -> 'row' -> 'status' end,
            'explained', case when v_person.id is not null then explain_audience(
                v_audience.rule, to_jsonb(v_person), case when (v_then ->> 'known')::boolean then v_then -> 'row' end,
                v_audience.at, v_audience.zone, v_ids) end),
        'mails', (select coalesce(jsonb_agg(why_mail(v_mails[n], v_found = 'erased') order by n), '[]')
                    from generate_subscripts(v_mails, 1) n),
        'claim', why_claim(v_mail),
        'content', why_content(v_mailout),
        'schedule', why_schedule(v_mailout, v_person.timezone),
        'events', why_events(v_mail, v_found = 'erased'),
        'signals', case when v_found <> 'erased' then mail_signals(v_mail.id) else '[]' end,
        'resends', (select coalesce(jsonb_agg(jsonb_build_object(
                               'at', at, 'by', by, 'statuses', after -> 'statuses') order by id), '[]')
                      from audit_log where target = p_mailout::text and action = 'mailout.resend'),
        'later', case when v_person.id is not null and v_mail.id is not null then (
            select coalesce(jsonb_agg(jsonb_build_object(
                       'at', c.at, 'by', c.by, 'reason', c.reason, 'from', c.before -> 'status',
                       'to', c.after -> 'status') order by c.id), '[]')
              from unnest(v_ids) i, lateral (
                  select * from subscriber_changes
                   where subscriber_id = i and at > v_audience.at and after ? 'status' order by id limit 20) c)
            else '[]' end);
end $$;

-- The subscriber of the row with one of these addresses, of the first p_reach of a mailout: the ledger has no index by
-- address, which every mail would pay for.
create or replace function in_ledger(p_mailout uuid, p_emails text[], p_reach integer) returns uuid
language sql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off set enable_bitmapscan = off as $$
    select subscriber_id
      from (select subscriber_id, email from send_logs
             where (mailout_id, subscriber_id) > (p_mailout, '00000000-0000-0000-0000-000000000000')
               and mailout_id <= p_mailout and not is_test
             order by mailout_id, subscriber_id limit p_reach) first
     where email = any (p_emails) limit 1;
$$;

create or replace function why_mail(m send_logs, p_erased boolean) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', m.id, 'email', case when not p_erased then m.email end, 'status', m.status, 'error_code', m.error_code,
        'error_message', case when not p_erased then m.error_message end,
        'bounce_type', m.bounce_type, 'bounce_subtype', m.bounce_subtype, 'message_id', m.message_id,
        'attempts', m.attempts, 'queued_at', m.created_at, 'due_at', m.next_attempt_at, 'claimed_at', m.claimed_at,
        'sent_at', m.sent_at, 'event_at', m.event_at, 'unsubscribed_at', m.unsubscribed_at,
        'canary', coalesce(m.canary, false),
        'route', (select b.region from send_batches b where b.attempt_id = m.attempt_id));
$$;

-- Where a person's consent comes from: what is recorded with them (without network addresses), how they came to the
-- list, the import, and who made them active again. All of it may be unknown.
create or replace function person_consent(p_person subscribers, p_ids uuid[]) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_added  jsonb;
    v_import jsonb;
begin
    select jsonb_build_object('at', c.at, 'by', c.by, 'reason', c.reason, 'import_id', c.import_id) into v_added from unnest(p_ids) i, lateral (
        select * from subscriber_changes where subscriber_id = i and before is null and after is null
         order by id limit 1) c
     order by c.subscriber_id <> p_person.id, c.id limit 1;
    select jsonb_build_object('id', id, 'at', created_at, 'by', by, 'file_name', file_name, 'preset', imports.found -> 'preset')
      into v_import from imports
     where id = coalesce(substring(p_person.consent ->> 'import_id' from '^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
                         v_added ->> 'import_id')::uuid;
    return jsonb_build_object(
        'recorded', (select jsonb_object_agg(key, value) from jsonb_each(p_person.consent)
                      where lower(key) !~ '(^|_)ip(_|$)|address'),
        'on_list_since', p_person.created_at,
        'added', v_added - 'import_id',
        'import', v_import,
        'raised', (select coalesce(jsonb_agg(jsonb_build_object(
                              'at', c.at, 'by', c.by, 'reason', c.reason, 'from', c.before -> 'status') order by c.id), '[]')
                     from unnest(p_ids) i, lateral (
                         select * from subscriber_changes
                          where subscriber_id = i and after ->> 'status' = 'active' order by id desc limit 20) c));
end $$;

-- Who took the mail to SES: the latest attempt, and those before it, among the 5,000 batches before: so long after it
-- was queued another 250,000 mails may have gone.
create or replace function why_claim(p_mail send_logs) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'attempt_id', b.attempt_id, 'latest', b.attempt_id = p_mail.attempt_id, 'at', b.claimed_at,
               'executor_id', b.executor_id, 'executor', e.label, 'region', b.region,
               'batch', cardinality(b.send_log_ids), 'recorded_at', b.recorded_at, 'accepted', b.accepted)
               order by b.claimed_at), '[]')
      from (select * from send_batches where attempt_id = p_mail.attempt_id
            union
            select * from (select * from send_batches
                            where claimed_at between p_mail.created_at and p_mail.claimed_at
                            order by claimed_at desc limit 5000) before
             where mailout_id = p_mail.mailout_id and p_mail.id = any (send_log_ids)) b
      left join executors e on e.id = b.executor_id;
$$;

-- Which content it is: what was frozen at the start, what the latest test showed, the template.
create or replace function why_content(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'hash', s.content_hash, 'frozen_at', s.taken_at, 'tested_hash', t.content_hash, 'tested_at', t.tested_at,
        'was_tested', s.content_hash = t.content_hash,
        'templates', (select coalesce(jsonb_agg(jsonb_build_object(
                                 'id', x -> 'id', 'name', x -> 'name', 'version', x -> 'version')), '[]')
                        from jsonb_array_elements(s.content #> '{sources,templates}') x))
      from (select 1) one
      left join mailout_snapshots s on s.mailout_id = m.id
      left join mailout_tests t on t.mailout_id = m.id;
$$;

-- When it was a person's turn; null: the mailout has no schedule.
create or replace function why_schedule(m mailouts, p_timezone text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'at', m.schedule -> 'at', 'zone', m.schedule -> 'zone', 'starts_at', m.scheduled_at, 'waves', m.waves,
        'their_zone', case when m.waves then p_timezone end, 'their_zone_listed', z.zone <> '', 'their_turn', z.at)
      from (select 1) one
      left join lateral (
          select * from mailout_zones
           where m.waves and mailout_id = m.id and zone in (lower(btrim(coalesce(p_timezone, ''))), '')
           order by zone desc limit 1) z on true
     where m.schedule is not null;
$$;

-- What SES told of a mail, in the order of time. Opens and clicks are in mail_signals where they are judged; else they
-- are folded here: one for each kind.
create or replace function why_events(p_mail send_logs, p_erased boolean) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select coalesce(jsonb_agg(event order by at, id), '[]') from (
        select occurred_at as at, id, jsonb_strip_nulls(jsonb_build_object(
                   'type', type, 'at', occurred_at, 'received_at', received_at,
                   'bounce_type', payload #> '{bounce,bounceType}', 'bounce_subtype', payload #> '{bounce,bounceSubType}',
                   'feedback_type', payload #> '{complaint,complaintFeedbackType}',
                   'delay_type', payload #> '{deliveryDelay,delayType}',
                   'details', case when payload - 'provider' = '{}' then 'dropped' end,
                   'said', case when not p_erased then coalesce(
                       payload #> '{delivery,smtpResponse}', payload #> '{bounce,bouncedRecipients,0,diagnosticCode}',
                       payload #> '{deliveryDelay,delayedRecipients,0,diagnosticCode}', payload #> '{reject,reason}',
                       payload #> '{failure,errorMessage}') end)) as event
          from ses_events where send_log_id = p_mail.id and type not in ('open', 'click')
        union all
        select min(occurred_at), min(id), jsonb_build_object(
                   'type', type, 'at', min(occurred_at), 'last_at', max(occurred_at), 'times', count(*))
          from ses_events
         where send_log_id = p_mail.id and type in ('open', 'click')
           and not exists (select from engagement_signals where send_log_id = p_mail.id)
         group by type) told;
$$;

-- Opens and clicks of one mail with their verdicts, in the order of time. `class` null: not judged yet.
create or replace function mail_signals(p_send_log bigint) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'kind', g.kind, 'url', nullif(l.url, 'other'), 'place', l.place, 'first_at', g.first_at, 'last_at', g.last_at,
               'events', g.events, 'class', g.class, 'reason', g.reason, 'rules', g.rules, 'network', g.network,
               'agent', g.agent) order by g.first_at, g.id), '[]')
      from (select * from engagement_signals where send_log_id = p_send_log
             order by first_at, id limit 500) g
      left join lateral (select * from mailout_links where id = g.link_id and g.link_id <> 0) l on true;
$$;
