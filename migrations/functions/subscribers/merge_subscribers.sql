-- The subscriber that an id means: itself, or the one that it was merged into.
create or replace function subscriber_of(p_id uuid) returns uuid
language sql stable set search_path = public, pg_temp as $$
    select coalesce((select subscriber_id from subscriber_aliases where id = p_id), p_id);
$$;

-- p_from and p_into are one person: p_into stays, with the stricter status, the tags of both, and of
-- name, time zone and each field the one of the row that was changed last. What p_from's row held is
-- kept with its id in subscriber_aliases.
create or replace function merge_subscribers(p_from uuid, p_into uuid) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
    v_from  subscribers;
    v_into  subscribers;
    v_old   subscribers;   -- of the two the one that was changed earlier
    v_new   subscribers;
begin
    if coalesce(current_setting('amazonsender.by', true), '') = '' then
        perform acting('database', 'Two subscribers were one mailbox: merged.');
    end if;
    perform from subscribers where id in (p_from, p_into) order by id for update;
    select * into strict v_from from subscribers where id = p_from;
    select * into strict v_into from subscribers where id = p_into;
    if v_from.updated_at > v_into.updated_at then
        v_new := v_from;
        v_old := v_into;
    else
        v_new := v_into;
        v_old := v_from;
    end if;
    perform merge_ledger(p_from, p_into);
    update subscriber_aliases set subscriber_id = p_into where subscriber_id = p_from;
    insert into subscriber_aliases (id, subscriber_id, was) values (p_from, p_into, to_jsonb(v_from));
    delete from subscribers where id = p_from;
    update subscribers
       set name = coalesce(v_new.name, v_old.name), timezone = coalesce(v_new.timezone, v_old.timezone),
           fields = v_old.fields || v_new.fields,
           tags = v_into.tags || array(select unnest(v_from.tags) except select unnest(v_into.tags)),
           created_at = least(v_from.created_at, v_into.created_at)
     where id = p_into;
    if subscriber_rank(v_from.status) > subscriber_rank(v_into.status) then
        update subscribers set status = v_from.status, bounce_type = v_from.bounce_type,
                               bounce_subtype = v_from.bounce_subtype
         where id = p_into;
    end if;
end $$;

-- Give the ledger's rows of p_from to p_into. Where a mailout has rows of both, p_into gets the one with the
-- greater ledger_weight. The other keeps the id of p_from, which subscriber_of resolves, and is not mailed
-- any more. Done mailout by mailout, by the unique index: the ledger has no index by subscriber alone.
create or replace function merge_ledger(p_from uuid, p_into uuid) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_mailout uuid;
    v_from    send_logs;
    v_into    send_logs;
begin
    -- In the order of those who store events and judge, so that neither waits for the other (fold_engagement.sql).
    perform from send_logs where id = any (array(select id from person_mails(array[p_from, p_into])))
      order by id for update;
    perform from engagement_recipients where subscriber_id = p_from order by send_log_id for update;
    -- What either did, p_into did: also with the mail whose row keeps the id of p_from.
    update engagement_recipients set subscriber_id = p_into where subscriber_id = p_from;
    for v_mailout in select id from mailouts where started_at is not null loop
        select * into v_from from send_logs
         where mailout_id = v_mailout and subscriber_id = p_from and not is_test for update;
        continue when not found;
        select * into v_into from send_logs
         where mailout_id = v_mailout and subscriber_id = p_into and not is_test for update;
        if not found then
            update send_logs set subscriber_id = p_into where id = v_from.id;
            continue;
        end if;
        if ledger_weight(v_from.status) > ledger_weight(v_into.status) then
            -- Set to null in between, since the unique index is checked after each row.
            update send_logs set subscriber_id = null where id = v_into.id;
            update send_logs set subscriber_id = p_into where id = v_from.id;
            update send_logs set subscriber_id = p_from where id = v_into.id;
        end if;
        update send_logs set status = 'skipped', error_code = 'merged', next_attempt_at = null
         where mailout_id = v_mailout and subscriber_id = p_from and not is_test and status = 'queued';
    end loop;
end $$;

-- Which of two rows to keep, greatest first: a mail may have left, is to leave, was refused, or was never
-- to leave.
create or replace function ledger_weight(p_status text) returns integer
language sql immutable as $$
    select case when p_status = 'queued' then 2 when p_status = 'failed' then 1
                when p_status in ('skipped', 'cancelled') then 0 else 3 end;
$$;
