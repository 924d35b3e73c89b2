-- What receivers see in DNS of the domains that mail is sent from (docs/domain.md): a row for each, looked at once a day.
-- All of it may be lost: the next look makes it anew, and only an alarm that was told already would be told again.
create table domain_checks (
    domain     text primary key,
    address    text not null,                -- a sender of that domain: by it SES's identity is found
    claims     bigint not null default 0,    -- names the present holder
    next_at    timestamptz not null default clock_timestamp(),
    checked_at timestamptz,                  -- null: not looked at yet
    asked      boolean,                      -- whether SES said which records there have to be
    looks      jsonb not null default '[]',  -- of the latest look (app/domain/dns/looks.py)
    watched    jsonb not null default '{}'   -- which records were there, and alarms (app/domain/dns/watched.py)
);

-- What the owner is told of them: a row for each way.
create table domain_notices (
    id         bigint generated always as identity primary key,
    domain     text not null,
    way        text not null check (way in ('mail', 'slack')),
    notice     jsonb not null,               -- headline, lines
    created_at timestamptz not null default clock_timestamp(),
    due_at     timestamptz not null default clock_timestamp(),
    claimed_at timestamptz,
    outcome    text check (outcome in ('sent', 'failed', 'unknown', 'overtaken')),
    detail     text
);
create index domain_notices_open on domain_notices (way, due_at) where claimed_at is null and outcome is null;

alter table domain_checks  enable row level security;
alter table domain_notices enable row level security;
