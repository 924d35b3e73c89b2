-- How many senders live now, in whatever region.
create or replace function count_executors() returns jsonb
language sql volatile set search_path = public, pg_temp as $$
    select to_jsonb(count(*)) from executors e where is_alive(e);
$$;
