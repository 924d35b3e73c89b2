-- Queue the next slice of a started mailout's audience: look at the next p_limit subscribers, and queue
-- those who are in it. So a slice takes equally long when few have the tag. Idempotent and resumable: the
-- cursor moves in the same transaction, and the unique key refuses a second row. Only people who were
-- subscribed before the start get a row: `queued`; `skipped` if they have left since; `cancelled` if the
-- mailout was cancelled; `failed` if they have no usable address. So the closing statement adds up.
-- Answers in `queued` how many were looked at. While a resend is under way, it queues the resend's next
-- slice instead (resend.sql).
-- enable_…scan is off so that subscribers are read in the order of their ids, also by a plan that was made
-- when there were few.
create or replace function queue_recipients(p_mailout uuid, p_limit integer) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    v_queue   mailout_queues;
    v_mailout mailouts;
    v_rule    record;    -- that the mailout goes by since its start, as a condition (compile.sql)
    v_canary  numeric;   -- its share, while the mailout has one
    v_before  bigint;    -- rows of the slices before
    v_slice   jsonb;
    v_seen    bigint;
    v_last    uuid;
    v_else_at timestamptz;   -- the instant of those whose zone isn't known, in a mailout with waves
begin
    select * into v_queue from mailout_queues
     where mailout_id = p_mailout and done_at is null for update skip locked;
    if not found then
        return jsonb_build_object('queued', 0, 'done', not exists (
            select from mailout_queues where mailout_id = p_mailout and done_at is null));
    end if;
    -- The lock comes before those on waves, as in a claim.
    perform from mailouts where id = p_mailout and waves for no key update;
    select * into v_mailout from mailouts where id = p_mailout;
    if exists (select from mailout_resends where mailout_id = p_mailout) then
        v_slice := resend_slice(p_mailout, p_limit);
        return jsonb_build_object('queued', v_slice -> 'seen', 'done', v_slice -> 'done');
    end if;
    select c.* into v_rule from mailout_audience(p_mailout) a, compile_audience(a.rule, '$1', a.at, a.zone) c;
    -- Fewer where each is looked up in the ledger for many mailouts: a slice takes about two seconds (see affordable).
    p_limit := least(p_limit, greatest(100, 30000000 / greatest(v_rule.cost, 1)));
    v_canary := case when v_mailout.canary_phase is not null
                     then (v_mailout.canary ->> 'share')::numeric end;
    v_before := recipients_in(p_mailout, null);

    select at into v_else_at from mailout_zones where v_mailout.waves and mailout_id = p_mailout and zone = '';

    execute format($query$
        with looked_at as materialized (
            select id, email, address, status, created_at, status_updated_at, timezone, (%s) as is_in
              from subscribers s where id > $2 order by id limit $3
        ), slice as (
            select id, email, address, status, status = 'active' and address is not null as is_due, timezone
              from looked_at
             where is_in and created_at <= $5 and (status = 'active' or status_updated_at > $5)
        ), numbered as (
            select *, $8 + row_number() over (
                       order by not is_due, case when $7 is not null then split_part(address, '@', -1) end,
                                case when $7 is not null then md5(address) end) as at
              from slice
        ), placed as (
            -- The subquery is asked for mailouts with waves ($9) alone. $10: of zones that aren't listed.
            select *, case when is_due and $9 then coalesce(
                       (select coalesce(at, 'infinity') from mailout_zones
                         where mailout_id = $4 and zone = lower(btrim(timezone))), $10, 'infinity')
                   end as due_at
              from numbered
        ), inserted as (
            insert into send_logs (mailout_id, subscriber_id, email, status, error_code, error_message, canary,
                                   next_attempt_at)
            select $4, id, email,
                   case when $6 then 'cancelled'
                        when status <> 'active' or due_at = 'infinity' then 'skipped'
                        when address is null then 'failed' else 'queued' end,
                   case when $6 then null
                        when status <> 'active' then status
                        when due_at = 'infinity' then 'hour_passed'
                        when address is null then 'invalid_address' end,
                   case when not $6 and status = 'active' and address is null
                        then format('The address can''t be mailed: %%s.', (read_address(email)).problem) end,
                   case when is_due and is_canary(at, $7) then true end,
                   case when not $6 then nullif(due_at, 'infinity') end
              from placed order by id
            on conflict do nothing
            returning next_attempt_at
        ), counted as (
            update mailout_waves w set recipients = w.recipients + c.n
              from (select next_attempt_at as at, count(*) as n from inserted
                     where $9 and next_attempt_at is not null group by 1) c
             where w.mailout_id = $4 and w.at = c.at
        )
        select count(*), (array_agg(id order by id desc))[1] from looked_at
        $query$, v_rule.condition)
       into v_seen, v_last
      using v_rule.bound, v_queue.cursor, p_limit, p_mailout, v_mailout.started_at, v_mailout.status = 'cancelled',
            v_canary, v_before, v_mailout.waves, v_else_at;

    update mailout_queues
       set cursor = coalesce(v_last, cursor),
           done_at = case when v_seen < p_limit then now() end
     where mailout_id = p_mailout;
    if v_seen < p_limit then
        -- The exact number of recipients: the start may have stored an estimate (count_audience.sql).
        update mailouts set recipients = recipients_in(p_mailout, null)
         where id = p_mailout and recipients is distinct from recipients_in(p_mailout, null);
        if is_empty_mailout(p_mailout) then
            perform hold_empty_mailout(p_mailout);
        end if;
    end if;
    return jsonb_build_object('queued', v_seen, 'done', v_seen < p_limit);
end $$;

-- Whether a mailout's ledger has no row that is or was to be mailed.
create or replace function is_empty_mailout(p_mailout uuid) returns boolean
language sql stable set search_path = public, pg_temp as $$
    select recipients_in(p_mailout, null) = recipients_in(p_mailout, '{skipped}');
$$;

-- Between the start and their slice everybody may have left, been deleted or lost the tag. A mailout
-- to nobody is never `sent`: it is paused until a person resumes it, which queues the audience again.
create or replace function hold_empty_mailout(p_mailout uuid) returns void
language sql set search_path = public, pg_temp as $$
    update mailouts
       set status = 'paused', pause_code = 'held', status_reason =
           'Nobody was left to be mailed when the recipients were queued: everybody in the audience '
           'has left, was deleted or no longer fits since the start. Cancel it, or correct the '
           'audience and resume it.'
     where id = p_mailout and status in ('sending', 'paused');
$$;

-- Called when a person resumes such a mailout, which has mailed nobody yet: queue its audience again.
create or replace function queue_again_if_empty(p_mailout uuid) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
    if exists (select from mailout_queues where mailout_id = p_mailout and done_at is not null)
       and is_empty_mailout(p_mailout)
    then
        perform freeze_audience(m) from mailouts m where id = p_mailout;
        update mailouts
           set started_at = now(), canary_phase = case when canary is not null then 'sending' end
         where id = p_mailout;
        update mailouts set recipients = (audience_size(p_mailout, 200000) ->> 'recipients')::bigint
         where id = p_mailout;
        perform place_waves(p_mailout);
        update mailout_queues set cursor = default, done_at = null where mailout_id = p_mailout;
    end if;
end $$;
