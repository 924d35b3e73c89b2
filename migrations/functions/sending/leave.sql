-- A sender stops in good order and removes its row: its rate no longer counts, and others needn't wait
-- for its lease to end.
create or replace function leave(p_executor uuid) returns jsonb
language sql set search_path = public, pg_temp as $$
    delete from executors where id = p_executor returning to_jsonb(true);
$$;
