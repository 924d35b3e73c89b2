-- Rows of the owner's Notion database (docs/notion.md): what was seen of each, and what came of it. Reading, freezing and
-- sending go by this table; what is written back has a table of its own.
create table notion_rows (
    page_id     uuid primary key,
    mailout_id  uuid unique references mailouts (id) on delete set null,
    title       text,
    -- The row's Status (for people) when it was last looked at; null: empty.
    status      text,
    -- Counts each time that a person was seen to ask for something. Only a change of Status that was seen, or an event that
    -- names no Status, counts: so a webhook that comes doubled, late or out of order asks for nothing new.
    press       integer not null default 0,
    asked       text check (asked in ('test', 'send', 'pause', 'cancel')),
    -- The press that was dealt with: done, or refused with the problem below.
    answered    integer not null default 0,
    -- What stands in Delivery where the mailout's own status doesn't say it: `Test sent`, `Problem`.
    delivery    text,
    -- In plain words, with the remedy; null: none.
    problem     text,
    -- The page as the last test showed it and as it was frozen (canonical JSON), to say what was changed since.
    tested      jsonb,
    frozen      jsonb,
    -- In the bin, moved away, or no longer shared with us.
    gone_at     timestamptz,
    created_at  timestamptz not null default now(),
    changed_at  timestamptz not null default now()
);
create index notion_rows_unanswered on notion_rows (page_id) where answered < press;
alter table notion_rows enable row level security;
