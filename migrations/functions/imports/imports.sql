-- Imports from the upload to the end. import_rows.sql writes the subscribers, undo_import.sql takes them back.

-- What imports left behind and nobody needs goes: files of uploads that broke off, and of dry runs and questions that
-- nobody came back to; refused rows after 30 days. Housekeeping calls it, so that no list waits for the next upload.
create or replace function tidy_imports() returns void
language plpgsql set search_path = public, pg_temp as $$
declare
    v_ids uuid[];
begin
    delete from imports where state = 'uploading' and created_at < clock_timestamp() - interval '1 day';
    v_ids := array(
        select id from imports i
         where created_at < clock_timestamp() - interval '7 days'
           and (state = 'question' or dry_run and state in ('done', 'failed'))
           and exists (select from import_chunks where import_id = i.id));
    delete from import_chunks where import_id = any (v_ids);
    v_ids := array(
        select id from imports i
         where finished_at < clock_timestamp() - interval '30 days'
           and exists (select from import_refusals where import_id = i.id));
    delete from import_refusals where import_id = any (v_ids);
end $$;

-- Begin an upload.
create or replace function begin_import(
    p_by text, p_mode text, p_dry_run boolean, p_tags jsonb, p_mapping jsonb, p_file_name text)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_id uuid;
begin
    insert into imports (by, mode, dry_run, tags, mapping, file_name)
    values (p_by, p_mode, p_dry_run, array(select jsonb_array_elements_text(p_tags)), p_mapping, p_file_name)
    returning id into v_id;
    return to_jsonb(v_id);
end $$;

-- Store the next piece of the file. p_data: compressed, in base64. p_size: of the file so far.
create or replace function store_import_chunk(p_import uuid, p_n integer, p_data text, p_size bigint)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
begin
    update imports set size = p_size where id = p_import and state = 'uploading';
    if found then
        insert into import_chunks (import_id, n, data) values (p_import, p_n, decode(p_data, 'base64'))
        on conflict (import_id, n) do update set data = excluded.data;
    end if;
    return to_jsonb(found);
end $$;

-- The upload broke off.
create or replace function drop_upload(p_import uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    delete from imports where id = p_import and state = 'uploading';
    return to_jsonb(found);
end $$;

create or replace function read_import_chunk(p_import uuid, p_n integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select to_jsonb(translate(encode(data, 'base64'), E'\n', '')) from import_chunks
     where import_id = p_import and n = p_n;
$$;

-- The file is complete: add the job. Or a person answers a question, or has a dry run done for good: then
-- what is null stays as it was. Answers the import, or null when its state doesn't allow that.
create or replace function start_import(
    p_import uuid, p_by text, p_mapping jsonb default null, p_mode text default null,
    p_tags jsonb default null, p_dry_run boolean default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_import imports;
    v_first  boolean;
begin
    select * into v_import from imports where id = p_import for update;
    v_first := v_import.state = 'uploading';
    if not found
       or not (v_import.state in ('uploading', 'question')
               or v_import.dry_run and import_state(v_import) in ('done', 'failed'))
       or not exists (select from import_chunks where import_id = p_import)
    then
        return null;
    end if;
    delete from import_refusals where import_id = p_import;
    update imports
       set state = 'running', mapping = mapping || coalesce(p_mapping, '{}'), mode = coalesce(p_mode, mode),
           tags = case when p_tags is null then tags else array(select jsonb_array_elements_text(p_tags)) end,
           dry_run = coalesce(p_dry_run, dry_run), found = '{}', question = null, preview = null, error = null,
           added = 0, updated = 0, unchanged = 0, repeated = 0, lowered = 0, refused = 0, finished_at = null,
           job_id = (add_job('import', jsonb_build_object('import_id', id)) ->> 'id')::uuid
     where id = p_import returning * into v_import;
    perform record_audit(
        p_by, case when v_first then 'import.start' else 'import.answer' end, p_import::text, null,
        jsonb_build_object('file', v_import.file_name, 'mode', v_import.mode, 'dry_run', v_import.dry_run,
                           'tags', v_import.tags, 'map', v_import.mapping));
    return show_import(p_import);
end $$;

-- What the job that reads the file needs to know. null: there is nothing for it to do.
create or replace function import_order(p_import uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
               'id', id, 'size', size, 'file_name', file_name, 'mode', mode, 'dry_run', dry_run, 'tags', tags,
               'mapping', mapping, 'rows', rows_done(i))
      from imports i where id = p_import and state = 'running';
$$;

-- Reading began: what was found about the file as a whole.
create or replace function note_import(p_import uuid, p_found jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    update imports set found = p_found where id = p_import and state = 'running';
    return to_jsonb(found);
end $$;

-- The job ends, with a question to a person, with an error, or with neither: done. The file is dropped
-- unless it may be needed again.
create or replace function end_import(p_import uuid, p_question jsonb default null, p_error text default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_import imports;
begin
    update imports
       set state = case when p_question is not null then 'question'
                        when p_error is not null then 'failed' else 'done' end,
           question = p_question, error = p_error, finished_at = clock_timestamp()
     where id = p_import and state = 'running'
    returning * into v_import;
    if not found then
        return to_jsonb(false);
    elsif v_import.state <> 'question' and not v_import.dry_run then
        delete from import_chunks where import_id = p_import;
    end if;
    return to_jsonb(true);
end $$;

-- Its state for people: without a job that goes on, it isn't running.
create or replace function import_state(p_import imports) returns text
language sql stable set search_path = public, pg_temp as $$
    select case when p_import.state in ('running', 'undoing') and not exists (
                         select from jobs where id = p_import.job_id and state in ('waiting', 'running'))
                then 'failed' else p_import.state end;
$$;

create or replace function import_json(p_import imports) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
               'id', i.id, 'created_at', i.created_at, 'by', i.by, 'state', s.state,
               'file_name', i.file_name, 'size', i.size, 'mode', i.mode, 'dry_run', i.dry_run, 'tags', i.tags,
               'map', i.mapping, 'preset', i.found ->> 'preset', 'encoding', i.found ->> 'encoding',
               'delimiter', i.found ->> 'delimiter', 'columns', coalesce(i.found -> 'columns', '[]'),
               'warnings', coalesce(i.found -> 'warnings', '[]'),
               'rows', i.added + i.updated + i.unchanged + i.repeated + i.lowered + i.refused,
               'added', i.added, 'updated', i.updated, 'unchanged', i.unchanged, 'repeated', i.repeated,
               'lowered', i.lowered, 'refused', i.refused, 'question', i.question,
               'preview', coalesce(i.preview, '[]'),
               'error', coalesce(i.error, case when s.state = 'failed'
                                               then coalesce(j.error, 'Its job was ' || j.state || '.', 'Its job is gone.') end),
               'finished_at', i.finished_at, 'undone_at', i.undone_at, 'undo', i.undo - 'cursor',
               'job_id', i.job_id,
               'progress', case when s.state in ('running', 'undoing') then j.progress end,
               'has_file', exists (select from import_chunks where import_id = i.id))
      from (select (p_import).*) i, (select import_state(p_import) as state) s left join jobs j on j.id = (p_import).job_id;
$$;

create or replace function show_import(p_import uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select import_json(i) from imports i where id = p_import;
$$;

-- Newest first, without uploads under way. p_before, p_before_id: of the last one of the page before.
create or replace function list_imports(
    p_limit integer, p_before timestamptz default null, p_before_id uuid default null)
returns jsonb language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(import_json(one) - 'preview' order by (one).created_at desc, (one).id desc), '[]')
      from (select i as one from imports i
             where state <> 'uploading'
               and (p_before is null or (created_at, id) < (p_before, p_before_id))
             order by created_at desc, id desc limit p_limit) page;
$$;

-- Refused rows in the order of the file, after the line p_after.
create or replace function list_import_refusals(p_import uuid, p_after bigint, p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
               'header', (select found -> 'header' from imports where id = p_import),
               'rows', (select coalesce(jsonb_agg(jsonb_build_object('line', line, 'reason', reason, 'cells', cells)
                                                  order by line), '[]')
                          from (select * from import_refusals where import_id = p_import and line > p_after
                                 order by line limit p_limit) r));
$$;

-- Subscribers from before there were addresses whose email the database can't read. The program can read
-- more (app/domain/addresses.py), and asks before an import, so that nobody who left comes back in ASCII.
create or replace function unread_emails(p_after uuid, p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'email', email) order by id), '[]')
      from (select id, email from subscribers where address is null and id > p_after order by id limit p_limit) s;
$$;

-- The program has read such an email: it becomes p_address, or the row is merged into the one that has it.
create or replace function settle_email(p_subscriber uuid, p_email text, p_address text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_into uuid;
begin
    perform acting('import', 'its address was written in ASCII');
    perform from subscribers where id = p_subscriber and email = p_email and address is null for update;
    if not found then
        return to_jsonb(false);
    end if;
    select id into v_into from subscribers where address = p_address;
    if v_into is not null then
        perform merge_subscribers(p_subscriber, v_into);
    else
        update subscribers set email = p_address where id = p_subscriber;
    end if;
    return to_jsonb(true);
exception when unique_violation then
    -- Somebody added it in this moment.
    raise exception 'the address was just added' using errcode = 'serialization_failure';
end $$;
