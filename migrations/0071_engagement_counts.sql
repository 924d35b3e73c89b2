-- What a mailout's report says, kept as it is judged: of a mailout to a million, reasons and course over time read a row
-- for each open and click, up to seconds a look.

-- Of all locks the first: whoever forgets or shrinks has these rows before what is kept of opens and clicks, and whoever
-- judges takes recipients before signals. Reading goes on.
lock table send_logs, engagement_recipients, engagement_signals in exclusive mode;

-- people and events by what a part of the report tells apart (`key`):
--   totals   {"open", "click", "rules"}   people of whom something was judged, by their two classes (engagement_recipients)
--   firsts   {"kind", "class", "hour"}    people by when they first did it: the hour in seconds since 1970
--   reasons  {"kind", "class", "reason"}  people and events of engagement_signals, each person once
--   hours    {"kind", "class", "hour"}    events by when they began
--   links    {"link", "class"}            people by the best class of their clicks on it; events by their own
-- What isn't judged is in none of them. One row for each connection that wrote, as in recipient_counts (0003_counts.sql),
-- so that nobody waits for another's transaction; merge_engagement_counts adds up those of connections that are gone.
create table engagement_counts (
    mailout_id uuid not null,
    part       text not null check (part in ('totals', 'firsts', 'reasons', 'hours', 'links')),
    key        jsonb not null,
    connection integer not null,
    people     bigint not null,
    events     bigint not null,
    primary key (mailout_id, part, key, connection)
) with (fillfactor = 50);
create index engagement_counts_connection on engagement_counts (connection) where connection <> 0;

-- What was there before this and isn't counted yet: recipients whose row of the ledger is behind counted_to and not behind
-- ends_at. Upkeep goes over them (count_engagement); until it is through, this row is there and reports count anew.
create table engagement_counting (
    only_one   boolean primary key default true check (only_one),
    counted_to bigint not null default 0,
    ends_at    bigint not null
);
alter table engagement_counts   enable row level security;
alter table engagement_counting enable row level security;
insert into engagement_counting (ends_at)
select max(send_log_id) from engagement_recipients having count(*) > 0;

-- Those of a mailout that wait to be judged are found by its index: a report tells how many they are.
create index if not exists engagement_recipients_waiting on engagement_recipients (mailout_id, due_at);
drop index engagement_recipients_mailout;

-- How many of a signal's events are counted where more have come since its verdict; null: all of them. They are counted
-- with the next verdict, a whole slice of them at once: fold_engagement would take 12 µs longer for an event.
alter table engagement_signals add column counted integer;

-- The functions that count are here and not in functions/, because they have to start in the same transaction as what
-- was there ends. Statement triggers, which see what a statement really changed, whoever ran it; `security definer`: so a
-- role that may write these tables needs no right to write the counts.

-- The rows of the ledger whose recipients are still to be counted. Waits for a slice of count_engagement, and has the
-- next one wait for the end of this transaction, so that each change is counted by one of the two.
create function uncounted_engagement() returns int8range
language plpgsql set search_path = public, pg_temp as $$
declare
    v_range int8range;
begin
    if exists (select from engagement_counting) then
        select int8range(counted_to, ends_at, '(]') into v_range from engagement_counting for share;
    end if;
    return coalesce(v_range, 'empty');
end $$;

-- The hour of an instant, in seconds since 1970: a number is the same in every time zone.
create function hour_number(p_at timestamptz) returns bigint
language sql immutable parallel safe as $$
    select extract(epoch from date_bin('1 hour', p_at, 'epoch'))::bigint;
$$;

-- Recipients were p_was and are p_now.
create function count_readers(p_now engagement_recipients[], p_was engagement_recipients[]) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
    v_uncounted int8range := uncounted_engagement();
begin
    insert into engagement_counts as c
    with changed as materialized (
        select mailout_id, open_class, click_class, rules, hour_number(opened_at) as opened,
               hour_number(clicked_at) as clicked, sum(n) as people
          from (select r.*, 1 as n from unnest(p_now) r union all select r.*, -1 from unnest(p_was) r) r
         where not send_log_id <@ v_uncounted
         group by 1, 2, 3, 4, 5, 6 having sum(n) <> 0
    ), keyed as (
        select mailout_id, 'totals' as part,
               jsonb_build_object('open', open_class, 'click', click_class, 'rules', rules) as key, sum(people) as people
          from changed where num_nonnulls(open_class, click_class, rules) > 0 group by 1, 3
         union all
        select mailout_id, 'firsts', jsonb_build_object('kind', 'open', 'class', open_class, 'hour', opened), sum(people)
          from changed where open_class is not null and opened is not null group by 1, 3
         union all
        select mailout_id, 'firsts', jsonb_build_object('kind', 'click', 'class', click_class, 'hour', clicked), sum(people)
          from changed where click_class is not null and clicked is not null group by 1, 3
    )
    select mailout_id, part, key, pg_backend_pid(), people, 0 from keyed where people <> 0
    on conflict (mailout_id, part, key, connection) do update set people = c.people + excluded.people;
end $$;

-- Signals were p_was and are p_now. Whether somebody counts for a reason or a link depends on their other signals, too:
-- where a verdict is another one, they are read. Whoever writes signals has locked their recipients, so nobody changes them
-- meanwhile.
create function count_signals(p_now engagement_signals[], p_was engagement_signals[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_uncounted int8range := uncounted_engagement();
    v_logs      bigint[];
begin
    insert into engagement_counts as c
    with changed as materialized (
        select mailout_id, kind, link_id, class, reason, hour_number(first_at) as hour, sum(n * coalesce(counted, events)) as events
          from (select s.*, 1 as n from unnest(p_now) s union all select s.*, -1 from unnest(p_was) s) s
         where class is not null and not send_log_id <@ v_uncounted
         group by 1, 2, 3, 4, 5, 6 having sum(n * coalesce(counted, events)) <> 0
    ), keyed as (
        select mailout_id, 'reasons' as part,
               jsonb_build_object('kind', kind, 'class', class, 'reason', reason) as key, sum(events) as events
          from changed group by 1, 3
         union all
        select mailout_id, 'hours', jsonb_build_object('kind', kind, 'class', class, 'hour', hour), sum(events)
          from changed group by 1, 3
         union all
        select mailout_id, 'links', jsonb_build_object('link', link_id, 'class', class), sum(events)
          from changed where kind = 'click' group by 1, 3
    )
    select mailout_id, part, key, pg_backend_pid(), 0, events from keyed where events <> 0
    on conflict (mailout_id, part, key, connection) do update set events = c.events + excluded.events;

    v_logs := array(
        select distinct send_log_id from (
            select send_log_id
              from (select s.*, 1 as n from unnest(p_now) s union all select s.*, -1 from unnest(p_was) s) s
             where not send_log_id <@ v_uncounted
             group by send_log_id, kind, link_id, class, reason having sum(n) <> 0) another);
    if v_logs = '{}' then
        return;
    end if;
    insert into engagement_counts as c
    with stood as materialized (     -- now, was: how many there are and were
        select mailout_id, send_log_id, kind, link_id, class, reason, 1 as now, 1 as was
          from engagement_signals where send_log_id = any (v_logs) and class is not null
         union all
        select mailout_id, send_log_id, kind, link_id, class, reason, 0, -1
          from unnest(p_now) where send_log_id = any (v_logs) and class is not null
         union all
        select mailout_id, send_log_id, kind, link_id, class, reason, 0, 1
          from unnest(p_was) where send_log_id = any (v_logs) and class is not null
    ), reasons as (
        select mailout_id, kind, class, reason, (sum(now) > 0)::integer - (sum(was) > 0)::integer as n
          from stood group by send_log_id, mailout_id, kind, class, reason
    ), links as (
        select mailout_id, link_id,
               best_class(sum(now) filter (where class = 'human'), sum(now) filter (where class = 'unknown'), sum(now)) as now,
               best_class(sum(was) filter (where class = 'human'), sum(was) filter (where class = 'unknown'), sum(was)) as was
          from stood where kind = 'click' group by send_log_id, mailout_id, link_id
    ), keyed as (
        select mailout_id, 'reasons' as part,
               jsonb_build_object('kind', kind, 'class', class, 'reason', reason) as key, sum(n) as people
          from reasons where n <> 0 group by 1, 3
         union all
        select mailout_id, 'links', jsonb_build_object('link', link_id, 'class', class), sum(n)
          from links, lateral (values (now, 1), (was, -1)) t (class, n)
         where now is distinct from was and class is not null group by 1, 3
    )
    select mailout_id, part, key, pg_backend_pid(), people, 0 from keyed where people <> 0
    on conflict (mailout_id, part, key, connection) do update set people = c.people + excluded.people;
end $$;

-- The best class among so many signals: human before unknown before machine; null: there are none.
create function best_class(p_human bigint, p_unknown bigint, p_all bigint) returns text
language sql immutable parallel safe as $$
    select case when p_human > 0 then 'human' when p_unknown > 0 then 'unknown' when p_all > 0 then 'machine' end;
$$;

create function count_written_readers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_rows engagement_recipients[];
begin
    select array_agg(row(r.*)::engagement_recipients) into v_rows
      from written r where num_nonnulls(open_class, click_class, rules) > 0;
    if v_rows is not null then
        perform count_readers(case tg_op when 'INSERT' then v_rows else '{}' end,
                              case tg_op when 'DELETE' then v_rows else '{}' end);
    end if;
    return null;
end $$;
create function count_changed_readers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_now engagement_recipients[];
    v_was engagement_recipients[];
begin
    select array_agg(row(w.*)::engagement_recipients), array_agg(row(r.*)::engagement_recipients) into v_now, v_was
      from written w join replaced r on r.send_log_id = w.send_log_id
     where (w.open_class, w.click_class, w.rules, w.opened_at, w.clicked_at)
           is distinct from (r.open_class, r.click_class, r.rules, r.opened_at, r.clicked_at);
    if v_now is not null then
        perform count_readers(v_now, v_was);
    end if;
    return null;
end $$;
create function count_written_signals() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_rows engagement_signals[];
begin
    select array_agg(row(s.*)::engagement_signals) into v_rows from written s where class is not null;
    if v_rows is not null then
        perform count_signals(case tg_op when 'INSERT' then v_rows else '{}' end,
                              case tg_op when 'DELETE' then v_rows else '{}' end);
    end if;
    return null;
end $$;
create function count_changed_signals() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_now engagement_signals[];
    v_was engagement_signals[];
begin
    select array_agg(row(w.*)::engagement_signals), array_agg(row(r.*)::engagement_signals) into v_now, v_was
      from written w join replaced r on r.id = w.id
     where num_nonnulls(w.class, r.class) > 0
       and (w.kind, w.link_id, w.class, w.reason, w.first_at, coalesce(w.counted, w.events))
           is distinct from (r.kind, r.link_id, r.class, r.reason, r.first_at, coalesce(r.counted, r.events));
    if v_now is not null then
        perform count_signals(v_now, v_was);
    end if;
    return null;
end $$;
create function forget_engagement_counts() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from engagement_counts where part = any (tg_argv[0]::text[]);
    return null;
end $$;

create trigger engagement_recipients_inserted after insert on engagement_recipients referencing new table as written
    for each statement execute function count_written_readers();
create trigger engagement_recipients_updated after update on engagement_recipients
    referencing new table as written old table as replaced
    for each statement execute function count_changed_readers();
create trigger engagement_recipients_deleted after delete on engagement_recipients referencing old table as written
    for each statement execute function count_written_readers();
create trigger engagement_recipients_truncated after truncate on engagement_recipients
    for each statement execute function forget_engagement_counts('{totals,firsts}');
create trigger engagement_signals_inserted after insert on engagement_signals referencing new table as written
    for each statement execute function count_written_signals();
create trigger engagement_signals_updated after update on engagement_signals
    referencing new table as written old table as replaced
    for each statement execute function count_changed_signals();
create trigger engagement_signals_deleted after delete on engagement_signals referencing old table as written
    for each statement execute function count_written_signals();
create trigger engagement_signals_truncated after truncate on engagement_signals
    for each statement execute function forget_engagement_counts('{reasons,hours,links}');
