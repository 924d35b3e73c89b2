-- version: counts what a person writes or decides. What only tells of the sending leaves it as it is.
create or replace function mailouts_before_update() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if new.status is distinct from old.status then
        perform refuse_dropped(old.id, 'Who got this mailout is not known any more, because its details were dropped on %s '
            '(LEDGER_RETENTION_DAYS): it can never be sent again. Duplicate it.');
        if new.status = 'ready' then
            new.started_in := database_identity();
        elsif new.status = 'scheduled' then   -- so that its time doesn't find a rule that can't be asked
            perform compile_audience(resolved_audience(new.audience), '$1', now(), service_timezone());
        end if;
    end if;
    new.updated_at := clock_timestamp();   -- behind the claims that a cancel waited for (charted_to)
    new.version := old.version + ((new.status, new.subject, new.preheader, new.body_html, new.body_markdown,
        new.body_text, new.notion_page_id, new.from_email, new.from_name, new.reply_to, new.configuration_set,
        new.audience, new.canary, new.template_id, new.tracking, new.schedule, new.region)
        is distinct from (old.status, old.subject, old.preheader, old.body_html, old.body_markdown,
        old.body_text, old.notion_page_id, old.from_email, old.from_name, old.reply_to, old.configuration_set,
        old.audience, old.canary, old.template_id, old.tracking, old.schedule, old.region))::integer;
    return new;
end $$;

-- One that is written as ready.
create or replace function mailouts_before_insert() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if new.status = 'ready' and new.started_in is null then
        new.started_in := database_identity();
    end if;
    return new;
end $$;

-- The ledger has no foreign keys (0001_tables.sql), so this stands in for them.
create or replace function mailouts_before_delete() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    if exists (select from send_logs where mailout_id = old.id and not is_test)
       or exists (select from shrunk_mailouts where mailout_id = old.id) then
        raise exception 'Mailout % has a ledger in send_logs and can''t be deleted.', old.id
            using errcode = 'foreign_key_violation', hint = 'Cancel it instead.';
    end if;
    delete from mailout_links where mailout_id = old.id;
    delete from engagement_counts where mailout_id = old.id;
    return old;
end $$;

-- As app/domain/ses/names.py. A row that has another one already goes on, until that is changed.
create or replace function mailouts_require_configuration_set() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    raise exception 'configuration_set: SES''s names have 1 to 64 letters, digits, - and _.'
        using errcode = 'check_violation';
end $$;

create or replace trigger mailouts_configuration_set_new before insert on mailouts
    for each row when (new.configuration_set !~ '^[A-Za-z0-9_-]{0,64}$')
    execute function mailouts_require_configuration_set();
create or replace trigger mailouts_configuration_set_changed before update of configuration_set on mailouts
    for each row when (new.configuration_set is distinct from old.configuration_set
        and new.configuration_set !~ '^[A-Za-z0-9_-]{0,64}$')
    execute function mailouts_require_configuration_set();
create or replace trigger mailouts_before_update before update on mailouts
    for each row execute function mailouts_before_update();
create or replace trigger mailouts_before_insert before insert on mailouts
    for each row execute function mailouts_before_insert();
create or replace trigger mailouts_before_delete before delete on mailouts
    for each row execute function mailouts_before_delete();
