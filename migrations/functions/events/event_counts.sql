-- Events per mailout, kind and 10 seconds: written with the events, read by the dashboard.
create or replace function add_event_counts(p_mailout uuid, p_kind text, p_at timestamptz, p_events bigint)
returns void language sql set search_path = public, pg_temp as $$
    insert into event_counts as c (mailout_id, kind, slot, events)
    values (p_mailout, p_kind, date_bin('10 seconds', p_at, 'epoch'), p_events)
    on conflict (mailout_id, kind, slot) do update set events = c.events + excluded.events;
$$;

-- What an event counts as: delivery, complaint, reject, rendering_failure (or another type), and the bounces told apart:
-- `bounce` (permanent, what SES judges a sender by), `suppressed` (permanent, but SES did not even try), `soft_bounce`
-- (anything else); null: nothing that is counted.
create or replace function counted_as(p_type text, p_payload jsonb) returns text
language sql immutable as $$
    select case when p_type = 'complaint'   -- not the reader's own word: domain/events.py
                     and lower(p_payload #>> '{complaint,complaintFeedbackType}')
                         in ('auth-failure', 'fraud', 'not-spam', 'other', 'virus') then null
                when p_type <> 'bounce' then p_type
                when p_payload #>> '{bounce,bounceType}' is distinct from 'Permanent' then 'soft_bounce'
                when p_payload #>> '{bounce,bounceSubType}' in ('Suppressed',
                     'OnAccountSuppressionList', 'UnsubscribedRecipient') then 'suppressed'
                else 'bounce' end;
$$;

-- p_ids: of new rows of ses_events that were matched. Test mails, and events that settle nothing, are not counted.
-- The events are read first, by their ids: else the whole index on send_log_id might be read for the join. What they
-- count as is asked where they stand, as to carry 2 KB of payload along costs more.
create or replace function count_events(p_ids bigint[]) returns void
language sql set search_path = public, pg_temp set enable_seqscan = off as $$
    with events as materialized (
        select counted_as(type, payload) as kind, occurred_at, send_log_id from ses_events
         where id = any (p_ids) and type in ('delivery', 'bounce', 'complaint', 'reject', 'rendering_failure'))
    select add_event_counts(mailout_id, kind, slot, count(*))
      from (select l.mailout_id, date_bin('10 seconds', e.occurred_at, 'epoch') as slot, e.kind
              from events e, send_logs l
             where l.id = e.send_log_id and not l.is_test
               and l.id = any (array(select send_log_id from events))) counted
     where kind is not null
     group by mailout_id, kind, slot
     order by mailout_id, kind, slot;   -- the same order everywhere, so that writers don't deadlock
$$;
