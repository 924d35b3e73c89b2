-- The one place where a rule becomes a condition that a query can ask. The condition is about the subscriber `s`, is
-- never null, and has no value of the rule in its text: values are in `bound`, which the query gets as its parameter
-- p_param (such as '$1'). docs/audiences.md says what each condition means.
--   p_rule  a valid rule without segments (resolved_audience); null: everybody
--   p_at    the instant that days are counted from; p_zone: the zone they are counted in
--   p_within  null, or that only some people are asked: what holds of their ids, with %1$s for the id. What they got and
--           did is then read at once, in the order of ids, and not looked up for each
--   cost    what the condition costs per row, roughly: cheap ones are asked first
drop function if exists compile_audience(jsonb, text, timestamptz, text, text[]);
create or replace function compile_audience(
    p_rule jsonb, p_param text, p_at timestamptz, p_zone text,
    p_bound text[] default '{}', p_within text default null, out bound text[], out condition text, out cost integer)
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_key   text;
    v_part  record;
    v_parts text[] := '{}';
    v_costs integer[] := '{}';
begin
    bound := p_bound;
    if p_rule is null or p_rule = '{}' then
        condition := 'true';
        cost := 0;
    elsif p_rule ? 'field' then
        select * into v_part from compile_condition(p_rule, p_param, p_at, p_zone, bound, p_within);
        bound := v_part.bound;
        condition := v_part.condition;
        cost := v_part.cost;
    elsif p_rule ? 'tags' then
        cost := 1;
        condition := case when p_rule -> 'tags' = '[]' then 'false' else format('s.tags && (%s)[%s:%s]', p_param,
            cardinality(bound) + 1, cardinality(bound) + jsonb_array_length(p_rule -> 'tags')) end;
        bound := bound || array(select jsonb_array_elements_text(p_rule -> 'tags'));
    elsif p_rule ? 'not' then
        select * into v_part from compile_audience(p_rule -> 'not', p_param, p_at, p_zone, bound, p_within);
        bound := v_part.bound;
        condition := format('not (%s)', v_part.condition);
        cost := v_part.cost;
    elsif p_rule ? 'all' or p_rule ? 'any' then
        v_key := case when p_rule ? 'all' then 'all' else 'any' end;
        for n in 0 .. jsonb_array_length(p_rule -> v_key) - 1 loop
            select * into v_part from compile_audience(p_rule -> v_key -> n, p_param, p_at, p_zone, bound, p_within);
            bound := v_part.bound;
            v_parts := v_parts || format('(%s)', v_part.condition);
            v_costs := v_costs || v_part.cost;
        end loop;
        select string_agg(part, case v_key when 'all' then ' and ' else ' or ' end order by c, n), sum(c)
          into condition, cost from unnest(v_parts, v_costs) with ordinality p (part, c, n);
    else
        raise exception 'This is no rule: %', left(p_rule::text, 200) using errcode = 'check_violation';
    end if;
end $$;

drop function if exists compile_condition(jsonb, text, timestamptz, text, text[]);
create or replace function compile_condition(
    p_rule jsonb, p_param text, p_at timestamptz, p_zone text,
    p_bound text[], p_within text, out bound text[], out condition text, out cost integer)
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_field   constant text := p_rule ->> 'field';
    v_op      constant text := p_rule ->> 'op';
    v_value   constant text := p_rule ->> 'value';
    v_subject text;       -- the text, the tags or the instant that is asked
    v_text    text;       -- the same, in whatever case
    v_json    text;       -- of a field: as it is stored
begin
    bound := p_bound;
    if v_field in ('received', 'opened', 'clicked') then
        select * into bound, condition, cost from compile_engagement(p_rule, p_param, p_at, bound, p_within);
        return;
    end if;
    cost := 2;
    if v_field like 'fields.%' then
        bound := bound || substr(v_field, 8);
        v_json := format('s.fields -> (%s)[%s]', p_param, cardinality(bound));
        v_subject := format('s.fields ->> (%s)[%s]', p_param, cardinality(bound));
    else
        v_subject := format('s.%I', v_field);
    end if;

    if v_op = 'exists' then
        condition := case when v_field = 'created_at' then 'true' when v_field = 'tags' then 's.tags <> ''{}'''
                          else format('(%s <> '''') is true', v_subject) end;
        if v_value = 'false' then
            condition := format('not (%s)', condition);
        end if;
        return;
    elsif v_op in ('before', 'after', 'within_days', 'older_than_days') or v_field = 'created_at' then
        select * into bound, condition from compile_instant(
            v_op, v_value, v_subject, v_field = 'created_at', p_param, p_at, p_zone, bound);
        cost := case when v_field = 'created_at' then 1 else 8 end;
        return;
    end if;

    v_text := v_subject;
    if v_field = 'tags' or v_op in ('gt', 'lt') then
        bound := bound || v_value;
    elsif v_field = 'email' and v_op in ('is', 'is_not') and canonical_address(v_value) is not null then
        bound := bound || canonical_address(v_value);   -- by any spelling
        v_subject := 's.address';
    else
        bound := bound || folded(v_value);
        v_subject := format('folded(%s)', v_subject);
    end if;
    condition := format(
        case when v_field = 'tags' then
                 case v_op when 'starts_with' then '(select bool_or(starts_with(t, %2$s)) from unnest(s.tags) t) is true'
                           else 's.tags && array[%2$s]' end
             when v_op = 'gt' then '(number_in(%1$s) > %2$s::numeric) is true'
             when v_op = 'lt' then '(number_in(%1$s) < %2$s::numeric) is true'
             when v_op = 'contains' then '(strpos(%1$s, %2$s) > 0) is true'
             when v_op = 'starts_with' then 'starts_with(%1$s, %2$s) is true'
             -- A number as itself: 10 is 10.0. Between texts only letters count: 007 isn't 7.
             when jsonb_typeof(p_rule -> 'value') = 'number' then '(number_in(%4$s) = %2$s::numeric) is true'
             when v_json is not null and number_in(v_value) is not null then
                 '(case jsonb_typeof(%3$s) when ''number'' then number_in(%4$s) = %2$s::numeric else %1$s = %2$s end) is true'
             else '(%1$s = %2$s) is true' end,
        v_subject, format('(%s)[%s]', p_param, cardinality(bound)), v_json, v_text);
    if v_op = 'is_not' then
        condition := format('not (%s)', condition);
    end if;
end $$;

-- Conditions on instants. A day is the whole day: after it is after its end. Who has only a day as their field is asked
-- for days, as texts, which is twice as fast. Instants are bound as seconds, which PostgreSQL reads once and not for
-- each row.
create or replace function compile_instant(
    p_op text, p_value text, p_subject text, p_is_instant boolean, p_param text, p_at timestamptz, p_zone text,
    p_bound text[], out bound text[], out condition text)
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_from timestamptz;
    v_to   timestamptz;   -- the first instant after it
    v_day  date;          -- of fields: the first day that fits; null: any
    v_end  date;          -- the first day after those; null: none
    v_n    integer;
begin
    bound := p_bound;
    if p_op in ('within_days', 'older_than_days') then
        v_from := p_at - make_interval(secs => 86400 * p_value::double precision);
        v_to := p_at;
    else
        v_from := instant_in(p_value, p_zone);
        v_to := case when length(p_value) = 10 then (day_in(p_value) + 1)::timestamp at time zone p_zone
                     else v_from + interval '1 microsecond' end;
    end if;
    if v_from is null then
        condition := case when p_op = 'is_not' then 'true' else 'false' end;   -- 31 February
        return;
    end if;
    bound := bound || extract(epoch from v_from)::text || extract(epoch from v_to)::text;
    v_n := cardinality(bound);
    condition := format(
        case p_op when 'before' then '%1$s < %2$s' when 'after' then '%1$s >= %3$s'
                  when 'within_days' then '%1$s >= %2$s and %1$s <= %3$s' when 'older_than_days' then '%1$s < %2$s'
                  else '%1$s >= %2$s and %1$s < %3$s' end,
        case when p_is_instant then p_subject else format('instant_in(%s, (%s)[%s])', p_subject, p_param, v_n + 1) end,
        format('to_timestamp((%s)[%s]::double precision)', p_param, v_n - 1),
        format('to_timestamp((%s)[%s]::double precision)', p_param, v_n));
    if not p_is_instant then
        v_day := case p_op when 'after' then first_day(v_to, p_zone)
                           when 'within_days' then (v_from at time zone p_zone)::date end;
        v_end := case p_op when 'before' then first_day(v_from, p_zone)
                           when 'within_days' then (v_to at time zone p_zone)::date + 1
                           when 'older_than_days' then (v_from at time zone p_zone)::date end;
        bound := bound || p_zone || to_char(greatest(v_day, '1000-01-01'), 'YYYY-MM-DD')
            || to_char(least(v_end, '3000-01-01'), 'YYYY-MM-DD');
        condition := format(
            'case when length(%1$s) = 10 then %1$s collate "C" >= (%2$s)[%3$s] and %1$s collate "C" < (%2$s)[%4$s] '
            'and is_day(%1$s) else %5$s end', p_subject, p_param, v_n + 2, v_n + 3, condition);
    end if;
    condition := format(case p_op when 'is_not' then '(%s) is not true' else '(%s) is true' end, condition);
end $$;

-- Who got, opened or clicked a mailout, or any of the last days. Got: SES accepted it, and it didn't bounce; looked up in
-- the ledger by mailout and subscriber, where which mailouts may be meant is known beforehand. Opened, clicked: people,
-- and who can't be told from people (engagement_recipients), so that "not opened" never leaves out who may have read.
drop function if exists compile_engagement(jsonb, text, timestamptz, text[]);
create or replace function compile_engagement(
    p_rule jsonb, p_param text, p_at timestamptz, p_bound text[], p_within text,
    out bound text[], out condition text, out cost integer)
language plpgsql stable set search_path = public, pg_temp as $$
declare
    c_any      constant boolean := p_rule ->> 'value' = 'any';
    v_since    timestamptz := p_at - make_interval(secs => 86400 * (p_rule ->> 'days')::double precision);
    v_mailouts text[];
    v_n        integer := cardinality(p_bound) + 1;
    -- Counted, not asked for the first: so that no plan looks at all rows of a mailout.
    c_rows     constant text := case when p_within is null
        then '(select count(*) from %1$s r where r.subscriber_id = s.id and %2$s) > 0'
        else 's.id in (select r.subscriber_id from %1$s r where (' || format(p_within, 'r.subscriber_id') || ') and %2$s)' end;
begin
    perform refuse_dropped_condition(p_rule, v_since);
    bound := p_bound;
    if p_rule ->> 'field' = 'received' then
        v_mailouts := array(
            select id::text from mailouts
             where case when not c_any then id = (p_rule ->> 'value')::uuid
                        -- It was changed when its last mail was sent, and while it is sent it may change at any time.
                        else started_at is not null and (updated_at >= v_since or status in ('sending', 'paused')) end
             order by started_at desc);
        if v_mailouts = '{}' then
            condition := 'false';
            cost := 0;
        else
            cost := 100 * cardinality(v_mailouts);
            -- One array, and not a parameter each: of a thousand mailouts the text alone would take longer than a page.
            condition := format(c_rows, 'send_logs', format(
                'r.mailout_id = any ((%s)[%s:%s]::uuid[]) and not r.is_test and r.status in (''sent'', ''delivered'', ''complained'')%s',
                p_param, v_n, v_n + cardinality(v_mailouts) - 1,
                case when c_any then format(' and r.sent_at >= to_timestamp((%s)[%s]::double precision)',
                    p_param, v_n + cardinality(v_mailouts)) end));
            bound := bound || v_mailouts || extract(epoch from v_since)::text;
        end if;
    else
        cost := 100;
        condition := format(c_rows, 'engagement_recipients',
            format(case when c_any and p_rule ->> 'field' = 'opened'
                            then 'greatest(r.last_opened_at, r.last_clicked_at) >= to_timestamp((%s)[%s]::double precision)'
                        when c_any then 'r.last_clicked_at >= to_timestamp((%s)[%s]::double precision)'
                        when p_rule ->> 'field' = 'opened'
                            then 'r.mailout_id = (%s)[%s]::uuid and ''{human,unknown}''::text[] && array[r.open_class, r.click_class]'
                        else 'r.mailout_id = (%s)[%s]::uuid and r.click_class in (''human'', ''unknown'')' end,
                   p_param, v_n));
        bound := bound || case when c_any then extract(epoch from v_since)::text else p_rule ->> 'value' end;
    end if;
    if p_rule ->> 'op' = 'is_not' then
        condition := format('not (%s)', condition);
    end if;
end $$;

-- Which of these mailouts opens and clicks weren't asked for: [{"id", "subject"}].
create or replace function untracked_mailouts(p_mailouts jsonb) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'subject', subject) order by created_at desc), '[]')
      from mailouts
     where id = any (array(select jsonb_array_elements_text(p_mailouts)::uuid)) and not tracking;
$$;

-- Tags of which everybody in the audience has one, the rarest; null: none are known. So that the index of tags helps.
create or replace function needed_tags(p_rule jsonb) returns text[]
language plpgsql stable set search_path = public, pg_temp as $$
begin
    return case
        when p_rule ? 'tags' then array(select jsonb_array_elements_text(p_rule -> 'tags'))
        when p_rule ->> 'field' = 'tags' and p_rule ->> 'op' in ('is', 'contains') then array[p_rule ->> 'value']
        when p_rule ? 'all' then (
            select tags from (select needed_tags(part) as tags from jsonb_array_elements(p_rule -> 'all') part) parts
             where tags is not null order by tagged(tags) limit 1) end;
end $$;
