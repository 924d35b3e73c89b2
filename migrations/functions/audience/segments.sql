-- Segments: rules with a name, which other rules may name. p_by: as in record_audit (audit.sql).

-- Whoever writes a segment: those it names must exist, and none may lead back to it. One at a time, so that of two that
-- would close a circle the second is refused.
create or replace function segments_check() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if tg_op = 'INSERT' or new.audience is distinct from old.audience then
        lock table segments in share row exclusive mode;
        perform resolved_audience(audience) from segments
          where id = new.id or jsonb_path_exists(audience, '$.**.segment');
    end if;
    return null;
end $$;

-- A mailout's rule may only name segments that exist, and they stay as long as it isn't over (delete_segment).
create or replace function mailouts_check_segments() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if new.audience is not null and jsonb_path_exists(new.audience, '$.**.segment')
       and (tg_op = 'INSERT' or new.audience is distinct from old.audience)
    then
        perform from segments where id = any (audience_segments(new.audience)) order by id for key share;
        perform resolved_audience(new.audience);
    end if;
    return null;
end $$;

create or replace trigger segments_check after insert or update on segments
    for each row execute function segments_check();
create or replace trigger mailouts_check_segments after insert or update of audience on mailouts
    for each row execute function mailouts_check_segments();

-- Who uses a segment: {"segments", "mailouts": [{"id", "name"}]}, the mailouts that aren't over.
create or replace function segment_users(p_segment uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'segments', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', name) order by lower(name)), '[]')
                       from segments where p_segment = any (audience_segments(audience))),
        'mailouts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', subject, 'status', status)
                                               order by created_at desc), '[]')
                       from mailouts
                      where status in ('draft', 'ready', 'scheduled', 'sending', 'paused')
                        and p_segment = any (audience_segments(audience))));
$$;

create or replace function segment_json(s segments) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select segment_used(s, segment_users(s.id));
$$;

-- p_users: as segment_users gives them.
create or replace function segment_used(s segments, p_users jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', s.id, 'name', s.name, 'audience', s.audience, 'created_at', s.created_at, 'created_by', s.created_by,
        'updated_at', s.updated_at, 'updated_by', s.updated_by,
        'used', jsonb_array_length(p_users -> 'segments') + jsonb_array_length(p_users -> 'mailouts'),
        'used_by', p_users);
$$;

create or replace function show_segment(p_segment uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select segment_json(s) || jsonb_build_object('unknown_tags', unknown_tags(s.audience))
      from segments s where id = p_segment;
$$;

-- In the order of their names, after the name p_after. Who uses them is found for all at once: every rule is read once
-- and not once for each of them (tests/integration/test_segments.py compares with segment_users).
create or replace function list_segments(p_limit integer, p_after text default null) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    with users as materialized (
        select segment, jsonb_build_object(
                   'segments', coalesce(jsonb_agg(who order by nth) filter (where kind = 'segment'), '[]'),
                   'mailouts', coalesce(jsonb_agg(who order by nth) filter (where kind = 'mailout'), '[]')) as users
          from (select unnest(audience_segments(audience)) as segment, 'segment' as kind,
                       jsonb_build_object('id', id, 'name', name) as who, row_number() over (order by lower(name)) as nth
                  from segments where jsonb_path_exists(audience, '$.**.segment')
                union all
                select unnest(audience_segments(audience)), 'mailout',
                       jsonb_build_object('id', id, 'name', subject, 'status', status),
                       row_number() over (order by created_at desc)
                  from mailouts
                 where audience is not null and status in ('draft', 'ready', 'scheduled', 'sending', 'paused')) each
         group by segment
    )
    select coalesce(jsonb_agg(segment_used(s, coalesce(u.users, '{"segments": [], "mailouts": []}'))
                              order by lower(s.name)), '[]')
      from (select * from segments where p_after is null or lower(name) > lower(p_after)
             order by lower(name) limit p_limit) s
      left join users u on u.segment = s.id;
$$;

-- Make a segment (p_segment: null), or change one; null as name or rule leaves it. Answers {"outcome": "saved" |
-- "not_found" | "exists" | "refused", "segment" | "problem"}.
create or replace function save_segment(p_segment uuid, p_name text, p_audience jsonb, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_old segments;
    v_new segments;
begin
    lock table segments in share row exclusive mode;
    if p_segment is null then
        insert into segments (name, audience, created_by, updated_by) values (p_name, p_audience, p_by, p_by)
        returning * into v_new;
    else
        select * into v_old from segments where id = p_segment for update;
        if not found then
            return jsonb_build_object('outcome', 'not_found');
        end if;
        update segments
           set name = coalesce(p_name, name), audience = coalesce(p_audience, audience),
               updated_at = clock_timestamp(), updated_by = p_by
         where id = p_segment returning * into v_new;
    end if;
    if (v_old.name, v_old.audience) is distinct from (v_new.name, v_new.audience) then
        perform record_audit(p_by, case when p_segment is null then 'segment.create' else 'segment.change' end,
            v_new.id::text,
            case when p_segment is not null then jsonb_build_object('name', v_old.name, 'audience', v_old.audience) end,
            jsonb_build_object('name', v_new.name, 'audience', v_new.audience));
    end if;
    return jsonb_build_object('outcome', 'saved', 'segment', segment_json(v_new));
exception
    when unique_violation then
        return jsonb_build_object('outcome', 'exists');
    when no_data_found or check_violation then
        return jsonb_build_object('outcome', 'refused', 'problem', sqlerrm);
end $$;

-- {"outcome": "deleted" | "not_found" | "in_use", "used_by"}.
create or replace function delete_segment(p_segment uuid, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_segment segments;
    v_users   jsonb;
begin
    lock table segments in share row exclusive mode;
    select * into v_segment from segments where id = p_segment for update;
    if not found then
        return jsonb_build_object('outcome', 'not_found');
    end if;
    v_users := segment_users(p_segment);
    if v_users <> '{"segments": [], "mailouts": []}' then
        return jsonb_build_object('outcome', 'in_use', 'used_by', v_users);
    end if;
    delete from segments where id = p_segment;
    perform record_audit(p_by, 'segment.delete', p_segment::text,
                         jsonb_build_object('name', v_segment.name, 'audience', v_segment.audience));
    return jsonb_build_object('outcome', 'deleted');
end $$;
