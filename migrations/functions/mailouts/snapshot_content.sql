-- What a sender of a started mailout compiles: the frozen content.
create or replace function snapshot_content(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('content', content, 'content_hash', content_hash)
    from mailout_snapshots where mailout_id = p_mailout;
$$;

-- Keep a mailout's content as it is now: what is edited later is not sent.
create or replace function freeze_content(m mailouts) returns void
language sql set search_path = public, pg_temp as $$
    insert into mailout_snapshots (mailout_id, content, content_hash)
    values (m.id, mailout_content(m), mailout_content_hash(m))
    on conflict (mailout_id) do update
       set content = excluded.content, content_hash = excluded.content_hash, taken_at = now();
$$;
