-- What a sender of a started mailout compiles: the frozen content.
create or replace function snapshot_content(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('content', content, 'content_hash', content_hash)
    from mailout_snapshots where mailout_id = p_mailout;
$$;

-- Keep a mailout's content as it is now: what is edited later is not sent. False: it isn't the one with this hash, and
-- nothing was kept. Both in one statement, so that no template can be changed between them.
drop function if exists freeze_content(mailouts);
create or replace function freeze_content(m mailouts, p_content_hash text) returns boolean
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into mailout_snapshots (mailout_id, content, content_hash)
    select m.id, mailout_content(m), p_content_hash where mailout_content_hash(m) = p_content_hash
    on conflict (mailout_id) do update
       set content = excluded.content, content_hash = excluded.content_hash, taken_at = now(), links_read = false;
    return found;
end $$;
