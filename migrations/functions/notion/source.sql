-- The database in Notion, and who looks through its rows.

-- Whether it is time to look through them: true for one of all who ask within p_seconds.
create or replace function begin_notion_poll(p_seconds double precision) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into notion_source as s (polled_at) values (clock_timestamp())
    on conflict (only_one) do update set polled_at = excluded.polled_at
     where s.polled_at is null or s.polled_at <= excluded.polled_at - make_interval(secs => p_seconds);
    return to_jsonb(found);
end $$;

-- Note which database and data source NOTION_DATABASE_ID names, for those who may not ask Notion.
create or replace function tell_notion_source(p_configured text, p_database uuid, p_data_source uuid) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into notion_source as s (configured, database_id, data_source_id)
    values (p_configured, p_database, p_data_source)
    on conflict (only_one) do update
       set configured = excluded.configured, database_id = excluded.database_id,
           data_source_id = excluded.data_source_id;
    select to_jsonb(true);
$$;

-- Note why the rows can't be looked through; null: they could be. Answers whether that is new.
create or replace function note_notion_trouble(p_trouble text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into notion_source as s (trouble, trouble_since)
    values (p_trouble, case when p_trouble is not null then clock_timestamp() end)
    on conflict (only_one) do update
       set trouble = excluded.trouble,
           trouble_since = case when p_trouble is not null then coalesce(s.trouble_since, clock_timestamp()) end
     where s.trouble is distinct from excluded.trouble;
    return to_jsonb(found);
end $$;

-- {"trouble", "since"}; null: none.
create or replace function notion_trouble() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('trouble', trouble, 'since', trouble_since)
      from notion_source where trouble is not null;
$$;

-- {"database_id", "data_source_id"} as they were last found for p_configured; null: never.
create or replace function notion_source(p_configured text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('database_id', database_id, 'data_source_id', data_source_id)
      from notion_source where configured = p_configured;
$$;
