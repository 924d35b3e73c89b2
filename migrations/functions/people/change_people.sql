-- People added and changed by persons and keys. p_by: as in `acting`.

-- What stands against giving a subscriber this status; null: nothing.
--   asked   they refused mail, or never confirmed that they want it: they must have asked for it themselves
--   force   a complaint or a permanent bounce is lifted only by insisting
create or replace function status_problem(
    p_status text, p_bounce_type text, p_new text, p_asked boolean, p_force boolean) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case
        when p_new = p_status then null
        when p_status = 'pending' then case when p_new = 'active' and not p_asked then 'asked' end
        when subscriber_rank(p_new) >= subscriber_rank(p_status) then null
        when not p_force and (p_status = 'complained' or p_bounce_type = 'Permanent' and p_new = 'active'
                              or p_status = 'bounced' and p_bounce_type is null) then 'force'
        when not p_asked and p_status in ('unsubscribed', 'complained') then 'asked' end;
$$;

-- Add a person: {"outcome": "added" | "exists" | "erased" | "invalid", "subscriber" | "problem"}.
create or replace function add_subscriber(p_person jsonb, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_new     subscribers;
    v_problem text := (read_address(p_person ->> 'email')).problem;
begin
    if v_problem is not null then
        return jsonb_build_object('outcome', 'invalid', 'problem', v_problem);
    elsif is_erased(p_person ->> 'email') then
        return jsonb_build_object('outcome', 'erased');
    end if;
    perform acting(p_by);
    insert into subscribers (email, name, status, tags, fields, timezone, consent)
    select p_person ->> 'email', p_person ->> 'name', coalesce(p_person ->> 'status', 'active'),
           coalesce(array(select jsonb_array_elements_text(p_person -> 'tags')), '{}'),
           coalesce(p_person -> 'fields', '{}'), p_person ->> 'timezone', nullif(p_person -> 'consent', 'null')
    on conflict (address) do nothing returning * into v_new;
    if v_new.id is null then
        return jsonb_build_object('outcome', 'exists');
    end if;
    perform record_audit(p_by, 'subscriber.add', v_new.id::text, null, kept_columns(v_new));
    return jsonb_build_object('outcome', 'added', 'subscriber', to_jsonb(v_new));
end $$;

-- Change a person. p_change: email, name, timezone, tags (all of them), add_tags, remove_tags, fields (those given; null
-- removes one), status. Answers {"outcome": "changed" | "not_found" | "exists" | "erased" | "invalid" | "asked" |
-- "force", "subscriber"}: see status_problem.
create or replace function change_subscriber(
    p_email text, p_change jsonb, p_by text, p_reason text default null, p_asked boolean default false,
    p_force boolean default false)
returns jsonb language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_old     subscribers;
    v_new     subscribers;
    v_problem text;
    v_before  jsonb;
    v_after   jsonb;
begin
    select * into v_old from subscribers where id = (find_subscriber(null, p_email) ->> 'id')::uuid for update;
    if not found then
        return jsonb_build_object('outcome', 'not_found');
    end if;
    if p_change ? 'status' then
        v_problem := status_problem(v_old.status, v_old.bounce_type, p_change ->> 'status', p_asked, p_force);
        if v_problem is not null then
            return jsonb_build_object('outcome', v_problem, 'subscriber', to_jsonb(v_old));
        end if;
    end if;
    if p_change ? 'email' then
        v_problem := (read_address(p_change ->> 'email')).problem;
        if v_problem is not null then
            return jsonb_build_object('outcome', 'invalid', 'problem', v_problem);
        elsif canonical_address(p_change ->> 'email') is distinct from v_old.address
              and is_erased(p_change ->> 'email') then
            return jsonb_build_object('outcome', 'erased');
        end if;
    end if;
    perform acting(p_by, p_reason);
    begin
        update subscribers s
           set email = coalesce(p_change ->> 'email', email),
               name = case when p_change ? 'name' then p_change ->> 'name' else name end,
               timezone = case when p_change ? 'timezone' then p_change ->> 'timezone' else timezone end,
               tags = changed_tags(tags, p_change),
               fields = (fields || coalesce(p_change -> 'fields', '{}'))
                   - array(select key from jsonb_each(p_change -> 'fields') where value = 'null'),
               status = coalesce(p_change ->> 'status', status),
               bounce_type = case when p_change ->> 'status' = 'active' then null else bounce_type end,
               bounce_subtype = case when p_change ->> 'status' = 'active' then null else bounce_subtype end
         where id = v_old.id returning * into v_new;
    exception when unique_violation then
        return jsonb_build_object('outcome', 'exists');
    end;
    select jsonb_object_agg(o.key, o.value), jsonb_object_agg(n.key, n.value) into v_before, v_after
      from jsonb_each(kept_columns(v_old)) o join jsonb_each(kept_columns(v_new)) n using (key)
     where o.value is distinct from n.value;
    if v_before is not null then
        perform record_audit(p_by, 'subscriber.change', v_new.id::text, v_before,
                             v_after || jsonb_strip_nulls(jsonb_build_object('reason', p_reason)));
    end if;
    return jsonb_build_object('outcome', 'changed', 'subscriber', to_jsonb(v_new));
end $$;

create or replace function changed_tags(p_tags text[], p_change jsonb) returns text[]
language sql immutable set search_path = public, pg_temp as $$
    select array(select tag from unnest(kept || array(
                     select t from jsonb_array_elements_text(p_change -> 'add_tags') with ordinality a (t, n)
                      where t <> all (kept) order by n)) with ordinality u (tag, n)
                  where tag <> all (array(select jsonb_array_elements_text(p_change -> 'remove_tags'))) order by n)
      from (select case when p_change ? 'tags' then array(select jsonb_array_elements_text(p_change -> 'tags'))
                        else p_tags end as kept) given;
$$;

-- Change the status or the tags of all of these. p_change: status, add_tags, remove_tags. Answers how many were
-- `changed`, and whose status was not, because of status_problem: {"changed", "asked", "force"}. p_audit: what the
-- audit log says of it; null: that is said already (queue_change_people).
create or replace function change_people(
    p_ids jsonb, p_change jsonb, p_by text, p_reason text, p_asked boolean, p_force boolean, p_audit jsonb default null)
returns jsonb language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_ids     uuid[] := array(select i::uuid from jsonb_array_elements_text(p_ids) i);
    v_allowed uuid[];
    v_asked   bigint;
    v_force   bigint;
    v_changed bigint;
begin
    select array_agg(id) filter (where problem is null), count(*) filter (where problem = 'asked'),
           count(*) filter (where problem = 'force')
      into v_allowed, v_asked, v_force
      from (select id, case when p_change ? 'status' then
                   status_problem(status, bounce_type, p_change ->> 'status', p_asked, p_force) end as problem
              from subscribers where id = any (v_ids) order by id for update) looked_at;
    perform acting(p_by, p_reason);
    update subscribers
       set status = coalesce(p_change ->> 'status', status), tags = changed_tags(tags, p_change),
           bounce_type = case when p_change ->> 'status' = 'active' then null else bounce_type end,
           bounce_subtype = case when p_change ->> 'status' = 'active' then null else bounce_subtype end
     where id = any (v_allowed)
       and (status is distinct from coalesce(p_change ->> 'status', status) or tags <> changed_tags(tags, p_change));
    get diagnostics v_changed = row_count;
    if p_audit is not null then
        perform record_audit(p_by, 'people.change', 'subscribers', null,
                             p_audit || jsonb_build_object('changed', v_changed));
    end if;
    return jsonb_build_object('changed', v_changed, 'asked', v_asked, 'force', v_force);
end $$;

-- Have the change of many done by a job. Answers its id.
create or replace function queue_change_people(p_work jsonb, p_by text, p_audit jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_job jsonb := add_job('change_people', p_work);
begin
    perform record_audit(p_by, 'people.change', v_job ->> 'id', null, p_audit);
    return v_job;
end $$;
