-- Bulk import: new addresses are added, known ones get the name, tags and fields given (nothing is
-- taken away), and nobody's status changes: who left stays away. A field whose text is there
-- already stays as it is: `true` doesn't become the text "true" by an export and import.
-- p_rows: [{"email", "name", "tags", "fields"}], each address once.
create or replace function import_subscribers(p_rows jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    with given as (
        select r.email, r.name, coalesce(r.tags, '{}') as tags,
               (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(r.fields)
                 where s.fields ->> key is distinct from value #>> '{}') as fields
          from jsonb_to_recordset(p_rows) as r (email text, name text, tags text[], fields jsonb)
          left join subscribers s on s.address = canonical_address(r.email)
    ), written as (
        insert into subscribers as s (email, name, tags, fields)
        select email, name, tags, fields from given
        on conflict (address) do update
           set name = coalesce(excluded.name, s.name),
               tags = s.tags || array(select unnest(excluded.tags) except select unnest(s.tags)),
               fields = s.fields || excluded.fields
         where (s.name, s.fields) is distinct from
               (coalesce(excluded.name, s.name), s.fields || excluded.fields)
            or not s.tags @> excluded.tags
        returning (xmax = 0) as is_new
    )
    select jsonb_build_object(
        'added', count(*) filter (where is_new), 'updated', count(*) filter (where not is_new),
        'unchanged', jsonb_array_length(p_rows) - count(*)) from written;
$$;

-- In the order of their addresses, after the email p_after; last those without an address.
create or replace function list_subscribers(
    p_limit integer, p_status text default null, p_after text default null)
returns jsonb language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_after text collate "C" := canonical_address(p_after);
begin
    return (
        with page as (
            (select * from subscribers
              where address > coalesce(v_after, '') and (v_after is not null or p_after is null)
                and (p_status is null or status = p_status)
              order by address limit p_limit)
            union all
            (select * from subscribers
              where address is null and (v_after is not null or email > coalesce(p_after, ''))
                and (p_status is null or status = p_status)
              order by email limit p_limit)
            limit p_limit
        )
        select coalesce(jsonb_agg(to_jsonb(page) order by address, email), '[]') from page);
end $$;

-- The names that any subscriber's fields have, in the order of their bytes: an export's columns.
create or replace function subscriber_field_names() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(name order by name collate "C"), '[]')
      from (select distinct jsonb_object_keys(fields) as name from subscribers) names;
$$;
