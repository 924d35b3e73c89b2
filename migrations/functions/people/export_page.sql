-- Lists of people as a file needs them, without building and reading each person's JSON.

-- A page of subscribers_page, as text: {"people", "count", "next"}. \x7f stands before each cell of "people", which JSON
-- needn't escape. A person has the cells email, name, status, tags (JSON), time zone, created_at (JSON), consent
-- (JSON), the fields p_texts where they are texts, the fields p_others (JSON; nothing where there is none). An email that
-- isn't its address in other letters has \x01 and the address behind it. Where a person's own words hold \x7f, there are
-- too many cells: then who asks takes this page from subscribers_page, and goes on where that one ends.
drop function if exists export_page(jsonb, integer, jsonb, jsonb, jsonb);
create or replace function export_page(
    p_filter jsonb, p_limit integer, p_after jsonb, p_texts jsonb, p_others jsonb)
returns json language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off
set enable_nestloop = off set enable_mergejoin = off set enable_bitmapscan = off set enable_sort = off
set enable_incremental_sort = off as $$
declare
    c_reach  constant integer := 5000;
    v_status text := p_filter ->> 'status';
    v_road   text := coalesce(p_after ->> 0, case when v_status is null then 'all' else 'status' end);
    v_cells  text := export_cells(p_texts, p_others);
    v_people text := '';
    v_count  integer := 0;
    v_last   text;
    v_next   jsonb := p_after;
    v_found  uuid[];
    v_more   text;
begin
    if p_filter - 'status' = '{}' and v_road in ('all', 'status') then
        -- Everybody on the road fits, so that it is read once, and in its order: less than half of the time.
        execute format('select coalesce(string_agg(%s, ''''), ''''), count(*), max(address) from (%s limit $1) s',
                       v_cells, people_road(v_road))
           into v_people, v_count, v_last
          using p_limit, v_status, null::text[], null::text[], null::integer, null::text, null::text, null::text,
                coalesce(p_after ->> 1, ''), coalesce(p_after ->> 2, '');
        if v_count = p_limit then
            return json_build_object('people', v_people, 'count', v_count,
                                     'next', jsonb_build_array(v_road, v_last, v_last));
        end if;
        v_next := jsonb_build_array(next_road(v_road, null), '', '');
    end if;
    select ids, onward into v_found, v_next from people_reached(p_filter, p_limit - v_count, c_reach, v_next);
    if v_found <> '{}' then
        execute format($query$
            select string_agg(cells, '' order by n)
              from (select n, %s as cells
                      from unnest($1) with ordinality f (id, n) join (
                           select * from subscribers where id = any ($1)) s using (id)) people
            $query$, v_cells) into v_more using v_found;
    end if;
    return json_build_object('people', v_people || coalesce(v_more, ''), 'count', v_count + cardinality(v_found),
                             'next', v_next);
end $$;

-- The SQL that makes these cells of a subscriber `s`.
create or replace function export_cells(p_texts jsonb, p_others jsonb) returns text
language sql immutable set search_path = public, pg_temp as $$
    select $cells$array_to_string(array['',
               s.email || case when lower(s.email collate "C") = s.address then '' else E'\x01' || coalesce(s.address, '') end,
               coalesce(s.name, ''), s.status, array_to_json(s.tags)::text, coalesce(s.timezone, ''),
               to_json(s.created_at)::text, coalesce(s.consent::text, '')$cells$
        || coalesce(string_agg(format(case kind
               when 1 then ', case when jsonb_typeof(s.fields -> %1$L) = ''string'' then s.fields ->> %1$L else '''' end'
               else ', coalesce((s.fields -> %1$L)::text, '''')' end, name), '' order by kind, n), '')
        || $cells$], E'\x7f')$cells$
      from (select 1 as kind, name, n from jsonb_array_elements_text(p_texts) with ordinality t (name, n)
            union all
            select 2, name, n from jsonb_array_elements_text(p_others) with ordinality o (name, n)) fields;
$$;
