-- How a mailout's audience differs from the last sent mailout with the same rule; null: there was none. Answers
--   previous            {"id", "subject", "started_at"}
--   before, now         how many got that one, and would get this one
--   added, new          who would get this one and didn't get that: how many, and of them, who came to the list since
--   removed, reasons    who got that one and wouldn't get this: how many, by status, `deleted`, `no_address` or `rule`
--   estimated, each     whether these are estimates; for how many each of those found who came, and who left, stands
--                       (1: they are counted)
-- p_reach: so many people are looked at, of the list (where a tag is needed, of those who have it) and of that mailout's
-- recipients. Of more, those in the same ranges of ids all over both (within_share): so the same answer comes again, and
-- who came is found as who left is, and not as the difference of two counts.
create or replace function audience_diff(p_mailout uuid, p_reach bigint default 1000000) returns jsonb
language plpgsql stable set search_path = public, pg_temp set jit = off
set enable_seqscan = off   -- but where all are read, see below
-- As count_spread: those who got something are kept by hash however many they are.
set work_mem = '64MB' set hash_mem_multiplier = 100 as $$
declare
    c_as_many constant integer := 4;   -- where so many times as many are in the same ranges, each is looked up instead
    v_listed   constant bigint := subscribers_in(null);
    v_audience record;
    v_rule     record;
    v_previous mailouts;
    v_before   bigint;
    v_tags     text[];
    v_among    bigint;             -- so many may fit
    v_share    double precision;   -- of these that are looked at
    v_sent     double precision;   -- of the recipients
    v_found    record;
    v_left     record;
    v_scale    double precision;
    v_removed  bigint;
    v_added    bigint;
begin
    select p.* into v_previous from mailouts m join mailouts p
        on nullif(p.audience, '{}') is not distinct from nullif(m.audience, '{}') and p.id <> m.id
     where m.id = p_mailout and p.status = 'sent' order by p.started_at desc limit 1;
    if v_previous.id is null or exists (select from shrunk_mailouts where mailout_id = v_previous.id) then
        return null;
    end if;
    select * into v_audience from mailout_audience(p_mailout);
    select * into v_rule from compile_audience(v_audience.rule, '$1', v_audience.at, v_audience.zone);
    p_reach := least(p_reach, affordable(v_rule.cost));
    v_before := recipients_in(v_previous.id, null) - recipients_in(v_previous.id, '{skipped,cancelled}');
    v_tags := needed_tags(v_audience.rule);
    v_among := case when v_tags is null then v_listed else least(v_listed, tagged(v_tags)) end;
    v_share := least(1, p_reach::double precision / greatest(v_among, 1));
    v_sent := least(1, p_reach::double precision / greatest(v_before, 1));

    select * into v_rule from compile_audience(v_audience.rule, '$1', v_audience.at, v_audience.zone, p_within =>
        case when v_share < 1 and v_among * c_as_many >= v_listed then within_share(v_share) end);
    perform set_config('enable_seqscan', case when v_share < 1 or v_tags is not null then 'off' else 'on' end, true);
    execute format($query$
        select count(*) as fitting, count(*) filter (where came) as added,
               count(*) filter (where came and created_at > $3) as new
          from (select created_at, %1$s as came
                  from (select id, created_at from subscribers s
                         where %2$s and %3$s and s.status = 'active' and s.address is not null and (%4$s) offset 0) s) fitting
        $query$,
        case when v_before <= v_among * c_as_many then 's.id not in (select l.subscriber_id from send_logs l where '
                || format(within_share(v_share), 'l.subscriber_id')
             else '0 = (select count(*) from send_logs l where l.subscriber_id = s.id' end
            || ' and l.mailout_id = $2 and l.subscriber_id is not null and not l.is_test and l.status not in (''skipped'', ''cancelled''))',
        format(within_share(v_share), 's.id'), case when v_tags is null then 'true' else 's.tags && $4' end,
        v_rule.condition)
       into v_found using v_rule.bound, v_previous.id, v_previous.started_at, v_tags;

    select * into v_rule from compile_audience(v_audience.rule, '$1', v_audience.at, v_audience.zone, p_within =>
        case when v_sent < 1 and v_before * c_as_many >= v_listed then within_share(v_sent) end);
    perform set_config('enable_seqscan', case when v_sent < 1 then 'off' else 'on' end, true);
    execute format($query$
        select jsonb_object_agg(reason, n) as reasons, coalesce(sum(n), 0) as seen,
               coalesce(sum(n) filter (where reason = 'kept'), 0) as kept
          from (select case when s.id is null then 'deleted' when s.status <> 'active' then s.status
                            when s.address is null then 'no_address' when %s then 'kept' else 'rule' end as reason,
                       count(*) as n
                  from send_logs l left join subscribers s on s.id = l.subscriber_id and %s
                 where l.mailout_id = $2 and %s and not l.is_test and l.status not in ('skipped', 'cancelled')
                 group by 1) reasons
        $query$, v_rule.condition, format(within_share(v_sent), 's.id'), format(within_share(v_sent), 'l.subscriber_id'))
       into v_left using v_rule.bound, v_previous.id;

    v_scale := case when v_left.seen > 0 then v_before::double precision / v_left.seen else 0 end;
    v_removed := round((v_left.seen - v_left.kept) * v_scale);
    v_added := round(v_found.added / v_share);
    return jsonb_build_object(
        'previous', jsonb_build_object('id', v_previous.id, 'subject', v_previous.subject,
                                       'started_at', v_previous.started_at),
        'before', v_before,
        'now', case when v_audience.rule is null then subscribers_in('{active}') - unusable_actives()   -- kept counts
                    when v_share < 1 then v_before - v_removed + v_added else v_found.fitting end, 'added', v_added,
        'new', round(v_found.new / v_share), 'removed', v_removed,
        'reasons', (select coalesce(jsonb_object_agg(key, round(value::bigint * v_scale)), '{}')
                      from jsonb_each_text(v_left.reasons) where key <> 'kept'),
        'estimated', v_share < 1 or v_sent < 1,
        'each', jsonb_build_object('came', 1 / v_share, 'left',
            case when v_sent < 1 then v_before::double precision / greatest(v_left.seen, 1) else 1 end));
end $$;

-- Below or at which this share of random ids is.
create or replace function id_at(p_share double precision) returns uuid
language sql immutable set search_path = public, pg_temp as $$
    select case when p_share >= 1 then 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                else rpad(lpad(to_hex((p_share * 4294967295)::bigint), 8, '0'), 32, 'f') end::uuid;
$$;

-- What holds of this share of ids, with %1$s for the id: ranges all over them. Ids are random, but a mailout that is under
-- way, or was cancelled, has gone to the lowest.
create or replace function within_share(p_share double precision, p_ranges integer default 64) returns text
language sql immutable set search_path = public, pg_temp as $$
    -- 64: so an estimate may be off by a 128th of the list where a mailout has ended.
    select case when p_share >= 1 then 'true' else '(' || string_agg(
               format('%%1$s > %L and %%1$s <= %L', id_at((n - p_share / 2) / p_ranges), id_at((n + p_share / 2) / p_ranges)),
               ' or ') || ')' end
      from (select k - 0.5::double precision as n from generate_series(1, p_ranges) k) middles;
$$;
