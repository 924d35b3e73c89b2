-- Mailouts that start at a time, and waves: recipients who are mailed at a time of their own.
-- On a database with many rows: the ledger is read once for the index, unless it is there already
-- (docs/operations.md, "Upgrading a large database").
alter table mailouts
    -- Each recipient has an instant of their own (send_logs.next_attempt_at, which is never null then).
    add column waves boolean not null default false;
create index mailouts_scheduled on mailouts (scheduled_at) where status = 'scheduled';

-- When each zone's turn is, in small letters; '' stands for everybody whose zone isn't one of these.
create table mailout_zones (
    mailout_id uuid not null references mailouts on delete cascade,
    zone       text not null,
    at         timestamptz,               -- null: its hour has passed, and they are skipped
    next_at    timestamptz not null,      -- in place of `at`, should that have passed by the start
    recipients bigint not null default 0, -- when it was scheduled
    primary key (mailout_id, zone)
);

-- The instants of a mailout that has started.
create table mailout_waves (
    mailout_id uuid not null references mailouts on delete cascade,
    at         timestamptz not null,
    recipients bigint not null default 0, -- queued for it so far
    taken      bigint not null default 0, -- of them, claimed so far
    begun_at   timestamptz,               -- when senders were there for it, or held the mailout for missing it
    primary key (mailout_id, at)
);
create index mailout_waves_ahead on mailout_waves (at) where begun_at is null;

-- What is due of a mailout with waves is read in the order of its instants, so that nobody reads past
-- those who wait for hours. Other mailouts only have rows here that are to be tried again.
create index if not exists send_logs_waves on send_logs (mailout_id, next_attempt_at, id)
    where status = 'queued' and next_attempt_at is not null and not is_test;

alter table mailout_zones enable row level security;
alter table mailout_waves enable row level security;
