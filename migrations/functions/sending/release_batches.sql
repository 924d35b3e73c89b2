-- A sender gives back claims whose answer never reached it, so that it certainly sent nothing for them: the
-- rows are queued again. p_attempts: their ids. Answers the ids that were given back. The others have no
-- open batch: no tokens were due, or the claim was not committed. It may still commit, so the sender asks
-- again for a while.
create or replace function release_batches(p_attempts jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_attempt  uuid;
    v_ids      bigint[];
    v_released jsonb := '[]';
begin
    for v_attempt in select value::uuid from jsonb_array_elements_text(p_attempts) order by 1 loop
        select send_log_ids into v_ids from send_batches
         where attempt_id = v_attempt and recorded_at is null for update;
        if found then
            perform record_results(v_attempt, (
                select jsonb_agg(jsonb_build_object('id', id, 'outcome', 'requeue', 'delay', 0))
                  from unnest(v_ids) id));
            v_released := v_released || to_jsonb(v_attempt);
        end if;
    end loop;
    return v_released;
end $$;
