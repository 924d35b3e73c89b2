-- Sessions of the dashboard that were signed out before their cookie expired.
create or replace function end_session(p_session text, p_expires_at timestamptz) returns jsonb
language sql set search_path = public, pg_temp as $$
    delete from ended_sessions where expires_at < now();
    insert into ended_sessions (id, expires_at) values (p_session, p_expires_at) on conflict do nothing;
    select to_jsonb(p_session);
$$;

create or replace function session_ended(p_session text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(exists (select from ended_sessions where id = p_session));
$$;
