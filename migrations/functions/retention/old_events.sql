-- EVENTS_RETENTION_DAYS (docs/personal-data.md): what SES said in the past loses its words, a slice a call. None of
-- these waits for another session, and one process does them at a time.

-- Whether this call may drop something: p_days is a rule (at least 30 days, so that SNS's ids outlive everything that
-- may repeat a message), and no other process is at it.
create or replace function may_drop(p_days integer) returns boolean
language sql volatile set search_path = public, pg_temp set enable_seqscan = off as $$
    select coalesce(p_days >= 30, false)
       -- After the upgrade to 0067 charts are made of these until count_accepted has come to them.
       and not exists (select from send_batches where accepted > 0 and not counted)
       and pg_try_advisory_xact_lock(hashtext('amazonsender:retention'));
$$;

-- Go over the next p_limit events of before p_days days. What is left of one that fitted a row: its SNS id, by which a copy is
-- known; its type, its times, and whose it is. One that fitted none goes as a whole: nobody looks at it. Answers
-- {"events": how many were gone over, "more": whether others are due}.
-- Events of which the standing's figures (provider_events.sql) aren't made yet wait for it, for 30 days more at most.
create or replace function drop_old_events(p_days integer, p_limit integer default 2000) returns jsonb
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_before  timestamptz := clock_timestamp() - make_interval(days => p_days);
    v_counted bigint := (select counted_to from standing_state);
    v_from    bigint;
    v_ids     bigint[];
    v_free    bigint[];
    v_to      bigint;
begin
    if not may_drop(p_days) then
        return '{"events": 0, "more": false}';
    end if;
    select events_to into v_from from retention;
    -- Ids grow with the time, so the first that is too young ends the slice.
    with ahead as materialized (
        select id, received_at < v_before
                   and (id <= v_counted or received_at < v_before - interval '30 days') as due
          from ses_events where id > v_from order by id limit p_limit)
    select array_agg(id order by id) into v_ids from ahead
     where id < coalesce((select min(id) from ahead where not due), 9223372036854775807);
    if v_ids is null then
        update retention set ran_at = clock_timestamp();
        return '{"events": 0, "more": false}';
    end if;
    -- What somebody else has in hand now is for the next call.
    v_free := array(select id from ses_events where id = any (v_ids) for update skip locked);
    v_to := coalesce((select min(id) - 1 from unnest(v_ids) id where id <> all (v_free)), v_ids[cardinality(v_ids)]);
    v_free := array(select id from unnest(v_free) id where id <= v_to);
    -- By the ids of what suppressed somebody after its row was gone (apply_late_events) copies of it are known for good.
    delete from ses_events
     where id = any (v_free) and send_log_id is null
       and (mailout_id is null or type not in ('bounce', 'complaint', 'subscription'));
    update ses_events
       set payload = jsonb_strip_nulls(jsonb_build_object('provider', payload -> 'provider')), parked = null
     where id = any (v_free) and (payload - 'provider' <> '{}' or parked is not null);
    update retention set events_to = v_to, ran_at = clock_timestamp();
    return jsonb_build_object('events', cardinality(v_free),
                              'more', cardinality(v_ids) = p_limit and v_free <> '{}');
end $$;

-- The same of the calls to SES: each says which rows it carried and when. Kept are those that a late event may still
-- need to be known as ours (match_send_log): of mailouts that aren't over, and earlier attempts of rows that were
-- tried again. These go with the rows (shrink_mailouts.sql).
create or replace function drop_old_batches(p_days integer, p_limit integer default 200) returns jsonb
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_before  timestamptz := clock_timestamp() - make_interval(days => p_days);
    v_from    timestamptz;
    v_to      timestamptz;
    v_seen    bigint;
    v_ids     uuid[];
    v_dropped bigint;
begin
    if not may_drop(p_days) then
        return '{"batches": 0, "more": false}';
    end if;
    select batches_to into v_from from retention;
    select max(claimed_at), count(*) into v_to, v_seen
      from (select claimed_at from send_batches
             where claimed_at > v_from and claimed_at < v_before order by claimed_at limit p_limit) next_ones;
    if v_to is null then
        return '{"batches": 0, "more": false}';
    end if;
    -- All of the last instant: the next call begins after it.
    v_ids := array(select attempt_id from send_batches where claimed_at > v_from and claimed_at <= v_to);
    delete from send_batches b
     where attempt_id = any (v_ids) and recorded_at is not null
       and not exists (select from mailouts m where m.id = b.mailout_id and m.status in ('sending', 'paused'))
       and not exists (select from send_logs l where l.id = any (b.send_log_ids)
                          and l.attempt_id is distinct from b.attempt_id);
    get diagnostics v_dropped = row_count;
    update retention set batches_to = v_to;
    return jsonb_build_object('batches', v_dropped, 'more', v_seen = p_limit);
end $$;
