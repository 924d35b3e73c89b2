-- A sender stops in good order: its rate no longer counts, and nobody waits for its lease.
create or replace function leave(p_executor uuid) returns jsonb
language sql set search_path = public, pg_temp as $$
    delete from executors where id = p_executor returning to_jsonb(true);
$$;
