-- A sender stores its state (trouble in its loops, its breaker, why SES can't be asked), for `/health`.
-- null: it has no heartbeat yet. It writes only its own row, so that it succeeds also while a heartbeat
-- waits for a lock.
create or replace function tell_executor_state(p_executor uuid, p_service uuid, p_state jsonb)
returns jsonb language sql set search_path = public, pg_temp as $$
    update executors set service_id = p_service, state = p_state
     where id = p_executor returning to_jsonb(true);
$$;

-- For `/health` of a service: its latest sender, and what SES last said of the account. `executor`
-- is null before a sender's first heartbeat and after it stopped; `account` before SES was asked.
create or replace function executor_state(p_service uuid, p_region text) returns jsonb
language sql volatile set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'executor', (select jsonb_build_object(
                                'alive', is_alive(e), 'state', e.state,
                                'silent_seconds', extract(epoch from clock_timestamp() - e.heartbeat_at))
                       from executors e where e.service_id = p_service
                      order by e.started_at desc limit 1),
        'account', r.account,
        'account_age_seconds', extract(epoch from clock_timestamp() - r.account_checked_at))
      from (select p_region as region) asked left join send_rates r using (region);
$$;
