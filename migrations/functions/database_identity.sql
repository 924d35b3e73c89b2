-- Which database this is: the cluster, its timeline (a new one after a failover or a restore to a
-- point in time) and the database in it. A dump restored elsewhere has another identity.
create or replace function database_identity() returns text
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_database text := (select oid::text from pg_database where datname = current_database());
begin
    -- The timeline of the WAL being written: the control file's is that of the last checkpoint.
    return (select format('%s:%s:%s', system_identifier,
                          substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), v_database)
              from pg_control_system());
exception when insufficient_privilege then
    return v_database;
end $$;

-- Whether an identity noted earlier is this database's. A role that may not read the cluster's identity
-- noted the database's number alone, which proves nothing: it always counts as the same.
create or replace function is_from_here(p_identity text) returns boolean
language sql stable set search_path = public, pg_temp as $$
    select p_identity is null or p_identity = database_identity()
        or strpos(p_identity, ':') = 0 or strpos(database_identity(), ':') = 0;
$$;

-- A mailout that was started in another database may have been sent further than this one knows
-- (a restored backup, a standby that lacked the last commits): it is paused until a person resumes it.
create or replace function hold_foreign_mailouts() returns void
language sql set search_path = public, pg_temp as $$
    update mailouts
       set status = 'paused', pause_code = 'held', status_reason =
           'The database was restored from a backup, copied or failed over after this mailout '
           'started, so some recipients may have been mailed already without a trace here. '
           'Compare with the sent mails, then cancel it, or resume it to send to all that are '
           'still queued.'
     where status in ('sending', 'paused') and coalesce(pause_code, '') <> 'held'
       and not is_from_here(started_in);
$$;

-- Set why running mailouts wait, in plain words (null: they no longer do). Only reasons that a sender
-- wrote are replaced. p_region: only those that are kept to this route; null: all others.
create or replace function note_waiting(p_reason text, p_region text default null) returns jsonb
language sql set search_path = public, pg_temp as $$
    with noted as (
        update mailouts set status_reason = p_reason
         where status = 'sending' and region is not distinct from p_region
           and (status_reason is null or status_reason like 'Waiting for SES%')
           and status_reason is distinct from p_reason
        returning 1)
    select to_jsonb(count(*)) from noted;
$$;
