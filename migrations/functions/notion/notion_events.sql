-- What Notion posts to /notion-events. An event only causes a look at what it is about, so one that comes doubled, late or
-- out of order, or that a stranger could forge, changes nothing.

-- p_event: {"id", "type", "act": look | talk | schema, "page", "block", "comment", "places": [ids of what the entity lies
-- in], "bots": [ids of its authors], null: people are among them}. Answers {"outcome"}: what is done about it (look, talk,
-- schema), or why nothing is: `own` (we did it), `elsewhere` (not in the owner's database), `copy` (it came before).
create or replace function take_notion_event(p_event jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    c_act   constant text := p_event ->> 'act';
    c_page  constant uuid := (p_event ->> 'page')::uuid;
    v_known notion_integration;
begin
    select * into v_known from notion_integration;
    if jsonb_array_length(nullif(p_event -> 'bots', 'null')) > 0
       and p_event -> 'bots' <@ jsonb_build_array(v_known.bot_id)
    then
        return jsonb_build_object('outcome', 'own');
    -- Where a comment lies, its event doesn't say.
    elsif c_act <> 'talk' and not (p_event ->> 'ours')::boolean
          and not coalesce(v_known.places, '[]') ?| array(select jsonb_array_elements_text(p_event -> 'places'))
          and not exists (select from notion_rows where page_id = c_page)
    then
        return jsonb_build_object('outcome', 'elsewhere');
    end if;
    insert into notion_events (id, type, page_id) values (p_event ->> 'id', p_event ->> 'type', c_page)
    on conflict do nothing;
    if not found then
        return jsonb_build_object('outcome', 'copy');
    end if;
    perform case c_act
        when 'look' then notion_news(jsonb_build_array(c_page))
        when 'talk' then add_job('notion_talk', jsonb_build_object('page', c_page, 'block', p_event ->> 'block'),
                                 'notion-talk:' || (p_event ->> 'comment'))
        else add_job('notion_schema', '{}', 'notion-schema') end;
    return jsonb_build_object('outcome', c_act);
end $$;

-- Keep a token of a verification request for an hour. Anybody may post one, so only the newest few stay.
create or replace function keep_notion_verification(p_token text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into notion_verifications (token) values (p_token)
    on conflict (token) do update set received_at = now();
    delete from notion_verifications
     where received_at < now() - interval '1 hour'
        or token not in (select token from notion_verifications order by received_at desc, token limit 5);
    return to_jsonb(true);
end $$;

-- The webhook as the owner sees it: {"tokens": [{"token", "received_at"}], "last_event": when the latest came,
-- "comments_refused", "refused_at"}.
create or replace function notion_webhook() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'tokens', (select coalesce(jsonb_agg(jsonb_build_object('token', token, 'received_at', received_at)
                                             order by received_at desc, token), '[]')
                     from notion_verifications where received_at > now() - interval '1 hour'),
        'last_event', (select max(received_at) from notion_events),
        'comments_refused', (select comments_refused from notion_integration),
        'refused_at', (select refused_at from notion_integration));
$$;

-- The token was pasted: keep none.
create or replace function forget_notion_verifications() returns jsonb
language sql set search_path = public, pg_temp as $$
    delete from notion_verifications;
    select to_jsonb(true);
$$;

-- Which user the integration's own writes are by, and the ids that a row of the owner's database has as its parent.
create or replace function tell_notion_integration(p_bot uuid, p_places jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into notion_integration as i (bot_id, places) values (p_bot, p_places)
    on conflict (only_one) do update set bot_id = excluded.bot_id, places = excluded.places
     where (i.bot_id, i.places) is distinct from (excluded.bot_id, excluded.places);
    select to_jsonb(true);
$$;

-- Forget what is over; part of keep_house. Answers how many rows went.
create or replace function tidy_notion(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp as $$
declare
    v_events   bigint;
    v_comments bigint;
begin
    delete from notion_verifications where received_at < now() - interval '1 hour';
    delete from notion_events where id in (
        select id from notion_events where received_at < now() - interval '7 days' order by received_at limit p_limit);
    get diagnostics v_events = row_count;
    -- A command that is older than a day isn't answered any more (app/services/notion/talk.py).
    delete from notion_comments where comment_id in (
        select comment_id from notion_comments where created_at < now() - interval '30 days'
         order by created_at limit p_limit);
    get diagnostics v_comments = row_count;
    return greatest(v_events, v_comments);
end $$;
