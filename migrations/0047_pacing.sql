-- Pacing by mailbox provider, and warm-ups: how many mails may go to whom, by each route.
-- On a database with many rows: the ledger is read once for each of the new indexes, unless they are there already
-- (docs/operations.md, "Upgrading a large database"). They take the place of three that are dropped.

-- A queued recipient who is due, and whose mailbox provider got all that a route may send to it for now, is set aside:
-- this is for whom (a provider's name, or a domain). So a claim reads nobody twice who has to wait, and each route
-- takes of those who wait whom it has room for (pacing/limits.sql). null: in the common queue.
alter table send_logs add column if not exists aside text;

create index if not exists send_logs_due on send_logs (mailout_id, id)
    where status = 'queued' and not is_test and aside is null;
create index if not exists send_logs_due_canaries on send_logs (mailout_id, id)
    where status = 'queued' and canary and aside is null;
create index if not exists send_logs_due_waves on send_logs (mailout_id, next_attempt_at, id)
    where status = 'queued' and next_attempt_at is not null and not is_test and aside is null;
create index if not exists send_logs_aside on send_logs (mailout_id, aside, id)
    where status = 'queued' and aside is not null;
drop index send_logs_queued, send_logs_queued_canaries, send_logs_waves;

-- Mailbox providers that defer, and how fast each is mailed by a route meanwhile (app/domain/pacing/pace.py).
-- key: a provider's name or a domain; domains, pattern: which are meant.
create table provider_paces (
    region     text not null,
    key        text not null,
    domains    text[] not null,
    pattern    text,
    rate       double precision not null check (rate > 0),      -- recipients per second
    ceiling    double precision not null,                        -- at which it began to defer
    next_at    timestamptz not null default '-infinity',         -- when the next token falls due
    since      timestamptz not null,
    slowed_at  timestamptz not null,
    raised_at  timestamptz not null,
    deferred   bigint not null,                                  -- of `answered`: why it was slowed down last
    answered   bigint not null,
    until      timestamptz not null,                             -- holds no longer than until then (see TRUSTED_FOR)
    primary key (region, key)
) with (fillfactor = 50);

-- What providers answered, by the minute in which it was told. key '': all that have no figures of their own.
-- fresh_…: of mails that were claimed since the provider was last made slower.
create table provider_answers (
    region          text not null,
    key             text not null,
    minute          timestamptz not null,
    delivered       bigint not null default 0,
    deferred        bigint not null default 0,
    bounced         bigint not null default 0,    -- for good
    complained      bigint not null default 0,
    fresh_delivered bigint not null default 0,
    fresh_deferred  bigint not null default 0,
    primary key (region, key, minute)
) with (fillfactor = 50);
create index provider_answers_minute on provider_answers (minute);

-- One row: when a sender last looked at the answers, and up to which event.
create table pacing_turns (
    id         boolean primary key default true check (id),
    turned_at  timestamptz not null default '-infinity',
    last_event bigint
);
insert into pacing_turns default values;

-- Warm-ups, one for each route. plan: [{"total", "providers": {key: n}}], a day each. step: the present day of the
-- plan, from 0. mailboxes: which domains each key stands for. held: why the latest day repeats the one before.
create table warmups (
    region     text primary key,
    plan       jsonb not null check (jsonb_typeof(plan) = 'array' and plan <> '[]'),
    mailboxes  jsonb not null default '[]',
    zone       text not null,                                    -- whose days count
    step       integer not null default 0,
    state      text not null default 'running' check (state in ('running', 'stopped', 'done')),
    held       text,
    started_at timestamptz not null default clock_timestamp(),
    started_by text,
    ended_at   timestamptz
);

-- What each day of a warm-up allows, and what was taken of it: counted in the transaction that claims a mail, given
-- back where it was certainly not sent. A day that nobody has opened allows nothing.
create table warmup_days (
    region    text not null,
    day       date not null,
    step      integer not null,
    cap       bigint not null,
    caps      jsonb not null default '{}',                       -- key: at most
    used      bigint not null default 0,
    used_by   jsonb not null default '{}',                       -- key: of the keys in `caps`
    opened_at timestamptz not null,
    ends_at   timestamptz not null,
    verdict   text,                                              -- why it didn't count
    primary key (region, day),
    check (used between 0 and cap)
) with (fillfactor = 50);

alter table provider_paces   enable row level security;
alter table provider_answers enable row level security;
alter table pacing_turns     enable row level security;
alter table warmups          enable row level security;
alter table warmup_days      enable row level security;
