-- What SES accepted of each mailout in every 10 seconds, so that a chart doesn't read a row for each call (200,000 of a
-- mailout to ten million). A row for each connection that wrote, as in recipient_counts (0003_counts.sql): nobody waits for
-- another's transaction. They aren't added up later, as few connections write in the same 10 seconds.
create table accepted_counts (
    mailout_id uuid not null,
    slot       timestamptz not null,     -- start of the 10 seconds in which the answers were recorded
    connection integer not null,
    accepted   bigint not null,
    primary key (mailout_id, slot, connection)
) with (fillfactor = 50);
alter table accepted_counts enable row level security;

-- counted: `accepted` is in accepted_counts. What was recorded before this, or by the functions of before while they are
-- being replaced, is read from here until it is counted, too (count_accepted).
alter table send_batches add column if not exists counted boolean not null default false;
create index if not exists send_batches_uncounted on send_batches (mailout_id) where accepted > 0 and not counted;
