-- The same address with the same events again is the same hook, switched on, with this secret; the one before signs,
-- too, for p_keep_seconds. So nothing comes twice to somebody who subscribes once more, since the answer was lost.
create or replace function subscribe_hook(
    p_url text, p_events jsonb, p_secret text, p_description text, p_source text, p_rate double precision,
    p_keep_seconds double precision, p_by text)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_events text[] := array(select jsonb_array_elements_text(p_events));
    v_hook   hooks;
begin
    perform pg_advisory_xact_lock(hashtextextended('hook ' || p_url, 0));
    update hooks
       set old_secret = secret, secret = p_secret,
           old_secret_until = clock_timestamp() + make_interval(secs => p_keep_seconds),
           description = coalesce(nullif(p_description, ''), description),
           rate_per_second = coalesce(p_rate, rate_per_second), source = coalesce(p_source, source),
           state = 'active', reason = null, failures = 0, failing_since = null, trips = 0, held_until = null
     where id = (select id from hooks where url = p_url and events = v_events order by created_at, id limit 1)
    returning * into v_hook;
    if not found then
        return create_hook(p_url, p_events, p_secret, p_description, p_source, p_rate, p_by);
    end if;
    perform wake_hook(v_hook.id, 10000);
    perform record_audit(p_by, 'hook.renew', v_hook.id::text, null, audited_hook(v_hook));
    return listed_hook(v_hook);
end $$;

-- What examples of deliveries are made of: the latest mailouts that began, and which fields and tags subscribers
-- have. Nobody's own data: of a field only its name and type, and a tag only where several people have it.
create or replace function hook_sample_facts() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    with people as materialized (
        select fields, tags from subscribers order by id limit 500)
    select jsonb_build_object(
        'mailouts', (select coalesce(jsonb_agg(jsonb_build_object('id', id, 'subject', left(subject, 500))
                                               order by started_at desc), '[]')
                       from (select id, subject, started_at from mailouts where started_at is not null
                              order by started_at desc limit 3) m),
        'fields', (select coalesce(jsonb_object_agg(key, type), '{}')
                     from (select distinct on (key) key, jsonb_typeof(value) as type from people, jsonb_each(fields)
                            where jsonb_typeof(value) <> 'null' order by key, type desc limit 50) f),
        'tags', (select coalesce(jsonb_agg(tag order by tag), '[]')
                   from (select tag from people, unnest(tags) tag group by tag having count(*) > 1
                          order by count(*) desc, tag limit 3) t));
$$;

-- Send once more what was told since then, delivered or given up, the oldest p_limit of the hook's last 100,000: for a
-- receiver that lost what it had. Answers how many; null: there is no such hook.
create or replace function replay_hook_since(p_hook uuid, p_since timestamptz, p_limit integer, p_by text) returns jsonb
language sql set search_path = public, pg_temp set enable_seqscan = off as $$
    select replay_hook_deliveries(
        p_hook,
        (select coalesce(jsonb_agg(id), '[]')
           from (select id
                   from (select id, occurred_at, state from hook_deliveries
                          where hook_id = p_hook order by id desc limit 100000) d
                  where occurred_at >= p_since and state in ('done', 'dead') order by id limit p_limit) l),
        p_limit, p_by);
$$;
