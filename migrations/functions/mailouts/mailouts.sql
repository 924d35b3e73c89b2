-- Showing mailouts. Lists: mailout_lists.sql; writing them: drafts.sql.
create or replace function mailout_summary(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', m.id, 'subject', m.subject, 'status', m.status, 'status_reason', m.status_reason,
        'notion_page_id', m.notion_page_id, 'audience', m.audience, 'canary', m.canary, 'recipients', m.recipients,
        'template_id', m.template_id, 'tracking', m.tracking, 'region', m.region, 'schedule', m.schedule,
        'scheduled_at', m.scheduled_at, 'created_at', m.created_at, 'updated_at', m.updated_at,
        'started_at', m.started_at, 'sent_at', m.sent_at, 'version', m.version);
$$;

-- When somebody last asked for a test mail, and whether it showed the present content; null: never.
create or replace function mailout_tested(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('at', t.tested_at, 'current', t.content_hash = coalesce(
               (select content_hash from mailout_snapshots where mailout_id = m.id),
               mailout_content_hash(m)))
      from mailout_tests t where t.mailout_id = m.id;
$$;

create or replace function show_mailout(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select mailout_summary(m) || jsonb_build_object(
        'preheader', m.preheader, 'body_html', m.body_html, 'body_markdown', m.body_markdown,
        'body_text', m.body_text, 'from_email', m.from_email, 'from_name', m.from_name,
        'reply_to', m.reply_to, 'configuration_set', m.configuration_set,
        'queueing', exists (select from mailout_queues where mailout_id = m.id and done_at is null),
        'counts', mailout_counts(m.id),
        'unsubscribed', unsubscribed_count(m.id),
        'routes', mailout_routes(m.id),
        'details_dropped_at', (select started_at from shrunk_mailouts where mailout_id = m.id),
        'events', mailout_events(m),
        'tested', mailout_tested(m))
      from mailouts m where m.id = p_mailout;
$$;

-- The closing statement: a page of the ledger, after subscriber p_after. Each call to SES carried many of its rows, so its
-- route is looked up once: a third less time.
create or replace function list_recipients(p_mailout uuid, p_after uuid, p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
    with page as materialized (
        select * from send_logs
         where (mailout_id, subscriber_id) > (p_mailout, p_after) and mailout_id <= p_mailout and not is_test
         order by mailout_id, subscriber_id limit p_limit
    ), routes as materialized (
        select attempt_id, region from send_batches where attempt_id = any (array(select distinct attempt_id from page))
    )
    select coalesce(jsonb_agg(recipient_row(page, region) order by subscriber_id), '[]')
      from page left join routes using (attempt_id);
$$;
