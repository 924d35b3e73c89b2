-- Fold a group of events into what is kept of opens and clicks (0024_engagement.sql): p_events[i], of ses_events' row
-- p_ids[i], is about the row p_logs[i] of the ledger. Called once these rows are locked (move_recipients), so that of
-- two groups about one recipient the second sees what the first has done. Locks on, in this order everywhere: links,
-- recipients, signals.
create or replace function fold_engagement(p_ids bigint[], p_logs bigint[], p_events jsonb[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    c_slot  constant interval := '10 minutes';
    c_most  constant integer := 500;     -- signals of one recipient; later ones of a kind share one without a slot
    v_logs     bigint[];
    v_mailouts uuid[];
    v_people   uuid[];
    v_kinds    text[];
    v_urls     text[];
    v_links    bigint[];
    v_networks text[];
    v_agents   text[];
    v_times    timestamptz[];
    v_many     bigint[];
begin
    if exists (select from unnest(p_events) e where jsonb_typeof(e -> 'engagement') = 'object') then
        perform forget_untracked(p_ids, p_logs, p_events);
        select array_agg(log), array_agg(mailout_id), array_agg(subscriber_id), array_agg(what ->> 'kind'),
               array_agg(what ->> 'link'), array_agg(coalesce(what ->> 'network', '')),
               array_agg(coalesce(what ->> 'agent', '')), array_agg(sane_time(e))
          into v_logs, v_mailouts, v_people, v_kinds, v_urls, v_networks, v_agents, v_times
          from engagement_in(p_ids, p_logs, p_events) where tracked and not erased and not is_test;
    end if;
    if v_logs is null then
        perform note_deliveries(p_logs, p_events);
        return;
    end if;
    v_links := clicked_links(v_mailouts, v_urls);
    perform note_deliveries(p_logs, p_events);
    insert into engagement_recipients as r (send_log_id, mailout_id, subscriber_id, delivered_at, due_at)
    select log, mailout, person,
           (select min(least(greatest(occurred_at, '2000-01-01Z'), '2100-01-01Z')) from ses_events
             where send_log_id = log and type = 'delivery'), now()
      from (select distinct on (log) log, mailout, person
              from unnest(v_logs, v_mailouts, v_people) t (log, mailout, person) order by log) new
     where not exists (select from engagement_recipients where send_log_id = log)
     order by log;
    update engagement_recipients set due_at = now() where send_log_id = any (v_logs) and due_at is distinct from now();
    v_many := array(select send_log_id from engagement_signals where send_log_id = any (v_logs)
                     group by send_log_id having count(*) >= c_most);
    insert into engagement_signals as s
           (send_log_id, mailout_id, kind, link_id, network, agent, slot, first_at, last_at, events)
    select log, mailout, kind, coalesce(link, 0), network, agent,
           case when log = any (v_many) then 'epoch' else date_bin(c_slot, at, 'epoch') end as slot,
           min(at), max(at), count(*)
      from unnest(v_logs, v_mailouts, v_kinds, v_links, v_networks, v_agents, v_times)
           t (log, mailout, kind, link, network, agent, at)
     group by log, mailout, kind, coalesce(link, 0), network, agent, slot
     order by log, kind, coalesce(link, 0), network, agent, slot
    on conflict (send_log_id, kind, link_id, network, agent, slot) do update
       set first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at),
           events = s.events + excluded.events, counted = coalesce(s.counted, s.events);
end $$;

-- The events of a group that tell of opens and clicks, each with what is to be known of its mail.
create or replace function engagement_in(p_ids bigint[], p_logs bigint[], p_events jsonb[])
returns table (id bigint, log bigint, e jsonb, what jsonb, mailout_id uuid, subscriber_id uuid,
               tracked boolean, erased boolean, is_test boolean)
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
#variable_conflict use_column
declare
    v_mailouts uuid[] := array(select mailout_id from send_logs where id = any (p_logs) group by mailout_id);
    v_tracked  uuid[] := array(select id from mailouts where id = any (v_mailouts) and tracking);
begin
    return query
    with told as materialized (
        select t.id, t.log, t.e from unnest(p_ids, p_logs, p_events) t (id, log, e)
         where jsonb_typeof(t.e -> 'engagement') = 'object')
    select t.id, t.log, t.e, t.e -> 'engagement', l.mailout_id, coalesce(a.subscriber_id, l.subscriber_id),
           l.mailout_id = any (v_tracked), l.email = 'erased', l.is_test
      from told t
      join lateral (select * from send_logs where send_logs.id = t.log) l on true
      left join lateral (select s.subscriber_id from subscriber_aliases s where s.id = l.subscriber_id) a on true;
end $$;

-- When it was, within years that every program can read: one odd clock must not hold up those who judge.
create or replace function sane_time(p_event jsonb) returns timestamptz
language sql stable as $$
    select least(greatest((p_event ->> 'occurred_at')::timestamptz, '2000-01-01Z'), '2100-01-01Z');
$$;

-- Opens and clicks that nobody asked for: only their number is kept. Of test mails, and of people who were erased, not
-- even that.
create or replace function forget_untracked(p_ids bigint[], p_logs bigint[], p_events jsonb[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_none bigint[];
begin
    with untracked as materialized (
        select id, what ->> 'kind' as kind, mailout_id, not is_test and not erased as counts
          from engagement_in(p_ids, p_logs, p_events) where is_test or erased or not tracked
    ), counted as (
        insert into untracked_events as u (hour, kind, events, mailout_id)
        select date_trunc('hour', now()), kind, count(*), (array_agg(mailout_id order by mailout_id))[1]
          from untracked where counts group by kind order by kind
        on conflict (hour, kind) do update set events = u.events + excluded.events, mailout_id = excluded.mailout_id
    )
    select array_agg(id) into v_none from untracked;
    if v_none is not null then
        update ses_events set payload = '{}' where id = any (v_none);
    end if;
end $$;

-- When mails were delivered, of recipients who did something already: what they did is judged again by it. Locks
-- these recipients, in their order.
create or replace function note_deliveries(p_logs bigint[], p_events jsonb[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
begin
    perform from engagement_recipients where send_log_id = any (p_logs) order by send_log_id for update;
    if found then
        update engagement_recipients r set delivered_at = d.at, due_at = now()
          from (select log, min(sane_time(e)) as at
                  from unnest(p_logs, p_events) t (log, e) where e ->> 'type' = 'delivery' group by log) d
         where r.send_log_id = any (p_logs) and r.send_log_id = d.log
           and (r.delivered_at is null or d.at < r.delivered_at);
    end if;
end $$;
