-- The figures that the watchdog judges. All are cheap enough to be read every few seconds.

-- Messages to /ses-events that were refused, per reason: {"bad_signature": 3}.
create or replace function record_refused_messages(p_counts jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into refused_messages as r (hour, reason, messages)
    select date_trunc('hour', now()), key, value::bigint from jsonb_each_text(p_counts) order by key
    on conflict (hour, reason) do update set messages = r.messages + excluded.messages
    returning to_jsonb(true);
$$;

-- p_patience: seconds that SES's events may take. Answers
--   silent:    accepted mails (at most 1,000) without an event, when no event at all came after them; where there are
--              50, two fifths of the patience suffice
--   silent_mailouts, silent_regions, unopened_mailouts, unasked: events_heard.sql
--   unmatched: events (at most 1,000) of the last 24 hours that fit no recipient and are too old to fit one
--   refused:   messages refused in this hour and the last one, per reason
--   suppression: the last comparison with SES's list, per region
create or replace function watchdog_figures(p_patience double precision) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_late  timestamptz := v_now - make_interval(secs => p_patience);
    v_soon  timestamptz := v_now - make_interval(secs => p_patience * 0.4);
    v_day   timestamptz := v_now - interval '24 hours';
    -- When our latest event came, among the newest 1,000. When none of those is ours (another program
    -- uses the topic), the mails themselves show whether events come.
    v_event timestamptz := (select received_at from (
                                select id, received_at, send_log_id from ses_events order by id desc limit 1000) newest
                             where send_log_id is not null order by id desc limit 1);
    v_mails bigint[];
    v_late_mails bigint[];
begin
    select array_agg(id), array_agg(id) filter (where recorded_at < v_late) into v_mails, v_late_mails
      from (select recorded_at, unnest(send_log_ids) as id from (
                select send_log_ids, recorded_at from send_batches
                 where claimed_at > greatest(v_day, v_event) - interval '1 minute'
                   and recorded_at > greatest(v_day, v_event) and recorded_at < v_soon
                 order by claimed_at desc limit 20) latest) taken;
    return jsonb_build_object(
        'silent', (
            select case when v_event is null and count(event_at) > 0 then 0
                        when count(*) filter (where unheard) >= 50 then count(*) filter (where unheard)
                        else count(*) filter (where unheard and late) end
              from (select event_at, status = 'sent' and event_at is null as unheard, id = any (v_late_mails) as late
                      from send_logs where id = any (v_mails)) mails),
        'silent_mailouts', silent_mailouts(p_patience),
        'silent_regions', silent_regions(p_patience),
        'unopened_mailouts', unopened_mailouts(),
        'unasked', unasked_events(),
        'unmatched', (
            select count(*) from (
                select from ses_events where parked is not null and received_at between v_day and v_late
                 order by received_at limit 1000) unmatched),
        'refused', (
            select coalesce(jsonb_object_agg(reason, n), '{}')
              from (select reason, sum(messages) as n from refused_messages
                     where hour >= date_trunc('hour', v_now) - interval '1 hour' group by reason) r),
        'suppression', (
            select coalesce(jsonb_agg(to_jsonb(s) - 'started_at' order by region), '[]')
              from suppression_checks s where checked_at is not null));
end $$;

-- Whether the caller is to compare with SES's suppression list now: one process an hour in each region.
create or replace function begin_suppression_check(p_region text) returns jsonb
language sql set search_path = public, pg_temp as $$
    with begun as (
        insert into suppression_checks as s (region, started_at) values (p_region, clock_timestamp())
        on conflict (region) do update set started_at = excluded.started_at
         where s.started_at < clock_timestamp() - interval '1 hour'
        returning 1)
    select to_jsonb(exists (select from begun));
$$;

-- A page of SES's list against the subscribers: {"active", "left"}, how many of each.
create or replace function compare_suppressed(p_emails jsonb) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select jsonb_build_object('active', count(*) filter (where s.status = 'active'),
                              'left', count(*) filter (where s.status in ('bounced', 'complained')))
      from subscribers s
     where address = any (array(select canonical_address(e) from jsonb_array_elements_text(p_emails) e));
$$;

create or replace function end_suppression_check(
    p_region text, p_listed bigint, p_active bigint, p_left bigint)
returns jsonb language sql set search_path = public, pg_temp as $$
    update suppression_checks
       set checked_at = clock_timestamp(), listed = p_listed, active = p_active,
           unlisted = greatest(0, subscribers_in('{bounced,complained}') - p_left)
     where region = p_region
    returning to_jsonb(true);
$$;
