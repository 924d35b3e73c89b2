-- Whom a rule addresses: active subscribers who fit it. compile.sql says who fits.

-- Of the active subscribers, how many fit a rule (without segments): {"fitting", "unusable" (of them, without an address
-- that can be mailed), "estimated", "sample": addresses of some of the others}; an estimate by people all over the list
-- has "between", where the number of the others is, to two standard deviations.
-- Without a rule the kept count is the answer (recipient_counts.sql). Where a tag is needed that few have, those are
-- looked at (by the index of tags). Else everybody is, in a list of at most p_exact (fewer where the ledger is asked);
-- of a larger one a sample of so many gives an estimate, which is never 0: who is really there is found when the
-- audience is queued. p_error: a smaller sample will do if the estimate's standard deviation is at most this share of it;
-- with a small p_exact (up to c_spread) so many are looked at once, of those with the tag where one is needed.
drop function if exists count_rule(jsonb, timestamptz, text, bigint, integer);
create or replace function count_rule(
    p_rule jsonb, p_at timestamptz, p_zone text, p_exact bigint default 1000000, p_sample integer default 0,
    p_error double precision default null)
returns jsonb language plpgsql stable set search_path = public, pg_temp set jit = off as $$
declare
    c_early  constant integer := 20000;   -- a sample is looked for among so many first
    c_dear   constant integer := 100;     -- a rule about what people got or did
    c_spread constant integer := 40000;   -- so many people are looked at one by one; more lie together in pages
    c_lookups constant integer := 1500000; -- a rule's cost times people, each looked up in all mailouts: 30 to 50 ms
    c_tagged constant integer := 250000;  -- so many with a tag are found in 20 ms by the index of tags
    v_quick  constant boolean := p_error is not null and p_exact <= c_spread;
    v_listed constant bigint := subscribers_in(null);
    v_tags   text[] := needed_tags(p_rule);
    v_tagged constant bigint := case when v_tags is not null then tagged(v_tags) end;
    v_seldom boolean;                     -- so few have the tag that each of them is looked up
    v_rule   record;
    v_sample text[] := '{}';
    v_exact  bigint := case when p_rule ? 'tags' and not v_quick then greatest(p_exact, 1000000) else p_exact end;
    v_among  bigint := v_listed;          -- among so many those who fit are looked for
    v_part   double precision := 1;       -- of these that is looked at
    v_share  double precision;
    v_between jsonb;
    v_sizes  bigint[] := '{}';            -- of samples by id that are tried, one after the other
    v_enough boolean := false;
    v_found  record;
begin
    select * into v_rule from compile_audience(p_rule, '$1', p_at, p_zone);
    v_exact := least(v_exact, affordable(v_rule.cost));
    v_seldom := v_tagged <= c_tagged
        and not (v_quick and least(v_tagged, greatest(v_exact, 1000)) * v_rule.cost::bigint > c_lookups);
    if p_rule is null or p_rule in ('{}', 'null') then
        return jsonb_build_object('fitting', subscribers_in('{active}'), 'estimated', false, 'unusable', unusable_actives(),
            'sample', early_addresses(v_rule.condition, v_rule.bound, p_sample, c_early));
    elsif v_seldom and v_tagged <= greatest(least(v_listed / 4, c_tagged, case when v_quick then v_exact end), 1000) or p_rule ? 'tags' and v_listed <= v_exact then
        select * into v_found from count_tagged(v_tags, v_rule.condition, v_rule.bound, p_sample);
        v_sample := v_found.sample;
    else
        if v_quick and v_tagged < v_listed then
            v_among := v_tagged;
        else
            v_tags := null;
        end if;
        v_part := least(1, v_exact::double precision / greatest(v_among, 1));
        if v_tags is not null and not v_seldom then
            v_part := least(v_part, 2 * v_exact::double precision / v_listed);
        end if;
        if v_part < 1 and p_error is not null and not v_quick then
            v_sizes := array(select size from unnest('{2500,10000,40000}'::bigint[]) size where size < v_exact);
        end if;
        if v_rule.cost >= c_dear or v_quick then
            v_sizes := v_sizes || least(v_exact, v_among, case when v_part < 1 and p_error is not null then 100000 end);
        end if;
        for n in 1 .. cardinality(v_sizes) loop
            v_share := case when v_part < 1 or n > 1 then v_sizes[n]::double precision / v_among else 1 end;
            -- Those with a frequent tag are found among others, of whom only as many again are looked at.
            if v_tags is not null and not v_seldom then
                v_share := least(v_share, 2 * v_exact::double precision / v_listed);
            end if;
            select * into v_found from count_spread(
                p_rule, p_at, p_zone, v_share, p_sample, v_tags, v_seldom,
                greatest(case when v_quick then 4 else 8 end, least(64, 160000 / greatest(v_rule.cost, 1))));
            v_sample := v_found.sample;
            v_enough := n = cardinality(v_sizes) and (v_rule.cost >= c_dear or v_quick) or v_found.seen >= v_exact or coalesce(
                v_found.fitting * p_error ^ 2 >= 1 - v_found.fitting / greatest(v_found.seen, 1)::double precision, false);
            exit when v_enough;
        end loop;
        if not v_enough then
            if p_sample > 0 then
                v_sample := early_addresses(v_rule.condition, v_rule.bound, p_sample, c_early);
            end if;
            -- Addresses are only collected where few were found: then few fit.
            execute format($query$
                select count(*) as seen, count(*) filter (where fits) as fitting,
                       count(*) filter (where fits and address is null) as unusable,
                       (array_agg(address) filter (where fits and $2))[:$3] as sample
                  from (select s.address, s.status = 'active' and (%s) as fits from subscribers s %s) looked_at
                $query$, v_rule.condition,
                -- The same pages each time, and so the same answer.
                case when v_part < 1 then format('tablesample system (%s) repeatable (0)', round((100 * v_part)::numeric, 6)) end)
               into v_found using v_rule.bound, cardinality(v_sample) < p_sample, p_sample;
            v_sample := case when cardinality(v_sample) < p_sample then v_found.sample else v_sample end;
        end if;
        if v_part = 1 then
            null;
        elsif cardinality(v_tags) > 1 then
            v_part := v_share;   -- somebody with two of the tags counts twice in v_among
        else
            v_part := greatest(v_found.seen, 1)::double precision / v_among;   -- nobody, where ids aren't random
        end if;
        if v_part < 1 and v_enough then
            -- With two tags it isn't known of how many a part was seen: how many is then as uncertain as which.
            v_between := case when cardinality(v_tags) > 1
                then between_counts(v_found.fitting - v_found.unusable, v_part, v_listed, 'infinity')
                else between_counts(v_found.fitting - v_found.unusable, v_part, v_among, v_found.seen) end;
        end if;
    end if;
    return jsonb_build_object(
        'fitting', case when v_part < 1 then least(v_listed, greatest(1, round(v_found.fitting / v_part))) else v_found.fitting end,
        'unusable', case when v_part < 1 then round(v_found.unusable / v_part) else v_found.unusable end,
        'estimated', v_part < 1,
        'sample', to_jsonb(array_remove(coalesce(v_sample, '{}'), null)))
        || case when v_between is null then '{}' else jsonb_build_object('between', v_between) end;
end $$;

-- [at least, at most] of so many, when p_found of p_seen were, in this part of them: two standard deviations (Wilson's
-- interval, which also says something when none or all were).
drop function if exists between_counts(bigint, double precision, bigint);
create or replace function between_counts(p_found bigint, p_part double precision, p_of bigint, p_seen double precision)
returns jsonb language sql immutable set search_path = public, pg_temp as $$
    select jsonb_build_array(
               least(p_of, greatest(p_found, floor((p_found + 2 - margin) / (1 + 4 / seen) / p_part)))::bigint,
               least(p_of, ceil((p_found + 2 + margin) / (1 + 4 / seen) / p_part))::bigint)
      from (select seen, 2 * sqrt(greatest(0, p_found * (1 - p_found / seen)) + 1) as margin
              from (select greatest(p_seen, p_found, 1)) s (seen)) m;
$$;

-- How many of this share of the list fit a rule, of a part those in ranges of ids all over it (within_share). In the order
-- of ids what they got and did is read at once; and no page of the table holds neighbours who came together, as in a
-- sample of pages.
-- p_tags: only of those who have one of these; p_seldom: who are so few that the index of tags finds them sooner than a
-- look at everybody in the ranges. p_ranges: about many mailouts fewer do, since each is looked up for each
-- of them.
drop function if exists count_spread(jsonb, timestamptz, text, double precision, integer);
drop function if exists count_spread(jsonb, timestamptz, text, double precision, integer, text[], integer);
drop function if exists count_spread(jsonb, timestamptz, text, double precision, integer, text[], boolean, integer);  -- p_cost
create or replace function count_spread(
    p_rule jsonb, p_at timestamptz, p_zone text, p_share double precision, p_sample integer, p_tags text[],
    p_seldom boolean, p_ranges integer,
    out seen bigint, out fitting bigint, out unusable bigint, out sample text[])
language plpgsql stable set search_path = public, pg_temp set jit = off set enable_seqscan = off
-- However many got something: not kept by hash, each of these people would be compared with all of them.
set work_mem = '64MB' set hash_mem_multiplier = 100 as $$
declare
    v_within constant text := within_share(p_share, p_ranges);
    v_rule   record;
begin
    -- Of few with a tag what they got is looked up for each: in their ranges are many others.
    select * into v_rule
      from compile_audience(p_rule, '$1', p_at, p_zone, p_within => case when p_seldom is not true then v_within end);
    execute format($query$
        select count(*), count(*) filter (where fits), count(*) filter (where fits and address is null),
               (array_agg(address order by id) filter (where fits and address is not null and $2 > 0))[:$2]
          from (select s.id, s.address, s.status = 'active' and (%s) as fits from %s) looked_at
        $query$, v_rule.condition, format(
            case when p_tags is null then 'subscribers s where %s'
                 when p_seldom then 'subscribers s where %s and s.tags && $3'
                 -- `offset 0`: not by the index of tags, which has millions.
                 else '(select * from subscribers where %s offset 0) s where s.tags && $3' end,
            format(v_within, 'id')))
       into seen, fitting, unusable, sample using v_rule.bound, p_sample, p_tags;
end $$;

-- So many people are asked for a condition of this cost within about two seconds.
create or replace function affordable(p_cost integer) returns bigint
language sql immutable set search_path = public, pg_temp as $$
    select case when p_cost < 100 then 1e9 else greatest(2000, 30000000 / p_cost) end::bigint;
$$;

create or replace function unusable_actives() returns bigint
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select count(*) from subscribers where address is null and status = 'active';
$$;

create or replace function early_addresses(
    p_condition text, p_bound text[], p_limit integer, p_reach integer) returns text[]
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
declare
    v_found text[];
begin
    execute format($query$
        select array(select address from (select * from subscribers order by id limit $3) s
                      where status = 'active' and address is not null and (%s) limit $2)
        $query$, p_condition) into v_found using p_bound, p_limit, p_reach;
    return v_found;
end $$;

-- As in count_rule. `offset 0` keeps the conditions apart, so that only the index of tags fits.
create or replace function count_tagged(
    p_tags text[], p_condition text, p_bound text[], p_sample integer,
    out fitting bigint, out unusable bigint, out sample text[], out seen bigint)
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_indexscan = off
set enable_bitmapscan = on as $$
begin
    execute format($query$
        select count(*), count(*) filter (where address is null), (array_agg(address order by id) filter (where $3 > 0))[:$3]
          from (select * from subscribers where tags && $2 offset 0) s
         where s.status = 'active' and (%s)
        $query$, p_condition) into fitting, unusable, sample using p_bound, p_tags, p_sample;
end $$;

-- How many a mailout addresses: {"recipients", "estimated"}. p_exact: as in count_rule.
create or replace function audience_size(p_mailout uuid, p_exact bigint default 1000000) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('recipients', n -> 'fitting', 'estimated', n -> 'estimated')
      from mailout_audience(p_mailout) a, count_rule(a.rule, a.at, a.zone, p_exact, p_error => 0.01) n;
$$;

create or replace function count_audience(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select audience_size(p_mailout) -> 'recipients';
$$;

-- Whom a rule would reach now: {"count", "estimated", "between" (or null), "sample" (addresses), "excluded": {reason: n}}. Everybody on the
-- list is counted once: by their status if it isn't active, else `rule` if they don't fit, `no_address` if they can't be
-- mailed. p_audience: may name segments.
create or replace function preview_audience(
    p_audience jsonb, p_sample integer default 5, p_exact bigint default 1000000) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_size   constant jsonb := count_rule(resolved_audience(p_audience), now(), service_timezone(), p_exact, p_sample, p_error => 0.015);
    v_active constant bigint := subscribers_in('{active}');
begin
    return jsonb_build_object(
        'count', (v_size ->> 'fitting')::bigint - (v_size ->> 'unusable')::bigint,
        'estimated', v_size -> 'estimated', 'between', v_size -> 'between', 'sample', v_size -> 'sample',
        'unknown_tags', unknown_tags(p_audience),
        'excluded', (select coalesce(jsonb_object_agg(reason, n), '{}') from (
            select status as reason, sum(subscribers) as n from subscriber_counts where status <> 'active' group by status
            union all select 'no_address', (v_size ->> 'unusable')::bigint
            union all select 'rule', greatest(0, v_active - (v_size ->> 'fitting')::bigint)) left_out
         where n > 0));
end $$;

-- The tags in a rule, and in its segments, that nobody has.
create or replace function unknown_tags(p_audience jsonb) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(tag order by tag), '[]')
      from (select distinct tag #>> '{}' as tag
              from resolved_audience(p_audience) rule,
                   lateral (select * from jsonb_path_query(rule, '$.**.tags[*]') t (tag)
                            union all select * from jsonb_path_query(rule,
                                '$.** ? (@.field == "tags" && (@.op == "is" || @.op == "contains")).value')) named) tags
     where octet_length(tag) <= 1000 and tagged(array[tag]) = 0;
$$;
