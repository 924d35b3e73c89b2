-- Counts that are kept with every write, so that nobody counts a table of millions to answer a
-- question; and the indexes with which a look-up stays as small as its answer.
--
-- On a database with many rows: nothing is sent and no event is stored while this runs; reading goes
-- on. It reads the subscribers and the ledger once, to count them, and again for each index that
-- isn't there yet. docs/operations.md ("Upgrading a large database") says how long that takes, and
-- how to make the indexes beforehand, without a pause.

-- All locks are taken here, at once, in the order in which the program's transactions take them: they store
-- an event before they change the ledger, and change a subscriber before the ledger. So none of them and
-- this migration wait for each other.
lock table ses_events, subscribers, send_logs in share row exclusive mode;

-- Recipients of each mailout by status and by what went wrong, test rows aside. One row for each
-- connection that wrote (its process in PostgreSQL), so that no transaction waits for another's: the
-- sum is the count. housekeeping.sql adds the rows of connections that are gone to connection 0.
create table recipient_counts (
    mailout_id     uuid not null,
    status         text not null,
    error_code     text,
    bounce_type    text,
    bounce_subtype text,
    connection     integer not null,
    recipients     bigint not null,
    unsubscribed   bigint not null,    -- of them, those who used the mail's link to unsubscribe
    sample         bigint,             -- id of a ledger row that came to this state
    constraint recipient_counts_key unique nulls not distinct
        (mailout_id, status, error_code, bounce_type, bounce_subtype, connection)
) with (fillfactor = 50);
create index recipient_counts_connection on recipient_counts (connection) where connection <> 0;
insert into recipient_counts
select mailout_id, status, error_code, bounce_type, bounce_subtype, 0, count(*),
       count(unsubscribed_at), max(id)
  from send_logs where not is_test
 group by mailout_id, status, error_code, bounce_type, bounce_subtype;

create table subscriber_counts (
    status      text not null,
    connection  integer not null,
    subscribers bigint not null,
    primary key (status, connection)
) with (fillfactor = 50);
insert into subscriber_counts select status, 0, count(*) from subscribers group by status;

-- A resend that a person asked for and that isn't finished: the senders go through the ledger of its
-- mailout in slices.
create table mailout_resends (
    mailout_id uuid primary key references mailouts on delete cascade,
    statuses   text[] not null,
    force      boolean not null,       -- `unknown` rows of any age
    cursor     bigint not null default 0
);

alter table recipient_counts  enable row level security;
alter table subscriber_counts enable row level security;
alter table mailout_resends   enable row level security;

-- The triggers that count are here and not in functions/, because they have to start in the same
-- transaction as the first count. They see which rows a statement really changed, whoever ran it, and
-- write one row per status: a claim of 400 recipients changes two rows here. `security definer`: so a role that may
-- write the ledger needs no right to write the counts.
create function count_recipients() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
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
create function count_changed_recipients() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into recipient_counts as c
    select mailout_id, status, error_code, bounce_type, bounce_subtype, pg_backend_pid(),
           sum(n), coalesce(sum(n) filter (where unsubscribed_at is not null), 0),
           max(id) filter (where n > 0)
      from (select *, 1 as n from written union all select *, -1 from replaced) changes
     where not is_test
     group by mailout_id, status, error_code, bounce_type, bounce_subtype
    having sum(n) <> 0 or sum(n) filter (where unsubscribed_at is not null) <> 0
    on conflict on constraint recipient_counts_key do update
       set recipients = c.recipients + excluded.recipients,
           unsubscribed = c.unsubscribed + excluded.unsubscribed,
           sample = coalesce(excluded.sample, c.sample);
    return null;
end $$;
create function forget_recipient_counts() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from recipient_counts;
    return null;
end $$;
create trigger send_logs_inserted after insert on send_logs referencing new table as written
    for each statement execute function count_recipients('1');
create trigger send_logs_updated after update on send_logs
    referencing new table as written old table as replaced
    for each statement execute function count_changed_recipients();
create trigger send_logs_deleted after delete on send_logs referencing old table as written
    for each statement execute function count_recipients('-1');
create trigger send_logs_truncated after truncate on send_logs
    for each statement execute function forget_recipient_counts();

create function count_subscribers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into subscriber_counts as c
    select status, pg_backend_pid(), count(*) * tg_argv[0]::integer from written group by status
    on conflict (status, connection) do update set subscribers = c.subscribers + excluded.subscribers;
    return null;
end $$;
create function count_changed_subscribers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into subscriber_counts as c
    select status, pg_backend_pid(), sum(n)
      from (select status, 1 as n from written union all select status, -1 from replaced) changes
     group by status having sum(n) <> 0
    on conflict (status, connection) do update set subscribers = c.subscribers + excluded.subscribers;
    return null;
end $$;
create function forget_subscriber_counts() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from subscriber_counts;
    return null;
end $$;
create trigger subscribers_inserted after insert on subscribers referencing new table as written
    for each statement execute function count_subscribers('1');
create trigger subscribers_updated after update on subscribers
    referencing new table as written old table as replaced
    for each statement execute function count_changed_subscribers();
create trigger subscribers_deleted after delete on subscribers referencing old table as written
    for each statement execute function count_subscribers('-1');
create trigger subscribers_truncated after truncate on subscribers
    for each statement execute function forget_subscriber_counts();

-- resend.sql goes over these in the order of their ids.
create index if not exists send_logs_missed
    on send_logs (mailout_id, id) where status in ('failed', 'unknown') and not is_test;
create index if not exists subscribers_by_status on subscribers (status, address);
create index if not exists subscribers_tags on subscribers using gin (tags);
