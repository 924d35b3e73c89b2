-- The standing of the sender (docs/standing.md). Nothing here names a recipient, and all of it may be lost: then trends
-- begin anew, and an alarm that lasts is told once more.

-- Events by the hour in which they occurred and by mailbox provider (app/domain/engagement/providers.py). Kept for 400 days.
create table provider_hours (
    hour         timestamptz not null,
    provider     text not null,
    delivered    bigint not null default 0,
    bounced      bigint not null default 0,   -- for good
    soft_bounced bigint not null default 0,
    suppressed   bigint not null default 0,   -- bounced for good without SES's trying
    complained   bigint not null default 0,
    delayed      bigint not null default 0,   -- times that a mail was put off
    primary key (hour, provider)
) with (fillfactor = 70);

-- What Amazon and block lists said at each look (app/domain/standing/told.py): hourly for 35 days, daily for 400.
create table standing_samples (
    region   text not null,
    taken_at timestamptz not null,
    sample   jsonb not null,
    primary key (region, taken_at)
);

-- One row. counted_to: of ses_events, up to which they are in provider_hours. revision: of what a look found; another
-- that began before it saves nothing.
create table standing_state (
    only_one   boolean primary key default true check (only_one),
    counted_to bigint not null default 0,
    revision   bigint not null default 0,
    looked_at  timestamptz,
    alarms     jsonb not null default '[]'    -- app/domain/standing/alarms.py
);
insert into standing_state default values;

alter table provider_hours   enable row level security;
alter table standing_samples enable row level security;
alter table standing_state   enable row level security;
