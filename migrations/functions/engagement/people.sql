-- What is kept of a person's opens and clicks.

-- Forget it, of these rows of the ledger. Links that only they clicked go, too: they may be about them.
create or replace function forget_engagement(p_logs bigint[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_strange bigint[];
begin
    if not exists (select from engagement_recipients where send_log_id = any (p_logs)) then
        return;
    end if;
    v_strange := array(select id from mailout_links
                        where position is null and id = any (array(select link_id from engagement_signals
                                                                    where send_log_id = any (p_logs)))
                        order by id for update);
    perform from engagement_recipients where send_log_id = any (p_logs) order by send_log_id for update;
    delete from engagement_signals where send_log_id = any (p_logs);
    delete from engagement_recipients where send_log_id = any (p_logs);
    if v_strange <> '{}' then
        delete from mailout_links l where id = any (v_strange) and url <> 'other'
           and not exists (select from engagement_signals
                            where mailout_id = l.mailout_id and kind = 'click' and link_id = l.id);
    end if;
end $$;

-- Take addresses out of the links of these mailouts that others clicked, too: from there on they are cut, and so is what
-- SES told of these clicks. The document's own links are its author's words. Locks the links that p_logs clicked, too, so
-- that who forgets these next has all in one order.
create or replace function scrub_links(p_addresses text[], p_mailouts uuid[], p_logs bigint[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_words text[] := array(select distinct w from unnest(p_addresses) a,
                                   lateral (values (a), (replace(a, '+', '%2b'))) t (w));
    v_links bigint[];
begin
    if p_mailouts is null then
        return;
    end if;
    v_links := array(select link_id from engagement_signals where send_log_id = any (p_logs));
    perform from mailout_links l
      where mailout_id = any (p_mailouts) and position is null
        and (id = any (v_links) or exists (select from unnest(v_words) w where position(w in lower(l.url)) > 0))
      order by id for update;
    v_links := array(select id from mailout_links l
                      where mailout_id = any (p_mailouts) and position is null
                        and exists (select from unnest(v_words) w where position(w in lower(l.url)) > 0));
    if v_links <> '{}' then
        update mailout_links l
           set url = left(url, (select min(nullif(position(w in lower(l.url)), 0)) from unnest(v_words) w) - 1)
                     || 'erased-' || id
         where id = any (v_links);
        update ses_events set payload = payload #- '{click,link}'
         where type = 'click' and id = any (array(
             select e.id from engagement_signals s, lateral (
                    select id from ses_events where send_log_id between s.send_log_id and s.send_log_id
                     order by send_log_id) e
              where s.mailout_id = any (p_mailouts) and s.kind = 'click' and s.link_id = any (v_links)));
    end if;
end $$;

-- All that is kept, for the person themselves: of each mail, what they did and what was made of it.
create or replace function export_engagement(p_ids uuid[]) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select coalesce(jsonb_agg(jsonb_build_object(
               'mailout_id', r.mailout_id, 'opened', r.open_class, 'opened_at', r.opened_at,
               'clicked', r.click_class, 'clicked_at', r.clicked_at, 'signals', s.signals)
               order by r.send_log_id), '[]')
      from engagement_recipients r, lateral (
           select jsonb_agg(jsonb_build_object(
                      'kind', s.kind, 'link', (select url from mailout_links where id = s.link_id),
                      'network', s.network, 'program', s.agent, 'first_at', s.first_at, 'last_at', s.last_at,
                      'events', s.events, 'class', s.class, 'reason', s.reason) order by s.first_at, s.id) as signals
             from engagement_signals s where s.send_log_id = r.send_log_id) s
     where r.subscriber_id = any (p_ids);
$$;

-- Take what is personal out of opens and clicks that an earlier version stored, p_limit of them; gives how many there
-- were. Type, time and link stay, as of later ones (domain/ses/events.py); a link with a token in it goes.
create or replace function forget_readers_machines(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_ids bigint[] := array(select id from ses_events where type in ('open', 'click') and payload ? 'mail'
                             order by id limit p_limit);
begin
    if v_ids = '{}' then
        return 0;
    end if;
    update ses_events
       set payload = jsonb_build_object(
               'eventType', payload -> 'eventType', type,
               jsonb_strip_nulls(jsonb_build_object(
                   'timestamp', payload #> array[type, 'timestamp'],
                   'link', case when payload #>> array[type, 'link']
                                     !~* 'token(=|%(25)*3d)|%(25)*(74|6f|6b|65|6e)|(\.|%(25)*2e)[a-z0-9_%-]{43}'
                                then payload #> array[type, 'link'] end)))
     where id = any (v_ids);
    return cardinality(v_ids);
end $$;
