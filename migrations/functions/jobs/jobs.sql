-- Jobs: any process adds them, one worker at a time holds one. A holder passes the job's id and the value
-- of `claims` when it claimed it, so that calls of an earlier holder change nothing.

-- Add a job, or find the open one with the same key. Answers its id and whether it is new.
create or replace function add_job(
    p_kind text, p_payload jsonb default '{}', p_key text default null,
    p_delay_seconds double precision default 0, p_max_failures integer default 5)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_id uuid;
begin
    loop
        insert into jobs (kind, payload, key, due_at, max_failures)
        values (p_kind, p_payload, p_key,
                clock_timestamp() + make_interval(secs => p_delay_seconds), p_max_failures)
        on conflict (key) where state in ('waiting', 'running') do nothing
        returning id into v_id;
        if found then
            return jsonb_build_object('id', v_id, 'added', true);
        end if;
        select id into v_id from jobs where key = p_key and state in ('waiting', 'running');
        if found then
            return jsonb_build_object('id', v_id, 'added', false);
        end if;  -- it ended in between: try again
    end loop;
end $$;

-- The next job of these kinds that is due, for p_lease_seconds; null: none. When a holder let
-- its lease run out (it was killed, or without the database for too long) the job counts a failure and is
-- claimed again, until it has failed too often: a job that kills its worker each time must end.
create or replace function claim_job(p_kinds jsonb, p_lease_seconds double precision)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_kinds text[] := array(select jsonb_array_elements_text(p_kinds));
    v_job   jobs;
begin
    for v_job in
        select * from jobs where state = 'running' and lease_until < clock_timestamp()
         order by lease_until for update skip locked
    loop
        update jobs
           set failures = failures + 1, lease_until = null,
               state = case when failures + 1 < max_failures then 'waiting' else 'failed' end,
               finished_at = case when failures + 1 < max_failures then null else clock_timestamp() end,
               due_at = clock_timestamp(),
               error = 'The process that ran it ended before it was done.'
         where id = v_job.id;
    end loop;
    update jobs
       set state = 'running', claims = claims + 1,
           started_at = coalesce(started_at, clock_timestamp()),
           lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
     where id = (select id from jobs
                  where state = 'waiting' and due_at <= clock_timestamp() and kind = any (v_kinds)
                  order by due_at, id limit 1 for update skip locked)
    returning * into v_job;
    if not found then
        return null;
    end if;
    return jsonb_build_object('id', v_job.id, 'kind', v_job.kind, 'payload', v_job.payload,
                              'claim', v_job.claims, 'failures', v_job.failures,
                              'progress', v_job.progress);
end $$;

-- This very job, if nobody has it and it is due; null otherwise.
create or replace function claim_one_job(p_job uuid, p_lease_seconds double precision)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_job jobs;
begin
    update jobs
       set failures = failures + case when state = 'running' then 1 else 0 end,
           state = 'running', claims = claims + 1, started_at = coalesce(started_at, clock_timestamp()),
           lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds)
     where id = p_job and (state = 'waiting' and due_at <= clock_timestamp()
                           or state = 'running' and lease_until < clock_timestamp())
    returning * into v_job;
    if not found then
        return null;
    end if;
    return jsonb_build_object('id', v_job.id, 'kind', v_job.kind, 'payload', v_job.payload,
                              'claim', v_job.claims, 'failures', v_job.failures,
                              'progress', v_job.progress);
end $$;

-- The holder's sign of life, with how far it has come (null: as before). false: it is no longer the
-- holder, because its lease ran out and another took over, or a person cancelled the job.
create or replace function extend_job(
    p_job uuid, p_claim integer, p_lease_seconds double precision, p_progress jsonb default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
begin
    update jobs
       set lease_until = clock_timestamp() + make_interval(secs => p_lease_seconds),
           progress = coalesce(p_progress, progress)
     where id = p_job and claims = p_claim and state = 'running';
    return to_jsonb(found);
end $$;

-- How the holder's try ended. p_outcome: done; failed, for good; retry, which counts and becomes
-- `failed` when it was the last; or later, which doesn't count (an outage, a stop of the process).
-- false: it was no longer the holder.
create or replace function settle_job(
    p_job uuid, p_claim integer, p_outcome text, p_result jsonb default null,
    p_error text default null, p_delay_seconds double precision default 0)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_counts integer := case when p_outcome in ('retry', 'failed') then 1 else 0 end;
begin
    update jobs
       set state = case when p_outcome = 'done' then 'done'
                        when p_outcome = 'failed' then 'failed'
                        when p_outcome = 'retry' and failures + 1 >= max_failures then 'failed'
                        else 'waiting' end,
           finished_at = case when p_outcome in ('done', 'failed')
                                or (p_outcome = 'retry' and failures + 1 >= max_failures)
                              then clock_timestamp() end,
           failures = failures + v_counts,
           lease_until = null,
           result = coalesce(p_result, result),
           error = case when p_outcome = 'done' then null else coalesce(p_error, error) end,
           due_at = clock_timestamp() + make_interval(secs => p_delay_seconds)
     where id = p_job and claims = p_claim and state = 'running';
    return to_jsonb(found);
end $$;

-- A person cancels a job that isn't over. Its holder learns of it when it next extends its lease.
-- p_by: who asks, for the audit log.
create or replace function cancel_job(p_job uuid, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before jsonb := lock_job(p_job);
begin
    update jobs set state = 'cancelled', lease_until = null, finished_at = clock_timestamp()
     where id = p_job and state in ('waiting', 'running');
    return audited_job(p_job, found, p_by, 'job.cancel', v_before);
end $$;

-- A person has a job done again that failed or was cancelled: now, with all its tries. false: it is not
-- over, or another job with its key is open.
create or replace function retry_job(p_job uuid, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before jsonb := lock_job(p_job);
begin
    update jobs
       set state = 'waiting', failures = 0, finished_at = null, due_at = clock_timestamp()
     where id = p_job and state in ('failed', 'cancelled');
    return audited_job(p_job, found, p_by, 'job.retry', v_before);
exception when unique_violation then
    return to_jsonb(false);
end $$;

-- A job's state for the audit log.
create or replace function audited_job_state(j jobs) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select jsonb_build_object('kind', j.kind, 'state', j.state);
$$;

create or replace function lock_job(p_job uuid) returns jsonb
language sql set search_path = public, pg_temp as $$
    select audited_job_state(j) from jobs j where id = p_job for no key update;
$$;

-- Note what somebody did to a job; answers whether it changed.
create or replace function audited_job(
    p_job uuid, p_changed boolean, p_by text, p_action text, p_before jsonb)
returns jsonb language sql set search_path = public, pg_temp as $$
    select record_audit(p_by, p_action, p_job::text, p_before, audited_job_state(j))
      from jobs j where id = p_job and p_changed;
    select to_jsonb(p_changed);
$$;

create or replace function show_job(p_job uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(j) - 'payload' - 'claims' - 'lease_until' from jobs j where id = p_job;
$$;

-- Newest first. p_before, p_before_id: when the last job of the page before was added, and its id.
create or replace function list_jobs(
    p_limit integer, p_state text default null, p_before timestamptz default null,
    p_before_id uuid default null)
returns jsonb language plpgsql stable
set search_path = public, pg_temp set plan_cache_mode = force_custom_plan set enable_seqscan = off as $$
begin
    return (
        select coalesce(jsonb_agg(to_jsonb(j) - 'payload' - 'claims' - 'lease_until'
                                  order by created_at desc, id desc), '[]')
          from (select * from jobs
                 where (p_state is null or state = p_state)
                   and (p_before is null or (created_at, id) < (p_before, p_before_id))
                 order by created_at desc, id desc limit p_limit) j);
end $$;

-- Delete jobs that ended more than 30 days ago, some at a time. Answers how many.
create or replace function prune_jobs(p_days integer default 30, p_limit integer default 1000)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_count bigint;
begin
    with old as (
        delete from jobs
         where id in (select id from jobs
                       where finished_at < clock_timestamp() - make_interval(days => p_days)
                       order by finished_at limit p_limit for update skip locked)
        returning 1)
    select count(*) into v_count from old;
    return to_jsonb(v_count);
end $$;
