create or replace function mailouts_before_update() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    new.updated_at := now();
    return new;
end $$;

-- The ledger has no foreign keys (0001_tables.sql), so this stands in for them.
create or replace function mailouts_before_delete() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if exists (select from send_logs where mailout_id = old.id and not is_test) then
        raise exception 'Mailout % has a ledger in send_logs and can''t be deleted.', old.id
            using errcode = 'foreign_key_violation', hint = 'Cancel it instead.';
    end if;
    return old;
end $$;

create or replace trigger mailouts_before_update before update on mailouts
    for each row execute function mailouts_before_update();
create or replace trigger mailouts_before_delete before delete on mailouts
    for each row execute function mailouts_before_delete();
