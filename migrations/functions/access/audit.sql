-- Note what a person or a key did, within the transaction that does it. Never pass a secret. p_by: as in
-- `acting` (subscriber_history.sql), or `stranger`; null: nobody asked for it, so nothing is noted.
-- Nothing deletes what is noted.
create or replace function record_audit(
    p_by text, p_action text, p_target text, p_before jsonb default null, p_after jsonb default null)
returns void language sql set search_path = public, pg_temp as $$
    insert into audit_log (by, action, target, before, after)
    select p_by, p_action, p_target, p_before, p_after where p_by is not null;
$$;

-- A page of it, newest first. p_before: the id of the last entry on the page before. p_action: such as
-- `mailout.pause`, or `mailout` for all of its kind. p_since: with it and later.
create or replace function list_audit(
    p_limit integer, p_before bigint default null, p_target text default null, p_action text default null,
    p_by text default null, p_since timestamptz default null)
returns jsonb language plpgsql stable
set search_path = public, pg_temp set plan_cache_mode = force_custom_plan
-- So that what an index has in this order is read, and not the log from its end: PostgreSQL believes that what is looked
-- for lies evenly among all others, which may mean all of them.
set random_page_cost = 0 set seq_page_cost = 0 as $$
declare
    v_actions text[];
begin
    if p_action is null then
        return (
            select coalesce(jsonb_agg(to_jsonb(a) order by id desc), '[]')
              from (select * from audit_log
                     where (p_before is null or id < p_before)
                       and (p_target is null or target = p_target)
                       and (p_by is null or by = p_by)
                       and (p_since is null or at >= p_since)
                     order by id desc limit p_limit) a);
    end if;
    -- The actions that there are, from one to the next by their index: some dozens. Each has its newest entries together.
    with recursive actions (action) as (
        (select action from audit_log order by action limit 1)
        union all
        select (select l.action from audit_log l where l.action > a.action order by l.action limit 1)
          from actions a where a.action is not null
    )
    select array_agg(action) into v_actions from actions where action = p_action or starts_with(action, p_action || '.');
    return (
        select coalesce(jsonb_agg(to_jsonb(a) order by id desc), '[]')
          from (select l.* from unnest(v_actions) each (action),
                       lateral (select * from audit_log
                                 where action = each.action
                                   and (p_before is null or id < p_before)
                                   and (p_target is null or target = p_target)
                                   and (p_by is null or by = p_by)
                                   and (p_since is null or at >= p_since)
                                 order by id desc limit p_limit) l
                 order by id desc limit p_limit) a);
end $$;

-- Somebody signed in to the dashboard. p_client: from which address.
create or replace function note_sign_in(p_client text) returns jsonb
language sql set search_path = public, pg_temp as $$
    select record_audit('dashboard', 'dashboard.sign_in', 'dashboard', null,
                        jsonb_build_object('client', p_client));
    select 'true'::jsonb;
$$;

-- Others tried to: {"address": times}. Strangers can't fill the log: what comes within a minute of an entry is
-- counted in it, with the first ten addresses.
create or replace function note_refused_sign_ins(p_tried jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_entry audit_log;
begin
    select * into v_entry from audit_log
     where id = (select max(id) from audit_log where action = 'dashboard.sign_in_refused')
       and at > clock_timestamp() - interval '1 minute' for update;
    if v_entry.id is null then
        v_entry.after := '{"times": 0, "clients": []}';
    end if;
    v_entry.after := jsonb_build_object(
        'times', (v_entry.after ->> 'times')::bigint + (select sum(value::bigint) from jsonb_each_text(p_tried)),
        'clients', (select jsonb_agg(client order by place)
                      from (select client, min(place) as place
                              from jsonb_array_elements_text(
                                       (v_entry.after -> 'clients') || (select jsonb_agg(key) from jsonb_each(p_tried)))
                                   with ordinality as c (client, place)
                             group by client order by 2 limit 10) firsts));
    update audit_log set after = v_entry.after where id = v_entry.id;
    if not found then
        perform record_audit('stranger', 'dashboard.sign_in_refused', 'dashboard', null, v_entry.after);
    end if;
    return to_jsonb(true);
end $$;
