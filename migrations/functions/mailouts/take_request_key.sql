-- Claim a request's key. null: this is the first request with it (or has no key). Else it is a "repeat" of
-- an accepted request, with its "response", or "key_reused" if the body differs. Of two simultaneous
-- requests with one key the second waits here for the first. The caller deletes the key when it refuses the
-- request.
create or replace function take_request_key(p_key text, p_hash text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_request send_requests;
begin
    if p_key is null then
        return null;
    end if;
    insert into send_requests as r (key, body_hash, response) values (p_key, p_hash, 'null')
    on conflict (key) do update
       set body_hash = excluded.body_hash, response = excluded.response, created_at = now()
     where r.created_at < now() - interval '7 days';
    if found then
        return null;
    end if;
    select * into v_request from send_requests where key = p_key;
    return case when v_request.body_hash = p_hash
        then jsonb_build_object('outcome', 'repeat', 'response', v_request.response)
        else jsonb_build_object('outcome', 'key_reused') end;
end $$;
