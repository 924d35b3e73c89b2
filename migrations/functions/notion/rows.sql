-- Rows of the Notion database: news of them, looks at them, and what came of it (0019_notion.sql).

-- Somebody tells that something happened to these pages: have each looked at, once more if somebody is just looking.
-- p_calls: it asks to send although it names no Status (a button).
create or replace function notion_news(p_pages jsonb, p_calls boolean default false) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_page uuid;
begin
    for v_page in select distinct value::uuid from jsonb_array_elements_text(p_pages) order by 1 loop
        insert into notion_rows as r (page_id, news, calls) values (v_page, 1, p_calls::integer)
        on conflict (page_id) do update set news = r.news + 1, calls = r.calls + excluded.calls;
        perform add_job('notion_row', jsonb_build_object('page', v_page), notion_key(v_page));
    end loop;
    return to_jsonb(jsonb_array_length(p_pages));
end $$;

create or replace function notion_key(p_page uuid) returns text
language sql immutable as $$ select 'notion:' || p_page $$;

-- A request to send, in Notion's form: make the row's draft and have it looked at. The same event once more gets the same
-- answer. null: a mailout that was made by hand has this page, so the request starts that one.
create or replace function ask_notion_row(
    p_page uuid, p_title text, p_calls boolean, p_request_key text default null, p_request_hash text default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_known    jsonb;
    v_mailout  uuid;
    v_response jsonb;
begin
    insert into notion_rows (page_id) values (p_page) on conflict (page_id) do nothing;
    v_mailout := notion_mailout(p_page, p_title);   -- holds the row until we are done
    if v_mailout is null then
        delete from notion_rows where page_id = p_page and seen_at is null and news = 0;
        return null;
    end if;
    v_known := take_request_key(p_request_key, p_request_hash);
    if v_known is not null then
        return v_known -> 'response';
    end if;
    v_response := jsonb_build_object('mailout_id', v_mailout, 'status', 'reading');
    update send_requests set response = v_response where key = p_request_key;
    perform notion_news(jsonb_build_array(p_page), p_calls);
    return v_response;
end $$;

-- The mailout of a row that is known; a new draft where there is none. null: one that was made by hand has the page.
create or replace function notion_mailout(p_page uuid, p_title text) returns uuid
language plpgsql set search_path = public, pg_temp as $$
declare
    v_row  notion_rows;
    v_made jsonb;
begin
    select * into v_row from notion_rows where page_id = p_page for update;
    if v_row.mailout_id is not null then
        return v_row.mailout_id;
    end if;
    v_made := add_mailout(jsonb_build_object('subject', coalesce(nullif(btrim(p_title), ''), 'Untitled'),
                                             'notion_page_id', p_page), 'notion');
    update notion_rows set mailout_id = (v_made ->> 'id')::uuid where page_id = p_page;
    return (v_made ->> 'id')::uuid;
end $$;

-- The same, for a look. {"id"}, null as above.
create or replace function make_notion_mailout(p_page uuid, p_title text) returns jsonb
language sql set search_path = public, pg_temp as $$
    select to_jsonb(notion_mailout(p_page, p_title));
$$;

-- A row, and the mailout that belongs to it. null: not known.
create or replace function notion_row(p_page uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(r) || jsonb_build_object('mailout', (
               select jsonb_build_object('id', m.id, 'status', m.status, 'status_reason', m.status_reason,
                                         'schedule', m.schedule, 'scheduled_at', m.scheduled_at,
                                         'sent_at', m.sent_at)
                 from mailouts m where m.id = r.mailout_id))
      from notion_rows r where r.page_id = p_page;
$$;

-- Write what a look found, if the row still is p_version. p_change: columns by name. Answers the row; null: it isn't.
create or replace function save_notion_row(p_page uuid, p_version bigint, p_change jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    update notion_rows r
       set (title, called, seen_at, edited_at, status, press, asked, answered, delivery, problem, note, tested, frozen,
            confirm, gone_at)
         = (select n.title, c.called, n.seen_at, n.edited_at, n.status, n.press, n.asked, n.answered, n.delivery,
                   n.problem, n.note, n.tested, n.frozen, n.confirm, n.gone_at
              from jsonb_populate_record(r, p_change) n
              -- Whoever called until now hasn't read what is refused here, so it confirms nothing.
              cross join lateral (select case when n.confirm is not null and n.answered > r.answered then r.calls
                                         else n.called end as called) c),
           version = version + 1, changed_at = clock_timestamp()
     where page_id = p_page and version = p_version;
    if not found then
        return null;
    end if;
    perform notion_write_due(p_page);
    return notion_row(p_page);
end $$;

-- Keep the page as it is now, to be sent: {"row"}. Of rows with the very same content one goes: {"twin": the other's title,
-- mailout and status} where one was sent, or is about to be, unless p_twice. null: the row is no longer p_version.
create or replace function freeze_notion_row(p_page uuid, p_version bigint, p_frozen jsonb, p_twice boolean)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_twin jsonb;
    v_row  jsonb;
begin
    perform pg_advisory_xact_lock(hashtextextended(p_frozen ->> 'hash', 13));
    select jsonb_build_object('title', r.title, 'mailout_id', m.id, 'status', m.status) into v_twin
      from notion_rows r join mailouts m on m.id = r.mailout_id
     where r.frozen ->> 'hash' = p_frozen ->> 'hash' and r.page_id <> p_page
       and (m.status in ('scheduled', 'sending', 'paused', 'sent') or r.asked = 'send' and r.answered < r.press)
     limit 1;
    if v_twin is not null and not p_twice then
        return jsonb_build_object('twin', v_twin);
    end if;
    v_row := save_notion_row(p_page, p_version, jsonb_build_object('frozen', p_frozen));
    return case when v_row is not null then jsonb_build_object('row', v_row) end;
end $$;

-- A look that began when the row had p_news is over. true: there are more, look again. Else the job gives its key back, so
-- that news from now on have a job of their own.
create or replace function end_notion_look(p_page uuid, p_news bigint, p_job uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_news bigint;
begin
    update notion_rows set looked = greatest(looked, p_news) where page_id = p_page returning news into v_news;
    if v_news > p_news then
        return to_jsonb(true);
    end if;
    update jobs set key = null where id = p_job and key = notion_key(p_page);
    return to_jsonb(false);
end $$;

-- The page is none of our database: forget it, and the draft that was made for it. Answers whether there was one.
create or replace function forget_notion_row(p_page uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout uuid;
begin
    delete from notion_rows where page_id = p_page returning mailout_id into v_mailout;
    return to_jsonb(coalesce((delete_mailout(v_mailout, null, 'notion') ->> 'changed')::boolean, false));
end $$;

-- What is known of these pages, and of all others that something may happen to: {"page_id", "status", "edited_at",
-- "seen", "open", "mailout_status"}.
create or replace function known_notion_rows(p_pages jsonb) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    with given as materialized (select value::uuid as page_id from jsonb_array_elements_text(p_pages)),
    known as (
        select r.*, m.status as mailout_status,
               r.gone_at is null and r.seen_at is not null
               and (r.answered < r.press or m.status in ('scheduled', 'sending', 'paused')
                    or r.status in ('Send test', 'Send', 'Pause', 'Cancel')
                       and (m.status in ('draft', 'ready')
                            -- The query finds what was edited within a week.
                            or r.edited_at::timestamptz > now() - interval '6 days')) as open
          from notion_rows r left join mailouts m on m.id = r.mailout_id)
    select coalesce(jsonb_agg(jsonb_build_object(
               'page_id', page_id, 'status', status, 'edited_at', edited_at, 'seen', seen_at is not null,
               'gone', gone_at is not null, 'open', open, 'mailout_status', mailout_status)), '[]')
      from known where open or page_id in (select page_id from given);
$$;

-- Rows whose job ended without an answer, because it failed for good or somebody cancelled it: they get this one. Answers
-- how many.
create or replace function answer_forsaken_notion_rows(p_problem text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_page  uuid;
    v_count bigint := 0;
begin
    for v_page in
        update notion_rows r
           set answered = press, looked = news, called = calls, problem = p_problem, delivery = 'Problem',
               version = version + 1, changed_at = clock_timestamp()
         where (answered < press or looked < news)
           and not exists (select from jobs where key = notion_key(r.page_id) and state in ('waiting', 'running'))
        returning page_id loop
        perform notion_write_due(v_page);
        v_count := v_count + 1;
    end loop;
    return to_jsonb(v_count);
end $$;

-- Forget looks that found nothing to do, some at a time, once nobody waits for them any more. Answers how many.
create or replace function forget_idle_looks() returns jsonb
language sql set search_path = public, pg_temp as $$
    with old as (
        delete from jobs
         where id in (select id from jobs
                       where kind = 'notion_row' and state = 'done' and result is null
                         and finished_at < clock_timestamp() - interval '10 minutes'
                       order by finished_at limit 1000 for update skip locked)
        returning 1)
    select to_jsonb(count(*)) from old;
$$;
