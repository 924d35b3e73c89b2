-- The links of a mailout: those of its document, and what else people clicked.

-- The link that each of these clicks was on: p_urls[i], in one spelling, of p_mailouts[i]; null for null. A link of the
-- document is found by itself, or by its pattern where it has holes: the pattern with the most text first. What is in
-- neither gets a row of its own; beyond a thousand of a mailout they share the one named `other`, so that a stream of
-- made-up links ends somewhere.
create or replace function clicked_links(p_mailouts uuid[], p_urls text[]) returns bigint[]
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    c_most  constant integer := 1000;
    v_known jsonb := known_links(p_mailouts, p_urls);
    v_ids   bigint[];
    v_new   record;
begin
    loop
        if exists (select from jsonb_array_elements(v_known) k where k -> 'id' = 'null') then
            -- Whoever reads the document's links now is waited for (read_mailout_links), and then looked at.
            perform from mailout_snapshots where mailout_id = any (p_mailouts) order by mailout_id for share;
            for v_new in
                select (k ->> 'mailout')::uuid as mailout, array_agg(k ->> 'url') as urls
                  from jsonb_array_elements(known_links(p_mailouts, p_urls)) k
                 where k -> 'id' = 'null' group by 1 order by 1
            loop
                insert into mailout_links (mailout_id, url)
                select v_new.mailout, url from (
                    select url from unnest(v_new.urls) url
                     limit greatest(0, c_most - (select count(*) from mailout_links
                                                  where mailout_id = v_new.mailout and position is null))) room
                 order by md5(url)
                on conflict (mailout_id, md5(url)) do nothing;
                insert into mailout_links (mailout_id, url)
                select v_new.mailout, 'other'
                 where exists (select from unnest(v_new.urls) url where link_of(v_new.mailout, url) is null)
                on conflict (mailout_id, md5(url)) do nothing;
            end loop;
            v_known := known_links(p_mailouts, p_urls);
        end if;
        -- Those that aren't in the document may go with the last who clicked them: kept from here on, or looked for again.
        v_ids := array(select distinct (k ->> 'id')::bigint from jsonb_array_elements(v_known) k
                        where k -> 'id' <> 'null');
        exit when v_ids = '{}';
        perform from mailout_links where id = any (v_ids) and position is null order by id for key share;
        exit when (select count(*) from mailout_links where id = any (v_ids)) = cardinality(v_ids);
        v_known := known_links(p_mailouts, p_urls);
    end loop;
    return (
        with known as materialized (
            select (k ->> 'mailout')::uuid as mailout, k ->> 'url' as url,
                   coalesce((k ->> 'id')::bigint, link_of((k ->> 'mailout')::uuid, 'other')) as id
              from jsonb_array_elements(v_known) k)
        select array_agg(k.id order by n)
          from unnest(p_mailouts, p_urls) with ordinality t (mailout, url, n)
          left join known k on k.mailout = t.mailout and k.url = t.url);
end $$;

-- These links, each once: [{"mailout", "url", "id"}]. id: null where there is no row.
create or replace function known_links(p_mailouts uuid[], p_urls text[]) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('mailout', mailout, 'url', url, 'id', link_of(mailout, url))), '[]')
      from (select distinct mailout, url from unnest(p_mailouts, p_urls) t (mailout, url) where url is not null) asked;
$$;

-- The row of a link that was clicked, in one spelling; null: there is none.
create or replace function link_of(p_mailout uuid, p_url text) returns bigint
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
begin
    return coalesce(
        (select id from mailout_links where mailout_id = p_mailout and md5(url) = md5(p_url)),
        (select id from mailout_links where mailout_id = p_mailout and pattern is not null and p_url like pattern
          order by length(replace(pattern, '%', '')) desc, position limit 1));
end $$;

-- A mailout whose document's links aren't known yet: {"mailout_id", "content", "content_hash"}; null: none.
create or replace function unread_links() returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select jsonb_build_object('mailout_id', s.mailout_id, 'content', s.content, 'content_hash', s.content_hash)
      from mailout_snapshots s join lateral (select started_at from mailouts where id = s.mailout_id) m on true
     where not s.links_read and s.content ? 'tracking' and m.started_at is not null
     limit 1;
$$;

-- Note the links of a document with this hash, in their order: [{"url", "place", "pattern"}]. Clicks that came before
-- are given to them. False: somebody has done so, or the content is another one by now.
create or replace function read_mailout_links(p_mailout uuid, p_content_hash text, p_links jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_from bigint[];     -- rows of clicks on links that weren't known
    v_into bigint[];
    v_due  bigint[];
begin
    update mailout_snapshots set links_read = true
     where mailout_id = p_mailout and content_hash = p_content_hash and not links_read;
    if not found then
        return 'false';
    end if;
    delete from mailout_links l where mailout_id = p_mailout and position is not null
       and not exists (select from engagement_signals
                        where mailout_id = p_mailout and kind = 'click' and link_id = l.id);
    insert into mailout_links as l (mailout_id, url, position, place, pattern)
    select p_mailout, e ->> 'url', n - 1, e ->> 'place', e ->> 'pattern'
      from jsonb_array_elements(p_links) with ordinality t (e, n) order by md5(e ->> 'url')
    on conflict (mailout_id, md5(url)) do update
       set position = excluded.position, place = excluded.place, pattern = excluded.pattern;
    perform from mailout_links where mailout_id = p_mailout and position is null order by id for update;
    -- Where a link stands counts for the verdict.
    v_due := array(select distinct send_log_id from engagement_signals
                    where mailout_id = p_mailout and kind = 'click' limit 10000);
    if v_due <> '{}' then
        perform from engagement_recipients where send_log_id = any (v_due) order by send_log_id for update;
        update engagement_recipients set due_at = now() where send_log_id = any (v_due);
    end if;
    select array_agg(s.id), array_agg(d.id) into v_from, v_into
      from mailout_links s, lateral (
           select id from mailout_links where mailout_id = p_mailout and pattern is not null and s.url like pattern
            order by length(replace(pattern, '%', '')) desc, position limit 1) d
     where s.mailout_id = p_mailout and s.position is null and s.url <> 'other';
    if v_from is not null then
        perform move_clicks(p_mailout, v_from, v_into);
    end if;
    return 'true';
end $$;

-- The clicks on each link v_from[i] were clicks on v_into[i]: whose they are is judged again.
create or replace function move_clicks(p_mailout uuid, p_from bigint[], p_into bigint[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_logs bigint[] := array(select send_log_id from engagement_signals
                              where mailout_id = p_mailout and kind = 'click' and link_id = any (p_from));
begin
    if v_logs <> '{}' then
        perform from engagement_recipients where send_log_id = any (v_logs) order by send_log_id for update;
        update engagement_recipients set due_at = now() where send_log_id = any (v_logs);
    end if;
    with gone as (
        delete from engagement_signals
         where mailout_id = p_mailout and kind = 'click' and link_id = any (p_from) returning *
    )
    insert into engagement_signals as s
           (send_log_id, mailout_id, kind, link_id, network, agent, slot, first_at, last_at, events)
    select send_log_id, mailout_id, kind, p_into[array_position(p_from, link_id)] as link, network, agent, slot,
           min(first_at), max(last_at), sum(events)
      from gone group by send_log_id, mailout_id, kind, link, network, agent, slot
     order by send_log_id, kind, link, network, agent, slot
    on conflict (send_log_id, kind, link_id, network, agent, slot) do update
       set first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at),
           events = s.events + excluded.events, counted = coalesce(s.counted, s.events);
    delete from mailout_links where id = any (p_from);
end $$;
