-- What a route may send to each mailbox provider now, kept in the transaction that claims: paces of providers that
-- defer (provider_paces), caps of a warm-up (warmup_days). Claims of one route wait for each other at its row in
-- send_rates, so what they read here nobody else takes.

-- The limits of a route at p_now: {"total": how many in all, null without a warm-up, "until": when that is more,
-- "keys": [{"key", "domains", "pattern", "room", "at"}]}, `at`: when a key's room is more. null: no limit.
-- A paced provider gets at once what fell due in two seconds at most, as a sender looks every second.
create or replace function limits_on(p_region text, p_now timestamptz) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    c_most   constant double precision := 2;   -- seconds
    v_paces  jsonb;
    v_plan   warmups;
    v_day    warmup_days;
    v_caps   jsonb;
begin
    select jsonb_agg(jsonb_build_object(
               'key', key, 'domains', domains, 'pattern', pattern,
               'room', case when next_at > p_now then 0
                            else least(greatest(1, floor(rate * c_most)),
                                       1 + floor(rate * extract(epoch from p_now
                                           - greatest(next_at, p_now - interval '1 hour')))) end,
               'at', greatest(next_at, p_now)))
      into v_paces from provider_paces where region = p_region and until > p_now;

    select * into v_plan from warmups where region = p_region and state = 'running';
    if not found then
        return case when v_paces is not null then jsonb_build_object('total', null, 'keys', v_paces) end;
    end if;
    -- Not locked: whoever gives back to it, and then ends a mailout (record_batches), would wait for this claim's lock of
    -- that mailout, while this claim waits for the day. What is given back counts with the next claim.
    select * into v_day from warmup_days
     where region = p_region and opened_at <= p_now and ends_at > p_now order by day desc limit 1;
    if not found then
        return jsonb_build_object('total', 0, 'until', p_now, 'keys', coalesce(v_paces, '[]'));
    end if;
    -- A provider that has both gets the smaller.
    select jsonb_agg(jsonb_build_object(
               'key', c.key, 'domains', m -> 'domains', 'pattern', m -> 'pattern',
               'room', least(c.value::bigint - coalesce((v_day.used_by ->> c.key)::bigint, 0),
                             (p ->> 'room')::bigint),
               'at', case when c.value::bigint <= coalesce((v_day.used_by ->> c.key)::bigint, 0)
                          then v_day.ends_at else coalesce((p ->> 'at')::timestamptz, p_now) end))
      into v_caps
      from jsonb_each_text(v_day.caps) c
      join jsonb_array_elements(v_plan.mailboxes) m on m ->> 'key' = c.key
      left join jsonb_array_elements(v_paces) p on p ->> 'key' = c.key;
    return jsonb_build_object(
        'total', v_day.cap - v_day.used, 'until', v_day.ends_at,
        'keys', coalesce(v_caps, '[]') || coalesce((
            select jsonb_agg(p) from jsonb_array_elements(v_paces) p where not v_day.caps ? (p ->> 'key')), '[]'));
end $$;

-- Whose limit a domain is under: a key of p_keys (of limits_on), or null.
create or replace function limit_of(p_domain text, p_keys jsonb) returns text
language sql immutable set search_path = public, pg_temp as $$
    select k ->> 'key' from jsonb_array_elements(p_keys) k
     where k -> 'domains' ? p_domain or p_domain ~ (k ->> 'pattern')
     limit 1;
$$;

create or replace function domain_of(p_email text) returns text language sql immutable as $$
    select lower(split_part(p_email, '@', -1));
$$;

-- For which keys somebody of a mailout is set aside. Each is found by a look at the index.
create or replace function aside_keys(p_mailout uuid) returns text[]
language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_keys text[] := '{}';
    v_key  text;
begin
    loop
        select aside into v_key from send_logs
         where (mailout_id, aside) > (p_mailout, coalesce(v_key, '')) and mailout_id <= p_mailout
           and status = 'queued' and aside is not null
         order by mailout_id, aside, id limit 1;
        exit when not found;
        v_keys := v_keys || v_key;
    end loop;
    return v_keys;
end $$;

-- The next p_limit recipients that are due (due_recipients) and may get a mail by this route now: first of those
-- who were set aside, as far as there is room for them, then of the common queue; whoever of that has no room is
-- set aside. limits: as they were, null when none hold, for charge_limits. Where ids is null, `held` says why:
-- {"reason": "limits", "at"}: all wait for more room, until then at least; {"reason": "skipped"}: many were set
-- aside, ask again; null: nobody is due.
create or replace function permitted_recipients(
    p_region text, p_mailout uuid, p_limit integer, p_now timestamptz, p_after bigint, p_test boolean,
    p_canary boolean, p_waves boolean,
    out ids bigint[], out people uuid[], out limits jsonb, out held jsonb)
language plpgsql set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    c_rounds constant integer := 4;
    c_look   constant integer := 500;  -- of whom it looks at, once somebody was set aside
    v_keys   text[];
    v_key    text;
    v_room   bigint;
    v_want   integer := p_limit;
    v_ids    bigint[];
    v_people uuid[];
    v_passed record;
    v_aside  boolean := false;         -- somebody was
begin
    if not p_test then
        limits := limits_on(p_region, p_now);
        v_keys := aside_keys(p_mailout);
    end if;
    if limits is null and coalesce(v_keys, '{}') = '{}' then
        select d.ids, d.people into permitted_recipients.ids, permitted_recipients.people
          from due_recipients(p_mailout, p_limit, p_now, p_after, p_test, p_canary, p_waves) d;
        return;
    end if;
    v_want := least(v_want, (limits ->> 'total')::bigint);
    if v_want <= 0 then
        -- Who is left is left for other routes, and for tomorrow.
        if has_queued(p_mailout) and not (p_canary and not has_queued_canaries(p_mailout)) then
            held := jsonb_build_object('reason', 'limits', 'at', limits -> 'until');
        end if;
        return;
    end if;

    foreach v_key in array v_keys loop
        exit when v_want <= 0;
        select (k ->> 'room')::bigint into v_room
          from jsonb_array_elements(limits -> 'keys') k where k ->> 'key' = v_key;
        v_room := least(v_want, v_room);   -- no row: no limit any more
        continue when v_room <= 0;
        select array_agg(id), array_agg(subscriber_id) into v_ids, v_people from (
            select id, subscriber_id from send_logs
             where (mailout_id, aside, id) > (p_mailout, v_key, 0) and (mailout_id, aside) <= (p_mailout, v_key)
               and status = 'queued' and aside is not null
             order by mailout_id, aside, id limit v_room for update skip locked) waiting;
        continue when v_ids is null;
        select * into v_passed from pass_limits(v_ids, v_people, limits -> 'keys', v_want);
        permitted_recipients.ids := permitted_recipients.ids || v_passed.ids;
        permitted_recipients.people := permitted_recipients.people || v_passed.people;
        limits := jsonb_set(limits, '{keys}', coalesce(v_passed.keys, '[]'));
        v_want := v_want - coalesce(cardinality(v_passed.ids), 0);
    end loop;

    for v_round in 1 .. c_rounds loop
        exit when v_want <= 0;
        select d.ids, d.people into v_ids, v_people
          from due_recipients(p_mailout, case when v_aside then greatest(p_limit, c_look) else p_limit end, p_now, p_after,
                              false, p_canary, p_waves) d;
        exit when v_ids is null;
        select * into v_passed from pass_limits(v_ids, v_people, limits -> 'keys', v_want);
        permitted_recipients.ids := permitted_recipients.ids || v_passed.ids;
        permitted_recipients.people := permitted_recipients.people || v_passed.people;
        limits := jsonb_set(limits, '{keys}', coalesce(v_passed.keys, '[]'));
        v_want := v_want - coalesce(cardinality(v_passed.ids), 0);
        v_aside := v_aside or v_passed.aside > 0;
        exit when v_passed.aside = 0 or p_canary;   -- all passed; those of a canary are read from the start
        p_after := v_ids[cardinality(v_ids)];
    end loop;
    if permitted_recipients.ids is null then
        held := case when v_aside then '{"reason": "skipped"}'
                     when v_keys <> '{}' then jsonb_build_object('reason', 'limits', 'at', (
                         select min((k ->> 'at')::timestamptz) from jsonb_array_elements(limits -> 'keys') k
                          where k ->> 'key' = any (v_keys))) end;
    end if;
end $$;

-- Of these recipients, who are locked, the first p_want for whom there is room. For whom there is none is set aside.
-- keys: p_keys with the room that is left; aside: how many were.
create or replace function pass_limits(
    p_ids bigint[], p_people uuid[], p_keys jsonb, p_want integer,
    out ids bigint[], out people uuid[], out keys jsonb, out aside bigint)
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_none bigint[];
    v_for  text[];
begin
    if coalesce(p_keys, '[]') = '[]' then
        ids := p_ids[:p_want]; people := p_people[:p_want]; keys := '[]'; aside := 0;
        return;
    end if;
    with asked as materialized (
        select id, domain_of(email) as domain from send_logs where id = any (p_ids)
    ), domains as materialized (   -- each is looked up once
        select domain, limit_of(domain, p_keys) as key from (select distinct domain from asked) d
    ), whose as (
        select a.id, d.key from asked a join domains d on d.domain = a.domain
    ), numbered as (
        select g.id, g.person, g.n, w.key, row_number() over (partition by w.key order by g.n) as nth
          from unnest(p_ids, p_people) with ordinality as g (id, person, n) join whose w on w.id = g.id
    ), judged as (
        select n.*, n.key is null or n.nth <= (k.value ->> 'room')::bigint as passes
          from numbered n left join jsonb_array_elements(p_keys) k on k.value ->> 'key' = n.key
    ), taken as materialized (
        select j.*, passes and row_number() over (partition by passes order by n) <= p_want as is_taken from judged j
    )
    select array_agg(id order by n) filter (where is_taken), array_agg(person order by n) filter (where is_taken),
           array_agg(id order by n) filter (where not passes), array_agg(key order by n) filter (where not passes),
           (select jsonb_agg(k.value || jsonb_build_object('room', (k.value ->> 'room')::bigint - (
                       select count(*) from taken j where j.is_taken and j.key = k.value ->> 'key')))
              from jsonb_array_elements(p_keys) k)
      into pass_limits.ids, pass_limits.people, v_none, v_for, pass_limits.keys from taken;
    pass_limits.aside := coalesce(cardinality(v_none), 0);
    if v_none is not null then
        update send_logs l set aside = t.key
          from unnest(v_none, v_for) as t (id, key)
         where l.id = any (v_none) and l.id = t.id and l.aside is distinct from t.key;
    end if;
end $$;

-- Count the recipients among p_ids who were claimed, against the limits that permitted_recipients found.
create or replace function charge_limits(p_region text, p_now timestamptz, p_ids bigint[], p_limits jsonb) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_taken jsonb;
    v_all   bigint;
begin
    if p_limits is null then
        return;
    end if;
    select coalesce(sum(n), 0), sums(array_agg(key), array_agg(n))
      into v_all, v_taken
      from (select limit_of(domain, p_limits -> 'keys') as key, n
              from (select domain_of(email) as domain, count(*) as n from send_logs
                     where id = any (p_ids) and status = 'sending' group by 1) domains) taken;
    update provider_paces p
       set next_at = greatest(p.next_at, p_now - make_interval(secs => 2))
                     + make_interval(secs => (v_taken ->> p.key)::bigint / p.rate)
     where p.region = p_region and v_taken ? p.key;
    if p_limits -> 'total' <> 'null' then
        update warmup_days set used = used + v_all, used_by = plus(used_by, v_taken, caps)
         where region = p_region and opened_at <= p_now and ends_at > p_now;
    end if;
end $$;

-- How many of each key, where one may come several times; null is none.
create or replace function sums(p_keys text[], p_counts bigint[]) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select coalesce(jsonb_object_agg(key, n), '{}')
      from (select key, sum(n) as n from unnest(p_keys, p_counts) as k (key, n) where key is not null group by key) s;
$$;

-- p_a + p_b, of the keys in p_of.
create or replace function plus(p_a jsonb, p_b jsonb, p_of jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select coalesce(jsonb_object_agg(key, coalesce((p_a ->> key)::bigint, 0) + coalesce((p_b ->> key)::bigint, 0)), '{}')
      from jsonb_object_keys(p_of) key;
$$;

-- Give back to the day of a warm-up what an attempt took and certainly wasn't sent: called before its results are
-- recorded, while its rows still say that nobody has recorded them.
create or replace function give_back(p_attempt uuid, p_results jsonb) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off set enable_nestloop = off as $$
declare
    v_batch send_batches;
    v_day   warmup_days;
    v_boxes jsonb;
    v_ids   bigint[];
    v_back  jsonb;
    v_all   bigint;
begin
    select * into v_batch from send_batches where attempt_id = p_attempt;
    select * into v_day from warmup_days
     where region = v_batch.region and opened_at <= v_batch.claimed_at and ends_at > v_batch.claimed_at;
    if not found then
        return;
    end if;
    v_ids := array(select (r ->> 'id')::bigint from jsonb_array_elements(p_results) r
                    where r ->> 'outcome' in ('retry', 'requeue', 'failed'));
    if v_ids = '{}' then
        return;
    end if;
    select mailboxes into v_boxes from warmups where region = v_batch.region;
    select coalesce(sum(n), 0), sums(array_agg(key), array_agg(-n))
      into v_all, v_back
      from (select limit_of(domain, v_boxes) as key, n
              from (select domain_of(email) as domain, count(*) as n from send_logs
                     where id = any (v_ids) and attempt_id = p_attempt and status in ('sending', 'unknown')
                       and not is_test group by 1) domains) back;
    update warmup_days set used = greatest(0, used - v_all), used_by = plus(used_by, v_back, caps)
     where region = v_day.region and day = v_day.day and v_all > 0;
end $$;
