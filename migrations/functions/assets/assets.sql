-- Pictures and PDFs of mails; `asset` below is either.

-- Keep a picture. p_asset: sha256, media_type, extension, width and height (null for a PDF), size, store, origin, and `content` in base64 where
-- the database is the store. p_source: sha256, recipe and note of the file that it was made of. Again changes nothing,
-- unless the store is another one now.
create or replace function keep_asset(p_asset jsonb, p_source jsonb) returns jsonb
    language plpgsql set search_path = public, pg_temp as $$
begin
    insert into assets (sha256, media_type, extension, width, height, size, content, store, origin)
    select a.sha256, a.media_type, a.extension, a.width, a.height, a.size, decode(p_asset ->> 'content', 'base64'), a.store,
           a.origin
      from jsonb_populate_record(null::assets, p_asset - 'content') a
    on conflict (sha256) do update
        -- What once lay in the database stays there: mails that were sent name its address.
        set content = coalesce(assets.content, excluded.content), store = excluded.store
        where assets.store <> excluded.store;
    insert into asset_sources (sha256, recipe, asset, note)
    values (p_source ->> 'sha256', (p_source ->> 'recipe')::integer, p_asset ->> 'sha256', p_source ->> 'note')
    on conflict (sha256) do update set recipe = excluded.recipe, asset = excluded.asset, note = excluded.note
        where asset_sources.recipe < excluded.recipe;
    return to_jsonb(true);
end $$;

-- The picture that was made of a file by this recipe and lies in this store; null: none.
create or replace function find_asset(p_source text, p_recipe integer, p_store text) returns jsonb
    language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('sha256', a.sha256, 'media_type', a.media_type, 'extension', a.extension,
                              'width', a.width, 'height', a.height, 'size', a.size, 'note', s.note)
      from asset_sources s
      join assets a on a.sha256 = s.asset
     where s.sha256 = p_source and s.recipe >= p_recipe and a.store = p_store
$$;

-- A picture with its content in base64 (null: it lies in `store`); null: there is none of this name.
create or replace function read_asset(p_sha256 text, p_extension text) returns jsonb
    language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('media_type', media_type, 'store', store, 'size', size,
                              'content', translate(encode(content, 'base64'), E'\n', ''))
      from assets
     where sha256 = p_sha256 and extension = p_extension
$$;

-- The newest picture that lies in a store; null: none.
create or replace function latest_asset(p_store text) returns jsonb
    language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('sha256', sha256, 'media_type', media_type, 'extension', extension,
                              'width', width, 'height', height, 'size', size)
      from assets
     where store = p_store
     order by created_at desc
     limit 1
$$;
