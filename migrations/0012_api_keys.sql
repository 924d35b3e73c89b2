-- API keys, and indexes for reading the audit log by who, what and when.
create table api_keys (
    id           uuid primary key default gen_random_uuid(),
    name         text not null check (name ~ '^[^[:cntrl:]]{1,80}$' and name = btrim(name)),
    scopes       text[] not null check (cardinality(scopes) > 0 and scopes <@ array['send', 'read', 'manage']),
    hash         text not null unique check (hash ~ '^[0-9a-f]{64}$'),   -- SHA-256; the key itself is nowhere
    hint         text not null,          -- its beginning and its end, for people
    created_at   timestamptz not null default clock_timestamp(),
    created_by   text not null,
    last_used_at timestamptz,            -- to the minute
    revoked_at   timestamptz
);
-- The audit log says `key NAME`, so a name means one key at a time.
create unique index api_keys_living_name on api_keys (lower(name)) where revoked_at is null;
alter table api_keys enable row level security;

create index audit_log_at on audit_log (at);
create index audit_log_by on audit_log (by, id);
create index audit_log_action on audit_log (action, id);
