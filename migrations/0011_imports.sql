-- Imports of subscribers: what was asked for, the file while it is needed, how far it has come, and what
-- became of each row. The work itself is a job (kind `import`, or `undo_import`).
create table imports (
    id          uuid primary key default gen_random_uuid(),
    created_at  timestamptz not null default clock_timestamp(),
    by          text not null,
    state       text not null default 'uploading'
                check (state in ('uploading', 'running', 'question', 'done', 'failed', 'undoing', 'undone')),
    file_name   text,
    size        bigint not null default 0,        -- bytes of the file
    mode        text not null default 'upsert' check (mode in ('upsert', 'insert', 'skip')),
    dry_run     boolean not null default false,
    tags        text[] not null default '{}',     -- for every row, beside its own
    mapping     jsonb not null default '{}' check (jsonb_typeof(mapping) = 'object'),   -- column: field
    job_id      uuid,                             -- the latest one
    found       jsonb not null default '{}' check (jsonb_typeof(found) = 'object'),
                -- what reading found: preset, encoding, delimiter, header, columns
    question    jsonb,
    preview     jsonb,
    error       text,
    -- Every row of the file is counted in one of these.
    added       bigint not null default 0,
    updated     bigint not null default 0,
    unchanged   bigint not null default 0,
    repeated    bigint not null default 0,
    lowered     bigint not null default 0,
    refused     bigint not null default 0,
    finished_at timestamptz,
    undo        jsonb,                            -- how far taking it back has come, and what it left
    undone_at   timestamptz
);
create index imports_listing on imports (created_at desc, id desc);

-- The file, in compressed pieces that each hold equally many bytes of it (the last one fewer). Dropped when
-- the import is over.
create table import_chunks (
    import_id uuid not null references imports on delete cascade,
    n         integer not null check (n >= 0),
    data      bytea not null,
    primary key (import_id, n)
);
alter table import_chunks alter column data set storage external;   -- it is compressed already

create table import_refusals (
    import_id uuid not null references imports on delete cascade,
    line      bigint not null,   -- of the file, where the row begins
    reason    text not null,
    cells     jsonb,             -- the row; null: it must not be kept
    primary key (import_id, line)
);

alter table imports         enable row level security;
alter table import_chunks   enable row level security;
alter table import_refusals enable row level security;
