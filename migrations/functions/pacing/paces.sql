-- What mailbox providers answer, and how fast those that defer are mailed. A sender looks every some seconds,
-- decides (app/domain/pacing/), and writes what holds until the next look.

-- Take the turn to look, if the last was p_seconds ago; null: it wasn't, or another has it. p_mailboxes: which
-- domains a provider has (mailboxes.py). Reads the events since the last turn into provider_answers, then answers
-- {"now", "figures": [{"region", "key", "delivered", "deferred", "rate"}], "paces": [...], "warmups": [...]}:
-- figures of p_window seconds, of a paced provider only of mails that were claimed since it was last made slower;
-- only of those with deferrals, and of those that are paced.
create or replace function pacing_turn(p_seconds double precision, p_window double precision, p_mailboxes jsonb)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_now   timestamptz := clock_timestamp();
    v_since timestamptz := clock_timestamp() - make_interval(secs => p_window);
begin
    perform from pacing_turns where turned_at <= v_now - make_interval(secs => p_seconds) for update skip locked;
    if not found then
        return null;
    end if;
    update pacing_turns set turned_at = v_now;
    perform read_answers(p_mailboxes, v_since);
    delete from provider_answers where minute < v_now - interval '3 days';
    delete from provider_paces where until < v_now - interval '1 hour';
    return jsonb_build_object('now', v_now, 'figures', (
        select coalesce(jsonb_agg(f), '[]') from (
            select a.region, a.key,
                   sum(case when p.key is null then a.delivered else a.fresh_delivered end) as delivered,
                   sum(case when p.key is null then a.deferred else a.fresh_deferred end) as deferred,
                   sum(a.delivered + a.deferred) / (60.0 * count(*)) as rate
              from provider_answers a
              left join provider_paces p on p.region = a.region and p.key = a.key and p.until > v_now
             where a.minute >= v_since and a.key <> '' and (p.key is null or a.minute >= p.slowed_at - interval '1 minute')
             group by a.region, a.key, p.key
            having p.key is not null or sum(a.deferred) > 0) f),
        'paces', (select coalesce(jsonb_agg(p), '[]') from provider_paces p where until > v_now),
        'warmups', running_warmups());
end $$;

-- Count the events since the last turn, the latest p_most of them at most (of more, the figures are of a part).
-- Deliveries of domains that are no provider's and never defer aren't kept one by one: they are many.
create or replace function read_answers(p_mailboxes jsonb, p_since timestamptz, p_most bigint default 50000) returns void
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_nestloop = off set enable_sort = off as $$
declare
    v_last  bigint := (select id from ses_events order by id desc limit 1);
    v_from  bigint := (select last_event from pacing_turns);
    v_logs  bigint[];
    v_types text[];
    v_batch uuid[];
begin
    if v_last is null then
        return;
    end if;
    -- What came before somebody looked for the first time, or long ago, is no news.
    v_from := greatest(coalesce(v_from, v_last - 1000), v_last - p_most);
    update pacing_turns set last_event = v_last;
    select array_agg(send_log_id), array_agg(answer_of(type, payload)) into v_logs, v_types
      from ses_events
     where id > v_from and id <= v_last and send_log_id is not null and received_at >= p_since
       and type in ('delivery', 'delivery_delay', 'bounce', 'complaint') and answer_of(type, payload) is not null;
    if v_logs is null then
        return;
    end if;
    v_batch := array(select distinct attempt_id from send_logs where id = any (v_logs) and not is_test);
    with mails as materialized (
        select id, domain_of(email) as domain, attempt_id from send_logs
         where id = any (v_logs) and not is_test
    ), domains as materialized (
        select domain, coalesce(limit_of(domain, p_mailboxes), domain) as key,
               limit_of(domain, p_mailboxes) is not null as is_known
          from (select distinct domain from mails) d
    ), batches as materialized (
        select attempt_id, region, claimed_at from send_batches where attempt_id = any (v_batch)
    ), told as (
        select b.region, d.key, d.is_known, t.answer, b.claimed_at
          from unnest(v_logs, v_types) as t (id, answer)
          join mails m on m.id = t.id join domains d on d.domain = m.domain
          join batches b on b.attempt_id = m.attempt_id
    ), counted as (
        select t.region, t.key, bool_or(t.is_known or t.answer = 'deferred') as is_kept,
               count(*) filter (where answer = 'delivered') as delivered,
               count(*) filter (where answer = 'deferred') as deferred,
               count(*) filter (where answer = 'bounced') as bounced,
               count(*) filter (where answer = 'complained') as complained,
               count(*) filter (where answer = 'delivered' and t.claimed_at >= p.slowed_at) as fresh_delivered,
               count(*) filter (where answer = 'deferred' and t.claimed_at >= p.slowed_at) as fresh_deferred
          from told t left join provider_paces p on p.region = t.region and p.key = t.key
         group by t.region, t.key
    ), deferring as (
        select distinct region, key from provider_answers where minute >= p_since and key <> ''
    ), sorted as (
        select c.region, case when c.is_kept or d.key is not null then c.key else '' end as key,
               c.delivered, c.deferred, c.bounced, c.complained, c.fresh_delivered, c.fresh_deferred
          from counted c left join deferring d on d.region = c.region and d.key = c.key
    )
    insert into provider_answers as a
    select region, key, date_trunc('minute', clock_timestamp()), sum(delivered), sum(deferred), sum(bounced),
           sum(complained), sum(fresh_delivered), sum(fresh_deferred)
      from sorted group by region, key
    on conflict (region, key, minute) do update
       set delivered = a.delivered + excluded.delivered, deferred = a.deferred + excluded.deferred,
           bounced = a.bounced + excluded.bounced, complained = a.complained + excluded.complained,
           fresh_delivered = a.fresh_delivered + excluded.fresh_delivered,
           fresh_deferred = a.fresh_deferred + excluded.fresh_deferred;
end $$;

-- What an event says of the receiver: delivered, bounced (for good), complained, deferred, or null: nothing.
-- Deferred is a delay or a bounce of 4xx that the receiver's server asked for; not a full mailbox, what is wrong with
-- the mail itself, SES's own delays, or an automatic reply, which SES calls a transient bounce, too.
-- https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
create or replace function answer_of(p_type text, p_payload jsonb) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case p_type
        when 'delivery' then 'delivered'
        when 'complaint' then 'complained'
        when 'delivery_delay' then
            case when coalesce(p_payload #>> '{deliveryDelay,delayType}', '') not in (
                     'MailboxFull', 'InternalFailure', 'SendingDeferral', 'BYOIPHostNameLookupUnavailable')
                 then 'deferred' end
        when 'bounce' then
            case when p_payload #>> '{bounce,bounceType}' = 'Permanent'
                 then case when p_payload #>> '{bounce,bounceSubType}' in ('General', 'NoEmail', 'Suppressed')
                           then 'bounced' end
                 when p_payload #>> '{bounce,bounceType}' = 'Transient'
                  and p_payload #>> '{bounce,bounceSubType}' in ('General', 'CustomTimeoutExceeded')
                  and coalesce(p_payload #>> '{bounce,bouncedRecipients,0,status}', '') like '4.%'
                 then 'deferred' end
        end;
$$;

-- Write the paces that hold now. p_paces: all of them, as rows of provider_paces without next_at; the others end.
create or replace function keep_paces(p_paces jsonb) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    delete from provider_paces p
     where not exists (select from jsonb_array_elements(p_paces) n
                        where n ->> 'region' = p.region and n ->> 'key' = p.key);
    insert into provider_paces as p (region, key, domains, pattern, rate, ceiling, since, slowed_at, raised_at,
                                     deferred, answered, until)
    select region, key, domains, pattern, rate, ceiling, since, slowed_at, raised_at, deferred, answered, until
      from jsonb_to_recordset(p_paces) as n (
           region text, key text, domains text[], pattern text, rate double precision, ceiling double precision,
           since timestamptz, slowed_at timestamptz, raised_at timestamptz, deferred bigint, answered bigint,
           until timestamptz)
     order by region, key
    on conflict (region, key) do update
       set domains = excluded.domains, pattern = excluded.pattern, rate = excluded.rate, ceiling = excluded.ceiling,
           since = excluded.since, slowed_at = excluded.slowed_at, raised_at = excluded.raised_at,
           deferred = excluded.deferred, answered = excluded.answered, until = excluded.until,
           -- A token that was far away comes sooner with the new rate.
           next_at = least(p.next_at, clock_timestamp() + make_interval(secs => 1 / excluded.rate));
    return to_jsonb(true);
end $$;

-- For people: who is slowed down, and how many of a mailout's recipients wait (of each, up to 10,001 are counted).
-- p_mailout null: without these. Answers {"now", "paces": [...], "waiting": [{"key", "recipients"}], "warmups": [...],
-- "kept": the only route that the mailout may take}.
create or replace function pacing_overview(p_mailout uuid default null) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_waiting jsonb := '[]';
    v_key     text;
    v_count   bigint;
begin
    if p_mailout is not null then
        foreach v_key in array aside_keys(p_mailout) loop
            select count(*) into v_count from (
                select from send_logs
                 where (mailout_id, aside, id) > (p_mailout, v_key, 0) and (mailout_id, aside) <= (p_mailout, v_key)
                   and status = 'queued' and aside is not null limit 10001) found;
            v_waiting := v_waiting || jsonb_build_object('key', v_key, 'recipients', v_count);
        end loop;
    end if;
    return jsonb_build_object(
        'now', clock_timestamp(),
        'paces', (select coalesce(jsonb_agg(p order by region, key), '[]')
                    from provider_paces p where until > clock_timestamp()),
        'waiting', v_waiting, 'warmups', list_warmups(),
        'kept', (select region from mailouts where id = p_mailout));
end $$;
