-- What came of one mailout's mails (docs/engagement.md, "Reports"). People are counted once, by the best class of what
-- they did; who isn't judged yet is in no class. Each function looks at the rows of one mailout alone.

-- People per class, of the rows that an aggregate is about: {"human", "machine", "unknown"}.
create or replace function by_class(p_human bigint, p_machine bigint, p_unknown bigint) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select jsonb_build_object('human', p_human, 'machine', p_machine, 'unknown', p_unknown);
$$;

-- One mailout's totals: {"tracking", "status", "started_at", "tracked" (mails that were delivered; whoever did something
-- got theirs, whatever became of the report of its delivery), "opens", "clicks", "readers"
-- (did either), "judged": [{"rules", "people"}],
-- "waiting": people with something that isn't judged yet}. null: there is no such mailout.
create or replace function engagement_totals(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp set jit = off set enable_seqscan = off as $$
declare
    v_mailout mailouts;
    v         record;
    v_kept    jsonb := kept_report(p_mailout, 'totals');
begin
    if v_kept is not null then
        return v_kept;
    end if;
    select * into v_mailout from mailouts where id = p_mailout;
    if not found then
        return null;
    elsif not v_mailout.tracking then
        return jsonb_build_object(
            'tracking', false, 'status', v_mailout.status, 'started_at', v_mailout.started_at, 'tracked', 0,
            'opens', by_class(0, 0, 0), 'clicks', by_class(0, 0, 0), 'readers', by_class(0, 0, 0),
            'judged', '[]'::jsonb, 'waiting', 0);
    end if;
    with grouped as materialized (
        select key ->> 'open' as open_class, key ->> 'click' as click_class, (key ->> 'rules')::integer as rules, people as n
          from engagement_figures(p_mailout, 'totals')
    ), waiting as materialized (
        select count(*) as people, count(*) filter (where num_nonnulls(open_class, click_class, rules) = 0) as new
          from engagement_recipients where mailout_id = p_mailout and due_at is not null
    )
    select coalesce(sum(n), 0)::bigint + (select new from waiting) as engaged,
           by_class(coalesce(sum(n) filter (where open_class = 'human'), 0)::bigint,
                    coalesce(sum(n) filter (where open_class = 'machine'), 0)::bigint,
                    coalesce(sum(n) filter (where open_class = 'unknown'), 0)::bigint) as opens,
           by_class(coalesce(sum(n) filter (where click_class = 'human'), 0)::bigint,
                    coalesce(sum(n) filter (where click_class = 'machine'), 0)::bigint,
                    coalesce(sum(n) filter (where click_class = 'unknown'), 0)::bigint) as clicks,
           by_class(coalesce(sum(n) filter (where 'human' in (open_class, click_class)), 0)::bigint,
                    coalesce(sum(n) filter (where 'machine' in (open_class, click_class)
                                              and not '{human,unknown}' && array[open_class, click_class]), 0)::bigint,
                    coalesce(sum(n) filter (where 'unknown' in (open_class, click_class)
                                              and not '{human}' && array[open_class, click_class]), 0)::bigint) as readers,
           (select people from waiting) as waiting,
           (select coalesce(jsonb_agg(jsonb_build_object('rules', rules, 'people', people) order by rules), '[]')
              from (select rules, sum(n)::bigint as people from grouped where rules is not null group by rules) r) as judged
      into v from grouped;
    return jsonb_build_object(
        'tracking', true, 'status', v_mailout.status, 'started_at', v_mailout.started_at,
        'tracked', greatest(recipients_in(p_mailout, '{delivered,complained}'), v.engaged),
        'opens', v.opens, 'clicks', v.clicks, 'readers', v.readers,
        'judged', v.judged, 'waiting', v.waiting);
end $$;

-- Per link: people per class and `events`, how often they followed it, each once it is judged; those of the document first, in its order. Links of
-- the document that nobody clicked are there.
create or replace function engagement_links(p_mailout uuid, p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp set jit = off set enable_seqscan = off set work_mem = '64MB' as $$
    with links as (
        select (key ->> 'link')::bigint as link_id, coalesce(sum(people) filter (where key ->> 'class' = 'human'), 0)::bigint as human,
               coalesce(sum(people) filter (where key ->> 'class' = 'unknown'), 0)::bigint as maybe,
               coalesce(sum(people) filter (where key ->> 'class' = 'machine'), 0)::bigint as machine, sum(events)::bigint as events
          from engagement_figures(p_mailout, 'links') group by 1
    )
    select coalesce(kept_report(p_mailout, 'links'), jsonb_agg(jsonb_build_object('url', url, 'place', place, 'position', position, 'pattern', pattern,
               'events', events)
               || by_class(human, machine, maybe) order by position nulls last, human + maybe desc, url), '[]')
      from (select l.url, l.place, l.position, l.pattern, coalesce(k.events, 0) as events, coalesce(k.human, 0) as human,
                   coalesce(k.maybe, 0) as maybe, coalesce(k.machine, 0) as machine
              from mailout_links l left join links k on k.link_id = l.id
             where l.mailout_id = p_mailout
             order by l.position nulls last, human + maybe desc, l.url limit p_limit) shown;
$$;

-- Why what was done has its class: [{"kind", "class", "reason", "people", "events"}].
create or replace function engagement_reasons(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp set jit = off set enable_seqscan = off set work_mem = '64MB' as $$
    select coalesce(kept_report(p_mailout, 'reasons'), jsonb_agg(to_jsonb(r) order by people desc, kind, class, reason), '[]')
      from (select key ->> 'kind' as kind, key ->> 'class' as class, key ->> 'reason' as reason, people, events
              from engagement_figures(p_mailout, 'reasons')) r;
$$;

-- Over time: {"start": the hour in which the mailout was started, "points": [{"kind", "class", "at", "events", "people"}]}:
-- `at` begins an hour, after two days a day. people: who did it for the first time, by their class. null: never started.
create or replace function engagement_series(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp set jit = off set enable_seqscan = off set work_mem = '64MB' as $$
declare
    v_start timestamptz := (select date_bin('1 hour', started_at, 'epoch') from mailouts where id = p_mailout);
begin
    if v_start is null then
        return null;
    elsif kept_report(p_mailout, 'series') is not null then
        return kept_report(p_mailout, 'series');
    end if;
    return jsonb_build_object('start', v_start, 'points', (
        select coalesce(jsonb_agg(to_jsonb(p) order by at, kind, class), '[]') from (
            select kind, class, sum(events)::bigint as events, sum(people)::bigint as people,
                   case when at < v_start + interval '48 hours' then at else date_bin('1 day', at, v_start) end as at
              from (select key ->> 'kind' as kind, key ->> 'class' as class,
                           to_timestamp((key ->> 'hour')::bigint) as at, people, events
                      from unnest('{hours,firsts}'::text[]) part, engagement_figures(p_mailout, part)) each
             group by 1, 2, 5) p));
end $$;

-- Those who got it, in groups: {"whole", "people" (looked at), "groups": [{"name", "tracked", "opens", "clicks"}]}, the
-- largest first; those beyond p_limit are summed up as ''. p_by, p_segment: as in engagement_groups_slice.
-- Of a long ledger (whole: false) the first p_reach rows by subscriber are looked at (fewer for a segment whose rule
-- costs much): their ids are random, so these are a sample of all. Reports go through them in slices instead.
create or replace function engagement_groups(
    p_mailout uuid, p_by text, p_limit integer, p_reach bigint, p_segment uuid default null) returns jsonb
language sql stable set search_path = public, pg_temp set jit = off set work_mem = '64MB' as $$
    with slice as materialized (
        select engagement_groups_slice(p_mailout, p_by, '00000000-0000-0000-0000-000000000000', p_reach, p_segment) as found
    ), ranked as (
        select g ->> 0 as name, array(select n::bigint from jsonb_array_elements_text(g) with ordinality e (n, nth) where nth > 1) as n,
               row_number() over (order by (g ->> 1)::bigint desc, g ->> 0) as nth
          from slice, jsonb_array_elements(found -> 'groups') g
    ), shown as (
        select case when nth <= p_limit then name else '' end as name, sum(n[1])::bigint as tracked,
               by_class(sum(n[2])::bigint, sum(n[3])::bigint, sum(n[4])::bigint) as opens,
               by_class(sum(n[5])::bigint, sum(n[6])::bigint, sum(n[7])::bigint) as clicks
          from ranked group by 1
    )
    select coalesce(found -> 'kept', jsonb_build_object(
               'whole', found -> 'last' = 'null', 'people', found -> 'people', 'groups', (
                   select coalesce(jsonb_agg(to_jsonb(s) order by name = '', tracked desc, name), '[]') from shown s)))
      from slice;
$$;

-- The next p_rows of the ledger, after subscriber p_after, in groups: {"people" (who got it), "last" (subscriber; null: there
-- are no more), "groups": [[name, people, who opened it: human, machine, unknown, who clicked: the same]]}, or {"kept": what
-- `engagement_groups` gave} of a mailout that shrank.
-- p_by: `domain` of the address; `tag`, as people are tagged now (one with two tags is in two groups); `segment`: one
-- group, of those who fit p_segment now.
create or replace function engagement_groups_slice(
    p_mailout uuid, p_by text, p_after uuid, p_rows bigint, p_segment uuid default null) returns jsonb
language plpgsql stable set search_path = public, pg_temp
set jit = off set enable_seqscan = off set work_mem = '64MB' as $$
declare
    -- By a limit each is looked up: no plan reads all of a table to join it.
    c_person constant text := 'join lateral (select * from subscribers where id = p.subscriber_id limit 1) s on true';
    v_kept   constant jsonb := kept_report(p_mailout, p_by);
    v_name   text := $t$lower(split_part(p.email, '@', 2))$t$;
    v_from   text := '';
    v_rule   record;
    v_bound  text[] := '{}';
    v_last   uuid;   -- null: to the end
    v_people bigint;
    v_groups jsonb;
begin
    if v_kept is not null then
        return jsonb_build_object('kept', v_kept);
    end if;
    select subscriber_id into v_last from send_logs
     where (mailout_id, subscriber_id) > (p_mailout, p_after) and mailout_id <= p_mailout and not is_test
     order by mailout_id, subscriber_id offset p_rows - 1 limit 1;
    if p_by = 'tag' then
        v_name := 'tag';
        v_from := format('%s, lateral unnest(s.tags) tag', c_person);
    elsif p_by = 'segment' then
        -- What they got and did is read in this one range of ids, of many mailouts too.
        select c.* into v_rule
          from segments g, compile_audience(resolved_audience(g.audience), '$1', now(), service_timezone(),
                   p_within => format('%%1$s > %L and %%1$s <= %L', p_after, coalesce(v_last, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))) c
         where g.id = p_segment;
        -- As a value and not as a condition of the query, whose `in` would be a join: each with each, by a wrong guess.
        v_name := format($t$case when %s then 'segment' end$t$, coalesce(v_rule.condition, 'false'));
        v_from := c_person;
        v_bound := v_rule.bound;
    end if;
    execute format($query$
        with people as materialized (
            select l.subscriber_id, l.email, e.open_class as o, e.click_class as c
              from (select id, subscriber_id, email, status from send_logs
                     where (mailout_id, subscriber_id) > ($2, $3) and mailout_id <= $2 and not is_test
                     order by mailout_id, subscriber_id limit $4) l
              left join lateral (select * from engagement_recipients where send_log_id = l.id limit 1) e on true
             where l.status in ('delivered', 'complained') or e.send_log_id is not null
        ), groups as (
            select %s as name, count(*) as n,
                   count(*) filter (where o = 'human') as oh, count(*) filter (where o = 'machine') as om,
                   count(*) filter (where o = 'unknown') as ou, count(*) filter (where c = 'human') as ch,
                   count(*) filter (where c = 'machine') as cm, count(*) filter (where c = 'unknown') as cu
              from people p %s group by 1
        )
        select (select count(*) from people),
               (select coalesce(jsonb_agg(jsonb_build_array(name, n, oh, om, ou, ch, cm, cu)), '[]')
                  from groups where name is not null)
        $query$, v_name, v_from) into v_people, v_groups using v_bound, p_mailout, p_after, p_rows;
    return jsonb_build_object('people', v_people, 'last', v_last, 'groups', v_groups);
end $$;

-- The watched mailouts that were started before this one, the latest first, as `mailout_summary` and `engagement_totals`
-- give them: [{"mailout", "totals"}].
create or replace function engagement_earlier(p_mailout uuid, p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp set jit = off set enable_seqscan = off as $$
    select coalesce(jsonb_agg(jsonb_build_object('mailout', mailout_summary(m), 'totals', engagement_totals(m.id))
               order by m.started_at desc), '[]')
      from (select o.* from mailouts o, mailouts this
             where this.id = p_mailout and o.id <> p_mailout and o.tracking
               and o.started_at < coalesce(this.started_at, now())
             order by o.started_at desc limit p_limit) m;
$$;

-- A page of those who got it, after subscriber p_after: what each did.
create or replace function engagement_page(p_mailout uuid, p_after uuid, p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'subscriber_id', l.subscriber_id, 'email', l.email, 'status', l.status,
               'opened', e.open_class, 'opened_at', e.opened_at, 'clicked', e.click_class, 'clicked_at', e.clicked_at)
               order by l.subscriber_id), '[]')
      from (select * from send_logs
             where (mailout_id, subscriber_id) > (p_mailout, p_after) and mailout_id <= p_mailout and not is_test
             order by mailout_id, subscriber_id limit p_limit) l
      left join engagement_recipients e on e.send_log_id = l.id;
$$;
