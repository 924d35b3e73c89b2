-- What one person got, opened and clicked.

-- {"mails": they got, "tracked": of them, delivered with tracking, "opens", "clicks": {"human", "unknown", "machine"}: of
-- so many mails, by the best class, "waiting": mails with something that isn't judged yet, "first_human_at",
-- "last_human_at", "last_possible_at", "last_tracked_at": when the latest tracked mail was sent, "items": the latest
-- p_limit mails, newest first, each with its `signals` (mail_signals)}. p_limit 0: none of them.
create or replace function person_engagement(p_subscriber uuid, p_limit integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set jit = off as $$
declare
    v_mails send_logs[] := array(select m from person_mails(person_ids(p_subscriber)) m);
begin
    return (
        with mails as materialized (
            select m.id, m.mailout_id, m.status, m.sent_at, m.bounce_type,
                   o.tracking and m.status in ('delivered', 'complained') as is_tracked, o.tracking, o.subject,
                   r.open_class, r.click_class, r.opened_at, r.clicked_at, r.due_at is not null as waits
              from unnest(v_mails) m
              join lateral (select * from mailouts where id = m.mailout_id) o on true
              left join lateral (select * from engagement_recipients where send_log_id = m.id) r on true
        ), signs as materialized (
            select g.class, min(g.first_at) as first_at, max(g.last_at) as last_at
              from mails m, lateral (select * from engagement_signals where send_log_id = m.id) g
             where m.open_class is not null or m.click_class is not null
             group by g.class
        )
        select jsonb_build_object(
            'mails', count(*) filter (where status in ('sent', 'delivered', 'complained')),
            'tracked', count(*) filter (where is_tracked),
            'opens', jsonb_build_object('human', count(*) filter (where open_class = 'human'),
                                        'unknown', count(*) filter (where open_class = 'unknown'),
                                        'machine', count(*) filter (where open_class = 'machine')),
            'clicks', jsonb_build_object('human', count(*) filter (where click_class = 'human'),
                                         'unknown', count(*) filter (where click_class = 'unknown'),
                                         'machine', count(*) filter (where click_class = 'machine')),
            'waiting', count(*) filter (where waits),
            'first_human_at', (select first_at from signs where class = 'human'),
            'last_human_at', (select last_at from signs where class = 'human'),
            'last_possible_at', (select last_at from signs where class = 'unknown'),
            'last_tracked_at', max(sent_at) filter (where is_tracked),
            'items', (select coalesce(jsonb_agg(jsonb_build_object(
                                 'mailout_id', mailout_id, 'subject', subject, 'status', status, 'sent_at', sent_at,
                                 'tracked', tracking, 'open_class', open_class, 'click_class', click_class,
                                 'opened_at', opened_at, 'clicked_at', clicked_at, 'signals', mail_signals(id))
                                 order by sent_at desc nulls last, id desc), '[]')
                        from (select * from mails order by sent_at desc nulls last, id desc limit p_limit) latest))
          from mails);
end $$;

-- Opens and clicks in a history: one entry for each mail, kind and verdict; where nothing is judged (mails that weren't
-- tracked by us), one for each mail and kind.
create or replace function folded_engagement(p_logs bigint[])
returns table (at timestamptz, detail jsonb)
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select max(g.last_at), jsonb_strip_nulls(jsonb_build_object(
               'type', g.kind, 'mailout_id', g.mailout_id, 'class', g.class, 'reason', g.reason,
               'times', sum(g.events), 'first_at', min(g.first_at), 'last_at', max(g.last_at),
               'links', (select jsonb_agg(distinct l.url) from mailout_links l
                          where l.url <> 'other'
                            and l.id = any (array_agg(g.link_id) filter (where g.link_id <> 0)))))
      from engagement_signals g where g.send_log_id = any (p_logs)
     group by g.send_log_id, g.mailout_id, g.kind, g.class, g.reason
    union all
    select max(e.occurred_at), jsonb_strip_nulls(jsonb_build_object(
               'type', e.type, 'mailout_id', e.mailout_id, 'times', count(*), 'first_at', min(e.occurred_at),
               'last_at', max(e.occurred_at),
               'links', jsonb_agg(distinct e.payload #>> '{click,link}') filter (where e.payload #>> '{click,link}' is not null)))
      from ses_events e
     where e.send_log_id = any (p_logs) and e.type in ('open', 'click')
       and (select send_log_id from engagement_signals where send_log_id = e.send_log_id limit 1) is null
     group by e.send_log_id, e.mailout_id, e.type;
$$;
