-- Outgoing webhooks: who is told, and what each is still to be told (docs/hooks.md).

-- The secrets are stored as they are, since they sign. Nothing but claim_hook_deliveries gives them out.
create table hooks (
    id               uuid primary key default gen_random_uuid(),
    url              text not null check (length(url) <= 2000),
    events           text[] not null check (cardinality(events) between 1 and 100),
    secret           text not null,
    old_secret       text,                 -- signs, too, until old_secret_until
    old_secret_until timestamptz,
    description      text not null default '' check (length(description) <= 500),
    source           text check (source in ('zapier', 'make', 'n8n')),
    rate_per_second  double precision not null default 20 check (rate_per_second between 0.01 and 1000),
    state            text not null default 'active' check (state in ('active', 'disabled', 'gone')),
    reason           text,                 -- why it isn't active, in plain words
    created_at       timestamptz not null default now(),
    created_by       text not null,
    -- How its endpoint does. Written with each claim and answer, so no index is on these.
    next_token_at    timestamptz not null default '-infinity',
    failures         integer not null default 0,     -- in a row, of all deliveries together
    failing_since    timestamptz,
    failed_at        timestamptz,
    trips            integer not null default 0,     -- how often in a row it was left alone for a while
    held_until       timestamptz,                    -- nothing is tried before
    delivered_at     timestamptz                     -- the last time that it took one
);

-- One row for each hook and event, written in the transaction of the event. No foreign key: a hook is deleted
-- at once, its deliveries by and by.
create table hook_deliveries (
    id          bigint generated always as identity primary key,   -- the order, within a hook and subject
    hook_id     uuid not null,
    event_id    text not null,             -- the header webhook-id: the same in each try
    type        text not null,
    subject     uuid not null,             -- whom it is about: a mailout, or a subscriber
    data        jsonb not null,
    occurred_at timestamptz not null default clock_timestamp(),
    state       text not null default 'waiting' check (state in ('waiting', 'sending', 'done', 'dead')),
    attempts    integer not null default 0,
    due_at      timestamptz not null default now(),
    claims      integer not null default 0,
    lease_until timestamptz,               -- while sending: after that another may take it
    status      integer,                   -- of the last answer; null: there was none
    error       text,                      -- what was wrong with it, in plain words
    tried_at    timestamptz,
    settled_at  timestamptz                -- when it was done, or dead
);
create index hook_deliveries_hook on hook_deliveries (hook_id, id);
create index hook_deliveries_subject on hook_deliveries (subject, hook_id, id);
create index hook_deliveries_due on hook_deliveries (hook_id, due_at, id) where state = 'waiting';
create index hook_deliveries_sending on hook_deliveries (hook_id, lease_until) where state = 'sending';
create index hook_deliveries_dead on hook_deliveries (hook_id, id) where state = 'dead';
create index hook_deliveries_settled on hook_deliveries (settled_at) where settled_at is not null;

alter table hooks enable row level security;
alter table hook_deliveries enable row level security;

-- PostgreSQL keeps the plan of a connection's first statement, which may have changed one row, for its next: with a nested
-- loop over both transition tables a change of 20,000 subscribers took a minute.
alter function count_changed_tags() set enable_nestloop = off;
