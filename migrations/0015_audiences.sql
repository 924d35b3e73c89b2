-- Audiences as rules over people (docs/audiences.md), and segments: rules with a name.

-- What is wrong with a rule; null: nothing. Here, because constraints need it. The program says the same in better
-- words before it writes (app/domain/audience/rule.py); this refuses a wrong rule whoever writes.
create function audience_problem(p_audience jsonb, p_depth integer default 1) returns text
language plpgsql immutable set search_path = public, pg_temp as $$
declare
    c_uuid    constant text := '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
    c_instant constant text := '^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([T ].*)?$';
    v_key     text;
    v_field   text := p_audience ->> 'field';
    v_op      text := p_audience ->> 'op';
    v_value   jsonb := p_audience -> 'value';
    v_type    text := jsonb_typeof(v_value);
    v_parts   jsonb;
    v_problem text;
begin
    if jsonb_typeof(p_audience) is distinct from 'object' then
        return 'a rule is an object';
    elsif p_depth > 10 then
        return 'rules stand in each other more than 10 deep';
    elsif p_depth = 1 and octet_length(p_audience::text) > 65536 then
        return 'the rule is longer than 64 KB';
    elsif p_audience = '{}' then
        return case when p_depth > 1 then 'a rule in another one is empty' end;
    elsif v_field is not null then
        if p_audience - '{field,op,value,days}'::text[] <> '{}' then
            return 'a condition has field, op, value and days, and nothing else';
        elsif v_op is null or jsonb_typeof(p_audience -> 'field') <> 'string' or jsonb_typeof(p_audience -> 'op') <> 'string'
              or p_audience ? 'days' and v_field not in ('received', 'opened', 'clicked') then
            return format('the condition on %s is incomplete', v_field);
        elsif v_field in ('received', 'opened', 'clicked') then
            return case
                when v_op in ('is', 'is_not') and v_value #>> '{}' = 'any' and jsonb_typeof(p_audience -> 'days') = 'number'
                then case when (p_audience ->> 'days')::numeric not between 0 and 3660
                          then 'days is a number up to 3,660' end
                when v_op in ('is', 'is_not') and v_type = 'string' and lower(v_value #>> '{}') ~ c_uuid
                     and not p_audience ? 'days' then null
                else format('%s is or is_not a mailout''s id, or "any" with days', v_field) end;
        elsif v_field not in ('tags', 'email', 'name', 'timezone', 'created_at') and v_field !~ '^fields\..' then
            return format('there is no field %s', v_field);
        elsif v_op = 'exists' then
            return case when v_type <> 'boolean' then 'exists is true or false' end;   -- or nothing: true
        elsif v_op in ('within_days', 'older_than_days', 'before', 'after', 'gt', 'lt')
              and v_field <> 'created_at' and v_field not like 'fields.%'
              or v_op in ('contains', 'starts_with', 'gt', 'lt') and v_field = 'created_at' then
            return format('%s can''t be asked of %s', v_op, v_field);
        elsif v_op in ('within_days', 'older_than_days') then
            return case when v_type is distinct from 'number' then 'a number of days is missing'
                        when (v_value #>> '{}')::numeric not between 0 and 36600 then 'too many days' end;
        elsif v_op in ('before', 'after') or v_field = 'created_at' and v_op in ('is', 'is_not') then
            return case when v_type is distinct from 'string' or v_value #>> '{}' !~ c_instant
                        then 'a date such as 2026-05-31 is missing' end;
        elsif v_op in ('gt', 'lt') then
            return case when v_type is distinct from 'number' then 'a number is missing' end;
        elsif v_op not in ('is', 'is_not', 'contains', 'starts_with') then
            return format('there is no op %s', v_op);
        elsif v_type is null or v_type not in ('string', 'number', 'boolean') or v_value = '""'
              or v_type <> 'string' and v_field not like 'fields.%' then
            return format('the value for %s is none', v_field);
        end if;
        return null;
    end if;

    select case when count(*) = 1 then min(k) end into v_key from jsonb_object_keys(p_audience) k;
    v_parts := p_audience -> v_key;
    case v_key
        when 'tags' then
            return case when jsonb_typeof(v_parts) <> 'array'
                             or exists (select from jsonb_array_elements(v_parts) t where jsonb_typeof(t) <> 'string')
                        then 'tags is a list of texts' end;
        when 'segment' then
            return case when jsonb_typeof(v_parts) <> 'string' or v_parts #>> '{}' !~ c_uuid
                        then 'segment is the id of a segment' end;
        when 'not' then
            return audience_problem(v_parts, p_depth + 1);
        when 'all', 'any' then
            if jsonb_typeof(v_parts) <> 'array' or v_parts = '[]' then
                return format('%s is a list of rules', v_key);
            end if;
            for v_parts in select value from jsonb_array_elements(v_parts) loop
                v_problem := audience_problem(v_parts, p_depth + 1);
                if v_problem is not null then
                    return v_problem;
                end if;
            end loop;
            return null;
        else
            return 'a rule has one of tags, all, any, not, segment, or field with op';
    end case;
end $$;

create table segments (
    id         uuid primary key default gen_random_uuid(),
    name       text not null check (name ~ '\S' and length(name) <= 100),
    audience   jsonb not null check (audience_problem(audience) is null),
    created_at timestamptz not null default now(),
    created_by text,
    updated_at timestamptz not null default now(),
    updated_by text
);
create unique index segments_name on segments (lower(name));
alter table segments enable row level security;

-- Not valid: what a draft of old has, such as {"tags": null}, could never be sent, and doesn't stop the upgrade.
alter table mailouts drop constraint mailouts_audience_check;
alter table mailouts add constraint mailouts_audience_check
    check (audience is null or audience_problem(audience) is null) not valid;

-- {"rule", "zone"}: the rule that the mailout goes by since its start, its segments written out (null: everybody), and
-- the zone in which its days are counted. null: it was started before this was kept.
alter table mailout_snapshots add column audience jsonb;

-- What the running service tells of itself to functions that need it: here its TIMEZONE.
create table service_settings (
    only_one boolean primary key default true check (only_one),
    timezone text not null
);
alter table service_settings enable row level security;
