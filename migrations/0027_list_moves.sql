-- Who comes to the list and who leaves it, counted as it happens: a report of a list of a million reads some thousand
-- rows. On a database with many people: nobody is added or changed while this reads the subscribers and their history
-- once.

lock table subscribers in share row exclusive mode;

create table list_moves (
    id     bigint generated always as identity primary key,
    slot   timestamptz not null,       -- start of the quarter of an hour: every zone's days begin with one
    move   text not null check (move in ('new', 'back', 'unsubscribed', 'bounced', 'complained', 'pending',
                                         'erased', 'deleted')),
    source text not null,              -- who made it: see list_source
    people bigint not null,
    merged boolean not null default false   -- the rows of its slot were added up (merge_list_moves)
);
create index list_moves_slot on list_moves (slot);
create index list_moves_loose on list_moves (slot) where not merged;
-- Since when they are counted. What is older was read from the history, which may not tell all.
create table list_moves_since (
    only_one boolean primary key default true check (only_one),
    at       timestamptz not null default clock_timestamp()
);
insert into list_moves_since default values;
alter table list_moves       enable row level security;
alter table list_moves_since enable row level security;

create function list_slot(p_at timestamptz) returns timestamptz
language sql immutable set search_path = public, pg_temp as $$
    select date_bin('15 minutes', p_at, '2000-01-01 00:00:00+00');
$$;

-- p_by: as in `acting`.
create function list_source(p_by text, p_import text) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case when coalesce(p_import, '') <> '' then 'import'
                when p_by = 'owner' or p_by like 'key %' then 'api'
                when p_by in ('import', 'sign-up', 'dashboard', 'cli', 'link', 'mail client', 'ses', 'database') then p_by
                when coalesce(p_by, '') = '' then 'database'
                else 'other' end;
$$;

-- null: the list of those who are mailed stays as it is.
create function list_move(p_from text, p_to text) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case when p_from = p_to then null
                when p_to = 'active' then case when p_from = 'pending' then 'new' else 'back' end
                when p_from = 'active' then p_to end;
$$;

-- What the history tells of the time before. Somebody's status when they were added is the one before their first
-- change. Of people who were erased it tells nothing.
insert into list_moves (slot, move, source, people, merged)
select list_slot(at), list_move(before ->> 'status', after ->> 'status'), list_source(by, import_id::text), count(*), true
  from subscriber_changes
 where before ? 'status' and after ? 'status' and list_move(before ->> 'status', after ->> 'status') is not null
 group by 1, 2, 3;
insert into list_moves (slot, move, source, people, merged)
select list_slot(at), 'deleted', list_source(by, import_id::text), count(*), true
  from subscriber_changes where after is null and before ->> 'status' = 'active' group by 1, 2, 3;
insert into list_moves (slot, move, source, people, merged)
select list_slot(at), 'new', list_source(by, import_id::text), count(*), true
  from (select a.at, a.by, a.import_id,
               coalesce((select c.before ->> 'status' from subscriber_changes c
                          where c.subscriber_id = a.subscriber_id and c.id > a.id and c.before ? 'status'
                          order by c.id limit 1), s.status) as status
          from subscriber_changes a left join subscribers s on s.id = a.subscriber_id
         where a.before is null and a.after is null
           and (s.id is not null or exists (select from subscriber_changes c
                                             where c.subscriber_id = a.subscriber_id and c.before is not null))) added
 where status = 'active'
 group by 1, 2, 3;
insert into list_moves (slot, move, source, people, merged)
select list_slot(created_at), 'new', 'unknown', count(*), true
  from (select s.created_at,
               coalesce((select c.before ->> 'status' from subscriber_changes c
                          where c.subscriber_id = s.id and c.before ? 'status' order by c.id limit 1), s.status) as status
          from subscribers s
         where not exists (select from subscriber_changes c
                            where c.subscriber_id = s.id and c.before is null and c.after is null)) older
 where status = 'active'
 group by 1;

-- Here and not in functions/, so that counting starts in the transaction of the first count (as in 0003_counts.sql).
-- A row for each statement and never an update: so nobody waits for another's transaction.
create function count_list_gains() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into list_moves (slot, move, source, people)
    select list_slot(clock_timestamp()), 'new', list_source(current_setting('amazonsender.by', true),
           current_setting('amazonsender.import', true)), count(*)
      from written where status = 'active' having count(*) > 0;
    return null;
end $$;
create function count_list_moves() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into list_moves (slot, move, source, people)
    select list_slot(clock_timestamp()), list_move(r.status, w.status),
           list_source(current_setting('amazonsender.by', true), current_setting('amazonsender.import', true)), count(*)
      from written w join replaced r using (id)
     where w.status <> r.status and 'active' in (w.status, r.status)
     group by 2;
    return null;
end $$;
create function count_list_losses() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into list_moves (slot, move, source, people)
    select list_slot(clock_timestamp()),
           case current_setting('amazonsender.reason', true) when 'erased' then 'erased' else 'deleted' end,
           list_source(current_setting('amazonsender.by', true), current_setting('amazonsender.import', true)), count(*)
      from replaced where status = 'active' having count(*) > 0;
    return null;
end $$;
create function forget_list_moves() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from list_moves;
    return null;
end $$;
create trigger subscribers_list_gains after insert on subscribers referencing new table as written
    for each statement execute function count_list_gains();
create trigger subscribers_list_moves after update on subscribers
    referencing old table as replaced new table as written
    for each statement execute function count_list_moves();
create trigger subscribers_list_losses after delete on subscribers referencing old table as replaced
    for each statement execute function count_list_losses();
create trigger subscribers_list_forgotten after truncate on subscribers
    for each statement execute function forget_list_moves();
