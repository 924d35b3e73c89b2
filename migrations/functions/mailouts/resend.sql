-- A person decides to send again to those who were missed: p_statuses (`failed`, `unknown`). `unknown` rows
-- younger than 20 minutes are left out unless p_force: their call may still reach SES, since its signature
-- is valid that long. The mailout becomes `sending`. Its rows are queued again in slices: the first one
-- here, the others by the senders (queue_recipients). Answers `requeued` and
-- `too_young`, of the first slice, and `remaining`: rows of these statuses that are still to be gone over.
-- p_by: see change_mailout.sql.
create or replace function resend_mailout(
    p_mailout uuid, p_statuses jsonb, p_force boolean, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_statuses text[] := array(select s from jsonb_array_elements_text(p_statuses) s
                                where s in ('failed', 'unknown'));
    v_before   jsonb := lock_mailout(p_mailout);
    v_status   text := v_before ->> 'status';
    v_slice    jsonb;
    v_missed   bigint;
    v_open     boolean;
begin
    if v_status is null or v_status not in ('sent', 'failed') then
        return mailout_transition(p_mailout, false);
    end if;
    perform refuse_dropped(p_mailout, 'Who got this mailout is not known any more, because its details were dropped on %s '
        '(LEDGER_RETENTION_DAYS): nobody can be mailed again. Duplicate it to send it anew.');
    v_missed := recipients_in(p_mailout, v_statuses);
    insert into mailout_resends as r (mailout_id, statuses, force) values (p_mailout, v_statuses, p_force)
    on conflict (mailout_id) do update
       set statuses = excluded.statuses, force = excluded.force, cursor = default;
    insert into mailout_queues (mailout_id) values (p_mailout)
    on conflict (mailout_id) do update set done_at = null;
    v_slice := resend_slice(p_mailout, 5000);
    v_open := not (v_slice ->> 'done')::boolean;
    if v_open or (v_slice ->> 'requeued')::bigint > 0 then
        perform rearm_guards(p_mailout, false);
        update mailouts set status = 'sending', canary_phase = null, sent_at = null, status_reason = null,
               started_in = database_identity() where id = p_mailout;
    end if;
    return audited_transition(p_mailout, v_open or (v_slice ->> 'requeued')::bigint > 0, p_by, 'mailout.resend', v_before,
                              jsonb_build_object('statuses', v_statuses, 'force', p_force))
        || jsonb_build_object('allowed', true, 'requeued', v_slice -> 'requeued',
                              'too_young', v_slice -> 'too_young',
                              'remaining', case when v_open then v_missed
                                  - (v_slice ->> 'requeued')::bigint - (v_slice ->> 'too_young')::bigint else 0 end);
end $$;

-- Look at the next p_limit missed rows in the order of their ids, and queue again those that were asked
-- for. A row that fails once more is behind the cursor by then, so one resend queues it only once.
create or replace function resend_slice(p_mailout uuid, p_limit integer) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_resend mailout_resends;
    v_old    timestamptz := clock_timestamp() - interval '20 minutes';
    v_ids    bigint[];
    v_count  bigint;
    v_young  bigint;
begin
    select * into v_resend from mailout_resends where mailout_id = p_mailout for update;
    -- Compared as a pair (mailout, id), so that only the index of missed rows fits.
    v_ids := array(select id from send_logs
                    where (mailout_id, id) > (p_mailout, v_resend.cursor) and mailout_id <= p_mailout
                      and status in ('failed', 'unknown') and not is_test
                      and not exists (select from mailouts where id = p_mailout and status = 'cancelled')
                    order by mailout_id, id limit p_limit);
    select count(*) into v_young from send_logs
     where id = any (v_ids) and status = 'unknown' and status = any (v_resend.statuses)
       and not v_resend.force and claimed_at > v_old;
    update send_logs
       set status = 'queued', attempts = 0, error_code = null,
           error_message = null, message_id = null,
           next_attempt_at = case when (select waves from mailouts where id = p_mailout) then clock_timestamp() end
     where id = any (v_ids) and status = any (v_resend.statuses)
       and (status = 'failed' or status = 'unknown' and (v_resend.force or claimed_at <= v_old));
    get diagnostics v_count = row_count;
    if cardinality(v_ids) < p_limit then
        delete from mailout_resends where mailout_id = p_mailout;
        update mailout_queues set done_at = now() where mailout_id = p_mailout;
    else
        update mailout_resends set cursor = v_ids[cardinality(v_ids)] where mailout_id = p_mailout;
    end if;
    return jsonb_build_object('seen', cardinality(v_ids), 'requeued', v_count, 'too_young', v_young,
                              'done', cardinality(v_ids) < p_limit);
end $$;
