-- Whether another provider sends in SES's place (docs/fallback.md). Each row is a state that held from `at`
-- on, until the next one; the last one holds now, for every process. No row: SES alone sends.
create table if not exists fallback_changes (
    id       bigint generated always as identity primary key,
    at       timestamptz not null default clock_timestamp(),
    provider text,             -- whose turn it is; null: nobody's, SES alone sends
    by       text,             -- as in audit_log; null: by rule
    reason   text not null
);
alter table fallback_changes enable row level security;

-- What the senders last saw of SES in all its regions; one row. A time is null while it doesn't hold.
create table if not exists fallback_watch (
    id         boolean primary key default true check (id),
    seen_at    timestamptz,
    down_since timestamptz,    -- no region can send; ends when one has been able to for a while
    down_at    timestamptz,    -- when that was last seen
    up_since   timestamptz     -- a region can send; ends at once when none can
);
alter table fallback_watch enable row level security;
insert into fallback_watch default values on conflict do nothing;
