-- What Notion tells us by its integration's webhook, and the talk by comments (docs/notion-events.md).

-- Events that were taken, so that one that comes again is nothing new. Notion tries for about a day.
create table notion_events (
    id          text primary key,
    type        text not null,
    page_id     uuid,
    received_at timestamptz not null default now()
);
create index notion_events_received_at on notion_events (received_at);

-- Tokens that came with a webhook's verification request: the owner reads them within an hour.
create table notion_verifications (
    token       text primary key,
    received_at timestamptz not null default now()
);

-- Comments that are commands. What follows a command isn't kept: it may be somebody's address.
create table notion_comments (
    comment_id  uuid primary key,
    page_id     uuid not null,
    command     text not null,
    lease_until timestamptz not null,   -- who answers it has until then
    tries       integer not null default 1,
    acted       jsonb,                  -- what a pause or resume gave; each is done once
    answer_hash text,                   -- of the answer that is about to be written, or was
    outcome     text check (outcome in ('answered', 'refused')),
    created_at  timestamptz not null default now()
);
create index notion_comments_created_at on notion_comments (created_at);

-- When the comments of a row's page were last looked at without an event.
create table notion_talks (
    page_id   uuid primary key,
    looked_at timestamptz not null
);

-- What is known of the integration. bot_id: the user that its own writes are by. comments_refused: what Notion said when
-- comments were last asked for or written, null: it let us.
create table notion_integration (
    only_one         boolean primary key default true check (only_one),
    bot_id           uuid,
    places           jsonb not null default '[]',   -- ids of the owner's database and data source
    comments_refused text,
    refused_at       timestamptz
);

alter table notion_events enable row level security;
alter table notion_verifications enable row level security;
alter table notion_comments enable row level security;
alter table notion_talks enable row level security;
alter table notion_integration enable row level security;
