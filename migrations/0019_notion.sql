-- Rows of the owner's Notion database (docs/notion.md): what was seen of each, and what came of it. Reading, freezing and
-- sending go by this table; what is written back has a table of its own.
create table notion_rows (
    page_id     uuid primary key,
    mailout_id  uuid unique references mailouts (id) on delete set null,
    title       text,
    -- Counts what tells of the row, from wherever; and up to where a look at it has come. So news that come while somebody
    -- looks lead to another look.
    news        bigint not null default 0,
    looked      bigint not null default 0,
    -- Counts the events that ask without naming a Status (a button's), and up to where a look has considered them.
    calls       bigint not null default 0,
    called      bigint not null default 0,
    -- When the page was first read; its `last_edited_time`, as Notion gives it, at the latest look.
    seen_at     timestamptz,
    edited_at   text,
    -- The row's Status (for people) when it was last looked at; null: empty.
    status      text,
    -- Counts each time that a person was seen to ask for something. Only a change of Status that was seen, or an event that
    -- names no Status, counts: so a webhook that comes doubled, late or out of order asks for nothing new.
    press       integer not null default 0,
    asked       text check (asked in ('test', 'send', 'pause', 'cancel')),
    -- The press that was dealt with: done, or refused with the problem below.
    answered    integer not null default 0,
    -- What stands in Delivery where the mailout's own status doesn't say it: `Test sent`, `Paused`, `Cancelled`, `Problem`.
    delivery    text,
    -- In plain words, with the remedy; null: none.
    problem     text,
    -- What the person should know although nothing is wrong; null: nothing.
    note        text,
    -- The page as the last test showed it and as it was frozen: {"press", "hash", "page"}, the page as canonical JSON, to say
    -- what was changed since.
    tested      jsonb,
    frozen      jsonb,
    -- What a second `Send` confirms: {"hash", "count"}: the page as it was refused, and the number of recipients.
    confirm     jsonb,
    -- In the bin, moved away, or no longer shared with us.
    gone_at     timestamptz,
    -- Counts what the looks write here: of two who write at once, one is told.
    version     bigint not null default 0,
    created_at  timestamptz not null default now(),
    changed_at  timestamptz not null default now()
);
create index notion_rows_unanswered on notion_rows (page_id) where answered < press or looked < news;
create index notion_rows_frozen on notion_rows ((frozen ->> 'hash')) where frozen is not null;
alter table notion_rows enable row level security;

-- What is known of the database in Notion, and when somebody last looked through its rows.
create table notion_source (
    only_one       boolean primary key default true check (only_one),
    configured     text,                  -- NOTION_DATABASE_ID, when the two below were found by it
    database_id    uuid,
    data_source_id uuid,
    polled_at      timestamptz,
    -- Why the rows couldn't be looked through the last time, in plain words, and since when; null: they could.
    trouble        text,
    trouble_since  timestamptz
);
alter table notion_source enable row level security;

-- Looks that found nothing new: there are thousands in a day, and nobody wants to see them.
create index jobs_idle_looks on jobs (finished_at) where kind = 'notion_row' and state = 'done' and result is null;
