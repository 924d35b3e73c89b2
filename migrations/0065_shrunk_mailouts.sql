-- Mailouts whose ledger shrank to its counts (functions/retention/shrink_mailouts.sql). `report`: what was made of opens and
-- clicks, as it was then, by the name of the function that answers it. A row here is for good: such a mailout is
-- never sent again, since who got it isn't known any more.
create table shrunk_mailouts (
    mailout_id   uuid primary key references mailouts on delete cascade,
    ended_at     timestamptz not null,      -- of the mailout
    started_at   timestamptz not null default clock_timestamp(),
    done_at      timestamptz,               -- null: its rows are going
    last_mail_at timestamptz,               -- when the last of its mails that went was sent
    cursor       uuid not null default '00000000-0000-0000-0000-000000000000',
    report       jsonb not null default '{}'
);
create index shrunk_mailouts_open on shrunk_mailouts (started_at) where done_at is null;

-- By these a bounce or complaint that comes later is known as ours: 8 bytes of a keyed hash for each mail that went, made
-- of the mailout, the row's number and the address (row_mark). Without all of them and the key nobody is found.
create table shrunk_rows (
    id         bigint generated always as identity primary key,
    mailout_id uuid not null references shrunk_mailouts on delete cascade,
    marks      bigint[] not null
);
create index shrunk_rows_mailout on shrunk_rows (mailout_id);

alter table shrunk_mailouts enable row level security;
alter table shrunk_rows     enable row level security;

-- Test mails are few, and go with their mailout.
create index if not exists send_logs_tests on send_logs (mailout_id) where is_test;

-- Rows that go because their mailout shrinks stay counted.
create or replace function count_recipients() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if tg_argv[0] = '-1' and current_setting('amazonsender.shrinking', true) = 'on' then
        return null;
    end if;
    insert into recipient_counts as c
    select mailout_id, status, error_code, bounce_type, bounce_subtype, pg_backend_pid(),
           count(*) * tg_argv[0]::integer, count(unsubscribed_at) * tg_argv[0]::integer, max(id)
      from written where not is_test
     group by mailout_id, status, error_code, bounce_type, bounce_subtype
    on conflict on constraint recipient_counts_key do update
       set recipients = c.recipients + excluded.recipients,
           unsubscribed = c.unsubscribed + excluded.unsubscribed, sample = excluded.sample;
    return null;
end $$;
