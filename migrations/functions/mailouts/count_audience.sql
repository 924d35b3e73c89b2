-- Whom a mailout addresses: active subscribers of its audience, in the order of their ids.
-- One definition for the count, the queue and the dry run. Inlined by the planner.
create or replace function audience_tags(p_audience jsonb) returns text[]
language sql immutable as $$
    select case when p_audience -> 'tags' is not null
           then array(select jsonb_array_elements_text(p_audience -> 'tags')) end;
$$;

-- How many they are: {"recipients", "estimated"}. Without tags the kept count of active subscribers is the
-- answer (recipient_counts.sql). Subscribers with a tag are counted when the list has at most a million. In
-- a larger list the share of a sample of about 100,000 gives an estimate, unless the sample has so few of
-- them that all can be counted one by one (from the index of tags).
create or replace function audience_size(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    c_large   constant bigint := 1000000;
    c_sample  constant bigint := 100000;
    v_tags    text[] := (select audience_tags(audience) from mailouts where id = p_mailout);
    v_listed  bigint;
    v_sampled bigint;
    v_found   bigint;
begin
    if v_tags is null then
        return jsonb_build_object('recipients', subscribers_in('{active}'), 'estimated', false);
    end if;
    v_listed := subscribers_in(null);
    if v_listed > c_large then
        select count(*), count(*) filter (where status = 'active' and tags && v_tags)
          into v_sampled, v_found
          from subscribers tablesample system (100.0 * c_sample / v_listed);
        if v_found > c_sample / 100 then
            return jsonb_build_object('recipients', round(v_listed * v_found::numeric / v_sampled),
                                      'estimated', true);
        end if;
    end if;
    -- The condition names the tags alone, so that only the index of tags fits.
    select count(*) filter (where status = 'active') into v_found from subscribers where tags && v_tags;
    return jsonb_build_object('recipients', v_found, 'estimated', false);
end $$;

create or replace function count_audience(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select audience_size(p_mailout) -> 'recipients';
$$;
