-- What hooks are told is written in the transaction of the act, by triggers: whoever acts, nobody is forgotten, and
-- what is rolled back tells nothing. Where no active hook wants an event, each statement costs one look at a table
-- of a few rows. `security definer`: a role that may write subscribers needs no right to read hooks.

-- Those of one kind (`mailout`, `recipient`, `subscriber`) that any active hook wants.
create or replace function wanted_events(p_kind text) returns text[]
language sql stable security definer set search_path = public, pg_temp as $$
    select array(select distinct event from hooks, unnest(events) event
                  where state = 'active' and starts_with(event, p_kind || '.'));
$$;

create or replace function new_event_id() returns text
language sql volatile as $$
    select 'evt_' || replace(gen_random_uuid()::text, '-', '');
$$;

-- Data stays well below the 20 KB of Standard Webhooks: what may be long is left out, and that is said.
create or replace function small_enough(p_data jsonb) returns jsonb
language sql immutable as $$
    select case when octet_length(p_data::text) <= 15000 then p_data
                else p_data || '{"tags": [], "fields": {}, "truncated": true}' end;
$$;

-- Mailouts: few, so row by row. The figures are those of the statement at this moment.
create or replace function hook_mailout(m mailouts, p_again boolean) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', m.id, 'subject', left(m.subject, 500), 'status', m.status, 'reason', left(m.status_reason, 1000),
        'pause_code', m.pause_code, 'again', p_again, 'recipients', coalesce(m.recipients, 0),
        'counts', mailout_counts(m.id), 'unsubscribed', unsubscribed_count(m.id),
        'created_at', m.created_at, 'scheduled_at', m.scheduled_at, 'started_at', m.started_at,
        'ended_at', case when m.status in ('sent', 'failed', 'cancelled') then coalesce(m.sent_at, m.updated_at) end);
$$;

create or replace function mailouts_tell_hooks() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_type text := 'mailout.' || case new.status
        when 'scheduled' then 'scheduled'
        when 'sending' then case old.status when 'paused' then 'resumed' else 'started' end
        when 'paused' then 'paused' when 'sent' then 'finished' when 'failed' then 'failed'
        when 'cancelled' then 'cancelled' end;
begin
    if v_type = any (wanted_events('mailout')) then
        insert into hook_deliveries (hook_id, event_id, type, subject, data)
        select h.id, e.id, v_type, new.id, e.data
          from (select new_event_id() as id,
                       hook_mailout(new, old.status in ('sent', 'failed')) as data offset 0) e, hooks h
         where h.state = 'active' and v_type = any (h.events);
    end if;
    return null;
end $$;

create or replace trigger mailouts_tell_hooks after update of status on mailouts
    for each row when (new.status is distinct from old.status) execute function mailouts_tell_hooks();

-- Recipients of mailouts (no test mails). One who was erased has no address any more.
create or replace function hook_recipient(l send_logs) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', l.id, 'mailout_id', l.mailout_id, 'mailout_subject', left(m.subject, 500),
        'subscriber_id', l.subscriber_id, 'email', nullif(l.email, 'erased'), 'status', l.status,
        'message_id', l.message_id, 'bounce_type', l.bounce_type, 'bounce_subtype', l.bounce_subtype,
        'error_code', l.error_code, 'error_message', left(l.error_message, 500),
        'sent_at', l.sent_at, 'event_at', l.event_at, 'unsubscribed_at', l.unsubscribed_at)
      from mailouts m where m.id = l.mailout_id;
$$;

create or replace function recipients_tell_hooks() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_wanted text[] := wanted_events('recipient');
begin
    if v_wanted = '{}' then
        return null;
    end if;
    with told as materialized (
        select t.type, w.id, w.subscriber_id, new_event_id() as event_id, hook_recipient(w) as data
          from written w join replaced r using (id), lateral (
               select 'recipient.' || w.status where w.status <> r.status
                  and w.status in ('delivered', 'bounced', 'complained', 'failed')
               union all
               select 'recipient.unsubscribed' where w.unsubscribed_at is not null and r.unsubscribed_at is null) t (type)
         where not w.is_test and w.subscriber_id is not null and t.type = any (v_wanted)
    )
    insert into hook_deliveries (hook_id, event_id, type, subject, data)
    select h.id, t.event_id, t.type, t.subscriber_id, t.data
      from told t join hooks h on h.state = 'active' and t.type = any (h.events)
     where t.data is not null
     order by t.id, t.type;
    return null;
end $$;

create or replace trigger send_logs_tell_hooks after update on send_logs
    referencing new table as written old table as replaced
    for each statement execute function recipients_tell_hooks();

-- Subscribers.
create or replace function hook_subscriber(s subscribers) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select small_enough(jsonb_build_object(
        'id', s.id, 'email', s.email, 'name', left(s.name, 500), 'status', s.status, 'bounce_type', s.bounce_type,
        'bounce_subtype', s.bounce_subtype, 'tags', s.tags, 'fields', s.fields, 'timezone', s.timezone,
        'created_at', s.created_at, 'status_updated_at', s.status_updated_at,
        'by', coalesce(nullif(current_setting('amazonsender.by', true), ''), 'database')));
$$;

create or replace function added_subscribers_tell_hooks() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if 'subscriber.created' = any (wanted_events('subscriber')) then
        with told as materialized (
            select w.id, new_event_id() as event_id, hook_subscriber(w) as data from written w)
        insert into hook_deliveries (hook_id, event_id, type, subject, data)
        select h.id, t.event_id, 'subscriber.created', t.id, t.data
          from told t join hooks h on h.state = 'active' and 'subscriber.created' = any (h.events);
    end if;
    return null;
end $$;

-- A person who confirms a sign-up was never unsubscribed: that is an update.
create or replace function changed_subscribers_tell_hooks() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_wanted text[] := wanted_events('subscriber');
begin
    if not v_wanted && '{subscriber.updated,subscriber.unsubscribed,subscriber.resubscribed,subscriber.bounced,subscriber.complained}'
    then
        return null;
    end if;
    with told as materialized (
        select t.type, w.id, new_event_id() as event_id, hook_subscriber(w) as data
          from written w join replaced r using (id), lateral (
               select 'subscriber.' || case w.status when 'active' then 'resubscribed' else w.status end
                where w.status <> r.status
                  and (w.status in ('unsubscribed', 'bounced', 'complained') or w.status = 'active' and r.status <> 'pending')
               union all
               select 'subscriber.updated'
                where (w.email, w.name, w.tags, w.fields, w.timezone)
                      is distinct from (r.email, r.name, r.tags, r.fields, r.timezone)
                   or r.status = 'pending' and w.status = 'active') t (type)
         where t.type = any (v_wanted)
    )
    insert into hook_deliveries (hook_id, event_id, type, subject, data)
    select h.id, t.event_id, t.type, t.id, t.data
      from told t join hooks h on h.state = 'active' and t.type = any (h.events)
     order by t.id, t.type;
    return null;
end $$;

-- Erased, or taken back with an import: the id alone. Who was merged into another is not gone.
create or replace function deleted_subscribers_tell_hooks() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if 'subscriber.erased' = any (wanted_events('subscriber')) then
        with told as materialized (
            select r.id, new_event_id() as event_id from replaced r
             where not exists (select from subscriber_aliases a where a.id = r.id))
        insert into hook_deliveries (hook_id, event_id, type, subject, data)
        select h.id, t.event_id, 'subscriber.erased', t.id, jsonb_build_object('id', t.id)
          from told t join hooks h on h.state = 'active' and 'subscriber.erased' = any (h.events);
    end if;
    return null;
end $$;

create or replace trigger subscribers_added_tell_hooks after insert on subscribers
    referencing new table as written for each statement execute function added_subscribers_tell_hooks();
create or replace trigger subscribers_changed_tell_hooks after update on subscribers
    referencing old table as replaced new table as written
    for each statement execute function changed_subscribers_tell_hooks();
create or replace trigger subscribers_deleted_tell_hooks after delete on subscribers
    referencing old table as replaced for each statement execute function deleted_subscribers_tell_hooks();

-- What was written about these people loses whatever tells who they are; what waits is still delivered, so that no
-- number is missing at the receiver.
create or replace function forget_in_hooks(p_subscribers uuid[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_sort = on as $$
declare
    v_ids bigint[] := array(select id from hook_deliveries where subject = any (p_subscribers) order by id for update);
begin
    if v_ids <> '{}' then
        update hook_deliveries
           set data = data || (select coalesce(jsonb_object_agg(key, null), '{}') from jsonb_object_keys(data) key
                                where key in ('email', 'name', 'tags', 'fields', 'timezone', 'error_message'))
         where id = any (v_ids);
    end if;
end $$;
