-- What bench/pages_fill.py fills the tables with. Each section is a step, `{…}` its values.

-- step: people
-- Frequent and rare values; see bench/lists.py.
insert into subscribers (id, email, name, status, tags, fields, address, timezone, created_at, consent)
select md5(n::text)::uuid, email, name, status, tags, fields, email, zone, at, consent from (
select n, 'u' || md5(n::text) || '@' || case when n % 50000 = 0 then 'rare.org'
           else (array['gmail.com', 'gmx.de', 'example' || n % 5000 || '.org'])[n % 3 + 1] end
           as email,
       case when n % 77777 = 0 then 'Xaver Quendel'
           else (array['Ann', 'Bogdan', 'Chiara'])[n % 3 + 1] || ' '
             || (array['Smith', 'Petrov', 'Luca', 'Miller', 'Berger'])[n % 5 + 1] end as name,
       case when n % 100000 = 0 then 'complained' when n % 40 = 0 then 'bounced'
           when n % 20 = 0 then 'unsubscribed' when n % 501 = 0 then 'pending'
           else 'active' end as status,
       case when n % 33333 = 0 then '{rare,news}' when n % 2 = 0 then '{news}'
           when n % 300 = 1 then '{middle}' when n % 97 = 3 then array['t' || n % 3001] else '{}' end::text[]
           as tags,
       jsonb_build_object('plan', (n % 7)::text) as fields,
       case when n % 3 = 0 then 'Europe/Vienna' end as zone,
       now() - interval '900 days' + n * (interval '890 days' / {total}) as at,
       case when n % 4 = 0 then '{"source": "import"}'::jsonb end as consent
  from generate_series({first}::integer, {last}::integer) n) people;

-- step: mailouts
insert into mailouts (id, subject, body_html, status, started_at, sent_at, created_at, updated_at,
                      recipients, tracking)
select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Letter ' || n, repeat('<p>x</p>', 400),
       case n when 3 then 'sending' when 5 then 'paused' when 6 then 'cancelled' else 'sent' end, at,
       case when n not in (3, 5, 6) then at + interval '3 hours' end, at - interval '1 hour',
       at + interval '3 hours', rows, true
  from (select n, size as rows, now() - interval '5 hours' - n * interval '5 days' as at
          from unnest('{sizes}'::bigint[]) with ordinality s (size, place), lateral (select place - 1 as n) p) m;

-- step: ledger
-- What became of the n-th recipient; `open`: of a mailout that is under way, half are queued.
insert into send_logs (id, mailout_id, subscriber_id, email, status, message_id, attempts, attempt_id,
    error_code, error_message, bounce_type, bounce_subtype, created_at, claimed_at, sent_at, event_at,
    unsubscribed_at) overriding system value
select {first} + n - 1, '{mailout}', id, email, status,
       case when gone and {first} + n < {identified} then '0100018c' || md5(({first} + n)::text) || '-000000' end,
       gone::integer, case when gone then md5((({first} + n - 1) / 50)::text)::uuid end,
       case status when 'failed' then 'MessageRejected' when 'unknown' then 'NoAnswer' end,
       case status when 'failed' then 'Email address is not verified.' when 'unknown' then 'No answer.' end,
       case status when 'bounced' then 'Permanent' end, case status when 'bounced' then 'General' end,
       at, case when gone then at end, case when gone then at end,
       case when status in ('delivered', 'bounced', 'complained') then at + interval '2 seconds' end,
       case when status = 'delivered' and n % 211 = 0 then at + interval '1 day' end
  from (select *, status in ('sent', 'delivered', 'bounced', 'complained') as gone,
               o.started_at + n * interval '1 millisecond' as at
          from (select id, email, n, case
                    when {open} and n > {rows} / 2 then 'queued'
                    when n % 100000 = 7 then 'complained' when n % 500000 = 11 then 'unknown'
                    when n % 5000 = 13 then 'skipped' when n % 97 = 5 then 'failed'
                    when n % 50 = 3 then 'bounced' when n % 37 = 9 then 'sent' else 'delivered' end as status
                  from (select id, email, row_number() over (order by id) as n
                          from (select id, email from subscribers
                                 where id > '{after}'
                                 order by id limit {rows}) s) people) told,
               (select started_at from mailouts where id = '{mailout}') o) l;

-- step: batches
insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, token_at, claimed_at,
                          recorded_at, accepted, counted)
select attempt_id, min(mailout_id::text)::uuid, md5('sender')::uuid, 'us-east-1', array_agg(id), min(sent_at),
       min(sent_at), min(sent_at) + interval '1 second', count(*), true
  from send_logs where attempt_id is not null group by attempt_id;
insert into route_counts select mailout_id, region, 0, sum(accepted) from send_batches group by 1, 2;
insert into accepted_counts select mailout_id, date_bin('10 seconds', recorded_at, 'epoch'), 0, sum(accepted)
  from send_batches group by 1, 2;

-- step: changes
insert into subscriber_changes (subscriber_id, at, by, reason, before, after)
select id, created_at, 'import', null, null::jsonb, null::jsonb from subscribers where id < '26666666-0000-0000-0000-000000000000'
 union all
select id, created_at + interval '9 days', 'ses', 'bounced', '{"status": "active"}', '{"status": "bounced"}'
  from subscribers where status = 'bounced';
insert into subscriber_changes (subscriber_id, at, by, before, after)
select (select id from subscribers order by id limit 1), now() - n * interval '1 minute', 'dashboard',
       '{"name": "A"}', '{"name": "B"}' from generate_series(1, 5000) n;

-- step: events
insert into ses_events (sns_message_id, type, message_id, mailout_id, send_log_id, payload, occurred_at, received_at)
select 'd' || l.id, case l.status when 'bounced' then 'bounce' when 'complained' then 'complaint' else 'delivery' end,
       l.message_id, l.mailout_id, l.id,
       jsonb_build_object('mail', jsonb_build_object('timestamp', l.sent_at, 'tags', '{"mailout": ["x"]}'::jsonb),
                          'delivery', jsonb_build_object('smtpResponse', '250 2.0.0 OK', 'processingTimeMillis', 600)),
       l.event_at, l.event_at
  from send_logs l where l.id < {events} and l.event_at is not null;
insert into ses_events (sns_message_id, type, message_id, payload, parked, occurred_at, received_at)
select 'p' || n, 'delivery', 'foreign' || n, '{}', '{"type": "delivery"}', now(), now() - n * interval '0.3 seconds'
  from generate_series(1, {few}) n;
insert into event_counts
select ('00000000-0000-4000-8000-' || lpad(m::text, 12, '0'))::uuid, kind,
       date_bin('10 seconds', o.started_at, 'epoch') + s * interval '10 seconds', 100
  from generate_series(0, 39) m join mailouts o on o.id = ('00000000-0000-4000-8000-' || lpad(m::text, 12, '0'))::uuid,
       unnest(array['delivery', 'bounce', 'open', 'click', 'delay']) kind,
       generate_series(0, case when m < 3 then 9700 else 2000 end) s;

-- step: engagement
insert into mailout_links (mailout_id, url, position, place)
select ('00000000-0000-4000-8000-' || lpad(m::text, 12, '0'))::uuid, 'https://example.org/' || n,
       case when n < 40 then n end, case when n < 40 then 'body' end
  from generate_series(0, 39) m, generate_series(0, case when m = 0 then 1000 else 60 end) n;
insert into engagement_recipients (send_log_id, mailout_id, subscriber_id, open_class, click_class, opened_at,
                                   clicked_at, last_opened_at, rules)
select id, mailout_id, subscriber_id, (array['human', 'human', 'unknown', 'machine'])[1 + (id / 5) % 4],
       case when id % 50 = 0 then (array['human', 'machine'])[1 + (id / 50) % 2] end, at,
       case when id % 50 = 0 then at end, at, 1
  from (select *, sent_at + (id % 1000) * interval '3 minutes' as at from send_logs
         where id % 5 = 0 and (id < 7500000 or id > 16000000) and sent_at is not null) l;
insert into engagement_signals (send_log_id, mailout_id, kind, link_id, slot, first_at, last_at, class, reason, rules)
select send_log_id, mailout_id, 'open', 0, opened_at, opened_at, opened_at, open_class, open_class, 1
  from engagement_recipients
 union all
select send_log_id, e.mailout_id, 'click', l.id, clicked_at, clicked_at, clicked_at, click_class, click_class, 1
  from engagement_recipients e join mailout_links l on l.mailout_id = e.mailout_id and l.position = e.send_log_id / 50 % 40
 where clicked_at is not null;

-- step: small mailouts
insert into mailouts (id, subject, body_html, status, started_at, sent_at, created_at, updated_at, recipients, from_email)
select md5('small' || n)::uuid, 'Small letter ' || n, repeat('<p>y</p>', 400), 'sent', at, at, at, at, 100,
       'me' || n % 50 || '@example.org'
  from (select n, now() - interval '2 hours' - n * interval '8 hours' as at from generate_series(1, {small}) n) s;
insert into mailouts (id, subject, body_html, status, created_at, updated_at)
select md5('draft' || n)::uuid, 'Draft ' || n, repeat('<p>z</p>', 400), 'draft', at, at
  from (select n, now() - n * interval '8 hours' as at from generate_series(1, {small}) n) s;
insert into send_logs (mailout_id, subscriber_id, email, status, attempts, created_at, sent_at, event_at)
select m.id, s.id, s.email, 'delivered', 1, m.started_at, m.started_at, m.started_at
  from (select id, started_at from mailouts where subject like 'Small letter %') m,
       (select id, email from subscribers order by id limit 100) s;
insert into mailout_queues (mailout_id, cursor, done_at)
select id, 'ffffffff-ffff-ffff-ffff-ffffffffffff', now()
  from mailouts m where started_at is not null;
update send_logs l set created_at = o.started_at from mailouts o
 where o.id = l.mailout_id and l.id between {identified} - 2000 and {identified} + 49;
insert into mailout_snapshots (mailout_id, content, content_hash, links_read)
select id, jsonb_build_object('subject', subject, 'body_html', body_html, 'tracking', true), 'x', true
  from mailouts where started_at is not null;
insert into guard_figures select id, recipients, recipients / 50, recipients / 5000 from mailouts where started_at is not null;
insert into guard_hours select date_trunc('hour', now()) - n * interval '1 hour', false, 10000, 100, 3
  from generate_series(1, 2000) n;
insert into dry_runs select id, gen_random_uuid(), '{"state": "done", "checked": 100, "problems": []}' from mailouts;
insert into owner_notices (mailout_id, status, created_at, claimed_at, outcome)
select id, 'sent', sent_at, sent_at, 'sent' from mailouts, generate_series(1, 5) where sent_at is not null;
insert into slack_messages (mailout_id, asked_at) select id, started_at from mailouts where started_at is not null;
insert into notion_rows (page_id, mailout_id, title) select id, id, subject from mailouts;
insert into notion_writes (page_id, due_at) select id, null from mailouts;

-- step: tables of hundreds of thousands
insert into jobs (kind, state, created_at, started_at, finished_at, result, payload)
select (array['notion_row', 'import', 'dry_run', 'change_people', 'export'])[1 + n % 5],
       case when n % 50000 = 0 then 'failed' when n % 500 = 0 then 'cancelled' else 'done' end, at, at, at, '{}', '{"x": 1}'
  from (select n, now() - n * interval '8 seconds' as at from generate_series(1, {few}) n) j;
insert into jobs (kind, state, created_at, lease_until) values ('import', 'running', now() - interval '90 days', now());
insert into audit_log (at, by, action, target, before, after)
select now() - n * interval '2 minutes', (array['owner', 'dashboard', 'key zapier', 'cli'])[1 + n % 4],
       case when n % 20 = 5 then 'template.delete'   -- frequent, but never by cli
            else (array['mailout.start', 'mailout.pause', 'subscriber.change', 'key.create'])[1 + n / 4 % 4] end,
       md5((n % 3000)::text)::uuid::text, '{"a": 1}', '{"a": 2}' from generate_series({few}, 1, -1) n;
insert into hooks (id, url, events, secret, created_by) select md5('hook' || n)::uuid, 'https://example.org/' || n,
       '{mailout.sent}', 's', 'owner' from generate_series(1, 50) n;
insert into hook_deliveries (hook_id, event_id, type, subject, data, occurred_at, state, attempts, due_at, settled_at, tried_at, error)
select md5('hook' || 1 + n % 3)::uuid, 'e' || n, 'subscriber.unsubscribed', md5(n::text)::uuid, '{"email": "someone@example.org"}',
       now() - n * interval '10 seconds', state, 1, now(), case when state in ('done', 'dead') then now() end, now(), null
  from (select n, case when n % 20000 = 0 then 'dead' when n > {few} - 20000 then 'waiting' else 'done' end as state
          from generate_series({few}, 1, -1) n) d;
insert into imports (id, created_at, by, state, added, refused, finished_at, file_name)
select md5('import' || n)::uuid, now() - n * interval '1 hour', 'dashboard', 'done', 100, {few}, now(), 'x.csv'
  from generate_series(1, 5000) n;
insert into import_refusals select md5('import1')::uuid, n, 'This is no address.', '["x"]' from generate_series(1, {few}) n;
insert into segments (name, audience) select 'Segment ' || n, '{"tags": ["news"]}' from generate_series(1, 200) n;
insert into templates (id, name, version) select md5('template' || n)::uuid, 'Template ' || n, 20 from generate_series(1, 300) n;
insert into template_versions (template_id, version, name, subject, body_html)
select md5('template' || n)::uuid, v, 'Template ' || n, 'x', repeat('<p>x</p>', 1000) from generate_series(1, 300) n, generate_series(1, 20) v;
insert into api_keys (name, scopes, hash, hint, created_by) select 'key ' || n, '{read}', encode(sha256(n::text::bytea), 'hex'), 'x', 'owner' from generate_series(1, 200) n;
insert into signups (address, asked_at, claimed_at, outcome) select 's' || n % 100000 || '@example.org', now() - n * interval '1 minute', now(), 'sent'
  from generate_series(1, {few}) n;
insert into signup_clients select 'c' || n, date_trunc('hour', now()), 1 from generate_series(1, 10000) n;
insert into owner_news (about, way, notice, created_at, claimed_at, outcome) select 'standing', 'mail', '{}', now(), now(), 'sent'
  from generate_series(1, 20000) n;
insert into send_requests (key, body_hash, response) select 'k' || n, 'x', '{}' from generate_series(1, {few}) n;
insert into refused_messages select date_trunc('hour', now()) - n * interval '1 hour', r, 3 from generate_series(0, 5000) n, unnest(array['bad_signature', 'other_topic']) r;
insert into untracked_events (hour, kind, events) select date_trunc('hour', now()) - n * interval '1 hour', k, 3 from generate_series(0, 5000) n, unnest(array['open', 'click']) k;
insert into subscriber_aliases (id, subscriber_id, was)
select gen_random_uuid(), id, '{"email": "x"}' from (select id from subscribers order by id limit {few}) s;
insert into erased (address_hash) select sha256(n::text::bytea) from generate_series(1, {few}) n;
insert into list_moves (slot, move, source, people, merged)
select list_slot(now() - n * interval '15 minutes'), move, 'import', 10, true
  from generate_series(1, 86400) n, unnest(array['new', 'unsubscribed', 'bounced']) move;
update list_moves_since set at = now() - interval '900 days';
select merge_list_moves(1);
insert into provider_hours select date_trunc('hour', now()) - n * interval '1 hour', p, 1000, 10, 1, 1, 1, 3
  from generate_series(0, 2160) n, unnest(array['Gmail', 'GMX', 'Outlook', 'Yahoo', 'iCloud', 'other', 'T-Online', 'Proton']) p;
insert into standing_samples select r, date_trunc('minute', now()) - n * interval '5 minutes', '{"sent": 1000, "quota": 50000, "bounce_rate": 0.01}'
  from generate_series(0, 25920) n, unnest(array['us-east-1', 'eu-central-1']) r;
insert into provider_answers (region, key, minute, delivered, deferred) select r, p, date_trunc('minute', now()) - n * interval '1 minute', 100, 3
  from generate_series(0, 2880) n, unnest(array['us-east-1', 'eu-central-1']) r, unnest(array['gmail', 'gmx', 'outlook', 'yahoo']) p;
insert into warmups (region, plan, zone, started_by, started_at) select 'us-east-1', jsonb_agg(jsonb_build_object('total', n * 100, 'providers', '{}'::jsonb)), 'UTC', 'owner', now() - interval '200 days'
  from generate_series(1, 365) n;
insert into warmup_days (region, day, step, cap, used, opened_at, ends_at) select 'us-east-1', current_date - n, 200 - n, 100, 50, now() - n * interval '1 day', now() - (n - 1) * interval '1 day'
  from generate_series(0, 199) n;
insert into fallback_changes (at, provider, by, reason) select now() - n * interval '1 hour', 'sendgrid', 'owner', 'x' from generate_series(5000, 1, -1) n;
insert into domain_checks (domain, address) select 'example' || n || '.org', 'me@example' || n || '.org' from generate_series(1, 50) n;
insert into notion_events (id, type, page_id) select 'n' || n, 'page.updated', gen_random_uuid() from generate_series(1, {few}) n;
insert into send_rates (region, rate, account, account_checked_at)
select r, 1000, '{"max_send_rate": 1000, "max_24h_send": 50000000, "sent_last_24h": 1000, "sending_enabled": true, "enforcement_status": "HEALTHY", "production_access": true}', now()
  from unnest(array['us-east-1', 'eu-central-1']) r;
