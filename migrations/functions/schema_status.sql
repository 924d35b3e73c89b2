-- What the start of a process compares with its own code; also the cheapest proof of life.
create or replace function schema_status() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('version', version, 'min_code', min_code, 'digest', digest,
                              'server_version_num', current_setting('server_version_num')::int)
    from schema_version;
$$;
