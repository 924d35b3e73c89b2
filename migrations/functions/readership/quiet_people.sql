-- Who gave no human sign of life for some days: the active subscribers, in the order of their ids, which are random, so
-- that the first of them are a fair sample of all.

-- A slice: the next at most p_reach subscribers after p_after. Of the active ones each is in one group:
--   human       a person opened or clicked something in that time
--   possible    something was opened or clicked, and nobody can tell whether by a person
--   silent      a tracked mail was delivered to them in that time, a day ago or longer, and none of the above
--   not_judged  no tracked mail was: nothing can be said of them
-- Answers {"next": where it goes on (null: at the end), "seen", "groups": {domain: {group: people}} (those of rare
-- domains under ''), "items": with p_groups those in one of these: {"email", "name", "group", "on_list_since",
-- "last_human_at", "last_possible_at", "tracked_mails"}}.
-- Fewer are looked at where many mailouts are tracked: a slice takes about two seconds.
create or replace function quiet_slice(p_days integer, p_after uuid, p_reach integer, p_groups jsonb default null)
returns jsonb language plpgsql stable set search_path = public, pg_temp set jit = off
set enable_seqscan = off set enable_nestloop = off set work_mem = '64MB' as $$
declare
    c_rows    constant integer := 600000;
    v_since   constant timestamptz := now() - make_interval(days => p_days);
    v_until   constant timestamptz := now() - interval '1 day';
    v_tracked uuid[];     -- mailouts that may have been delivered in that time
    v_ever    integer;
    v_last    uuid;
    v_seen    integer;
begin
    select coalesce(array_agg(id) filter (where updated_at >= v_since), '{}'), count(*) into v_tracked, v_ever
      from mailouts where tracking and started_at is not null;
    p_reach := least(p_reach, greatest(100, c_rows / (1 + v_ever + cardinality(v_tracked))));
    select count(*), (array_agg(id order by id desc))[1] into v_seen, v_last
      from (select id from subscribers where id > p_after order by id limit p_reach) looked_at;
    return (
        with people as materialized (
            select id, email, name, created_at, split_part(address, '@', 2) as domain
              from subscribers where id > p_after and id <= v_last and status = 'active'
        ), got as materialized (
            select l.subscriber_id as id, count(*) as mails
              from unnest(v_tracked) m, lateral (
                  select subscriber_id from send_logs
                   where mailout_id = m and subscriber_id > p_after and subscriber_id <= v_last and not is_test
                     and status in ('delivered', 'complained') and sent_at >= v_since and sent_at < v_until) l
             group by 1
        ), did as materialized (
            select subscriber_id as id, send_log_id,
                   greatest(case when open_class = 'human' then opened_at end,
                            case when click_class = 'human' then clicked_at end) as human_at,
                   greatest(case when open_class = 'unknown' then opened_at end,
                            case when click_class = 'unknown' then clicked_at end) as maybe_at,
                   greatest(last_opened_at, last_clicked_at) as last_at
              from engagement_recipients where subscriber_id > p_after and subscriber_id <= v_last
        ), again as materialized (   -- a mail may be opened again, long after
            select d.id, max(g.last_at) filter (where g.class = 'human') as human_at,
                   max(g.last_at) filter (where g.class = 'unknown') as maybe_at
              from did d, lateral (select * from engagement_signals where send_log_id = d.send_log_id) g
             where d.last_at >= v_since and (d.human_at >= v_since) is not true and g.last_at >= v_since
             group by d.id
        ), signs as materialized (
            select id, max(human_at) as human_at, max(maybe_at) as maybe_at
              from (select id, human_at, maybe_at from did union all select id, human_at, maybe_at from again) all_signs
             group by id
        ), judged as materialized (
            select p.*, s.human_at, s.maybe_at, coalesce(g.mails, 0) as mails,
                   case when s.human_at >= v_since then 'human' when s.maybe_at >= v_since then 'possible'
                        when g.mails > 0 then 'silent' else 'not_judged' end as "group"
              from people p left join got g using (id) left join signs s using (id)
        ), common as materialized (
            select domain from judged group by domain order by count(*) desc limit 100
        )
        select jsonb_build_object(
            'next', case when v_seen = p_reach then v_last end, 'seen', v_seen,
            'groups', (select coalesce(jsonb_object_agg(domain, counts), '{}')
                         from (select domain, jsonb_object_agg("group", n) as counts
                                 from (select case when domain in (select domain from common) then domain else '' end
                                                  as domain, "group", count(*) as n
                                         from judged group by 1, 2) pairs
                                group by domain) domains),
            'items', (select coalesce(jsonb_agg(jsonb_build_object(
                                 'email', email, 'name', name, 'group', "group", 'on_list_since', created_at,
                                 'last_human_at', human_at, 'last_possible_at', maybe_at, 'tracked_mails', mails)
                                 order by id), '[]')
                        from judged where p_groups ? "group")));
end $$;

-- The latest tracked mailouts of so many days, begun a day ago or longer, for a rule that asks for them: {"ids", "all": how many there are}.
create or replace function tracked_mailouts(p_days integer, p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('all', count(*), 'ids', coalesce(jsonb_agg(id order by started_at desc)
                                                               filter (where n <= p_limit), '[]'))
      from (select id, started_at, row_number() over (order by started_at desc) as n
              from mailouts
             where tracking and started_at < now() - interval '1 day' and coalesce(sent_at, now()) >= now() - make_interval(days => p_days)) m;
$$;
