-- Lists of people as a file needs them, without building and reading each person's JSON.

-- A page of subscribers_page, as text: {"people", "count", "next"}. Each person is a line of "people" that ends with \x1e;
-- \x1f stands between: email, address, name, status, tags (JSON), time zone, created_at (JSON), consent (JSON), the
-- fields p_texts where they are texts, the fields p_others (JSON; nothing where there is none). Where a person's own
-- words hold one of these characters, there aren't `count` lines, or one is too long: then who asks takes this page
-- from subscribers_page, and goes on where that one ends. (concat_ws takes no more than 99 cells.)
create or replace function export_page(
    p_filter jsonb, p_limit integer, p_after jsonb, p_texts jsonb, p_others jsonb)
returns jsonb language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off
set enable_nestloop = off set enable_mergejoin = off as $$
declare
    c_reach  constant integer := 5000;
    v_found  uuid[];
    v_next   jsonb;
    v_fields text;
    v_people text;
begin
    select ids, onward into v_found, v_next from people_reached(p_filter, p_limit, c_reach, p_after);
    v_fields := (
        select string_agg(format(case kind
                   when 1 then ', case when jsonb_typeof(s.fields -> %1$L) = ''string'' then s.fields ->> %1$L else '''' end'
                   else ', coalesce((s.fields -> %1$L)::text, '''')' end, name), '' order by kind, n)
          from (select 1 as kind, name, n from jsonb_array_elements_text(p_texts) with ordinality t (name, n)
                union all
                select 2, name, n from jsonb_array_elements_text(p_others) with ordinality o (name, n)) fields);
    execute format($query$
        select string_agg(line, '' order by n)
          from (select n, array_to_string(array[
                           s.email, coalesce(s.address, ''), coalesce(s.name, ''), s.status, array_to_json(s.tags)::text,
                           coalesce(s.timezone, ''), to_json(s.created_at)::text, coalesce(s.consent::text, '')%s],
                           E'\x1f') || E'\x1e' as line
                  from unnest($1) with ordinality f (id, n) join (
                       select * from subscribers where id = any ($1)) s using (id)) lines
        $query$, v_fields) into v_people using v_found;
    return jsonb_build_object('people', coalesce(v_people, ''), 'count', cardinality(v_found), 'next', v_next);
end $$;
