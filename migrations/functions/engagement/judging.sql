-- Judging what recipients did. The rules are Python's (app/domain/engagement/rules.py); here they get what they look
-- at, and give back what they found.

-- Recipients to be judged now: [{"id", "due", "mailout_id", "sent_at", "delivered_at", "body", "footer", "signals":
-- [{"id", "kind", "link", "place", "position", "network", "agent", "first_at", "last_at", "events"}]}], the longest
-- waiting first. body, footer: how many links are there; null: not known. Nobody else gets them for p_lease seconds:
-- whoever ends before giving verdicts leaves them to the next.
create or replace function claim_engagement(p_limit integer, p_lease double precision) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off as $$
declare
    v_ids bigint[];
begin
    v_ids := array(select send_log_id from engagement_recipients
                    where due_at <= now() order by due_at limit p_limit for update skip locked);
    if v_ids = '{}' then
        return '[]';
    end if;
    update engagement_recipients set due_at = now() + make_interval(secs => p_lease) where send_log_id = any (v_ids);
    return (
        with mine as materialized (select * from engagement_recipients where send_log_id = any (v_ids)),
        documents as materialized (
            select m.mailout_id, count(*) filter (where l.place = 'body') as body,
                   count(*) filter (where l.place = 'footer') as footer
              from (select distinct mailout_id from mine) m
              join lateral (select from mailout_snapshots where mailout_id = m.mailout_id and links_read) known on true
              left join lateral (select place from mailout_links
                                  where mailout_id = m.mailout_id and position is not null) l on true
             group by m.mailout_id)
        select jsonb_agg(jsonb_build_object(
                   'id', r.send_log_id, 'due', r.due_at, 'mailout_id', r.mailout_id, 'sent_at', l.sent_at,
                   'delivered_at', r.delivered_at, 'body', d.body, 'footer', d.footer,
                   'signals', coalesce(s.signals, '[]')))
          from mine r
          left join lateral (select sent_at from send_logs where id = r.send_log_id) l on true
          left join documents d on d.mailout_id = r.mailout_id
          left join lateral (
               select jsonb_agg(jsonb_build_object(
                          'id', s.id, 'kind', s.kind, 'link', s.link_id, 'place', k.place, 'position', k.position,
                          'network', s.network, 'agent', s.agent, 'first_at', s.first_at, 'last_at', s.last_at,
                          'events', s.events) order by s.first_at, s.kind, s.link_id, s.network, s.agent, s.slot) as signals
                 from engagement_signals s
                 left join lateral (select place, position from mailout_links where id = s.link_id) k on true
                where s.send_log_id = r.send_log_id) s on true);
end $$;

-- Write down what rules of version p_rules found: of each recipient as claimed (`id`, `due`) their classes and times, and
-- of their signals [[id, class, reason], …]. Not of those about whom more has come since: they are judged again.
-- Answers how many were written.
create or replace function settle_engagement(p_rules integer, p_recipients jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_ids bigint[];
begin
    v_ids := array(select (r ->> 'id')::bigint from jsonb_array_elements(p_recipients) r);
    if v_ids = '{}' then
        return '0';
    end if;
    perform from engagement_recipients where send_log_id = any (v_ids) order by send_log_id for update;
    with judged as materialized (
        select * from jsonb_to_recordset(p_recipients)
            as j (id bigint, due timestamptz, open_class text, click_class text, opened_at timestamptz,
                  clicked_at timestamptz, last_opened_at timestamptz, last_clicked_at timestamptz)
    ), settled as (
        update engagement_recipients r
           set open_class = j.open_class, click_class = j.click_class, opened_at = j.opened_at,
               clicked_at = j.clicked_at, last_opened_at = j.last_opened_at, last_clicked_at = j.last_clicked_at,
               rules = p_rules, due_at = null
          from judged j where r.send_log_id = any (v_ids) and r.send_log_id = j.id and r.due_at = j.due
        returning r.send_log_id
    )
    select coalesce(array_agg(send_log_id), '{}') into v_ids from settled;
    if v_ids = '{}' then
        return '0';
    end if;
    with verdicts as materialized (
        select (v ->> 0)::bigint as id, v ->> 1 as class, v ->> 2 as reason
          from jsonb_array_elements(p_recipients) r, jsonb_array_elements(r -> 'signals') v
         where (r ->> 'id')::bigint = any (v_ids)
    )
    update engagement_signals s set class = v.class, reason = v.reason, rules = p_rules, counted = null
      from verdicts v
     where s.id = any (array(select id from verdicts)) and s.id = v.id
       and (s.class, s.reason, s.rules, s.counted) is distinct from (v.class, v.reason, p_rules, null);
    return to_jsonb(cardinality(v_ids));
end $$;

-- Have a slice of the recipients after p_after judged again: those whom other rules judged than those of version p_rules
-- (null: all). {"after": the last one looked at; null: there are no more, "looked", "marked"}. p_by: who asked for it, for
-- the first slice.
create or replace function mark_engagement(p_after bigint, p_rules integer, p_limit integer, p_by text)
returns jsonb language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_ids    bigint[];
    v_marked bigint;
begin
    perform record_audit(p_by, 'engagement.recompute', 'engagement', null, jsonb_build_object('older_than', p_rules));
    v_ids := array(select send_log_id from engagement_recipients where send_log_id > p_after
                    order by send_log_id limit p_limit);
    if v_ids = '{}' then
        return jsonb_build_object('after', null, 'looked', 0, 'marked', 0);
    end if;
    perform from engagement_recipients where send_log_id = any (v_ids) order by send_log_id for update;
    update engagement_recipients set due_at = now()
     where send_log_id = any (v_ids) and due_at is null and (p_rules is null or rules is distinct from p_rules);
    get diagnostics v_marked = row_count;
    return jsonb_build_object('after', v_ids[cardinality(v_ids)], 'looked', cardinality(v_ids), 'marked', v_marked);
end $$;
