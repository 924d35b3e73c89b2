-- Erase a person (GDPR, article 17). What tells of nobody stays: the ledger's rows, whose counts a mailout's figures
-- rest on, with `erased` for an address, and the keyed hash that knows the address again (erased.sql). Answers
-- {"outcome": "erased" | "not_found", "mails", "events", "changes"}.
create or replace function erase_subscriber(p_email text, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp set lock_timeout = '3s' set enable_seqscan = off
set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_person    subscribers;
    v_ids       uuid[];
    v_addresses text[];      -- as mail went there, and as it stands in what others wrote
    v_logs      bigint[];
    v_messages  text[];
    v_mailouts  uuid[];
    v_told      bigint[];    -- events
    v_waiting   bigint[];
    v_events    bigint;
    v_changes   bigint;
begin
    select * into v_person from subscribers where id = (find_subscriber(null, p_email) ->> 'id')::uuid for update;
    if not found then
        return jsonb_build_object('outcome', 'not_found');
    end if;
    v_ids := person_ids(v_person.id);
    v_addresses := array(
        select distinct address from (
            select v_person.email union select was ->> 'email' from subscriber_aliases where subscriber_id = v_person.id
            union select before ->> 'email' from subscriber_changes where subscriber_id = any (v_ids)) known (email),
            lateral (values (email), (lower(email)), (canonical_address(email))) written (address)
         where address is not null);
    -- Who has one of their earlier addresses now is somebody else.
    insert into erased (address_hash)
    select erased_hash(theirs) from unnest(v_addresses) theirs
     where canonical_address(theirs) = theirs
       and not exists (select from subscribers s where s.address = theirs and s.id <> v_person.id)
    on conflict do nothing;

    select array_agg(id), array_agg(message_id) filter (where message_id is not null), array_agg(distinct mailout_id)
      into v_logs, v_messages, v_mailouts from person_mails(v_ids);
    -- Those that wait for their row aren't matched with it yet. Locked before their rows, as whoever matches them does.
    v_waiting := array(
        select e.id from ses_events e
         where parked is not null
           and (message_id = any (v_messages)
                or exists (select from unnest(v_addresses) a
                            where position(a in lower(concat(e.payload::text, e.parked::text))) > 0))
         order by id for update);
    if v_waiting <> '{}' then
        update ses_events set payload = '{}', parked = without_words(parked) where id = any (v_waiting);
    end if;
    perform from send_logs where id = any (v_logs) order by id for update;
    update send_logs
       set status = case when status = 'queued' then 'skipped' else status end,
           error_code = case when status = 'queued' then 'erased' else error_code end,
           next_attempt_at = case when status = 'queued' then null else next_attempt_at end,
           email = 'erased', error_message = null
     where id = any (v_logs);
    v_told := array(select e.id from unnest(v_logs) l, lateral (
                        select id from ses_events where send_log_id between l and l order by send_log_id) e);
    update ses_events set payload = '{}' where id = any (v_told);
    v_events := cardinality(v_told) + cardinality(v_waiting);
    perform scrub_links(v_addresses, v_mailouts, v_logs);
    perform forget_engagement(coalesce(v_logs, '{}'));
    perform scrub_address(a, v_mailouts) from unnest(v_addresses) a;

    perform acting(p_by, 'erased');   -- for list_moves; the history's reasons go below
    delete from subscribers where id = v_person.id;   -- with the rows merged into theirs
    perform forget_in_hooks(v_ids);
    update subscriber_changes set before = null, after = null, reason = null where subscriber_id = any (v_ids);
    get diagnostics v_changes = row_count;
    update audit_log set before = null, after = null
     where target = any (array(select i::text from unnest(v_ids) i));
    perform record_audit(p_by, 'subscriber.erase', v_person.id::text);
    return jsonb_build_object('outcome', 'erased', 'id', v_person.id, 'mails', coalesce(cardinality(v_logs), 0),
                              'events', v_events, 'changes', v_changes);
end $$;

-- A parked event with all that it needs to be matched and counted, and no words about anybody.
create or replace function without_words(p_parked jsonb) returns jsonb
language sql immutable as $$
    select p_parked - 'detail' - 'recipients' #- '{engagement,link}';
$$;

-- Take an address out of words and lists that aren't about one person: of these mailouts, of imports, of jobs.
create or replace function scrub_address(p_address text, p_mailouts uuid[]) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
    update mailouts set status_reason = replace(status_reason, p_address, 'erased')
     where id = any (p_mailouts) and position(p_address in status_reason) > 0;
    update owner_notices set reason = replace(reason, p_address, 'erased'), detail = replace(detail, p_address, 'erased')
     where mailout_id = any (p_mailouts)
       and (position(p_address in reason) > 0 or position(p_address in detail) > 0);
    update hook_deliveries set data = jsonb_set(data, '{reason}', to_jsonb(replace(data ->> 'reason', p_address, 'erased')))
     where subject = any (p_mailouts) and position(p_address in data ->> 'reason') > 0;
    delete from dry_runs where position(p_address in lower(report::text)) > 0;
    update jobs set payload = '{}', error = null, result = null
     where finished_at is not null
       and position(p_address in lower(concat(payload::text, result::text, error))) > 0;
    update audit_log set before = null, after = null
     where action = 'people.change' and position(p_address in lower(after::text)) > 0;
    update import_refusals set cells = null where position(p_address in lower(cells::text)) > 0;
    update imports set preview = null where position(p_address in lower(preview::text)) > 0;
    update imports set undo = undo || '{"people": []}' where position(p_address in lower(undo::text)) > 0;
    with asked as (   -- the file is still here, and its question names somebody who isn't
        update imports
           set question = null, state = 'failed', error = 'It was about somebody who was erased: upload the file again.'
         where state = 'question' and position(p_address in lower(question::text)) > 0
        returning id)
    delete from import_chunks where import_id in (select id from asked);
    delete from signups where address = p_address;
end $$;

-- An event may come after its recipient was erased: it counts, and its words are forgotten.
create or replace function forget_erased_events(p_events bigint[], p_logs bigint[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_erased bigint[];
begin
    if exists (select from erased) then
        v_erased := array(select id from send_logs where id = any (p_logs) and email = 'erased');
        if v_erased <> '{}' then
            update ses_events set payload = '{}' where id = any (p_events) and send_log_id = any (v_erased);
        end if;
    end if;
end $$;
