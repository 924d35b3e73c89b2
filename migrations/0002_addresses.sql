-- One mailbox, one subscriber. `email` stays as people wrote it; `address` is its canonical form, which a
-- trigger sets (functions/subscribers/addresses.sql).
-- This migration fills it for the many addresses that need no more than lower case: as a generated column,
-- computed while the table is written once, then turned into a plain column. That is many times faster
-- than an update of every row. functions/zy_unify_subscribers.sql, which needs the functions, fills it for
-- the others and merges those that are there twice. null: an email that was there before and can't be
-- mailed; no new one of that kind can be written.
alter table subscribers add column address text collate "C" generated always as (
    case when length(email) <= 64 and email !~ '[@.]-|-(\.|$)'
              and email ~ ('^[a-zA-Z0-9!#$%&''*+/=?^_`{|}~-]+(\.[a-zA-Z0-9!#$%&''*+/=?^_`{|}~-]+)*'
                           '@([a-zA-Z0-9-]+\.)+[a-zA-Z][a-zA-Z0-9-]*$')
         then lower(email collate "C") end) stored;
alter table subscribers alter column address drop expression;
-- Two stored emails may be the same mailbox where the database's own lower case differs from ours, such
-- as in a Turkish database.
update subscribers set address = null
 where address in (select address from subscribers group by address having count(*) > 1);
create unique index subscribers_address on subscribers (address);
create index subscribers_without_address on subscribers (email) where address is null;

-- Subscribers that were merged into another one: their ids are in unsubscribe links, and in rows of
-- the ledger for mailouts that both got. was: the row as it was.
create table subscriber_aliases (
    id            uuid primary key,
    subscriber_id uuid not null references subscribers on delete cascade,
    was           jsonb not null,
    merged_at     timestamptz not null default now()
);
create index subscriber_aliases_subscriber_id on subscriber_aliases (subscriber_id);
alter table subscriber_aliases enable row level security;
