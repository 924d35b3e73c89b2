-- A transaction that writes one of these tables is on disk when it commits, whatever synchronous_commit is
-- set to for the server, the database or the role. With `off` a crash undoes the last commits: a claim would
-- vanish, and its recipients would be mailed a second time. The triggers set it to `on` for the transaction;
-- a setting of the function would not do, as it ends with the function, before the commit.
create or replace function commit_durably() returns trigger
language plpgsql as $$
begin
    -- Only `off` is changed. The other values say which standbys a commit waits for: the owner decides.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    return null;
end $$;

do $durably$
declare
    v_table text;
begin
    foreach v_table in array array[
        'subscribers', 'mailouts', 'send_logs', 'send_batches', 'send_requests', 'mailout_tests', 'ses_events',
        'owner_notices', 'ended_sessions', 'jobs', 'audit_log', 'signups',
        'hooks', 'slack_messages', 'webhook_tokens', 'fallback_changes',
        'notion_rows']
    loop
        -- Only when it is missing, since creating it waits for all transactions that write the table.
        if not exists (select from pg_trigger where tgrelid = v_table::regclass and tgname = 'commit_durably') then
            execute format('create trigger commit_durably before insert or update or delete on %I
                            for each statement execute function commit_durably()', v_table);
        end if;
    end loop;
end $durably$;
