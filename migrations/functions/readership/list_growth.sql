-- How the list grows and shrinks (0027_list_moves.sql, 0068_list_days.sql).

-- Add up the rows of a slot that is over, and add them to their day's. Answers how many there were.
create or replace function merge_list_moves(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_zone   constant text := service_timezone();
    v_merged bigint;
begin
    update list_moves_since set days_zone = v_zone where days_zone is distinct from v_zone;
    if found then
        delete from list_days;
        insert into list_days
        select (slot at time zone v_zone)::date as day, move, source, sum(people)
          from list_moves where merged group by 1, 2, 3;
    end if;
    with loose as (
        delete from list_moves
         where id = any (array(select id from list_moves
                                where not merged and slot < clock_timestamp() - interval '1 hour'
                                order by slot limit p_limit for update skip locked))
        returning *
    ), added as (
        insert into list_moves (slot, move, source, people, merged)
        select slot, move, source, sum(people), true from loose group by slot, move, source
    ), by_day as (
        insert into list_days as d
        select (slot at time zone v_zone)::date as day, move, source, sum(people) from loose group by 1, 2, 3
        on conflict (day, move, source) do update set people = d.people + excluded.people
    )
    select count(*) into v_merged from loose;
    return v_merged;
end $$;

-- The latest p_periods days, weeks (from Monday on) or months, the present one included, oldest first: {"zone",
-- "counted_since", "active", "periods": [{"start", "end" (days), "moves": [{"move", "source", "people"}], "net",
-- "active" (at its end)}]}. Active at an end: the present number, with every move since taken back.
create or replace function list_growth(p_by text, p_periods integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp set jit = off as $$
declare
    v_zone   constant text := service_timezone();
    v_step   constant interval := ('1 ' || p_by)::interval;
    v_last   constant timestamp := date_trunc(p_by, now() at time zone v_zone);
    v_first  constant timestamp := v_last - (p_periods - 1) * v_step;
    v_active constant bigint := subscribers_in('{active}');
    -- Then only what isn't merged yet is read from list_moves: 3 to 9 ms of CPU instead of 95 for 900 days.
    v_days   constant boolean := coalesce((select days_zone = v_zone from list_moves_since), false);
begin
    return (
        with moved as materialized (
            select date_trunc(p_by, at) as start, move, source, sum(people)::bigint as people
              from (select day::timestamp as at, move, source, people from list_days
                     where v_days and day >= v_first::date
                    union all
                    select slot at time zone v_zone, move, source, people from list_moves
                     where v_days and not merged and slot >= v_first at time zone v_zone
                    union all
                    select slot at time zone v_zone, move, source, people from list_moves
                     where not v_days and slot >= v_first at time zone v_zone) each
             group by 1, 2, 3
        ), by_period as (
            select start, sum(case when move in ('new', 'back') then people else -people end)::bigint as net,
                   jsonb_agg(jsonb_build_object('move', move, 'source', source, 'people', people)
                             order by move, source) as moves
              from moved group by start
        ), periods as (
            select start, coalesce(net, 0) as net, coalesce(moves, '[]') as moves
              from generate_series(v_first, v_last, v_step) start left join by_period using (start)
        )
        select jsonb_build_object('zone', v_zone, 'active', v_active,
                   'counted_since', (select at from list_moves_since),
                   'periods', jsonb_agg(jsonb_build_object(
                       'start', start::date, 'end', (start + v_step)::date - 1, 'net', net,
                       'active', v_active - after, 'moves', moves) order by start))
          from (select *, coalesce(sum(net) over (order by start desc
                              rows between unbounded preceding and 1 preceding), 0)::bigint as after
                  from periods) net_after);
end $$;

-- What the latest started mailouts cost the list, newest first: of each how many got it, and of them how many left with
-- its link, complained, or turned out to have no mailbox.
create or replace function mailout_churn(p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'id', m.id, 'subject', m.subject, 'started_at', m.started_at, 'tracking', m.tracking,
               'delivered', c.delivered, 'unsubscribed', c.unsubscribed, 'complained', c.complained,
               'bounced', c.bounced) order by m.started_at desc), '[]')
      from (select * from mailouts where started_at is not null and status in ('sending', 'paused', 'sent')
             order by started_at desc limit p_limit) m,
           lateral (
        select coalesce(sum(recipients) filter (where status in ('delivered', 'complained')), 0)::bigint as delivered,
               coalesce(sum(unsubscribed), 0)::bigint as unsubscribed,
               coalesce(sum(recipients) filter (where status = 'complained'), 0)::bigint as complained,
               coalesce(sum(recipients) filter (where status = 'bounced' and bounce_type = 'Permanent'), 0)::bigint
                   as bounced
          from recipient_counts where mailout_id = m.id) c;
$$;
