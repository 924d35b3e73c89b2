-- Do SES's events come back for one mailout? A set of its own may be silent while others' events come.

-- Accepted mails of a mailout (at most 1,000, the first) without an event, when none of those has one: of those taken
-- more than p_patience seconds ago, or two fifths of that where there are 50. 0: SES has told of one, or it is too early,
-- or it was too long ago to look.
create or replace function silent_mails(m mailouts, p_patience double precision) returns bigint
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_late  timestamptz := clock_timestamp() - make_interval(secs => p_patience);
    v_soon  timestamptz := clock_timestamp() - make_interval(secs => p_patience * 0.4);
    v_mails bigint[];
    v_old   bigint[];
    v_all   bigint;
    v_few   bigint;
begin
    if m.started_at is null or m.started_at not between v_soon - interval '30 days' and v_soon
       or recipients_in(m.id, '{delivered,bounced,complained}') > 0 then
        return 0;
    end if;
    select array_agg(id), array_agg(id) filter (where recorded_at < v_late) into v_mails, v_old
      from (select recorded_at, unnest(send_log_ids) as id from (
                select send_log_ids, recorded_at from send_batches
                 where claimed_at between m.started_at and coalesce(m.sent_at, 'infinity') and mailout_id = m.id
                   and recorded_at < v_soon
                 order by claimed_at limit 20) first) taken;
    if v_mails is null or exists (select from ses_events where send_log_id = any (v_mails)) then
        return 0;
    end if;
    select count(*), count(*) filter (where id = any (v_old)) into v_all, v_few
      from send_logs where id = any (v_mails) and status = 'sent' and not is_test;
    return case when v_all >= 50 then v_all else v_few end;
end $$;

-- {"accepted", "heard_of": those whose delivery, bounce or complaint SES has told, "share" (null: none was accepted),
-- "silent": whether some were accepted minutes ago and nothing at all was told of them}.
create or replace function mailout_events(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('accepted', accepted, 'heard_of', heard,
                              'share', round(heard::numeric / nullif(accepted, 0), 4),
                              'silent', silent_mails(m, 300) > 0)
      from (select recipients_in(m.id, '{sent,delivered,bounced,complained}') as accepted,
                   recipients_in(m.id, '{delivered,bounced,complained}') as heard) counted;
$$;

-- Mailouts of the last day of which SES tells nothing: [{"id", "mails"}], at most 10 of them.
create or replace function silent_mailouts(p_patience double precision) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'mails', mails) order by started_at), '[]')
      from (select m.id, m.started_at, silent_mails(m, p_patience) as mails
              from (select * from mailouts where started_at > clock_timestamp() - interval '24 hours'
                     order by started_at desc limit 100) m) asked
     where mails > 0 limit 10;
$$;

-- SES regions that took mail within the last day and of whose last 20 calls (made more than p_patience seconds ago) nothing
-- at all came back, while of another region's something did: [{"region", "mails"}]. A region's name has hyphens, a
-- provider's hasn't.
create or replace function silent_regions(p_patience double precision) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_late  timestamptz := clock_timestamp() - make_interval(secs => p_patience);
    v_calls jsonb;
    v_found jsonb;
begin
    select jsonb_object_agg(region, ids) into v_calls
      from (select region, jsonb_agg(id) as ids
              from (select region, send_log_ids, row_number() over (partition by region order by claimed_at desc) as n
                      from (select region, send_log_ids, claimed_at from send_batches
                             where claimed_at between v_late - interval '24 hours' and v_late and recorded_at < v_late
                               and region like '%-%'
                             order by claimed_at desc limit 1000) late) numbered
              cross join unnest(send_log_ids) as id
             where n <= 20 group by region) of_region;
    if v_calls is null or (select count(*) from jsonb_object_keys(v_calls)) < 2 then
        return '[]';
    end if;
    select jsonb_agg(jsonb_build_object('region', key, 'mails', unheard, 'heard', heard)) into v_found
      from jsonb_each(v_calls)
      cross join lateral (
          select count(*) filter (where status = 'sent' and event_at is null) as unheard,
                 count(event_at) as heard
            from send_logs
           where id = any (array(select i::bigint from jsonb_array_elements_text(value) i))) mails;
    if not exists (select from jsonb_array_elements(v_found) f where (f -> 'heard')::bigint > 0) then
        return '[]';   -- that no events come at all is another finding
    end if;
    return (select coalesce(jsonb_agg(f - 'heard' order by f ->> 'region'), '[]') from jsonb_array_elements(v_found) f
             where (f -> 'heard')::bigint = 0 and (f -> 'mails')::bigint > 0);
end $$;

-- Mailouts with tracking that at least 50 people got 4 hours to 3 days ago, and nobody opened or clicked: not one picture
-- loaded, no proxy, no scanner. [{"id", "mails"}].
create or replace function unopened_mailouts() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', id, 'mails', mails) order by started_at), '[]')
      from (select m.id, m.started_at, recipients_in(m.id, '{delivered,complained}') as mails
              from (select * from mailouts
                     where tracking and started_at between clock_timestamp() - interval '72 hours'
                                                       and clock_timestamp() - interval '4 hours'
                     order by started_at desc limit 100) m
             where not exists (select from engagement_recipients r where r.mailout_id = m.id)) asked
     where mails >= 50;
$$;

-- Opens and clicks of this hour and the last one that no mailout asked for: {"events", "mailout_id": one of them}.
create or replace function unasked_events() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('events', coalesce(sum(events), 0),
                              'mailout_id', (array_agg(mailout_id order by hour desc))[1])
      from untracked_events where hour >= date_trunc('hour', clock_timestamp()) - interval '1 hour';
$$;
