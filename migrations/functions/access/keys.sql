-- API keys. p_hash: SHA-256 of a key, in hex; the key itself never comes here.

-- Answers the key as it is listed; null: a living key has this name.
create or replace function create_key(p_name text, p_scopes jsonb, p_hash text, p_hint text, p_by text)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_key api_keys;
begin
    insert into api_keys (name, scopes, hash, hint, created_by)
    values (p_name, array(select jsonb_array_elements_text(p_scopes)), p_hash, p_hint, p_by)
    on conflict (lower(name)) where revoked_at is null do nothing
    returning * into v_key;
    if not found then
        return null;
    end if;
    perform record_audit(p_by, 'key.create', v_key.name, null,
                         jsonb_build_object('id', v_key.id, 'scopes', v_key.scopes, 'hint', v_key.hint));
    return listed_key(v_key);
end $$;

create or replace function listed_key(p_key api_keys) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', p_key.id, 'name', p_key.name, 'scopes', p_key.scopes, 'hint', p_key.hint,
        'created_at', p_key.created_at, 'created_by', p_key.created_by, 'last_used_at', p_key.last_used_at);
$$;

-- The living keys, by name.
create or replace function list_keys() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(listed_key(k) order by lower(k.name)), '[]') from api_keys k where k.revoked_at is null;
$$;

-- The same, for those who check them: id, name, scopes and hash.
create or replace function living_keys() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', name, 'scopes', scopes, 'hash', hash)), '[]')
      from api_keys where revoked_at is null;
$$;

-- Answers the key as it was listed; null: there is no such living key.
create or replace function revoke_key(p_key uuid, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_key api_keys;
begin
    update api_keys set revoked_at = clock_timestamp() where id = p_key and revoked_at is null
    returning * into v_key;
    if not found then
        return null;
    end if;
    perform record_audit(p_by, 'key.revoke', v_key.name,
                         jsonb_build_object('id', v_key.id, 'scopes', v_key.scopes, 'hint', v_key.hint,
                                            'last_used_at', v_key.last_used_at));
    return listed_key(v_key);
end $$;

-- Note that a key is in use, at most once a minute however many processes ask.
create or replace function note_key_use(p_key uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    update api_keys set last_used_at = clock_timestamp()
     where id = p_key and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute');
    return to_jsonb(found);
end $$;
