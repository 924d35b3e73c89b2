-- The next rows of an import: written and counted in one transaction, so that whatever kills whom, no row is
-- done or counted twice. Two chunks may be written at the same time, over two connections: the later one waits
-- with its counts until the earlier one has committed, and is undone if that doesn't (then the caller tries again).
-- p_from: how many rows of the file come before; when more than that are done, these were written, and nothing
-- happens. p_before: the p_from of the chunk before, which may be on its way; null: there is none.
-- p_rows: [{"line", "email", "name", "status", "bounce_type",
-- "tags", "fields", "timezone", "created_at", "consent"}], each address once and none that came earlier in the
-- file; without a status: active. p_repeated: the same, of rows whose address came earlier, each address once;
-- "times": how many rows of the file it stands for; the chunks before must be done. p_refused: [{"line", "reason",
-- "cells"}]. p_progress: for the job's page.
-- Answers {"rows": how many are done now}, or null: the job isn't this holder's any more.
drop function if exists import_chunk(uuid, uuid, integer, bigint, jsonb, jsonb, jsonb, jsonb);
create or replace function import_chunk(
    p_import uuid, p_job uuid, p_claim integer, p_from bigint, p_before bigint, p_rows jsonb, p_repeated jsonb,
    p_refused jsonb, p_progress jsonb)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_import imports;
    v_rows   jsonb;
begin
    perform pg_advisory_xact_lock(import_turn(p_import, p_from));
    select * into v_import from imports where id = p_import and state = 'running';
    if not found or not exists (select from jobs where id = p_job and claims = p_claim and state = 'running') then
        return null;
    elsif rows_done(v_import) > p_from then
        return jsonb_build_object('rows', rows_done(v_import));
    end if;

    insert into import_refusals (import_id, line, reason, cells)
    select p_import, line, reason, cells
      from jsonb_to_recordset(p_refused) as r (line bigint, reason text, cells jsonb)
    on conflict do nothing;
    perform acting('import', 'imported' || coalesce(' from ' || v_import.file_name, ''), p_import);
    v_rows := import_rows(v_import, p_rows);
    if not v_import.dry_run and p_repeated <> '[]' then
        perform repeat_rows(v_import, p_repeated);
    end if;

    -- The chunk before holds its lock to its end. Until here this one has locked nothing that others wait for.
    if p_before is not null then
        perform pg_advisory_xact_lock_shared(import_turn(p_import, p_before));
    end if;
    update jobs set progress = p_progress where id = p_job and claims = p_claim and state = 'running';
    if found then
        update imports i
           set added = added + (v_rows ->> 'added')::bigint, updated = updated + (v_rows ->> 'updated')::bigint,
               unchanged = unchanged + (v_rows ->> 'unchanged')::bigint,
               lowered = lowered + (v_rows ->> 'lowered')::bigint,
               repeated = repeated + (select coalesce(sum(coalesce((r ->> 'times')::integer, 1)), 0)
                                        from jsonb_array_elements(p_repeated) r),
               refused = refused + (v_rows ->> 'erased')::bigint + jsonb_array_length(p_refused),
               preview = coalesce(preview, nullif(v_rows -> 'preview', 'null'))
         where id = p_import and state = 'running' and rows_done(i) = p_from
        returning * into v_import;
    end if;
    if not found then
        -- Taken as an outage: the caller comes back, and by then the rows before are written, or the job is lost.
        raise exception 'the rows before were not written, or the import has gone on elsewhere'
            using errcode = 'lock_not_available';
    end if;
    return jsonb_build_object('rows', rows_done(v_import));
end $$;

-- Every row of the file that is done is counted in one of these.
create or replace function rows_done(i imports) returns bigint
language sql immutable set search_path = public, pg_temp as $$
    select i.added + i.updated + i.unchanged + i.repeated + i.lowered + i.refused;
$$;

-- Names the chunk of an import that begins behind so many rows, for an advisory lock.
create or replace function import_turn(p_import uuid, p_from bigint) returns bigint
language sql immutable set search_path = public, pg_temp as $$
    select hashtextextended(p_import::text, p_from);
$$;

-- Write the rows, unless it is a dry run, and answer what each was, in counts and for the first 15 as they
-- are stored. Known people are locked first and new ones inserted in the order of their addresses, so that
-- imports at the same time wait for each other and don't deadlock.
create or replace function import_rows(p_import imports, p_rows jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    -- The emails come in ASCII, so this is the canonical form that the trigger gives them.
    v_given  text[] := array(select lower((r ->> 'email') collate "C") from jsonb_array_elements(p_rows) r);
    v_others text[];   -- those who aren't simply added, each once
    v_erased text[];
    v_added  bigint := 0;
    v_answer jsonb;
begin
    if p_import.dry_run then
        return judge_rows(p_import, p_rows, v_given, erased_among(v_given));
    end if;
    v_others := array(select address from subscribers where address = any (v_given) order by address for update);
    v_erased := erased_among(v_given);
    if v_erased <> '{}' then   -- some may be known: who signs up again is erased until they confirm
        v_others := v_others || array(select unnest(v_erased) except select unnest(v_others));
    end if;
    if cardinality(v_others) < cardinality(v_given) then
        v_added := add_rows(p_import, p_rows, v_others);
    end if;
    if v_others <> '{}' then
        v_answer := judge_rows(p_import, p_rows, v_others, v_others);
    end if;
    return coalesce(v_answer, '{"updated": 0, "unchanged": 0, "lowered": 0, "erased": 0}')
           || jsonb_build_object('added', v_added);
end $$;

-- Insert all rows but those of p_others, and answer how many: 12 µs a row less than judging and inserting them as
-- one statement. Their addresses are given along, in the form that saves the trigger's reading of them, and nothing
-- is said of conflicts: the unique index finds one whom somebody else added in this moment.
create or replace function add_rows(p_import imports, p_rows jsonb, p_others text[]) returns bigint
language plpgsql set search_path = public, pg_temp set enable_nestloop = off set enable_mergejoin = off as $$
declare
    v_count      bigint;
    v_constraint text;
    v_queueing   boolean := exists (select from mailout_queues where done_at is null);
    v_consent    jsonb := jsonb_build_object('source', 'import', 'import_id', p_import.id);
    -- Ids of version 8 (RFC 9562) from one random id and the address: a random one for each row costs 3 µs, where
    -- PostgreSQL opens /dev/urandom each time.
    v_seed       text := gen_random_uuid()::text || gen_random_uuid();
begin
    insert into subscribers
           (id, email, address, name, status, bounce_type, tags, fields, timezone, consent, created_at)
    select overlay(overlay(md5(v_seed || n.address) placing '8' from 13) placing 'a' from 17)::uuid,
           n.email, n.address, n.name, coalesce(n.status, 'active'),
           case when n.status = 'bounced' then coalesce(n.bounce_type, 'Permanent') end,
           case when p_import.tags = '{}' then coalesce(n.tags, '{}')
                else array(select t from unnest(n.tags || p_import.tags) with ordinality u (t, o)
                            group by t order by min(o)) end,
           coalesce(n.fields, '{}'), n.timezone,
           case when n.consent is not null then n.consent when n.created_at is null then v_consent
                else v_consent || jsonb_build_object('at', n.created_at) end,
           -- now() where the file doesn't say, or says a day to come; and while a mailout is being queued, to
           -- those who were there when it started.
           case when v_queueing then now() else least(n.created_at, now()) end
      from (select *, lower(email collate "C") as address
              from jsonb_to_recordset(p_rows) as r (
                  email text, name text, status text, tags text[], fields jsonb, timezone text,
                  created_at timestamptz, consent jsonb, bounce_type text)) n
     where not exists (select from unnest(p_others) o (address) where o.address = n.address)
     order by n.address;
    get diagnostics v_count = row_count;
    return v_count;
exception when unique_violation then
    get stacked diagnostics v_constraint = constraint_name;
    if v_constraint <> 'subscribers_address' then
        raise;
    end if;
    -- The caller tries again, and finds them known.
    raise exception 'another added the same subscriber' using errcode = 'serialization_failure';
end $$;

-- What becomes of those rows whose address is among p_addresses, or of whom it is known: known people are changed, and
-- the rows of erased ones (p_erased) refused. Nobody is added, and in a dry run nothing is written.
create or replace function judge_rows(p_import imports, p_rows jsonb, p_addresses text[], p_erased text[])
returns jsonb language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off
set enable_mergejoin = off as $$
declare
    c_preview constant integer := 15;
    v_answer  jsonb;
begin
    with named as materialized (
        select line, email, lower(email collate "C") as address, name, coalesce(status, 'active') as status,
               case when tags is null then p_import.tags else tags || p_import.tags end as tags,
               coalesce(fields, '{}') as fields, timezone, coalesce(bounce_type, 'Permanent') as bounce_type
          from jsonb_to_recordset(p_rows) as r (
              line bigint, email text, name text, status text, tags text[], fields jsonb, timezone text,
              bounce_type text)
         where lower(email collate "C") in (select unnest(p_addresses))
    ), known as materialized (
        select id, address, email, name, status, tags, fields, timezone from subscribers
         where address = any (p_addresses)
    ), merged as materialized (
        -- A field whose text is there already stays as it is: `true` doesn't become the text "true" by an
        -- export and import.
        select n.line, s.id, n.address, coalesce(s.email, n.email) as email, s.status as was,
               case when s.id is null or p_import.mode <> 'skip'
                         and subscriber_rank(n.status) > subscriber_rank(s.status)
                    then n.status else s.status end as status,
               case when s.id is null or p_import.mode = 'upsert' then coalesce(n.name, s.name) else s.name end as name,
               case when s.id is null or p_import.mode = 'upsert' then coalesce(n.timezone, s.timezone)
                    else s.timezone end as timezone,
               case when s.id is null and p_import.tags = '{}' then n.tags
                    when s.id is null
                    then array(select t from unnest(n.tags) with ordinality u (t, o) group by t order by min(o))
                    when p_import.mode = 'upsert' and not s.tags @> n.tags
                    then s.tags || array(select unnest(n.tags) except select unnest(s.tags))
                    else s.tags end as tags,
               case when s.id is null then n.fields
                    when p_import.mode = 'upsert' and n.fields <> '{}'
                    then s.fields || (select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(n.fields)
                                       where s.fields ->> key is distinct from value #>> '{}')
                    else s.fields end as fields,
               s.name as old_name, s.timezone as old_timezone, s.tags as old_tags, s.fields as old_fields,
               n.bounce_type
          from named n left join known s using (address)
    ), judged as materialized (
        select *, case when id is null and address in (select unnest(p_erased)) then 'erased'
                       when id is null then 'added'
                       when status <> was then 'lowered'
                       when (name, timezone, tags, fields)
                            is distinct from (old_name, old_timezone, old_tags, old_fields) then 'updated'
                       else 'unchanged' end as kind
          from merged
    ), changed as (
        update subscribers s
           set name = j.name, timezone = j.timezone, tags = j.tags, fields = j.fields, status = j.status,
               bounce_type = case when j.status <> j.was and j.status = 'bounced' then j.bounce_type else s.bounce_type end,
               bounce_subtype = case when j.status <> j.was and j.status = 'bounced' then null else s.bounce_subtype end
          from judged j
         where s.address = any (p_addresses) and s.id = j.id and j.kind in ('updated', 'lowered')
           and not p_import.dry_run
        returning 1
    ), refused as (
        -- Nothing of an erased person's row is kept.
        insert into import_refusals (import_id, line, reason)
        select p_import.id, line, 'this person was erased at their own wish; only they can come back, by signing up'
          from judged where kind = 'erased'
        on conflict do nothing
    )
    select jsonb_build_object(
               'added', count(*) filter (where kind = 'added'), 'updated', count(*) filter (where kind = 'updated'),
               'unchanged', count(*) filter (where kind = 'unchanged'),
               'lowered', count(*) filter (where kind = 'lowered'), 'erased', count(*) filter (where kind = 'erased'),
               'preview', (select jsonb_agg(jsonb_build_object(
                                      'line', line, 'kind', kind, 'email', email, 'name', name, 'status', status,
                                      'tags', tags, 'fields', fields, 'timezone', timezone) order by line)
                             from (select * from judged where kind <> 'erased' and p_import.dry_run
                                    order by line limit c_preview) first))
      into v_answer from judged;
    return v_answer;
end $$;

-- Write the rows of people whom the file has again, as if they came in another file. But with mode `skip` a stricter
-- status counts for those whom this import added. p_rows: each address once.
create or replace function repeat_rows(p_import imports, p_rows jsonb) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off
set enable_mergejoin = off as $$
declare
    v_there text[];
begin
    if p_import.mode <> 'upsert' then
        perform lower_statuses(p_import, p_rows);
        return;
    end if;
    -- Others were refused before, since they were erased.
    v_there := array(select address from subscribers
                      where address = any (array(select lower((r ->> 'email') collate "C")
                                                   from jsonb_array_elements(p_rows) r)));
    perform import_rows(p_import, coalesce((select jsonb_agg(r) from jsonb_array_elements(p_rows) r
                                             where lower((r ->> 'email') collate "C") = any (v_there)), '[]'));
end $$;

-- Lower the statuses of people whom the file has again, and change nothing else. With mode `skip` only of
-- those whom this import added. p_rows: [{"email", "status", "bounce_type"}].
create or replace function lower_statuses(p_import imports, p_rows jsonb) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off
set enable_mergejoin = off as $$
declare
    v_addresses text[];
begin
    v_addresses := array(select canonical_address(r ->> 'email') from jsonb_array_elements(p_rows) r
                          where subscriber_rank(r ->> 'status') > 0);
    if v_addresses = '{}' then
        return;
    end if;
    perform from subscribers where address = any (v_addresses) order by address for update;
    update subscribers s
       set status = r.status, bounce_type = case when r.status = 'bounced' then r.bounce_type else s.bounce_type end
      from (select distinct on (address) address, status, coalesce(bounce_type, 'Permanent') as bounce_type
              from (select canonical_address(email) as address, status, bounce_type
                      from jsonb_to_recordset(p_rows) as r (email text, status text, bounce_type text)) all_rows
             order by address, subscriber_rank(status) desc) r
     where s.address = any (v_addresses) and s.address = r.address
       and subscriber_rank(r.status) > subscriber_rank(s.status)
       and (p_import.mode <> 'skip'
            or exists (select from subscriber_changes c
                        where c.subscriber_id = s.id and c.import_id = p_import.id and c.before is null));
end $$;
