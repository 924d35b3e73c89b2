-- The reader who makes a mail look worst: whoever lacks most of what it shows, and of those the one with the
-- longest name. p_shown: `name` and `fields.NAME`. Looks at the first of the audience only
-- (first_recipients), so it takes equally long however long the list is. null: there is nobody.
create or replace function awkward_reader(p_mailout uuid, p_shown jsonb) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select r from jsonb_array_elements(first_recipients(p_mailout, 2000)) r
     order by (select count(*) from jsonb_array_elements_text(p_shown) s
                where btrim(coalesce(case s when 'name' then r ->> 'name'
                                            else r -> 'fields' ->> substr(s, 8) end, '')) = '') desc,
              length(r ->> 'name') desc nulls last, r ->> 'id'
     limit 1;
$$;
