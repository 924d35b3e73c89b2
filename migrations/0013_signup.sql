-- People who put themselves on the list: what was asked in the form, until they confirm it by mail.

-- One row for each confirmation mail, whoever the address belongs to: nothing here tells who is known. It is
-- deleted a week later, confirmed or not (tidy_signups).
create table signups (
    id           uuid primary key default gen_random_uuid(),
    address      text collate "C" not null,    -- canonical
    name         text,
    tags         text[] not null default '{}',
    page         text,                         -- where the form was; null: the browser didn't say
    asked_at     timestamptz not null default clock_timestamp(),
    confirmed_at timestamptz,
    due_at       timestamptz not null default clock_timestamp(),   -- the mail, as in owner_notices
    claimed_at   timestamptz,
    outcome      text check (outcome in ('sent', 'failed', 'unknown')),
    detail       text
);
create index signups_address on signups (address, asked_at);
create index signups_asked on signups (asked_at);
create index signups_due on signups (due_at) where claimed_at is null and outcome is null;
alter table signups enable row level security;

-- How often a client asked within an hour. Deleted an hour after it.
create table signup_clients (
    client text collate "C",      -- its network address
    hour   timestamptz,
    tries  integer not null,
    primary key (client, hour)
);
create index signup_clients_hour on signup_clients (hour);
alter table signup_clients enable row level security;
