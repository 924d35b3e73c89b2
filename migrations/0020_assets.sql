-- Pictures of mails, by the hash of their content. Mails are read for years, so nothing here is ever deleted by the program
-- (docs/assets.md).
create table assets (
    sha256     text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
    media_type text not null check (media_type in ('image/png', 'image/jpeg', 'image/gif')),
    extension  text not null check (extension in ('png', 'jpg', 'gif')),
    width      integer not null check (width > 0),
    height     integer not null check (height > 0),
    size       integer not null check (size > 0),
    content    bytea,          -- null: it lies where `store` says
    store      text not null,  -- as in ASSETS_STORE
    origin     text,           -- host and name of the file it was made of; never an address that opens it
    created_at timestamptz not null default now()
);
alter table assets alter column content set storage external;  -- pictures are compressed already
alter table assets enable row level security;

-- Which picture was made of a file. It isn't made again, and stays the same when the program that makes them changes.
create table asset_sources (
    sha256     text primary key check (sha256 ~ '^[0-9a-f]{64}$'),
    recipe     integer not null,
    asset      text not null references assets,
    note       text,           -- how the picture differs from the file, for its author
    created_at timestamptz not null default now()
);
create index asset_sources_asset on asset_sources (asset);
alter table asset_sources enable row level security;
