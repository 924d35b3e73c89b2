-- Lists of people. A filter is {"status", "tags": [any of them], "q", "fields": {NAME: text}, "rule": as of an audience
-- (audience/compile.sql), with its segments written out}; what isn't there doesn't matter. q is looked for at the beginning of addresses, of domains and of the words of names (people_search).
--
-- Every list is read on one road, in the order of an index that fits one condition, and the others are tried row by
-- row. How many rows a call looks at is limited: where few of them fit, a page is shorter than asked for, or empty,
-- and `next` says where to go on. So no combination of conditions takes long, whatever the size of the list.

-- The next people of a list: at most p_limit, of at most p_reach rows on each road; of fewer where a rule looks each of
-- them up in the ledger of several mailouts, so that a call makes no more look-ups than that. p_after, onward: where the
-- list goes on, [road, key, address]; onward is null at its end.
create or replace function people_reached(
    p_filter jsonb, p_limit integer, p_reach integer, p_after jsonb, out ids uuid[], out onward jsonb)
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_sort = off set enable_incremental_sort = off as $$
declare
    c_rare    constant bigint := 5000;    -- so few with a tag or a status are rather all looked at
    v_status  text := p_filter ->> 'status';
    v_tags    text[] := people_tags(p_filter);
    v_fields  text[] := people_fields(p_filter);
    v_q       jsonb := people_search(p_filter ->> 'q');
    v_rule    record;
    v_reach   integer;
    v_known   bigint := case when v_status is not null then subscribers_in(array[v_status]) end;
    v_tagged  bigint := case when v_tags is not null then tagged(v_tags) end;
    v_road    text := p_after ->> 0;
    v_key     text := p_after ->> 1;
    v_address text := p_after ->> 2;
    v_rows    text;
    v_more    uuid[];
    v_to      text[];     -- key and address of the last row
begin
    ids := '{}';
    select * into v_rule from compile_audience(p_filter -> 'rule', '$11', now(), service_timezone());
    v_reach := reach_of_rule(p_reach, v_rule.cost);
    v_road := coalesce(v_road, case
        -- In the order of addresses, a page is full after about limit * known / tagged rows.
        when v_tagged <= c_rare and v_tagged * v_tagged <= p_limit * coalesce(v_known, subscribers_in(null)) then 'tags'
        when v_q is null or v_known <= c_rare then case when v_status is null then 'all' else 'status' end
        else next_road(null, v_q) end);
    if v_road <> 'tags' and people_road(v_road) is null then
        raise exception 'a list has no such place to go on from' using errcode = 'invalid_parameter_value';
    end if;
    if v_road = 'tags' then
        select t.ids, t.onward into ids, onward from people_tagged(p_filter, p_limit, v_reach, v_key) t;
        return;
    end if;
    while v_road is not null loop
        v_rows := people_road(v_road);
        v_key := coalesce(v_key, v_q ->> case when v_road in ('address', 'domain') then v_road else 'name' end, '');
        execute format($query$
            select coalesce(array_agg(id order by n), '{}'), (array_agg(array[key, address] order by n desc))[1:1]
              from (select id, key, address, row_number() over () as n
                      from (select * from (%s limit $1) s where %s limit $5) fitting) numbered
            $query$, v_rows, people_condition(v_road, cardinality(v_fields) / 2, v_rule.condition))
           into v_more, v_to
          using v_reach, v_status, v_tags, v_fields, p_limit - cardinality(ids),
                v_q ->> 'address', v_q ->> 'domain', v_q ->> 'name', v_key, coalesce(v_address, ''), v_rule.bound;
        ids := ids || v_more;
        if cardinality(ids) < p_limit then
            execute format('select array[array[key, address]] from (%s offset $1 - 1 limit 1) last', v_rows)
               into v_to
              using v_reach, v_status, v_tags, v_fields, p_limit,
                    v_q ->> 'address', v_q ->> 'domain', v_q ->> 'name', v_key, coalesce(v_address, '');
        end if;
        if v_to is not null then
            onward := jsonb_build_array(v_road, v_to[1][1], v_to[1][2]);
            return;
        end if;
        v_road := next_road(v_road, v_q);
        v_key := null;
        v_address := null;
    end loop;
end $$;

-- The road after this one. A list without a search ends with those who have no address (addresses.sql). A search
-- takes the roads of what it may mean one after the other; who was on an earlier one isn't shown again.
create or replace function next_road(p_road text, p_q jsonb) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case
        when p_road in ('all', 'status') then 'rest'
        when p_road = 'rest' then null
        else (select road
                from unnest(array['address', 'domain', 'name1', 'name2', 'name3', 'name4']) with ordinality r (road, n)
               where p_q ? rtrim(road, '1234')
                 and n > coalesce(array_position(
                         array['address', 'domain', 'name1', 'name2', 'name3', 'name4'], p_road), 0)
               order by n limit 1) end;
$$;

-- What q may mean: {"address", "domain", "name"}, beginnings of these. One that begins with @ is a domain, one with an
-- @ within an address, one with a blank a name. null: nothing is looked for.
create or replace function people_search(p_q text) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    with typed as (select regexp_replace(btrim(p_q), '\s+', ' ', 'g') as q)
    select nullif(jsonb_strip_nulls(jsonb_build_object(
               'address', case when q ~ '@' and q !~ '^@' then coalesce(canonical_address(q), lower(q collate "C"))
                               when q !~ '[@ ]' then lower(q collate "C") end,
               'domain', case when q ~ '^@' then coalesce(ascii_domain(lower(substr(q, 2) collate "C")), substr(q, 2))
                              when q !~ '[@ ]' then lower(q collate "C") end,
               'name', case when q !~ '@' then name_from(q, 1) end)), '{}')
      from typed where q not in ('', '@');
$$;

-- Everybody in the list has one of these tags: those that are asked for, or that its rule needs. null: none are known.
create or replace function people_tags(p_filter jsonb) returns text[]
language sql stable set search_path = public, pg_temp as $$
    select case when p_filter ? 'tags' then array(select jsonb_array_elements_text(p_filter -> 'tags'))
                else needed_tags(p_filter -> 'rule') end;
$$;

-- At most so many have any of these tags.
create or replace function tagged(p_tags text[]) returns bigint
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select coalesce(sum(subscribers), 0)::bigint from tag_counts where tag = any (p_tags);
$$;

-- The names of the fields that are asked for, then their values.
create or replace function people_fields(p_filter jsonb) returns text[]
language sql immutable as $$
    select coalesce(array_agg(key order by key) || array_agg(value order by key), '{}')
      from jsonb_each_text(p_filter -> 'fields');
$$;

-- Null for what is no road: a part of it stands in the SQL.
-- The rows of a road behind the key $9 and the address $10, in its order. $2: status; $6, $7, $8: what the address,
-- the domain, a word of the name begins with.
create or replace function people_road(p_road text) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case p_road
        when 'all' then 'select *, address as key from subscribers where address > $9 order by address'
        when 'status' then 'select *, address as key from subscribers
            where (status, address) > ($2, $9) and status <= $2 order by status, address'
        when 'rest' then 'select *, email as key from subscribers where address is null and email > $9 order by email'
        when 'address' then 'select *, address as key from subscribers
            where (address, address) > ($9, $10) and address >= $9 and address < $6 || chr(1114111) order by address'
        when 'domain' then 'select *, split_part(address, ''@'', 2) as key from subscribers
            where (split_part(address, ''@'', 2), address) > ($9, $10)
              and split_part(address, ''@'', 2) < $7 || chr(1114111) order by split_part(address, ''@'', 2), address'
        else format('select *, %1$s collate "C" as key from subscribers
            where (%1$s collate "C", address) > ($9, $10) and %1$s collate "C" < $8 || chr(1114111) and %2$s
            order by %1$s collate "C", address',
            case p_road   -- as in the indexes (0010_finding_and_erasing.sql)
                when 'name1' then 'case when octet_length(name) = length(name)
                    then lower(left(name, 60) collate "C") else name_from(name, 1) end'
                when 'name2' then 'case when octet_length(name) = length(name)
                    then left(substr(lower(left(name, 200) collate "C"), strpos(name, '' '') + 1), 60)
                    else name_from(name, 2) end'
                else format('name_from(name, %s)', substr(p_road, 5)) end,
            case p_road when 'name1' then 'name <> '''''
                else format('split_part(name, '' '', %s) <> ''''', substr(p_road, 5)) end)
        end
     where p_road = any (array['all', 'status', 'rest', 'address', 'domain', 'name1', 'name2', 'name3', 'name4']);
$$;

-- p_fields: how many fields are asked for ($4). p_rule: the rule's condition. What is tried on each row of a road: all conditions that the road itself doesn't fulfil. A person on several roads
-- of a search is found on the first.
create or replace function people_condition(p_road text, p_fields integer, p_rule text) returns text
language sql immutable set search_path = public, pg_temp as $$
    with meant as (
        select array['coalesce(starts_with(address, $6), false)',
                     'coalesce(starts_with(split_part(address, ''@'', 2), $7), false)',
                     'coalesce(starts_with(name_from(name, 1), $8), false)',
                     'coalesce(starts_with(name_from(name, 2), $8), false)',
                     'coalesce(starts_with(name_from(name, 3), $8), false)',
                     'coalesce(starts_with(name_from(name, 4), $8), false)'] as all_roads,
               array_position(array['address', 'domain', 'name1', 'name2', 'name3', 'name4'], p_road) as n
    )
    select '($2 is null or status = $2) and ($3 is null or tags && $3) and (' || p_rule || ') and '
        || coalesce((select string_agg(format('fields ->> ($4)[%s] = ($4)[%s] and ', n, p_fields + n), '')
                       from generate_series(1, p_fields) n), '')
        || case when n is null
           then '($6 is null and $7 is null and $8 is null or ' || array_to_string(all_roads, ' or ') || ')'
           when n = 1 then 'true' else 'not (' || array_to_string(all_roads[:n - 1], ' or ') || ')' end
      from meant;
$$;

-- So many rows, where a condition may cost as much as one look-up (100: compile_audience) for each of p_reach.
create or replace function reach_of_rule(p_reach integer, p_cost integer) returns integer
language sql immutable set search_path = public, pg_temp as $$
    select case when p_cost <= 100 then p_reach else least(p_reach, greatest(10, 100::bigint * p_reach / p_cost))::integer end;
$$;

-- As people_reached, for rare tags: all who have one are looked at, by the index of tags, which has no order; the rule
-- is tried on the first p_reach of them.
drop function if exists people_tagged(jsonb, integer, text);
create or replace function people_tagged(
    p_filter jsonb, p_limit integer, p_reach integer, p_after text, out ids uuid[], out onward jsonb)
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_indexscan = off
set enable_bitmapscan = on as $$
declare
    v_q    jsonb := people_search(p_filter ->> 'q');
    v_rule record;
    v_last text;
    v_reached text;       -- null: all of them
begin
    select * into v_rule from compile_audience(p_filter -> 'rule', '$11', now(), service_timezone());
    -- \x7f: those without an address come last. `offset 0` keeps the conditions apart, so that only the index fits.
    execute format($query$
        with reached as materialized (
            select * from (select *, coalesce(address, E'\x7f' || email) collate "C" as key
                             from subscribers where tags && $3 offset 0) s
             where key > $9 order by key limit $1
        )
        select coalesce(array_agg(id order by key), '{}'), max(key),
               (select key from reached order by key offset $1 - 1 limit 1)
          from (select id, key from reached s where %s order by key limit $5) fitting
        $query$, people_condition('tags', cardinality(people_fields(p_filter)) / 2, v_rule.condition))
       into ids, v_last, v_reached
      using p_reach, p_filter ->> 'status', people_tags(p_filter), people_fields(p_filter), p_limit,
            v_q ->> 'address', v_q ->> 'domain', v_q ->> 'name', coalesce(p_after, ''), null::text, v_rule.bound;
    onward := case when cardinality(ids) = p_limit then jsonb_build_array('tags', v_last, '')
                   when v_reached is not null then jsonb_build_array('tags', v_reached, '') end;
end $$;

-- A page: {"items", "next"}. It may be short, even empty, and yet have a next one.
create or replace function subscribers_page(p_filter jsonb, p_limit integer, p_after jsonb default null)
returns jsonb language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    c_reach constant integer := 3000;
    v_found uuid[];
    v_next  jsonb;
    v_more  uuid[];
    v_end   jsonb;
begin
    select ids, onward into v_found, v_next from people_reached(p_filter, p_limit, c_reach, p_after);
    if v_next is not null and cardinality(v_found) = p_limit then
        select ids, onward into v_more, v_end from people_reached(p_filter, 1, c_reach, v_next);
        if v_more = '{}' and v_end is null then
            v_next := null;
        end if;
    end if;
    return jsonb_build_object('next', v_next, 'items', (
        select coalesce(jsonb_agg(to_jsonb(s) order by array_position(v_found, s.id)), '[]')
          from subscribers s where s.id = any (v_found)));
end $$;

-- How many fit a filter: {"count", "next", "ids"}, in slices like a list's pages. p_ids: also who; without it the first
-- call may know it all.
create or replace function count_people(
    p_filter jsonb, p_reach integer, p_after jsonb default null, p_ids boolean default false)
returns jsonb language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_tags  text[] := people_tags(p_filter);
    v_found uuid[];
    v_next  jsonb;
begin
    if p_filter - 'status' = '{}' and not p_ids then
        return jsonb_build_object('next', null, 'ids', '[]'::jsonb, 'count',
            subscribers_in(case when p_filter ? 'status' then array[p_filter ->> 'status'] end));
    elsif p_filter - 'tags' = '{}' and cardinality(v_tags) = 1 and octet_length(v_tags[1]) <= 1000 and not p_ids then
        return jsonb_build_object('next', null, 'ids', '[]'::jsonb, 'count', tagged(v_tags));
    end if;
    select ids, onward into v_found, v_next from people_reached(p_filter, p_reach, p_reach, p_after);
    return jsonb_build_object('count', cardinality(v_found), 'next', v_next,
                              'ids', case when p_ids then to_jsonb(v_found) else '[]' end);
end $$;

-- How many there are by status, and of the most used tags.
create or replace function people_overview(p_tags integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'statuses', (select coalesce(jsonb_object_agg(status, n), '{}')
                       from (select status, sum(subscribers) as n from subscriber_counts group by status) by_status),
        'tags', (select coalesce(jsonb_agg(jsonb_build_object('tag', tag, 'subscribers', n) order by n desc, tag), '[]')
                   from (select tag, sum(subscribers) as n from tag_counts group by tag having sum(subscribers) > 0
                          order by n desc, tag limit p_tags) by_tag));
$$;
