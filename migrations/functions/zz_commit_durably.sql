-- What was answered, or is about to be mailed, is on disk before: with synchronous_commit = off (of the
-- server, the database or the role) a crash takes the last commits back, so that a claim vanishes and its
-- recipients are mailed a second time. A transaction that writes one of these tables commits durably,
-- whoever writes. A setting of the function would not do: it ends with the function, before the commit.
create or replace function commit_durably() returns trigger
language plpgsql as $$
begin
    -- Only against off: which standbys a commit waits for is the owner's to say.
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
        'owner_notices', 'ended_sessions', 'jobs']
    loop
        -- Once, as each time would wait for all who write.
        if not exists (select from pg_trigger where tgrelid = v_table::regclass and tgname = 'commit_durably') then
            execute format('create trigger commit_durably before insert or update or delete on %I
                            for each statement execute function commit_durably()', v_table);
        end if;
    end loop;
end $durably$;
