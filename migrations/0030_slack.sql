-- What the owner's Slack is told of mailouts (docs/slack.md): a row for each mailout, whether or not Slack is used. All of it
-- may be lost or stand still for days without touching a send.
create table slack_messages (
    mailout_id  uuid primary key references mailouts on delete cascade,
    asked_at    timestamptz not null default clock_timestamp(),   -- when the mailout's state last changed
    due_at      timestamptz default clock_timestamp(),   -- null: nothing to tell until something changes
    claims      bigint not null default 0,   -- names the present holder
    lease_until timestamptz,                 -- null: nobody tells it now
    place       jsonb,                       -- where the bot's message stands: channel, ts, and the channel asked for
    told        jsonb not null default '{}', -- what was told last (app/domain/slack/news.py)
    failures    integer not null default 0,  -- in a row
    error       text,                        -- why it couldn't be told, in plain words
    error_since timestamptz
);
create index slack_messages_due on slack_messages (due_at) where due_at is not null;
create index slack_messages_error on slack_messages (error_since) where error is not null;

-- One row: when all processes together may ask Slack again, and how often in a row it couldn't be asked.
create table slack_pace (
    only_one boolean primary key default true check (only_one),
    next_at  timestamptz not null default '-infinity',
    failures integer not null default 0
);
insert into slack_pace default values;

alter table slack_messages enable row level security;
alter table slack_pace enable row level security;
