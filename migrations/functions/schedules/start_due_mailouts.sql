-- What falls due: scheduled mailouts, and waves of started ones. Every sender asks every second; each start
-- happens once, and what was missed by more than an hour is held until a person decides.

-- How long before its first instant a mailout with waves is queued, so that the first wave is complete.
create or replace function wave_lead() returns interval
language sql immutable as $$ select interval '10 minutes' $$;

-- How late something still goes by itself.
create or replace function still_on_time() returns interval
language sql immutable as $$ select interval '1 hour' $$;

-- Start one scheduled mailout whose time has come (unless p_start is false: the caller only rehearses), and let the
-- waves begin whose time has come. Answers
-- {"started": its id, "status", "held": [ids of mailouts whose wave was missed]}; started null: none was due.
create or replace function start_due_mailouts(p_start boolean default true) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout mailouts;
    v_reason  text;
    v_nobody  boolean;
    v_dropped text;
begin
    select * into v_mailout from mailouts
     where p_start and status = 'scheduled'
       and scheduled_at <= clock_timestamp() + case when waves then wave_lead() else '0' end
     order by scheduled_at, id limit 1 for no key update skip locked;
    if not found then
        return jsonb_build_object('started', null, 'held', begin_waves());
    end if;
    begin
        v_mailout.recipients := (audience_size(v_mailout.id, 200000) -> 'recipients')::bigint;
    exception when sqlstate 'P0D01' then   -- details that its rule asks for were dropped; those behind it still start
        v_dropped := sqlerrm || ' It was due now, and waits: cancel it, and change and send a duplicate of it.';
    end;
    v_nobody := v_dropped is not null or v_mailout.recipients = 0;   -- what a person resumes is queued anew
    v_reason := case
        when not is_from_here(v_mailout.started_in) then
            'The database was restored from a backup, copied or failed over after this mailout was scheduled, '
            'so it may have been sent from elsewhere. Make sure that it wasn''t, then resume it to send it '
            'now, or cancel it.'
        when v_mailout.scheduled_at < clock_timestamp() - still_on_time() then format(
            'It was due at %s, and no sender was running then or in the hour after it. Resume it to send it '
            'now, or cancel it.', in_words(v_mailout.scheduled_at))
        when v_dropped is not null then v_dropped
        when v_nobody then
            'Its time has come, and nobody is left in its audience. Cancel it, or bring subscribers into the '
            'audience and resume it.' end;
    update mailouts
       set status = case when v_reason is null then 'sending' else 'paused' end,
           pause_code = case when v_reason is not null then 'held' end, status_reason = v_reason,
           started_at = now(), started_in = database_identity(), recipients = v_mailout.recipients,
           canary_until = null, canary_phase = case when canary is not null then 'sending' end
     where id = v_mailout.id and status = 'scheduled'
    returning * into v_mailout;
    perform place_waves(v_mailout.id);
    -- Nobody is in it: it is queued when a person resumes it (queue_again_if_empty).
    insert into mailout_queues (mailout_id, done_at)
    values (v_mailout.id, case when v_nobody then now() end)
    on conflict (mailout_id) do update set cursor = default, done_at = excluded.done_at;
    return jsonb_build_object('started', v_mailout.id, 'status', v_mailout.status,
                              'recipients', v_mailout.recipients, 'held', begin_waves());
end $$;

-- For the zones whose hour has passed at the start, do as the person who scheduled it chose. Their instants
-- become the waves.
create or replace function place_waves(p_mailout uuid) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout mailouts;
    v_since   timestamptz;
begin
    select * into v_mailout from mailouts where id = p_mailout;
    if not v_mailout.waves then
        return;
    end if;
    v_since := v_mailout.started_at - still_on_time();
    update mailout_zones
       set at = case v_mailout.schedule ->> 'passed'
                    when 'skip' then null
                    when 'next_day' then case when next_at >= v_since then next_at else v_mailout.started_at end
                    else v_mailout.started_at end
     where mailout_id = p_mailout and at < v_since;
    delete from mailout_waves where mailout_id = p_mailout;
    insert into mailout_waves (mailout_id, at)
    select distinct mailout_id, at from mailout_zones where mailout_id = p_mailout and at is not null;
end $$;

-- Note that senders are there for the waves whose time has come. Where nobody was for an hour, the mailout
-- waits for a person, unless a person or the guards have paused it anyway; resumed, it goes on with those
-- who were missed. Answers the ids of the mailouts that now wait.
create or replace function begin_waves() returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_on_time timestamptz := clock_timestamp() - still_on_time();
    v_mailout uuid;
    v_missed  bigint;
    v_since   timestamptz;
    v_held    jsonb := '[]';
begin
    -- The mailout is locked before its waves, as in a claim and in queueing; and the waves that are on time come
    -- last, since theirs isn't locked. Who was missed is known once everybody is queued.
    for v_mailout in select distinct mailout_id from mailout_waves w
                      where begun_at is null and at < v_on_time and recipients > taken
                        and not exists (select from mailout_queues q
                                         where q.mailout_id = w.mailout_id and q.done_at is null)
                      order by mailout_id loop
        perform from mailouts where id = v_mailout for no key update;
        with begun as (
            update mailout_waves set begun_at = clock_timestamp()
             where mailout_id = v_mailout and begun_at is null and at < v_on_time
            returning at, recipients - taken as missed
        )
        select sum(missed), min(at) into v_missed, v_since from begun where missed > 0;
        update mailouts
           set status = 'paused', pause_code = 'held', status_reason = format(
                   '%s due from %s on, and no sender was running then or in the hour after '
                   'it. Resume it to mail them now, late by their clocks, and the others at their time; or '
                   'cancel it.',
                   case v_missed when 1 then '1 recipient was' else v_missed || ' recipients were' end,
                   in_words(v_since))
         where id = v_mailout and v_missed > 0
           and (status = 'sending' or status = 'paused' and pause_code in ('account', 'quota'));
        if found then
            v_held := v_held || to_jsonb(v_mailout);
        end if;
    end loop;

    with due as materialized (
        select mailout_id, at from mailout_waves w
         where begun_at is null and at <= clock_timestamp()
           and (at >= v_on_time
                or recipients = taken and not exists (select from mailout_queues q
                                                       where q.mailout_id = w.mailout_id and q.done_at is null))
         order by at limit 1000 for update skip locked
    )
    update mailout_waves w set begun_at = clock_timestamp()
      from due where w.mailout_id = due.mailout_id and w.at = due.at;
    return v_held;
end $$;

create or replace function in_words(p_at timestamptz) returns text
language sql stable set search_path = public, pg_temp as $$
    select to_char(p_at at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"');
$$;
