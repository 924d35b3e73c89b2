-- Writing back into Notion: which rows are due, one writer at a time for each, and what they are to say. A holder passes
-- the value of `claims` when it claimed the row, so that calls of an earlier holder change nothing.

-- Have this row written soon. In the transaction that changes what it is to say.
create or replace function notion_write_due(p_page uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into notion_write_asks (page_id) values (p_page);
    return to_jsonb(true);
end $$;

-- A mailout's own changes, whoever makes them.
create or replace function mailouts_tell_notion() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into notion_write_asks (page_id) select page_id from notion_rows where mailout_id = new.id;
    return null;
end $$;

create or replace trigger mailouts_tell_notion
    after update of status, pause_code, status_reason, scheduled_at, canary_phase, recipients on mailouts
    for each row when ((new.status, new.pause_code, new.status_reason, new.scheduled_at, new.canary_phase, new.recipients)
        is distinct from (old.status, old.pause_code, old.status_reason, old.scheduled_at, old.canary_phase, old.recipients))
    execute function mailouts_tell_notion();

-- Make the rows due that were asked for, at most p_limit lines. p_gap_seconds: between two writes of one row.
create or replace function take_up_notion_asks(p_limit integer, p_gap_seconds double precision) returns bigint
language plpgsql set search_path = public, pg_temp as $$
declare
    v_count bigint;
begin
    if not pg_try_advisory_xact_lock(hashtext('amazonsender:notion_write_asks')) then
        return 0;   -- another does it now
    end if;
    with asks as (
        delete from notion_write_asks
         where ctid = any (array(select ctid from notion_write_asks limit p_limit for update skip locked))
        returning page_id
    ), due as (
        insert into notion_writes as w (page_id, due_at, live)
        select page_id, clock_timestamp(), true from notion_rows where page_id in (select page_id from asks)
         order by page_id
        on conflict (page_id) do update
           set live = true,
               due_at = least(w.due_at, greatest(clock_timestamp(), w.patched_at + make_interval(secs => p_gap_seconds)))
    )
    select count(*) into v_count from asks;
    return v_count;
end $$;

-- The rows that are due, p_limit at most, each for p_lease_seconds, with what they are to say (notion_write_facts). A
-- holder that died is followed by another when its lease has run out.
create or replace function claim_notion_writes(
    p_limit integer, p_lease_seconds double precision, p_gap_seconds double precision) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_until timestamptz := clock_timestamp() + make_interval(secs => p_lease_seconds);
    v_taken jsonb;
begin
    perform take_up_notion_asks(1000, p_gap_seconds);
    with due as materialized (
        select page_id, sure from notion_writes
         where due_at <= clock_timestamp() and coalesce(lease_until, '-infinity') <= clock_timestamp()
         order by live desc, due_at limit p_limit for update skip locked
    ), taken as (
        update notion_writes w
           set claims = claims + 1, sure = false, lease_until = v_until, due_at = v_until
          from due where w.page_id = due.page_id
        returning w.*, due.sure as was_sure
    )
    select jsonb_agg(jsonb_build_object(
               'page_id', page_id, 'claim', claims, 'written', written, 'sure', was_sure, 'told', told,
               'statement_for', statement_for, 'failures', failures, 'error', error,
               'patched_ago', extract(epoch from clock_timestamp() - patched_at)))
      into v_taken from taken;
    -- Read after the claim: a change that commits later adds a line of its own.
    return coalesce((select jsonb_agg(t || notion_write_facts((t ->> 'page_id')::uuid))
                       from jsonb_array_elements(v_taken) t), '[]');
end $$;

-- What a row is to say is made from this.
create or replace function notion_write_facts(p_page uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'row', jsonb_build_object('delivery', r.delivery, 'problem', r.problem, 'note', r.note, 'press', r.press,
                                  'open', r.answered < r.press, 'gone_at', r.gone_at),
        'mailout', (select mailout_so_far(m) from mailouts m where m.id = r.mailout_id))
      from notion_rows r where r.page_id = p_page;
$$;

-- How the holder's try ended. p_result: `written`, `told`, `statement_for` (those that changed); `patched`: something
-- was written into the row; `sure`: what it says now is known; `error`: in plain words, null: it went well. p_next_seconds:
-- when to look again; null: when something changes. false: it was no longer the holder.
create or replace function settle_notion_write(
    p_page uuid, p_claim bigint, p_result jsonb, p_next_seconds double precision, p_live boolean,
    p_gap_seconds double precision)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_error text := p_result ->> 'error';
begin
    update notion_writes
       set written = coalesce(p_result -> 'written', written), told = coalesce(p_result -> 'told', told),
           statement_for = coalesce(p_result -> 'statement_for', statement_for),
           sure = (p_result ->> 'sure')::boolean,
           patched_at = case when (p_result ->> 'patched')::boolean then v_now else patched_at end,
           failures = case when v_error is null then 0 else failures + 1 end,
           error = v_error, error_since = case when v_error is not null then coalesce(error_since, v_now) end,
           lease_until = null,
           live = p_live or due_at < lease_until,
           -- Somebody asked again since the claim: soon.
           due_at = case when due_at < lease_until
                         then v_now + make_interval(secs => least(p_gap_seconds, p_next_seconds))
                         else v_now + make_interval(secs => p_next_seconds) end
     where page_id = p_page and claims = p_claim and lease_until is not null;
    return to_jsonb(found);
end $$;

-- How many rows Notion couldn't be told of, and why the latest of them. null: none.
create or replace function notion_writes_trouble() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('rows', count(*), 'since', min(error_since),
                              'error', (array_agg(error order by error_since desc))[1])
      from notion_writes where error is not null having count(*) > 0;
$$;

-- Why the row of a mailout couldn't be told, and since when; null: it could.
create or replace function notion_write_trouble(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('error', w.error, 'since', w.error_since)
      from notion_rows r join notion_writes w using (page_id)
     where r.mailout_id = p_mailout and w.error is not null;
$$;
