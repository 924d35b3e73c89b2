-- Read an audience without changing it: look at the next p_limit subscribers after p_after, and answer those
-- who are in it, whatever their status ("rows"), and the last one looked at ("last"; null: there are no
-- more). So a slice takes equally long when few have the tag.
create or replace function audience_slice(p_mailout uuid, p_after uuid, p_limit integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    v_rule   record;
    v_answer jsonb;
begin
    select c.* into v_rule from mailout_audience(p_mailout) a, compile_audience(a.rule, '$1', a.at, a.zone) c;
    execute format($query$
        with looked_at as materialized (select * from subscribers where id > $2 order by id limit $3)
        select jsonb_build_object(
            'rows', coalesce(jsonb_agg(jsonb_build_object(
                        'id', id, 'email', email, 'address', address, 'name', name, 'fields', fields,
                        'status', status) order by id) filter (where %s), '[]'),
            'last', case when count(*) = $3 then (array_agg(id order by id desc))[1] end)
          from looked_at s
        $query$, v_rule.condition) into v_answer using v_rule.bound, p_after, p_limit;
    return v_answer;
end $$;

-- Reads on until p_limit are found. Only the previous release calls it.
create or replace function audience_page(p_mailout uuid, p_after uuid, p_limit integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_rule   record;
    v_answer jsonb;
begin
    select c.* into v_rule from mailout_audience(p_mailout) a, compile_audience(a.rule, '$1', a.at, a.zone) c;
    execute format($query$
        select coalesce(jsonb_agg(jsonb_build_object(
                   'id', s.id, 'email', s.email, 'address', s.address, 'name', s.name, 'fields', s.fields,
                   'status', s.status) order by s.id), '[]')
          from (select * from subscribers s where id > $2 and (%s) order by id limit $3) s
        $query$, v_rule.condition) into v_answer using v_rule.bound, p_after, p_limit;
    return v_answer;
end $$;

-- Some of the future recipients, for the checks before the start. It reads at most 5,000 rows, however
-- long the list, so it may find nobody when few of a long list are in the audience.
create or replace function first_recipients(p_mailout uuid, p_limit integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_rule   record;
    v_answer jsonb;
begin
    select c.* into v_rule from mailout_audience(p_mailout) a, compile_audience(a.rule, '$1', a.at, a.zone) c;
    execute format($query$
        select coalesce(jsonb_agg(jsonb_build_object(
                   'id', s.id, 'email', s.email, 'name', s.name, 'fields', s.fields)), '[]')
          from (select * from (select * from subscribers order by id limit 5000) s
                 where status = 'active' and (%s) limit $2) s
        $query$, v_rule.condition) into v_answer using v_rule.bound, p_limit;
    return v_answer;
end $$;

-- Begin a dry run. It replaces the mailout's previous one, also one that still runs somewhere.
create or replace function begin_dry_run(p_mailout uuid, p_run uuid, p_report jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into dry_runs (mailout_id, run_id, report) values (p_mailout, p_run, p_report)
    on conflict (mailout_id) do update
       set run_id = excluded.run_id, report = excluded.report, started_at = now(), updated_at = now()
    returning to_jsonb(true);
$$;

-- Begin a dry run and add the job that does it.
create or replace function queue_dry_run(p_mailout uuid, p_run uuid, p_report jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    perform begin_dry_run(p_mailout, p_run, p_report);
    return add_job('dry_run', jsonb_build_object('mailout_id', p_mailout, 'run', p_run,
                                                 'recipients', p_report -> 'recipients'));
end $$;

-- Store progress or outcome of a run, which also shows that it lives. false: another run has replaced it.
create or replace function save_dry_run(p_mailout uuid, p_run uuid, p_report jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    update dry_runs set report = p_report, updated_at = now()
     where mailout_id = p_mailout and run_id = p_run;
    return to_jsonb(found);
end $$;

-- The latest run's report. When a run has stored nothing for a minute and has no open job, its process is
-- gone.
create or replace function show_dry_run(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select report || jsonb_build_object('started_at', started_at, 'updated_at', updated_at)
           || case when report ->> 'state' = 'running'
                        and updated_at < clock_timestamp() - interval '1 minute'
                        and not exists (select from jobs j
                                         where j.state in ('waiting', 'running') and j.kind = 'dry_run'
                                           and j.payload ->> 'run' = run_id::text)
                   then jsonb_build_object('state', 'interrupted',
                                           'detail', 'The process that ran it is gone; start it again.')
                   else '{}' end
      from dry_runs where mailout_id = p_mailout;
$$;
