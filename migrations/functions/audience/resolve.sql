-- Which rule holds for whom: segments in it, and the rule a mailout goes by.

-- A rule with its segments written out. p_path: the segments it is in. Raises no_data_found for a segment that
-- doesn't exist, check_violation for one that leads back to itself, or when the result is too long.
create or replace function resolved_audience(p_audience jsonb, p_path uuid[] default '{}') returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_segment segments;
    v_rule    jsonb;
begin
    if p_audience is null or not jsonb_path_exists(p_audience, '$.**.segment') then
        return p_audience;
    elsif p_audience ? 'segment' then
        select * into v_segment from segments where id = (p_audience ->> 'segment')::uuid;
        if not found then
            raise exception 'There is no segment %.', p_audience ->> 'segment' using errcode = 'no_data_found';
        elsif v_segment.id = any (p_path) then
            raise exception 'The segment “%” leads back to itself.', v_segment.name using errcode = 'check_violation';
        elsif cardinality(p_path) >= 10 then
            raise exception 'Segments stand in each other more than 10 deep.' using errcode = 'check_violation';
        end if;
        v_rule := resolved_audience(v_segment.audience, p_path || v_segment.id);
    elsif p_audience ? 'not' then
        v_rule := jsonb_build_object('not', resolved_audience(p_audience -> 'not', p_path));
    else
        select jsonb_build_object(key, (select jsonb_agg(resolved_audience(part, p_path) order by n)
                                          from jsonb_array_elements(value) with ordinality p (part, n)))
          into v_rule from jsonb_each(p_audience);
    end if;
    if octet_length(v_rule::text) > 131072 then
        raise exception 'The rule is longer than 128 KB with its segments written out.' using errcode = 'check_violation';
    end if;
    return v_rule;
end $$;

-- The segments that a rule names.
create or replace function audience_segments(p_audience jsonb) returns uuid[]
language sql immutable set search_path = public, pg_temp as $$
    select coalesce(array_agg(distinct (v #>> '{}')::uuid), '{}')
      from jsonb_path_query(p_audience, '$.**.segment') v;
$$;

-- The zone in which days are counted: the running service's TIMEZONE.
create or replace function service_timezone() returns text
language sql stable set search_path = public, pg_temp as $$
    select coalesce((select timezone from service_settings), 'UTC');
$$;

create or replace function tell_timezone(p_timezone text) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into service_settings as s (timezone) values (p_timezone)
    on conflict (only_one) do update set timezone = excluded.timezone where s.timezone <> excluded.timezone;
    select to_jsonb(true);
$$;

-- What a mailout that starts now goes by.
create or replace function frozen_audience(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('rule', resolved_audience(m.audience), 'zone', service_timezone());
$$;

-- Keep it with the content, from when the mailout is scheduled or started on.
create or replace function freeze_audience(m mailouts) returns void
language sql set search_path = public, pg_temp as $$
    update mailout_snapshots set audience = frozen_audience(m) where mailout_id = m.id;
$$;

-- The rule that a mailout goes by, the instant and the zone its days are counted from.
create or replace function mailout_audience(
    p_mailout uuid, out rule jsonb, out at timestamptz, out zone text)
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_mailout mailouts;
    v_frozen  jsonb;
begin
    select * into v_mailout from mailouts where id = p_mailout;
    if v_mailout.status not in ('draft', 'ready') then
        v_frozen := (select audience from mailout_snapshots where mailout_id = p_mailout);
        at := v_mailout.started_at;
    end if;
    v_frozen := coalesce(v_frozen, frozen_audience(v_mailout));
    rule := nullif(nullif(v_frozen -> 'rule', 'null'), '{}');
    zone := v_frozen ->> 'zone';
    at := coalesce(at, now());
end $$;
