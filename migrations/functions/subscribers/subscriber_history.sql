-- The history of subscribers (table subscriber_changes).

-- Say for the rest of this transaction who acts, why, and within which import.
-- p_by: `owner` (the shared secret), `key NAME`, `dashboard`, `cli`, `import`, `sign-up`, `link` (the page
-- behind an unsubscribe link), `mail client` (RFC 8058), `ses`, `sendgrid`, `mailgun`.
create or replace function acting(p_by text, p_reason text default null, p_import uuid default null)
returns void language sql set search_path = public, pg_temp as $$
    select set_config('amazonsender.by', p_by, true),
           set_config('amazonsender.reason', coalesce(p_reason, ''), true),
           set_config('amazonsender.import', coalesce(p_import::text, ''), true);
$$;

-- The columns that the history keeps.
create or replace function kept_columns(p_row subscribers) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'email', p_row.email, 'name', p_row.name, 'status', p_row.status, 'bounce_type', p_row.bounce_type,
        'bounce_subtype', p_row.bounce_subtype, 'tags', p_row.tags, 'fields', p_row.fields,
        'timezone', p_row.timezone, 'consent', p_row.consent);
$$;

-- Statement triggers: they see what a statement really changed, and write it in one go. `security definer`:
-- a role that may write subscribers needs no right to write their history.
create or replace function note_added_subscribers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_by     text := coalesce(nullif(current_setting('amazonsender.by', true), ''), 'database');
    v_reason text := nullif(current_setting('amazonsender.reason', true), '');
    v_import uuid := nullif(current_setting('amazonsender.import', true), '');
begin
    insert into subscriber_changes (subscriber_id, by, reason, import_id)
    select id, v_by, v_reason, v_import from written;
    return null;
end $$;

create or replace function note_changed_subscribers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into subscriber_changes (subscriber_id, by, reason, import_id, before, after)
    select w.id, coalesce(nullif(current_setting('amazonsender.by', true), ''), 'database'),
           nullif(current_setting('amazonsender.reason', true), ''),
           nullif(current_setting('amazonsender.import', true), '')::uuid, d.before, d.after
      from written w join replaced r using (id),
           lateral (select jsonb_object_agg(o.key, o.value) as before, jsonb_object_agg(o.key, n.value) as after
                      from jsonb_each(kept_columns(r)) o join jsonb_each(kept_columns(w)) n using (key)
                     where o.value is distinct from n.value) d
     where d.before is not null;
    return null;
end $$;

create or replace function note_deleted_subscribers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into subscriber_changes (subscriber_id, by, reason, import_id, before)
    select id, coalesce(nullif(current_setting('amazonsender.by', true), ''), 'database'),
           nullif(current_setting('amazonsender.reason', true), ''),
           nullif(current_setting('amazonsender.import', true), '')::uuid, kept_columns(replaced)
      from replaced;
    return null;
end $$;

create or replace trigger subscribers_added_note after insert on subscribers
    referencing new table as written for each statement execute function note_added_subscribers();
create or replace trigger subscribers_changed_note after update on subscribers
    referencing old table as replaced new table as written
    for each statement execute function note_changed_subscribers();
create or replace trigger subscribers_deleted_note after delete on subscribers
    referencing old table as replaced for each statement execute function note_deleted_subscribers();
