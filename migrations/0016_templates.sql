-- Templates: what mailouts are written into. Every saved change is a version; none is ever overwritten.
create table templates (
    id          uuid primary key default gen_random_uuid(),
    -- Others name it in {% render "NAME" %}, so it holds nothing that could end such a tag.
    name        text not null check (name ~ '^[^[:cntrl:]"''{}%]{1,80}$' and name = btrim(name)),
    version     integer not null default 1,   -- the newest
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now(),
    archived_at timestamptz                   -- deleted: kept for the mailouts it was sent with
);
create unique index templates_living_name on templates (lower(name)) where archived_at is null;
alter table templates enable row level security;

create table template_versions (
    template_id   uuid not null references templates on delete cascade,
    version       integer not null,
    name          text not null,
    subject       text,                             -- proposed to new mailouts
    body_html     text,
    body_markdown text,
    layout_id     uuid references templates,        -- the template whose content block this one fills
    created_at    timestamptz not null default clock_timestamp(),
    created_by    text,
    primary key (template_id, version),
    check ((body_html is null) <> (body_markdown is null))
);
create index template_versions_layout on template_versions (layout_id) where layout_id is not null;
alter table template_versions enable row level security;

alter table mailouts add constraint mailouts_template_id_fkey foreign key (template_id) references templates;
create index mailouts_template on mailouts (template_id) where template_id is not null;
