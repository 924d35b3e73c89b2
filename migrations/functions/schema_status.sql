-- The schema's version and signatures, which a process compares with its own code when it starts; also the
-- cheapest call to see whether the database answers. unsafe: settings with which a crash of the machine
-- may damage the data. A server for tests, whose data may be lost, sets `amazonsender.disposable = on`.
create or replace function schema_status() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('version', version, 'min_code', min_code, 'digest', digest,
                              'server_version_num', current_setting('server_version_num')::int,
                              'unsafe', case when coalesce(current_setting('amazonsender.disposable', true), '') = 'on'
                                             then '[]' else unsafe_settings() end)
    from schema_version;
$$;

create or replace function unsafe_settings() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(name), '[]') from unnest(array['fsync', 'full_page_writes']) name
     where current_setting(name) = 'off';
$$;

-- For `doctor`: synchronous_commit of the caller's sessions and who set it so (`source`: as in pg_settings),
-- how many subscribers have an email that can't be mailed, what strangers may use, and whether the caller
-- may do everything on this server (which is no matter on one for tests).
create or replace function examine_database() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'synchronous_commit', (select jsonb_build_object('setting', setting, 'source', source)
                                 from pg_settings where name = 'synchronous_commit'),
        'unusable_addresses', (select count(*) from subscribers where address is null),
        'open_grants', open_grants(),
        'superuser', (select rolsuper from pg_roles where rolname = current_user)
                     and coalesce(current_setting('amazonsender.disposable', true), '') <> 'on');
$$;

-- Functions with the name of one of ours but another signature, left over from another version: PostgreSQL
-- refuses a call that fits both. p_signatures: ours, each once. A function of the owner's that merely has
-- such a name isn't listed: its parameters have other names, so no call of ours fits it.
create or replace function schema_overloads(p_signatures jsonb) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(p.oid::regprocedure::text order by p.oid::regprocedure::text), '[]')
      from pg_proc p
     where p.pronamespace = 'public'::regnamespace
       and p.proname in (select split_part(s, '(', 1) from jsonb_array_elements_text(p_signatures) s)
       and p.oid not in (select to_regprocedure('public.' || s)::oid from jsonb_array_elements_text(p_signatures) s
                          where to_regprocedure('public.' || s) is not null)
       and not exists (select from unnest(p.proargnames[1:p.pronargs]) name where name !~ '^(p_.*|[a-z])$');
$$;
