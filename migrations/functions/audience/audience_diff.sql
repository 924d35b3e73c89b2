-- How a mailout's audience differs from the last sent mailout with the same rule; null: there was none. Answers
--   previous            {"id", "subject", "started_at"}
--   before, now         how many got that one, and would get this one
--   added, new          who would get this one and didn't get that: how many, and of them, who came to the list since
--   removed, reasons    who got that one and wouldn't get this: how many, by status, `deleted`, `no_address` or `rule`
--   estimated, sampled  whether these are estimates, and of how many of both they are
-- p_reach: so many people are looked at, of the list and of that mailout's recipients; of more, those with the lowest
-- ids, which are random. How many fit a rule now is counted as at the start, where the rows of a sample lie together
-- and more are needed: by c_counted at least.
create or replace function audience_diff(p_mailout uuid, p_reach bigint default 1000000) returns jsonb
language plpgsql stable set search_path = public, pg_temp set jit = off as $$
declare
    c_counted  constant bigint := 100000;
    v_audience record;
    v_rule     record;
    v_previous mailouts;
    v_before   bigint;
    v_now      jsonb;
    v_to       uuid;      -- of the list: the last id that is looked at
    v_sent_to  uuid;      -- of the recipients
    v_listed   record;
    v_reasons  jsonb;
    v_seen     bigint;
    v_kept     bigint;
    v_scale    double precision;
    v_count    bigint;
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
    v_to := id_at(p_reach::double precision / greatest(subscribers_in(null), 1));
    v_sent_to := id_at(p_reach::double precision / greatest(v_before, 1));

    execute format($query$
        select count(*) filter (where fits) as fitting, count(*) filter (where fits and created_at > $3) as new
          from (select s.created_at, s.status = 'active' and s.address is not null and (%s) as fits
                  from subscribers s where s.id <= $2) looked_at
        $query$, v_rule.condition) into v_listed using v_rule.bound, v_to, v_previous.started_at;
    execute format($query$
        select jsonb_object_agg(reason, n), coalesce(sum(n), 0), coalesce(sum(n) filter (where reason = 'kept'), 0)
          from (select case when s.id is null then 'deleted' when s.status <> 'active' then s.status
                            when s.address is null then 'no_address' when %s then 'kept' else 'rule' end as reason,
                       count(*) as n
                  from send_logs l left join subscribers s on s.id = l.subscriber_id
                 where l.mailout_id = $2 and l.subscriber_id <= $3 and not l.is_test
                   and l.status not in ('skipped', 'cancelled')
                 group by 1) reasons
        $query$, v_rule.condition) into v_reasons, v_seen, v_kept using v_rule.bound, v_previous.id, v_sent_to;

    if v_to = id_at(1) then
        v_count := v_listed.fitting;
    else
        v_now := count_rule(v_audience.rule, v_audience.at, v_audience.zone, greatest(p_reach, c_counted));
        v_count := (v_now ->> 'fitting')::bigint - coalesce((v_now ->> 'unusable')::bigint, 0);
    end if;
    v_scale := case when v_seen > 0 then v_before::double precision / v_seen else 0 end;
    v_added := greatest(0, v_count - round(v_kept * v_scale)::bigint);
    return jsonb_build_object(
        'previous', jsonb_build_object('id', v_previous.id, 'subject', v_previous.subject,
                                       'started_at', v_previous.started_at),
        'before', v_before, 'now', v_count, 'added', v_added,
        'new', least(v_added, case when v_listed.fitting > 0
            then round(v_listed.new * (v_count::double precision / v_listed.fitting)) else 0 end),
        'removed', round((v_seen - v_kept) * v_scale),
        'reasons', (select coalesce(jsonb_object_agg(key, round(value::bigint * v_scale)), '{}')
                      from jsonb_each_text(v_reasons) where key <> 'kept'),
        'estimated', v_to <> id_at(1) or v_sent_to <> id_at(1),
        'sampled', least(case when v_to = id_at(1) then v_count else v_listed.fitting end, v_seen));
end $$;

-- Below or at which this share of random ids is.
create or replace function id_at(p_share double precision) returns uuid
language sql immutable set search_path = public, pg_temp as $$
    select case when p_share >= 1 then 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                else rpad(lpad(to_hex((p_share * 4294967295)::bigint), 8, '0'), 32, 'f') end::uuid;
$$;
