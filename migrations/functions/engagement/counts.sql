-- What a mailout's report says, from counts that are kept (0071_engagement_counts.sql).

-- A part of one mailout's counts, by what it tells apart. Counted anew from all that its recipients did, as long as what
-- was there before the counts isn't in them.
create or replace function engagement_figures(p_mailout uuid, p_part text)
returns table (key jsonb, people bigint, events bigint)
language plpgsql stable set search_path = public, pg_temp set jit = off set enable_seqscan = off set work_mem = '64MB' as $$
#variable_conflict use_column
begin
    if not exists (select from engagement_counting) then
        return query
        select key, sum(people)::bigint, sum(events)::bigint from engagement_counts
         where mailout_id = p_mailout and part = p_part
         group by key having sum(people) <> 0 or sum(events) <> 0;
    elsif p_part = 'totals' then
        return query
        select jsonb_build_object('open', open_class, 'click', click_class, 'rules', rules), count(*), 0::bigint
          from engagement_recipients
         where mailout_id = p_mailout and num_nonnulls(open_class, click_class, rules) > 0
         group by open_class, click_class, rules;
    elsif p_part = 'firsts' then
        return query
        select jsonb_build_object('kind', kind, 'class', class, 'hour', hour_number(at)), sum(n)::bigint, 0::bigint
          from (select 'open' as kind, open_class as class, date_bin('1 hour', opened_at, 'epoch') as at, count(*) as n
                  from engagement_recipients where mailout_id = p_mailout group by 2, 3
                 union all
                select 'click', click_class, date_bin('1 hour', clicked_at, 'epoch'), count(*)
                  from engagement_recipients where mailout_id = p_mailout group by 2, 3) each
         where class is not null and at is not null
         group by kind, class, at;
    elsif p_part = 'reasons' then
        return query
        select jsonb_build_object('kind', kind, 'class', class, 'reason', reason), count(*), sum(events)::bigint
          from (select kind, class, reason, send_log_id, sum(coalesce(counted, events)) as events
                  from engagement_signals where mailout_id = p_mailout and class is not null
                 group by kind, class, reason, send_log_id) each
         group by kind, class, reason;
    elsif p_part = 'hours' then
        return query
        select jsonb_build_object('kind', kind, 'class', class, 'hour', hour_number(at)), 0::bigint, events
          from (select kind, class, date_bin('1 hour', first_at, 'epoch') as at, sum(coalesce(counted, events))::bigint as events
                  from engagement_signals where mailout_id = p_mailout and class is not null
                 group by 1, 2, 3) each;
    else
        return query
        select jsonb_build_object('link', link_id, 'class', class), count(*), sum(events)::bigint
          from (select link_id, sum(coalesce(counted, events)) as events,
                       best_class(count(*) filter (where class = 'human'), count(*) filter (where class = 'unknown'),
                                  count(*)) as class
                  from engagement_signals where mailout_id = p_mailout and kind = 'click' and class is not null
                 group by link_id, send_log_id) each
         group by link_id, class;
    end if;
end $$;

-- Count the next p_limit recipients that were there before the counts, with all that they did. Answers how many there
-- were. It waits for whoever changes some now for a moment only, as its caller may hold what they need.
create or replace function count_engagement(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set lock_timeout = '100ms' as $$
declare
    v_counting engagement_counting;
    v_logs     bigint[];
begin
    if not exists (select from engagement_counting) then
        return 0;
    end if;
    begin
        select * into v_counting from engagement_counting for update;
    exception when lock_not_available then
        return 0;
    end;
    v_logs := array(select send_log_id from engagement_recipients
                     where send_log_id > v_counting.counted_to and send_log_id <= v_counting.ends_at
                     order by send_log_id limit p_limit);
    if cardinality(v_logs) < p_limit then
        delete from engagement_counting;
    else
        update engagement_counting set counted_to = v_logs[p_limit];
    end if;
    perform count_readers(array(select r from engagement_recipients r where send_log_id = any (v_logs)), '{}');
    perform count_signals(array(select s from engagement_signals s where send_log_id = any (v_logs) and class is not null),
                          '{}');
    return cardinality(v_logs);
end $$;

-- Add p_limit counts of connections that are gone to those of connection 0. Answers how many there were.
create or replace function merge_engagement_counts(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_gone   integer[];
    v_merged bigint;
begin
    with recursive wrote as (     -- from one to the next: each has thousands of rows
        select min(connection) as connection from engagement_counts where connection <> 0 and connection > 0
         union all
        select (select min(connection) from engagement_counts
                 where connection <> 0 and connection > wrote.connection) from wrote where connection is not null
    )
    select array_agg(connection) into v_gone
      from (select connection from wrote where connection is not null except select pid from pg_stat_activity) gone;
    if v_gone is null then
        return 0;
    end if;
    with gone as (
        delete from engagement_counts
         where ctid = any (array(select ctid from engagement_counts
                                  where connection <> 0 and connection = any (v_gone)
                                  limit p_limit for update skip locked))
        returning *
    ), merged as (
        insert into engagement_counts as c
        select mailout_id, part, key, 0, sum(people), sum(events) from gone group by mailout_id, part, key
        on conflict (mailout_id, part, key, connection) do update
           set people = c.people + excluded.people, events = c.events + excluded.events
    )
    select count(*) into v_merged from gone;
    return v_merged;
end $$;
