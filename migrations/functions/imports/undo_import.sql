-- Taking an import back: every row gets its state from before, by subscriber_changes, but for what happened
-- since. What it changes is in the history with the import's id, as what the import itself changed. Nobody's status rises but where the import itself lowered it and the person has said nothing since.

-- A person asks for it. Answers the import, or null when its state doesn't allow that.
create or replace function begin_undo_import(p_import uuid, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_import imports;
begin
    select * into v_import from imports where id = p_import for update;
    if not found or v_import.dry_run or import_state(v_import) not in ('done', 'failed') then
        return null;
    end if;
    delete from import_chunks where import_id = p_import;
    update imports
       set state = 'undoing',
           undo = coalesce(undo, jsonb_build_object(
                      'deleted', 0, 'restored', 0, 'left', '{}'::jsonb, 'people', '[]'::jsonb,
                      'cursor', (select max(id) + 1 from subscriber_changes where import_id = p_import)))
                  || jsonb_build_object('by', p_by),
           job_id = (add_job('undo_import', jsonb_build_object('import_id', id)) ->> 'id')::uuid
     where id = p_import;
    perform record_audit(p_by, 'import.undo', p_import::text);
    return show_import(p_import);
end $$;

-- Take back the next p_limit changes, the latest first, and note how far it is in the same transaction.
-- Answers {"done", "changes": how many}, or null: the job isn't this holder's any more.
create or replace function undo_import_slice(p_import uuid, p_job uuid, p_claim integer, p_limit integer)
returns jsonb language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    c_people constant integer := 100;   -- who was left as they are, one by one
    v_import imports;
    v_slice  bigint[];
    v_added  uuid[];
    v_keep   uuid[];     -- of the added: what happened to them since
    v_mailed uuid[];
    v_left   uuid[];     -- said no since, or a mail of ours ended badly
    v_row    subscribers;
    v_pass   integer := 1;
    v_found  bigint;
    v_restored bigint;
    v_kept   jsonb;
    v_gone   bigint;
    v_one    jsonb;
    v_undo   jsonb;
begin
    select * into v_import from imports where id = p_import and state = 'undoing' for update;
    if not found or not exists (select from jobs where id = p_job and claims = p_claim and state = 'running') then
        return null;
    end if;
    v_undo := v_import.undo;
    v_slice := array(select id from subscriber_changes
                      where import_id = p_import and id < (v_undo ->> 'cursor')::bigint
                      order by id desc limit p_limit);
    if v_slice = '{}' then
        update imports set state = 'undone', undone_at = clock_timestamp(), undo = v_undo - 'cursor'
         where id = p_import;
        return jsonb_build_object('done', true, 'changes', 0);
    end if;
    perform acting(v_undo ->> 'by', 'import taken back', p_import);
    perform from subscribers
      where id = any (array(select subscriber_id from subscriber_changes where id = any (v_slice)))
      order by address for update;

    -- Those whom the import added, all at once: they go, unless something happened to them.
    v_added := array(select c.subscriber_id from subscriber_changes c join subscribers s on s.id = c.subscriber_id
                      where c.id = any (v_slice) and c.before is null);
    v_mailed := mailed_since(v_added, v_import.created_at);
    v_keep := array(select one from unnest(v_added) one
                     where one = any (v_mailed)
                        or exists (select from subscriber_changes l
                                    where l.subscriber_id = one and l.before is not null
                                      and counts_as_since(l.import_id, p_import))
                        or exists (select from subscriber_aliases a where a.subscriber_id = one));
    with gone as (
        delete from subscribers where id = any (v_added) and not id = any (v_keep) returning 1)
    select undo_noted(v_undo, 'deleted', count(*)) into v_undo from gone;
    for v_row in select * from subscribers where id = any (v_keep) loop
        v_undo := undo_left(v_undo, v_row.email, case when v_row.id = any (v_mailed) then 'mailed' else 'changed' end, c_people);
    end loop;

    -- Those who were there before, all at once: the latest change of each; then, where the slice has more of
    -- somebody, the one before it. Whoever was added by this import is treated above alone.
    v_left := left_since(array(select subscriber_id from subscriber_changes
                                where id = any (v_slice) and after ? 'status'), v_import.created_at);
    loop
        with numbered as (
            select c.*, row_number() over (partition by c.subscriber_id order by c.id desc) as nth
              from subscriber_changes c
             where c.id = any (v_slice) and c.before is not null
               and not exists (select from subscriber_changes a
                                where a.subscriber_id = c.subscriber_id and a.import_id = p_import and a.before is null)
        ), changes as materialized (
            select c.subscriber_id, c.before, c.after,
                   array(select distinct key from subscriber_changes l, jsonb_object_keys(l.after) key
                          where l.subscriber_id = c.subscriber_id and l.id > c.id
                            and counts_as_since(l.import_id, p_import)) as later
              from numbered c where nth = v_pass
        ), present as materialized (
            select s.id, s.email, s.name, s.timezone, s.tags, s.fields, s.status, s.bounce_type, s.bounce_subtype,
                   c.before, c.after,
                   c.after ? 'name' and not 'name' = any (c.later) as has_name,
                   c.after ? 'timezone' and not 'timezone' = any (c.later) as has_timezone,
                   c.after ? 'status' and not 'status' = any (c.later) and s.status = c.after ->> 'status'
                       and not s.id = any (v_left) as has_status,
                   case when c.after ? 'status' and ('status' = any (c.later) or s.status <> c.after ->> 'status'
                                                     or s.id = any (v_left)) then 'left'
                        when c.after ? 'name' and 'name' = any (c.later)
                          or c.after ? 'timezone' and 'timezone' = any (c.later) then 'changed' end as why
              from changes c join subscribers s on s.id = c.subscriber_id
        ), wanted as materialized (
            select id, case when has_name then before ->> 'name' else name end as name,
                   case when has_timezone then before ->> 'timezone' else timezone end as timezone,
                   case when after ? 'tags' then tags_before(tags, before -> 'tags', after -> 'tags') else tags end as tags,
                   case when after ? 'fields' then fields_before(fields, before -> 'fields', after -> 'fields')
                        else fields end as fields,
                   case when has_status then before ->> 'status' else status end as status,
                   case when has_status and before ? 'bounce_type' then before ->> 'bounce_type'
                        else bounce_type end as bounce_type,
                   case when has_status and before ? 'bounce_subtype' then before ->> 'bounce_subtype'
                        else bounce_subtype end as bounce_subtype
              from present
        ), restored as (
            update subscribers s
               set name = w.name, timezone = w.timezone, tags = w.tags, fields = w.fields, status = w.status,
                   bounce_type = w.bounce_type, bounce_subtype = w.bounce_subtype
              from wanted w
             where s.id = w.id
               and (s.name, s.timezone, s.tags, s.fields, s.status, s.bounce_type, s.bounce_subtype)
                   is distinct from
                   (w.name, w.timezone, w.tags, w.fields, w.status, w.bounce_type, w.bounce_subtype)
            returning 1
        )
        select (select count(*) from changes), (select count(*) from restored),
               (select coalesce(jsonb_agg(jsonb_build_object('email', email, 'why', why)), '[]')
                  from present where why is not null),
               (select count(*) from changes where subscriber_id not in (select id from present))
          into v_found, v_restored, v_kept, v_gone;
        exit when v_found = 0;
        v_undo := undo_noted(v_undo, 'restored', v_restored);
        for v_one in select * from jsonb_array_elements(v_kept) loop
            v_undo := undo_left(v_undo, v_one ->> 'email', v_one ->> 'why', c_people);
        end loop;
        for v_one in select to_jsonb(n) from generate_series(1, v_gone) n loop
            v_undo := undo_left(v_undo, null, 'gone', c_people);
        end loop;
        v_pass := v_pass + 1;
    end loop;

    v_undo := v_undo || jsonb_build_object('cursor', v_slice[cardinality(v_slice)]);
    update imports set undo = v_undo where id = p_import;
    update jobs set progress = coalesce(progress, '{}') || jsonb_build_object(
               'done', coalesce((progress ->> 'done')::bigint, 0) + cardinality(v_slice),
               'total', v_import.added + v_import.updated + v_import.lowered)
     where id = p_job;
    return jsonb_build_object('done', false, 'changes', cardinality(v_slice));
end $$;

-- Whether a change made by p_by (null: by no import) is to be left alone when p_import is taken back: not its
-- own, and not those of an import that was taken back itself.
create or replace function counts_as_since(p_by uuid, p_import uuid) returns boolean
language sql stable set search_path = public, pg_temp as $$
    select p_by is null
        or p_by <> p_import and not exists (select from imports where id = p_by and state = 'undone');
$$;

-- Tags without those that the import added: it takes none away.
create or replace function tags_before(p_tags text[], p_before jsonb, p_after jsonb) returns text[]
language sql immutable set search_path = public, pg_temp as $$
    select array(select t from unnest(p_tags) with ordinality u (t, o)
                  where not p_after ? t or p_before ? t order by o);
$$;

-- Fields, of which those that still have the import's value have the value from before again.
create or replace function fields_before(p_fields jsonb, p_before jsonb, p_after jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select coalesce(jsonb_object_agg(key, value), '{}')
      from (select key, case when n.value is not distinct from a.value and a.value is distinct from b.value
                             then b.value else n.value end as value
              from jsonb_each(p_fields) n full join jsonb_each(p_before) b using (key)
              left join jsonb_each(p_after) a using (key)) f
     where value is not null;
$$;

create or replace function undo_noted(p_undo jsonb, p_what text, p_count bigint) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select p_undo || jsonb_build_object(p_what, (p_undo ->> p_what)::bigint + p_count);
$$;

-- Count somebody who was left as they are, and name the first p_people.
create or replace function undo_left(p_undo jsonb, p_email text, p_why text, p_people integer) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select p_undo || jsonb_build_object(
        'left', (p_undo -> 'left') || jsonb_build_object(p_why, coalesce((p_undo -> 'left' ->> p_why)::bigint, 0) + 1),
        'people', case when p_email is null or jsonb_array_length(p_undo -> 'people') >= p_people
                       then p_undo -> 'people'
                       else (p_undo -> 'people') || jsonb_build_object('email', p_email, 'why', p_why) end);
$$;

-- Which of them are in the ledger of a mailout that wasn't over by then. Mailout by mailout, by the unique
-- index: the ledger has no index by subscriber alone.
create or replace function mailed_since(p_subscribers uuid[], p_at timestamptz) returns uuid[]
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_mailout uuid;
    v_mailed  uuid[] := '{}';
begin
    if p_subscribers = '{}' then
        return v_mailed;
    end if;
    if exists (select from shrunk_mailouts where ended_at >= p_at) then
        return p_subscribers;   -- who knows: nobody is deleted who may have been mailed
    end if;
    for v_mailout in
        select id from mailouts where started_at is not null and coalesce(sent_at, 'infinity') >= p_at
    loop
        v_mailed := v_mailed || array(
            select subscriber_id from send_logs
             where mailout_id = v_mailout and subscriber_id = any (p_subscribers) and not is_test);
    end loop;
    return v_mailed;
end $$;

-- Which of them used a mail's link to unsubscribe, complained, or bounced for good since then. Their status
-- doesn't tell, when it was as low before.
create or replace function left_since(p_subscribers uuid[], p_at timestamptz) returns uuid[]
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_mailout uuid;
    v_left    uuid[] := '{}';
begin
    if p_subscribers = '{}' then
        return v_left;
    end if;
    if exists (select from shrunk_mailouts where started_at >= p_at) then
        return p_subscribers;   -- who knows: nobody comes back who may have left
    end if;
    for v_mailout in select id from mailouts where started_at is not null loop
        v_left := v_left || array(
            select subscriber_id from send_logs
             where mailout_id = v_mailout and subscriber_id = any (p_subscribers) and not is_test
               and (unsubscribed_at >= p_at
                    or event_at >= p_at and (status = 'complained' or status = 'bounced' and bounce_type = 'Permanent')));
    end loop;
    return v_left;
end $$;
