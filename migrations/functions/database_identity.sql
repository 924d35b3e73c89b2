-- Which database this is: the cluster, its timeline (a new one after a failover or a restore to a point in time), the
-- database in it, and the table of mailouts, which a restore makes anew in the same database, too. A dump restored
-- anywhere has another identity. A role that may not read the cluster's knows the last two alone.
create or replace function database_identity() returns text
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_here text := format('%s:%s', (select oid from pg_database where datname = current_database()),
                          to_regclass('public.mailouts')::oid);
begin
    -- The timeline of the WAL being written: the control file's is that of the last checkpoint.
    return (select format('%s:%s:%s', system_identifier,
                          substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), v_here)
              from pg_control_system());
exception when insufficient_privilege then
    return '::' || v_here;
end $$;

-- Whether an identity noted earlier is this database's, as far as both tell. Earlier versions noted no table, and a role
-- that may not read the cluster's identity the database's number alone, which proves nothing.
create or replace function is_from_here(p_identity text) returns boolean
language sql stable set search_path = public, pg_temp as $$
    select p_identity is null or p_identity = database_identity() or strpos(p_identity, ':') = 0
        or not exists (
            select from unnest(string_to_array(p_identity, ':'), string_to_array(database_identity(), ':')) t (noted, now)
             where noted <> '' and now <> '' and noted <> now);
$$;

-- What was started, scheduled or released in another database may have been sent further than this one knows (a restored
-- backup, a standby that lacked the last commits). What is under way is paused until a person resumes it, what is
-- ready is a draft again. A scheduled mailout is held when its time comes (start_due_mailouts.sql). p_all: whatever is
-- noted, for a copy that can't be told from the original (a snapshot of the disk).
create or replace function hold_mailouts(p_all boolean) returns void
language sql set search_path = public, pg_temp as $$
    update mailouts
       set status = 'paused', pause_code = 'held', status_reason =
           'The database was restored from a backup, copied or failed over after this mailout '
           'started, so some recipients may have been mailed already without a trace here. '
           'Compare with the sent mails, then cancel it, or resume it to send to all that are '
           'still queued.'
     where status in ('sending', 'paused') and coalesce(pause_code, '') <> 'held'
       and (p_all or not is_from_here(started_in));
    update mailouts
       set status = 'draft', started_in = null, status_reason =
           'The database was restored from a backup, copied or failed over after this mailout '
           'was made ready, so it may have been sent from elsewhere. Make sure that it wasn''t, then '
           'make it ready again.'
     where status = 'ready' and (p_all or not is_from_here(started_in));
    update mailouts set started_in = '0:0:0:0' where p_all and status = 'scheduled';
$$;

create or replace function hold_foreign_mailouts() returns void
language sql set search_path = public, pg_temp as $$ select hold_mailouts(false) $$;

-- Set why running mailouts wait, in plain words (null: they no longer do). Only reasons that a sender
-- wrote are replaced. p_region: only those that are kept to this route; null: all others.
create or replace function note_waiting(p_reason text, p_region text default null) returns jsonb
language sql set search_path = public, pg_temp as $$
    with theirs as (
        select id from mailouts
         where status = 'sending' and region is not distinct from p_region
           and (status_reason is null or status_reason like 'Waiting for SES%')
           and status_reason is distinct from p_reason
         order by id for no key update   -- as a group of results does, so that neither waits for the other
    ), noted as (
        update mailouts set status_reason = p_reason where id in (select id from theirs)
        returning 1)
    select to_jsonb(count(*)) from noted;
$$;
