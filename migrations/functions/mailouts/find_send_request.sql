-- An accepted request to start a mailout, remembered for 7 days; null when there is none.
create or replace function find_send_request(p_key text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('body_hash', body_hash, 'response', response)
    from send_requests where key = p_key and created_at > now() - interval '7 days';
$$;
