-- Writing back into the owner's Notion database (docs/notion.md): what each row was last told, and when it is looked at
-- again. All of it may be lost or stand still for days without touching a send.
create table notion_writes (
    page_id       uuid primary key references notion_rows on delete cascade,
    due_at        timestamptz,                 -- null: nothing to write until something changes
    live          boolean not null default false,   -- somebody watches it: it goes before what only trickles in
    claims        bigint not null default 0,   -- names the present holder
    lease_until   timestamptz,                 -- null: nobody writes it now
    written       jsonb not null default '{}', -- values by our names of the properties, as last written
    sure          boolean not null default false,   -- `written` is what the row says; else it is read first
    patched_at    timestamptz,
    statement_for jsonb,                       -- which closing statement hangs on the row
    told          jsonb not null default '[]', -- problems that were commented, each by its key
    failures      integer not null default 0,  -- in a row
    error         text,                        -- why the row couldn't be told, in plain words
    error_since   timestamptz,
    check ((error is null) = (error_since is null))
);
create index notion_writes_due on notion_writes (live desc, due_at) where due_at is not null;

-- Rows that are to be written because something changed. Whoever changes something only adds a line here, and so never
-- waits for a writer, nor the writer for them.
create table notion_write_asks (
    id       bigint generated always as identity primary key,
    page_id  uuid not null,
    asked_at timestamptz not null default clock_timestamp()
);

alter table notion_writes enable row level security;
alter table notion_write_asks enable row level security;
