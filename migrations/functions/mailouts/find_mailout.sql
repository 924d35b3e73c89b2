-- A mailout by its id or by its Notion page (32 hex digits, no dashes), with the content a sender
-- would compile now and the hash of what was last tested; null when there is none.
create or replace function find_mailout(p_mailout uuid default null, p_notion_page text default null)
returns jsonb language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('id', m.id, 'status', m.status, 'version', m.version, 'status_reason', m.status_reason,
                              'region', m.region, 'content', mailout_content(m), 'content_hash', mailout_content_hash(m),
                              'tested_hash', (select content_hash from mailout_tests
                                               where mailout_id = m.id))
    from mailouts m
    where m.id = p_mailout
       or (p_notion_page is not null and replace(lower(m.notion_page_id), '-', '') = p_notion_page)
    limit 1;
$$;
