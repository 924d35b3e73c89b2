-- What Slack is told of mailouts: which is due, one teller at a time for each, and one pace for all. A holder passes the
-- value of `claims` when it claimed the row, so that calls of an earlier holder change nothing.

-- A mailout's own changes, whoever makes them. No transaction holds a row of slack_messages for longer than a write takes.
create or replace function mailouts_tell_slack() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    insert into slack_messages as s (mailout_id) values (new.id)
    on conflict (mailout_id) do update
       set asked_at = excluded.asked_at,
           -- What was given up is tried for a day again.
           error_since = case when s.due_at is not null then s.error_since end,
           due_at = least(s.due_at, excluded.due_at);
    return null;
end $$;

create or replace trigger mailouts_tell_slack
    after update of status, pause_code on mailouts
    for each row when (new.status in ('sending', 'paused', 'sent', 'failed', 'cancelled')
                       and (new.status, new.pause_code) is distinct from (old.status, old.pause_code))
    execute function mailouts_tell_slack();

-- The mailout that is due, held for p_lease_seconds; null: none is, or Slack is to be left alone still. A holder that died
-- is followed by another when its lease has run out. What changed more than a day ago and wasn't told, as before Slack was
-- set up, isn't told any more.
create or replace function claim_slack_message(p_lease_seconds double precision, p_gap_seconds double precision)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_now      timestamptz := clock_timestamp();
    v_until    timestamptz := v_now + make_interval(secs => p_lease_seconds);
    v_pace     slack_pace;
    v_answer   jsonb;
begin
    if not exists (select from slack_messages where due_at <= v_now) then
        return null;
    end if;
    update slack_pace set next_at = v_now + make_interval(secs => p_gap_seconds)
     where next_at <= v_now returning * into v_pace;
    if not found then
        return null;
    end if;
    update slack_messages set due_at = null
     where mailout_id = any (array(
               select mailout_id from slack_messages
                where due_at <= v_now and asked_at < v_now - interval '24 hours'
                  and place is null and error is null limit 1000 for update skip locked));
    update slack_messages s
       set claims = s.claims + 1, lease_until = v_until, due_at = v_until
     where mailout_id = (select mailout_id from slack_messages
                          where due_at <= v_now and coalesce(lease_until, '-infinity') <= v_now
                            and not (asked_at < v_now - interval '24 hours' and place is null and error is null)
                          order by due_at limit 1 for update skip locked)
    returning jsonb_build_object(
        'mailout_id', mailout_id, 'claim', claims, 'place', place, 'told', told, 'failures', failures,
        'turn', v_pace.next_at, 'slack_failures', v_pace.failures, 'error', error,
        'error_age', extract(epoch from v_now - error_since)) into v_answer;
    if v_answer is null then
        update slack_pace set next_at = v_now;
    end if;
    return v_answer;
end $$;

-- What Slack is told of a mailout is made from this; null: it is gone. Opens and clicks are counted once it isn't sent any
-- more: with many recipients that takes a moment.
create or replace function slack_facts(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select mailout_so_far(m) || jsonb_build_object(
               'engagement', case when m.tracking and m.status <> 'sending' then engagement_totals(m.id) end)
      from mailouts m where m.id = p_mailout;
$$;

-- How the holder's try ended. p_result: `place` (null: there is no message) and `told` as they are now; `error`: in plain
-- words, null: it went well. p_next_seconds: when to look again; null: when something changes. p_rest_seconds: how long
-- Slack is left alone by all; null: it wasn't asked, so the turn that the claim named, p_turn, is another's.
-- p_concerns_all: any other would have fared the same. false: it was no longer the holder.
create or replace function settle_slack_message(
    p_mailout uuid, p_claim bigint, p_result jsonb, p_next_seconds double precision,
    p_turn timestamptz, p_rest_seconds double precision, p_concerns_all boolean)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_error text := p_result ->> 'error';
begin
    update slack_messages
       set place = nullif(p_result -> 'place', 'null'),
           -- Its message is gone: a new one is news, however long ago the state changed.
           asked_at = case when place is not null and p_result -> 'place' = 'null' then v_now else asked_at end,
           told = p_result -> 'told',
           failures = case when v_error is null then 0 else failures + 1 end,
           error = v_error, error_since = case when v_error is not null then coalesce(error_since, v_now) end,
           lease_until = null,
           -- Something changed since the claim: soon.
           due_at = case when due_at < lease_until then least(v_now, v_now + make_interval(secs => p_next_seconds))
                         else v_now + make_interval(secs => p_next_seconds) end
     where mailout_id = p_mailout and claims = p_claim and lease_until is not null;
    if not found then
        return to_jsonb(false);
    end if;
    update slack_pace
       set next_at = case when p_rest_seconds is not null
                          then greatest(next_at, v_now + make_interval(secs => p_rest_seconds))
                          when next_at = p_turn then v_now else next_at end,
           failures = case when p_concerns_all then failures + 1 when p_rest_seconds is null then failures else 0 end;
    return to_jsonb(true);
end $$;

-- Of how many mailouts Slack couldn't be told in the last day, and why of the latest. null: none.
create or replace function slack_trouble() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('mailouts', count(*), 'since', min(error_since),
                              'error', (array_agg(error order by error_since desc))[1])
      from slack_messages
     where error is not null and (due_at is not null or error_since > clock_timestamp() - interval '48 hours')
    having count(*) > 0;
$$;

-- Why Slack couldn't be told of a mailout, and since when; null: it could.
create or replace function slack_trouble_of(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('error', error, 'since', error_since)
      from slack_messages where mailout_id = p_mailout and error is not null and error_since is not null;
$$;
