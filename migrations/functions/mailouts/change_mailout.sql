-- What a person or the sender may do to a mailout: pause, resume, cancel it (make it ready: drafts.sql). Each depends
-- on the present state and answers {"changed", "status"}; null for an unknown id. p_by: the person or key that
-- asks, for the audit log; null: nobody, as when the sender pauses.
-- p_code: who or what asks (person, account, quota, guard, held).
create or replace function pause_mailout(
    p_mailout uuid, p_code text, p_reason text, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before jsonb := lock_mailout(p_mailout);
begin
    -- A person's pause also replaces one that would end by itself when the account may send again.
    update mailouts set status = 'paused', pause_code = p_code, status_reason = p_reason
     where id = p_mailout
       and (status = 'sending'
            or p_code = 'person' and status = 'paused' and pause_code in ('account', 'quota'));
    return audited_transition(p_mailout, found, p_by, 'mailout.pause', v_before);
end $$;

-- A person resumes a paused mailout. The guards judge it by what comes from then on.
create or replace function resume_mailout(p_mailout uuid, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before jsonb := lock_mailout(p_mailout);
    v_code   text;
begin
    select pause_code into v_code from mailouts where id = p_mailout and status = 'paused' for update;
    if not found then
        return mailout_transition(p_mailout, false);
    end if;
    perform rearm_guards(p_mailout, v_code is not distinct from 'guard');
    delete from mailout_blocks where mailout_id = p_mailout;
    update mailouts set status = 'sending', pause_code = null, status_reason = null,
           started_in = database_identity()
     where id = p_mailout;
    if v_code = 'held' then
        perform queue_again_if_empty(p_mailout);
    end if;
    return audited_transition(p_mailout, true, p_by, 'mailout.resume', v_before);
end $$;

-- Resume the mailouts that wait for an account (suspended, paused, quota), now that it may send again.
-- p_region: whose; null: whichever.
create or replace function resume_waiting_mailouts(p_region text default null) returns jsonb
language sql set search_path = public, pg_temp as $$
    with freed as (
        delete from mailout_blocks where region = coalesce(p_region, region)
    ), resumed as (
        update mailouts set status = 'sending', pause_code = null, status_reason = null
         where status = 'paused' and pause_code in ('account', 'quota')
           and (region is null or region = coalesce(p_region, region)) returning id)
    select coalesce(jsonb_agg(id), '[]') from resumed;
$$;

-- Cancel a mailout. Once this has committed no sender claims a batch of it; results of calls in flight are
-- still recorded. cancel_recipients then sets the queued rows to `cancelled`, in slices.
create or replace function cancel_mailout(p_mailout uuid, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before  jsonb := lock_mailout(p_mailout);
    v_changed boolean;
begin
    update mailouts set status = 'cancelled', pause_code = null, status_reason = 'Cancelled by a person.'
     where id = p_mailout and status in ('ready', 'scheduled', 'sending', 'paused');
    v_changed := found;
    if v_changed then
        perform cancel_recipients(p_mailout, 5000);
    end if;
    return audited_transition(p_mailout, v_changed, p_by, 'mailout.cancel', v_before);
end $$;

create or replace function cancel_recipients(p_mailout uuid, p_limit integer) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_count bigint;
begin
    if not exists (select from mailouts where id = p_mailout and status = 'cancelled') then
        return '0';
    end if;
    update send_logs set status = 'cancelled', next_attempt_at = null
     where id = any (array(select id from send_logs
                            where (mailout_id, id) > (p_mailout, 0) and mailout_id <= p_mailout
                              and status = 'queued' and not is_test and aside is null
                            order by mailout_id, id limit p_limit for update skip locked));
    get diagnostics v_count = row_count;
    if v_count = 0 then   -- those who were set aside come last (pacing/limits.sql)
        update send_logs set status = 'cancelled', next_attempt_at = null, aside = null
         where id = any (array(select id from send_logs
                                where (mailout_id, aside) > (p_mailout, '') and mailout_id <= p_mailout
                                  and status = 'queued' and aside is not null
                                order by mailout_id, aside, id limit p_limit for update skip locked));
        get diagnostics v_count = row_count;
    end if;
    return to_jsonb(v_count);
end $$;

-- A mailout's state for the audit log.
create or replace function audited_state(m mailouts) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select jsonb_strip_nulls(jsonb_build_object('status', m.status, 'status_reason', m.status_reason));
$$;

-- Keep others from changing it until this transaction ends; answers its state.
create or replace function lock_mailout(p_mailout uuid) returns jsonb
language sql set search_path = public, pg_temp as $$
    select audited_state(m) from mailouts m where id = p_mailout for no key update;
$$;

-- The answer to a change of its state, which is noted when somebody asked for it. p_detail: what else the
-- audit log is to tell.
create or replace function audited_transition(
    p_mailout uuid, p_changed boolean, p_by text, p_action text, p_before jsonb, p_detail jsonb default '{}')
returns jsonb language sql set search_path = public, pg_temp as $$
    select record_audit(p_by, p_action, p_mailout::text, p_before, audited_state(m) || p_detail)
      from mailouts m where id = p_mailout and p_changed;
    select mailout_transition(p_mailout, p_changed);
$$;

create or replace function mailout_transition(p_mailout uuid, p_changed boolean) returns jsonb
language sql set search_path = public, pg_temp as $$
    select jsonb_build_object('changed', p_changed, 'status', status, 'status_reason', status_reason)
    from mailouts where id = p_mailout;
$$;
