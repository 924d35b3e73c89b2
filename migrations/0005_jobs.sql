-- A task that takes longer than an HTTP request may (a dry run; later an import, a page to read, a hook's
-- delivery) is a row here. The work process does it, with a lease and retries (jobs.sql). Sending mail is
-- no job: its rows are in send_logs.
create table jobs (
    id          uuid primary key default gen_random_uuid(),
    kind        text not null,
    payload     jsonb not null default '{}' check (jsonb_typeof(payload) = 'object'),
    -- At most one open job with a key: a second request finds the first.
    key         text,
    state       text not null default 'waiting'
                check (state in ('waiting', 'running', 'done', 'failed', 'cancelled')),
    due_at      timestamptz not null default clock_timestamp(),
    claims      integer not null default 0,   -- how often it was taken: names the present holder
    failures    integer not null default 0,   -- tries that count; an outage doesn't
    max_failures integer not null default 5 check (max_failures > 0),
    lease_until timestamptz,                  -- of the present holder; null: nobody has it
    progress    jsonb,
    result      jsonb,
    error       text,                         -- of the latest try that failed, in plain words
    created_at  timestamptz not null default clock_timestamp(),
    started_at  timestamptz,
    finished_at timestamptz,
    check ((state = 'running') = (lease_until is not null)),
    check ((state in ('done', 'failed', 'cancelled')) = (finished_at is not null))
);
create index jobs_due on jobs (due_at) where state = 'waiting';
create index jobs_leased on jobs (lease_until) where state = 'running';
create unique index jobs_one_open on jobs (key) where state in ('waiting', 'running');
create index jobs_listing on jobs (created_at desc, id desc);
create index jobs_finished on jobs (finished_at) where finished_at is not null;

alter table jobs enable row level security;
