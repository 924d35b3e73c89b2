-- Give back a claim whose answer its claimer never got, so that certainly nothing was sent: the
-- rows are queued again. null: there is no such open batch (the claim wasn't committed, or not yet:
-- ask again for a while).
create or replace function release_batch(p_attempt uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_ids bigint[];
begin
    select send_log_ids into v_ids from send_batches
     where attempt_id = p_attempt and recorded_at is null for update;
    if not found then
        return null;
    end if;
    return record_results(p_attempt, (
        select jsonb_agg(jsonb_build_object('id', id, 'outcome', 'requeue', 'delay', 0))
          from unnest(v_ids) id));
end $$;
