-- The tables of AmazonSender. The names in docs of outsiders (subscribers, mailouts, send_logs,
-- ses_events) are a contract; the rest is ours. Row-level security is on everywhere and no policy
-- exists: only the owner and roles that bypass it (Supabase's service_role) see a row.

create table subscribers (
    id                uuid primary key default gen_random_uuid(),
    email             text not null check (email <> '' and length(email) <= 320),
    name              text,
    status            text not null default 'active'
                      check (status in ('active', 'unsubscribed', 'bounced', 'complained')),
    bounce_type       text,
    bounce_subtype    text,
    status_updated_at timestamptz not null default now(),
    tags              text[] not null default '{}',
    fields            jsonb not null default '{}' check (jsonb_typeof(fields) = 'object'),
    timezone          text,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now()
);
create unique index subscribers_email on subscribers (lower(email));

-- Here, because a constraint needs it: share over 0 and at most half, wait like 30s, 15m or 2h.
create function canary_is_valid(p_canary jsonb) returns boolean
language sql immutable set search_path = public, pg_temp as $$
    select case when jsonb_typeof(p_canary) = 'object' and p_canary - '{share,wait}'::text[] = '{}'
                 and jsonb_typeof(p_canary -> 'share') = 'number'
                 and jsonb_typeof(p_canary -> 'wait') = 'string'
           then (p_canary ->> 'share')::numeric > 0 and (p_canary ->> 'share')::numeric <= 0.5
                and p_canary ->> 'wait' ~ '^[1-9][0-9]{0,4}[smh]$'
           else false end;
$$;

create table mailouts (
    id                uuid primary key default gen_random_uuid(),
    subject           text not null,
    preheader         text,
    body_html         text,
    body_markdown     text,
    body_text         text,
    status            text not null default 'draft'
                      check (status in ('draft', 'ready', 'sending', 'paused', 'sent', 'failed',
                                        'cancelled')),
    status_reason     text,
    -- Who or what paused it: only what the account caused ends by itself.
    pause_code        text check (pause_code in ('person', 'account', 'quota', 'guard', 'held')),
    notion_page_id    text,
    from_email        text,
    from_name         text,
    reply_to          text,
    configuration_set text,
    -- null or {}: every active subscriber; {"tags": ["a", "b"]}: those with any of the tags.
    -- Other keys are refused, so that no audience is ever silently ignored.
    audience          jsonb check (audience is null or (jsonb_typeof(audience) = 'object'
                                   and audience - 'tags' = '{}'::jsonb)),
    -- {"share": 0.02, "wait": "15m"}: that share goes first, then events are awaited (canary.sql).
    canary            jsonb check (canary is null or canary_is_valid(canary)),
    canary_phase      text check (canary_phase in ('sending', 'waiting')),  -- null: none, or over
    canary_until      timestamptz,
    scheduled_at      timestamptz,
    recipients        bigint,           -- eligible subscribers when it started
    started_in        text,             -- database_identity() when it started or was resumed
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    started_at        timestamptz,
    sent_at           timestamptz
);
-- Notion writes page ids with or without dashes.
create unique index mailouts_notion_page_id
    on mailouts (replace(lower(notion_page_id), '-', '')) where notion_page_id is not null;
create index mailouts_status on mailouts (status) where status in ('sending', 'paused', 'cancelled');
create index mailouts_listing on mailouts (created_at desc, id desc);

-- The content as it was when the mailout started: what is edited later is not sent.
create table mailout_snapshots (
    mailout_id   uuid primary key references mailouts on delete cascade,
    content      jsonb not null,
    content_hash text not null,
    taken_at     timestamptz not null default now()
);

-- How far queueing has come. A row of its own, so that a slice's lock doesn't hold up claims.
create table mailout_queues (
    mailout_id uuid primary key references mailouts on delete cascade,
    cursor     uuid not null default '00000000-0000-0000-0000-000000000000',
    done_at    timestamptz
);
create index mailout_queues_open on mailout_queues (mailout_id) where done_at is null;

-- The ledger: one row per mailout and subscriber, test rows aside. There are no foreign keys,
-- because each would cost a lookup and a lock per row of a million; a subscriber may be deleted
-- and the ledger stays; a mailout that has a ledger can't be deleted (see the trigger).
create table send_logs (
    id              bigint generated always as identity primary key,
    mailout_id      uuid not null,
    subscriber_id   uuid,
    email           text not null,
    status          text not null default 'queued'
                    check (status in ('queued', 'sending', 'sent', 'delivered', 'bounced',
                                      'complained', 'failed', 'unknown', 'skipped', 'cancelled')),
    message_id      text,
    attempts        integer not null default 0,
    attempt_id      uuid,                -- of the latest attempt; tag `attempt` on the mail
    error_code      text,
    error_message   text,
    bounce_type     text,
    bounce_subtype  text,
    is_test         boolean not null default false,
    created_at      timestamptz not null default now(),
    next_attempt_at timestamptz,
    claimed_at      timestamptz,
    sent_at         timestamptz,
    event_at        timestamptz,         -- of the event that decided the status
    unsubscribed_at timestamptz,
    canary          boolean              -- true: of the share that goes first; else null
);
create unique index send_logs_once on send_logs (mailout_id, subscriber_id) where not is_test;
create index send_logs_queued on send_logs (mailout_id, id) where status = 'queued' and not is_test;
create index send_logs_unsubscribed on send_logs (mailout_id) where unsubscribed_at is not null and not is_test;
create index send_logs_failed on send_logs (mailout_id) where status = 'failed' and not is_test;
create index send_logs_queued_tests on send_logs (mailout_id) where status = 'queued' and is_test;
create index send_logs_unknown on send_logs (mailout_id) where status = 'unknown' and not is_test;
create index send_logs_queued_canaries on send_logs (mailout_id, id) where status = 'queued' and canary;
-- Message ids are only looked up by equality (events without tags), so a hash of four bytes does.
create index send_logs_message_id on send_logs using hash (message_id) where message_id is not null;

-- One row per attempt, written before the call to SES that carries it: what is open here is what
-- may be in flight.
create table send_batches (
    attempt_id   uuid primary key,
    mailout_id   uuid not null,
    executor_id  uuid not null,
    region       text not null,
    send_log_ids bigint[] not null,
    token_at     timestamptz not null,   -- when the last of its tokens fell due
    claimed_at   timestamptz not null default clock_timestamp(),
    recorded_at  timestamptz,
    accepted     integer                 -- recipients that SES took, known when recorded
);
create index send_batches_open on send_batches (mailout_id) where recorded_at is null;
create index send_batches_claimed_at on send_batches using brin (claimed_at);

-- The processes that send. `alive_since`: start of the present unbroken run of heartbeats.
create table executors (
    id            uuid primary key,
    region        text not null,
    label         text not null,
    rate_limit    double precision,      -- recipients per second it was told; null: the account's
    lease_seconds double precision not null,
    started_at    timestamptz not null default clock_timestamp(),
    alive_since   timestamptz not null default clock_timestamp(),
    heartbeat_at  timestamptz not null default clock_timestamp()
);

-- One token bucket per SES region, and what SES last said of the account there.
create table send_rates (
    region             text primary key,
    rate               double precision, -- recipients per second, all executors together
    next_token_at      timestamptz not null default '-infinity',
    account            jsonb,            -- max_send_rate, max_24h_send, sent_last_24h, …
    account_checked_at timestamptz,
    taken_since_check  bigint not null default 0
);

-- Accepted requests to start a mailout, so that a repeat starts nothing.
create table send_requests (
    key        text primary key,
    body_hash  text not null,
    response   jsonb not null,
    created_at timestamptz not null default now()
);
create index send_requests_created_at on send_requests (created_at);

-- The content that the latest test mails of each mailout showed.
create table mailout_tests (
    mailout_id   uuid primary key references mailouts on delete cascade,
    content      jsonb not null,
    content_hash text not null,
    tested_at    timestamptz not null default now()
);

-- The report of the latest dry run of each mailout. updated_at: the run's sign of life.
create table dry_runs (
    mailout_id uuid primary key references mailouts on delete cascade,
    run_id     uuid not null,
    report     jsonb not null,
    started_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table ses_events (
    id             bigint generated always as identity primary key,
    sns_message_id text not null unique,
    type           text not null,
    message_id     text,
    mailout_id     uuid,
    send_log_id    bigint,               -- of the row it was matched with
    payload        jsonb not null,
    parked         jsonb,                -- what to apply once a row fits; null when applied
    occurred_at    timestamptz not null,
    received_at    timestamptz not null default now()
);
-- Events that fit no row yet wait here for their message id to be recorded.
create index ses_events_parked on ses_events (message_id) where parked is not null;

-- Matched events per mailout, kind and 10 seconds (see count_events), so that a chart or a rate
-- reads some hundred rows and not a million events. Test mails aside.
create table event_counts (
    mailout_id uuid not null,
    kind       text not null,
    slot       timestamptz not null,     -- start of the 10 seconds in which they occurred
    events     bigint not null,
    primary key (mailout_id, kind, slot)
) with (fillfactor = 50);

-- Signed-out sessions of the dashboard, kept until their cookies would have expired.
create table ended_sessions (
    id         text primary key,
    expires_at timestamptz not null
);

create index ses_events_parked_at on ses_events (received_at) where parked is not null;

-- What the guards judge by (guards.sql): recipients of a mailout with an outcome, and how many of
-- them count as bounces and complaints; `past_…`: as it was when a person last resumed it.
create table guard_figures (
    mailout_id      uuid primary key references mailouts on delete cascade,
    outcomes        bigint not null,
    bounces         bigint not null,
    complaints      bigint not null,
    past_outcomes   bigint not null default 0,
    past_bounces    bigint not null default 0,
    past_complaints bigint not null default 0
);

-- The same for all mailouts together, by the hour in which events came in. forgiven: a person has
-- resumed a mailout since, so the guards no longer count them.
create table guard_hours (
    hour       timestamptz not null,
    forgiven   boolean not null default false,
    outcomes   bigint not null,
    bounces    bigint not null,
    complaints bigint not null,
    primary key (hour, forgiven)
);

-- For the watchdog: messages to /ses-events that were refused, and what the last comparison with
-- SES's suppression list found.
create table refused_messages (
    hour     timestamptz not null,
    reason   text not null,
    messages bigint not null,
    primary key (hour, reason)
);
create table suppression_checks (
    region     text primary key,
    started_at timestamptz not null,
    checked_at timestamptz,
    listed     bigint,     -- addresses on SES's list
    active     bigint,     -- of them, subscribers that are active here
    unlisted   bigint      -- subscribers bounced or complained here that SES doesn't list
);

-- What the owner is to be told: a row for each transition, written with it (owner_notices.sql).
create table owner_notices (
    id         bigint generated always as identity primary key,
    mailout_id uuid not null references mailouts on delete cascade,
    status     text not null,
    pause_code text,
    reason     text,
    created_at timestamptz not null default clock_timestamp(),
    due_at     timestamptz not null default clock_timestamp(),
    claimed_at timestamptz,
    outcome    text check (outcome in ('sent', 'failed', 'unknown', 'overtaken')),
    detail     text
);
create index owner_notices_open on owner_notices (due_at) where claimed_at is null and outcome is null;
create index owner_notices_mailout on owner_notices (mailout_id, id);

alter table subscribers       enable row level security;
alter table mailouts          enable row level security;
alter table mailout_snapshots enable row level security;
alter table mailout_queues    enable row level security;
alter table send_logs         enable row level security;
alter table send_batches      enable row level security;
alter table executors         enable row level security;
alter table send_rates        enable row level security;
alter table send_requests     enable row level security;
alter table mailout_tests     enable row level security;
alter table dry_runs          enable row level security;
alter table ses_events        enable row level security;
alter table guard_figures     enable row level security;
alter table guard_hours       enable row level security;
alter table refused_messages  enable row level security;
alter table suppression_checks enable row level security;
alter table owner_notices     enable row level security;
alter table event_counts      enable row level security;
alter table ended_sessions    enable row level security;

-- A queue's table: vacuum early, so that claims don't wade through dead rows.
alter table send_logs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
alter table send_rates set (fillfactor = 50);
alter table executors set (fillfactor = 50);
alter table guard_figures set (fillfactor = 50);
alter table guard_hours set (fillfactor = 50);
