-- Outgoing webhooks: making, changing and listing them. No answer here has a secret, nor has the audit log.

create or replace function create_hook(
    p_url text, p_events jsonb, p_secret text, p_description text, p_source text, p_rate double precision, p_by text)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_hook hooks;
begin
    insert into hooks (url, events, secret, description, source, rate_per_second, created_by)
    values (p_url, array(select jsonb_array_elements_text(p_events)), p_secret, coalesce(p_description, ''), p_source,
            coalesce(p_rate, 20), p_by)
    returning * into v_hook;
    perform record_audit(p_by, 'hook.create', v_hook.id::text, null, audited_hook(v_hook));
    return listed_hook(v_hook);
end $$;

-- The path of a hook's address may be a secret.
create or replace function audited_hook(h hooks) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select jsonb_build_object('host', substring(h.url from '^[^:]+://([^/?#]+)'), 'events', h.events,
                              'description', h.description, 'rate_per_second', h.rate_per_second,
                              'source', h.source, 'state', h.state);
$$;

-- waiting, dead: 10,001 at most.
create or replace function listed_hook(h hooks) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select to_jsonb(h) - '{secret,old_secret,next_token_at,trips,failed_at}'::text[] || jsonb_build_object(
        'waiting', (select count(*) from (select from hook_deliveries
                                           where hook_id = h.id and state = 'waiting' limit 10001) w),
        'dead', (select count(*) from (select from hook_deliveries
                                        where hook_id = h.id and state = 'dead' limit 10001) d),
        'oldest_due_at', (select min(due_at) from hook_deliveries where hook_id = h.id and state = 'waiting'),
        'old_secret_until', case when h.old_secret_until > clock_timestamp() then h.old_secret_until end);
$$;

-- Newest first.
create or replace function list_hooks() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(listed_hook(h) order by created_at desc, id), '[]') from hooks h;
$$;

create or replace function show_hook(p_hook uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select listed_hook(h) from hooks h where id = p_hook;
$$;

-- What waits for its next try is due now, p_limit at most: its endpoint is back, or somebody says so. The rest is tried
-- at its time.
create or replace function wake_hook(p_hook uuid, p_limit integer) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    v_now timestamptz := clock_timestamp();
    v_ids bigint[] := array(select id from hook_deliveries
                             where hook_id = p_hook and state = 'waiting' and due_at > v_now
                             order by due_at, id limit p_limit for update skip locked);
begin
    if v_ids <> '{}' then
        update hook_deliveries set due_at = v_now where id = any (v_ids);
    end if;
    perform pg_notify('amazonsender', 'work');   -- also for what was due before (sending/work_due.sql)
end $$;

-- p_changes: any of url, events, description, rate_per_second. null: there is no such hook.
create or replace function change_hook(p_hook uuid, p_changes jsonb, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before hooks;
    v_hook   hooks;
begin
    select * into v_before from hooks where id = p_hook for update;
    if not found then
        return null;
    end if;
    update hooks
       set url = coalesce(p_changes ->> 'url', url),
           events = case when p_changes ? 'events'
                         then array(select jsonb_array_elements_text(p_changes -> 'events')) else events end,
           description = coalesce(p_changes ->> 'description', description),
           rate_per_second = coalesce((p_changes ->> 'rate_per_second')::double precision, rate_per_second)
     where id = p_hook
    returning * into v_hook;
    if v_hook.url <> v_before.url then   -- what the address before did says nothing of this one
        update hooks set failures = 0, failing_since = null, trips = 0, held_until = null
         where id = p_hook returning * into v_hook;
        perform wake_hook(p_hook, 10000);
    end if;
    perform record_audit(p_by, 'hook.change', p_hook::text, audited_hook(v_before), audited_hook(v_hook));
    return listed_hook(v_hook);
end $$;

-- Its deliveries are removed by tidy_hooks. false: there is no such hook.
create or replace function delete_hook(p_hook uuid, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_hook hooks;
begin
    delete from hooks where id = p_hook returning * into v_hook;
    if not found then
        return to_jsonb(false);
    end if;
    perform record_audit(p_by, 'hook.delete', p_hook::text, audited_hook(v_hook));
    return to_jsonb(true);
end $$;

-- Both secrets sign for p_keep_seconds, so that the receiver can change in between.
create or replace function rotate_hook(p_hook uuid, p_secret text, p_keep_seconds double precision, p_by text)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_hook hooks;
begin
    update hooks
       set old_secret = secret, secret = p_secret,
           old_secret_until = clock_timestamp() + make_interval(secs => p_keep_seconds)
     where id = p_hook
    returning * into v_hook;
    if not found then
        return null;
    end if;
    perform record_audit(p_by, 'hook.rotate', p_hook::text, null,
                         jsonb_build_object('old_secret_until', v_hook.old_secret_until));
    return listed_hook(v_hook);
end $$;

-- p_state: active, or disabled. What waits, waits on. An endpoint that is made active is tried at once.
create or replace function switch_hook(p_hook uuid, p_state text, p_reason text, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before hooks;
    v_hook   hooks;
begin
    select * into v_before from hooks where id = p_hook for update;
    if not found then
        return null;
    end if;
    update hooks
       set state = p_state, reason = case when p_state <> 'active' then p_reason end,
           failures = 0, failing_since = null, trips = 0, held_until = null
     where id = p_hook
    returning * into v_hook;
    if p_state = 'active' then
        perform wake_hook(p_hook, 10000);
    end if;
    perform record_audit(p_by, 'hook.' || case p_state when 'active' then 'enable' else 'disable' end, p_hook::text,
                         audited_hook(v_before), audited_hook(v_hook));
    return listed_hook(v_hook);
end $$;
