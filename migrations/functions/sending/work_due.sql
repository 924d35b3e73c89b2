-- What is there to do, and when: one question in place of one of each loop, for processes at rest; and the bell that
-- spares them asking. A start by whoever makes it rings the bell in its transaction, and a process that listens asks at
-- once (app/services/watching/find_work.py). What rings is a person's act or one of a mailout's, and seldom: a
-- transaction that notifies holds a lock of the whole server until its commit, so no claim, result or event does.

-- Of these kinds of work (p_kinds: names), in how many seconds there is some: {"mailouts": 0, "jobs": 12.5}; a kind is
-- left out where nothing is ahead. A kind is due whenever a function that looks for it would find something, and
-- may be due without: then that one is asked in vain. p_probe: sent to all who listen, so that one
-- who does learns whether notifications come.
create or replace function work_due(p_kinds jsonb, p_probe text default null) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_now timestamptz := clock_timestamp();
    v_at  jsonb := '{}';
begin
    if p_probe is not null then
        perform pg_notify('amazonsender', p_probe);
    end if;
    if p_kinds ? 'mailouts' then
        v_at := v_at || jsonb_build_object('mailouts', least(
            case when exists (select from mailouts where status = 'sending')
                   or exists (select from mailout_queues where done_at is null)
                   or exists (select from mailouts m where status = 'cancelled' and has_queued(m.id)) then v_now end,
            (select min(coalesce(next_attempt_at, v_now)) from send_logs where status = 'queued' and is_test),
            (select min(scheduled_at - case when waves then wave_lead() else '0' end)
               from mailouts where status = 'scheduled'),
            (select min(at) from mailout_waves where begun_at is null)));
    end if;
    if p_kinds ? 'jobs' then
        v_at := v_at || jsonb_build_object('jobs', least(
            (select min(due_at) from jobs where state = 'waiting'),
            (select min(lease_until) from jobs where state = 'running')));
    end if;
    if p_kinds ? 'hooks' then
        v_at := v_at || jsonb_build_object('hooks', (
            select min(greatest(h.next_token_at, h.held_until, d.at))
              from hooks h, lateral (
                   select least((select min(due_at) from hook_deliveries where hook_id = h.id and state = 'waiting'),
                                (select min(lease_until) from hook_deliveries where hook_id = h.id and state = 'sending'))
                          as at) d
             where h.state = 'active' and d.at is not null));
    end if;
    if p_kinds ? 'engagement' then
        v_at := v_at || jsonb_build_object('engagement', least(
            (select min(due_at) from engagement_recipients where due_at is not null),
            case when exists (
                select from mailout_snapshots s join lateral (select started_at from mailouts where id = s.mailout_id) m on true
                 where not s.links_read and s.content ? 'tracking' and m.started_at is not null) then v_now end));
    end if;
    if p_kinds ? 'owner' then
        v_at := v_at || jsonb_build_object('owner', least(
            (select min(due_at) from owner_notices where claimed_at is null and outcome is null),
            (select min(due_at) from owner_news where way = 'mail' and claimed_at is null and outcome is null)));
    end if;
    if p_kinds ? 'slack_news' then
        v_at := v_at || jsonb_build_object('slack_news', (
            select min(due_at) from owner_news where way = 'slack' and claimed_at is null and outcome is null));
    end if;
    if p_kinds ? 'signups' then
        v_at := v_at || jsonb_build_object('signups', (
            select min(due_at) from signups where claimed_at is null and outcome is null));
    end if;
    if p_kinds ? 'slack' then
        v_at := v_at || jsonb_build_object('slack', (
            select greatest(min(due_at), (select next_at from slack_pace)) from slack_messages where due_at is not null
            having min(due_at) is not null));
    end if;
    if p_kinds ? 'notion' then
        v_at := v_at || jsonb_build_object('notion', least(
            case when exists (select from notion_write_asks) then v_now end,
            (select min(due_at) from notion_writes where due_at is not null)));
    end if;
    return (select coalesce(jsonb_object_agg(key, greatest(0, extract(epoch from greatest(value::timestamptz, v_now) - v_now))), '{}')
              from jsonb_each_text(v_at) where value is not null);
end $$;

-- Tells all who listen that there is something to do. Several in one transaction are one.
create or replace function ring_on_change() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    perform pg_notify('amazonsender', 'work');
    return null;
end $$;

create or replace trigger mailouts_ring_new after insert on mailouts
    for each row when (new.status in ('sending', 'scheduled')) execute function ring_on_change();

create or replace trigger mailouts_ring after update of status, pause_code, scheduled_at on mailouts
    for each row when ((new.status, new.pause_code, new.scheduled_at)
                       is distinct from (old.status, old.pause_code, old.scheduled_at))
    execute function ring_on_change();

create or replace trigger mailout_queues_ring_new after insert on mailout_queues
    for each row when (new.done_at is null) execute function ring_on_change();

create or replace trigger mailout_queues_ring after update of done_at on mailout_queues
    for each row when (new.done_at is null and old.done_at is not null) execute function ring_on_change();

create or replace trigger jobs_ring_new after insert on jobs
    for each row execute function ring_on_change();

create or replace trigger jobs_ring after update of state on jobs
    for each row when (new.state = 'waiting') execute function ring_on_change();

create or replace trigger signups_ring after insert on signups
    for each row execute function ring_on_change();

create or replace trigger owner_news_ring after insert on owner_news
    for each statement execute function ring_on_change();

create or replace trigger notion_write_asks_ring after insert on notion_write_asks
    for each row execute function ring_on_change();

-- What hooks are told of comes in the transactions of events, too, thousands a second. So only the first that waits
-- for a hook rings: whoever delivers looks again by himself until nothing is due.
create or replace function ring_for_hooks() returns trigger
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = on as $$
begin
    if exists (select from (select hook_id, min(id) as id from fresh group by hook_id) f
                where f.id = (select d.id from hook_deliveries d where d.hook_id = f.hook_id and d.state = 'waiting'
                               order by d.due_at, d.id limit 1)) then
        perform pg_notify('amazonsender', 'work');
    end if;
    return null;
end $$;

create or replace trigger hook_deliveries_ring after insert on hook_deliveries
    referencing new table as fresh for each statement execute function ring_for_hooks();
