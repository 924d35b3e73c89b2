-- What a sender of a started mailout compiles: the frozen content.
create or replace function snapshot_content(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('content', content, 'content_hash', content_hash)
    from mailout_snapshots where mailout_id = p_mailout;
$$;
