-- Whom a mailout addresses: active subscribers of its audience, in the order of their ids.
-- One definition for the count, the queue and the dry run. Inlined by the planner.
create or replace function audience_tags(p_audience jsonb) returns text[]
language sql immutable as $$
    select case when p_audience -> 'tags' is not null
           then array(select jsonb_array_elements_text(p_audience -> 'tags')) end;
$$;

create or replace function count_audience(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_tags  text[] := (select audience_tags(audience) from mailouts where id = p_mailout);
    v_count bigint;
begin
    if v_tags is null then
        select count(*) into v_count from subscribers where status = 'active';
    else
        select count(*) into v_count from subscribers where status = 'active' and tags && v_tags;
    end if;
    return to_jsonb(v_count);
end $$;

-- Whether anybody is to be mailed: stops at the first.
create or replace function has_audience(p_mailout uuid) returns boolean
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_tags text[] := (select audience_tags(audience) from mailouts where id = p_mailout);
begin
    if v_tags is null then
        return exists (select from subscribers where status = 'active');
    end if;
    return exists (select from subscribers where status = 'active' and tags && v_tags);
end $$;
