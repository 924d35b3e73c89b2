-- How the list moved in each day of the service's time zone, so that a report of years doesn't read every quarter of an
-- hour: of 900 days these are 80,000. In it are the rows of list_moves that are merged, from when they are. It is made anew
-- when the zone is another (merge_list_moves); until then a report reads list_moves.
create table list_days (
    day    date not null,
    move   text not null,
    source text not null,
    people bigint not null,
    primary key (day, move, source)
);
alter table list_days enable row level security;
alter table list_moves_since add column days_zone text;   -- of list_days; null: nothing is in it yet

create or replace function forget_list_moves() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from list_moves;
    delete from list_days;
    return null;
end $$;
