-- A rule asked of one person, condition by condition, by the very rule that recipients are queued by (compile.sql).

-- A person's row as it was at an instant: every change since is taken back. `known`: the history reaches so far back.
-- null: nobody has this id.
create or replace function person_at(p_person uuid, p_at timestamptz) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_now   jsonb := (select to_jsonb(s) from subscribers s where id = p_person);
    v_then  jsonb;
    v_added timestamptz := (select at from subscriber_changes
                             where subscriber_id = p_person and before is null and after is null
                             order by id limit 1);
begin
    if v_now is null then
        return null;
    end if;
    select v_now || coalesce(jsonb_object_agg(key, value), '{}') into v_then
      from (select distinct on (b.key) b.key, b.value
              from subscriber_changes c, jsonb_each(c.before) b
             where c.subscriber_id = p_person and c.at > p_at and c.after is not null
             order by b.key, c.id) first_changes;
    return jsonb_build_object(
        'row', v_then || jsonb_build_object('address', canonical_address(v_then ->> 'email')),
        'added_at', coalesce(v_added, (v_now ->> 'created_at')::timestamptz),
        'known', v_added is not null
                 or coalesce((select at <= p_at from subscriber_changes order by id limit 1), false));
end $$;

-- Whether a rule holds for a row of subscribers (as JSON).
create or replace function audience_holds(p_rule jsonb, p_row jsonb, p_at timestamptz, p_zone text) returns boolean
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_rule  record;
    v_holds boolean;
begin
    select * into v_rule from compile_audience(p_rule, '$1', p_at, p_zone);
    execute format('select %s from jsonb_populate_record(null::subscribers, $2) s', v_rule.condition)
       into v_holds using v_rule.bound, p_row;
    return v_holds;
end $$;

-- The same rule as a tree: each condition {"rule", "now", "then", "had", "had_then"}, each other part with its `parts`.
-- now, then: whether it holds for the person as they are and as they were; null: not known. had: what they have in the
-- field that is asked; of got, opened and clicked the latest five mails that count.
--   p_now, p_then  rows of subscribers; p_then null: not known
--   p_ids          what means the person in the ledger
create or replace function explain_audience(
    p_rule jsonb, p_now jsonb, p_then jsonb, p_at timestamptz, p_zone text, p_ids uuid[]) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_key   text;
    v_parts jsonb := '[]';
    v_part  jsonb;
begin
    if p_rule is null then
        return null;
    elsif p_rule ? 'not' then
        v_part := explain_audience(p_rule -> 'not', p_now, p_then, p_at, p_zone, p_ids);
        return jsonb_build_object('parts', jsonb_build_array(v_part), 'joint', 'not',
                                  'now', not (v_part ->> 'now')::boolean, 'then', not (v_part ->> 'then')::boolean);
    elsif p_rule ? 'all' or p_rule ? 'any' then
        v_key := case when p_rule ? 'all' then 'all' else 'any' end;
        for v_part in select value from jsonb_array_elements(p_rule -> v_key) loop
            v_parts := v_parts || jsonb_build_array(explain_audience(v_part, p_now, p_then, p_at, p_zone, p_ids));
        end loop;
        -- Of three values: one that isn't known leaves the whole open, unless another one decides it.
        return (select jsonb_build_object('parts', v_parts, 'joint', v_key,
                   'now', case v_key when 'all' then bool_and((p ->> 'now')::boolean)
                                     else bool_or((p ->> 'now')::boolean) end,
                   'then', case when v_key = 'all' and bool_or((p ->> 'then')::boolean is false) then false
                                when v_key = 'any' and bool_or((p ->> 'then')::boolean) then true
                                when bool_or((p ->> 'then') is null) then null
                                else v_key = 'all' end)
                  from jsonb_array_elements(v_parts) p);
    elsif p_rule ->> 'field' in ('received', 'opened', 'clicked') then
        return explain_engagement(p_rule, p_now, p_at, p_zone, p_ids);
    end if;
    v_key := coalesce(p_rule ->> 'field', 'tags');
    return jsonb_build_object(
        'rule', p_rule,
        'now', audience_holds(p_rule, p_now, p_at, p_zone),
        'then', case when p_then is not null then audience_holds(p_rule, p_then, p_at, p_zone) end,
        'had', asked_value(v_key, p_now), 'had_then', asked_value(v_key, p_then));
end $$;

-- What a row has in a field that a condition may ask.
create or replace function asked_value(p_field text, p_row jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select case when p_field like 'fields.%' then p_row -> 'fields' -> substr(p_field, 8) else p_row -> p_field end;
$$;

-- A condition on what was got, opened or clicked. Then: by what the ledger and the signals tell of the time before; by
-- the verdicts as they are today.
create or replace function explain_engagement(
    p_rule jsonb, p_now jsonb, p_at timestamptz, p_zone text, p_ids uuid[]) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    c_field constant text := p_rule ->> 'field';
    v_since timestamptz := case when p_rule ->> 'value' = 'any'
                                then p_at - make_interval(secs => 86400 * (p_rule ->> 'days')::double precision)
                                else '-infinity' end;
    v_mails send_logs[] := array(
        select m from person_mails(p_ids) m
         where p_rule ->> 'value' in ('any', m.mailout_id::text) and m.sent_at is not null);
    v_had   jsonb;
    v_then  boolean;
begin
    begin
        perform refuse_dropped_condition(p_rule, v_since);
    exception when sqlstate 'P0D01' then   -- LEDGER_RETENTION_DAYS: not known any more
        return jsonb_build_object('rule', p_rule, 'now', null, 'then', null, 'had', null);
    end;
    if c_field = 'received' then
        select jsonb_agg(jsonb_build_object('mailout_id', mailout_id, 'at', sent_at, 'status', status,
                   'subject', (select subject from mailouts o where o.id = mailout_id))
                         order by sent_at desc) filter (where n <= 5),
               coalesce(bool_or(sent_at <= p_at and (status <> 'bounced' or event_at > p_at)), false)
          into v_had, v_then
          from (select *, row_number() over (order by sent_at desc) as n from unnest(v_mails) m
                 where status in ('sent', 'delivered', 'complained', 'bounced')
                   and sent_at >= v_since and sent_at <= p_at) got;
    else
        select jsonb_agg(jsonb_build_object('mailout_id', mailout_id, 'at', at, 'class', class,
                   'subject', (select subject from mailouts o where o.id = mailout_id))
                         order by at desc) filter (where n <= 5),
               coalesce(bool_or(class in ('human', 'unknown')), false)
          into v_had, v_then
          from (select *, row_number() over (order by at desc) as n
                  from (select g.mailout_id, g.class, min(g.first_at) as at
                          from unnest(v_mails) m, lateral (
                              select * from engagement_signals where send_log_id = m.id) g
                         where (g.kind = case c_field when 'opened' then 'open' else 'click' end
                                or c_field = 'opened' and g.class <> 'machine')   -- whoever clicked has read
                           and g.class is not null and g.first_at <= p_at and g.last_at >= v_since
                         group by g.mailout_id, g.class) classes) seen;
    end if;
    return jsonb_build_object(
        'rule', p_rule, 'now', audience_holds(p_rule, p_now, p_at, p_zone),
        'then', v_then = (p_rule ->> 'op' = 'is'),
        'had', coalesce(v_had, '[]'), 'had_then', coalesce(v_had, '[]'));
end $$;
