-- The rule. Every sender that has providers asks this every other second; one decides at a time, for all.
-- p_providers: in order. p_regions: those of SES. p_after: seconds for which no region can send before it is
-- opened; 0: never by itself. p_settled: seconds for which a region must be able to before that counts as over.
-- p_notices: what the owner is told, by change and provider; p_ways: how (owner_news.sql).
-- Answers {"provider", "change", "reason", "resumed"}: whose turn it is, and what was changed now: `opened`,
-- `closed`, `handed_on` (to the next provider), or null; mailouts that go on.
create or replace function watch_fallback(
    p_providers jsonb, p_regions jsonb, p_after double precision, p_settled double precision,
    p_notices jsonb default '{}', p_ways jsonb default '[]')
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_now     timestamptz := clock_timestamp();
    v_settled interval := make_interval(secs => p_settled);
    v_watch   fallback_watch;
    v_last    fallback_changes;
    v_ses     jsonb;
    v_change  text;
    v_trouble text;
    v_next    text;
begin
    select * into v_watch from fallback_watch for update skip locked;
    if not found then   -- somebody else decides just now
        return jsonb_build_object('provider', fallback_provider(), 'change', null, 'reason', null, 'resumed', '[]'::jsonb);
    end if;
    v_ses := ses_outlook(p_regions);
    if v_watch.seen_at is null or v_watch.seen_at < v_now - greatest(v_settled, interval '1 minute') then
        v_watch.down_since := null;   -- nobody watched: what was seen before proves nothing
        v_watch.up_since := null;
    end if;
    v_watch.seen_at := v_now;
    if v_ses ->> 'state' = 'down' then
        v_watch.down_since := coalesce(v_watch.down_since, v_now);
        v_watch.down_at := v_now;
        v_watch.up_since := null;
    elsif v_ses ->> 'state' = 'up' then
        v_watch.up_since := coalesce(v_watch.up_since, v_now);
        if v_watch.up_since <= v_now - v_settled then
            v_watch.down_since := null;
        end if;
    end if;
    update fallback_watch set seen_at = v_watch.seen_at, down_since = v_watch.down_since,
           down_at = v_watch.down_at, up_since = v_watch.up_since where id;

    select * into v_last from fallback_changes order by id desc limit 1;
    if v_last.provider is null then
        -- After a person closed it, only for an outage that began later.
        if p_after > 0 and v_ses ->> 'state' = 'down'
           and v_watch.down_since <= v_now - make_interval(secs => p_after)
           and (v_last.id is null or v_last."by" is null or v_watch.down_since > v_last.at) then
            insert into fallback_changes (provider, reason) values (p_providers ->> 0, v_ses ->> 'reason') returning * into v_last;
            v_change := 'opened';
        end if;
    -- What a person opened although SES could send stays open until SES couldn't, and can again.
    elsif v_watch.up_since <= v_now - v_settled and (v_last."by" is null or v_watch.down_at >= v_last.at - v_settled) then
        insert into fallback_changes (reason) values ('SES can send again.') returning * into v_last;
        v_change := 'closed';
    else
        v_next := provider_after(v_last.provider, p_providers);
        -- One that nobody has any more is known by a sender that lives and has the next: not while all restart.
        v_trouble := coalesce(provider_trouble(v_last.provider), case
            when fallback_route() is null and exists (select from executors e where sends_by(e, v_next) and is_alive(e))
            then 'No process that sends names it in FALLBACK_PROVIDERS.' end);
        if v_trouble is not null and v_next is not null and v_last.at <= v_now - least(v_settled, interval '1 minute') then
            insert into fallback_changes (provider, by, reason) values (v_next, v_last."by", v_trouble) returning * into v_last;
            v_change := 'handed_on';
        end if;
    end if;
    if v_change is not null then
        perform add_owner_news('fallback', 'fallback', jsonb_build_object(
                    'headline', p_notices -> coalesce(v_last.provider, ''), 'lines', jsonb_build_array(v_last.reason)), p_ways);
    end if;
    return jsonb_build_object('provider', v_last.provider, 'change', v_change, 'reason', v_last.reason,
                              'resumed', resume_for_fallback());
end $$;

-- Whether SES can send, as the senders see it, in any of these regions: {"state", "reason"}; state: `down` (none
-- can), `up` (one can), null (not known now). A breaker that is half open is neither: the next call tells. When
-- it stays so because nobody is to be mailed, an answer to GetAccount is enough. A region whose quota is used up
-- is no outage, but can't send for the others either: it counts as down where another one is.
create or replace function ses_outlook(p_regions jsonb) returns jsonb
language sql volatile set search_path = public, pg_temp as $$
    with seen as (
        select r.region, coalesce(account_is_stopped(s.account), false) as stopped,
               coalesce(quota_left(s) < 1, false) as spent,
               s.account_checked_at > clock_timestamp() - interval '3 minutes' as answered,
               array(select case when route_breaker(e, r.region) = 'closed' and not is_proved(e, r.region)
                                 then 'half_open' else route_breaker(e, r.region) end
                       from executors e
                      where is_alive(e) and sends_by(e, r.region) and route_breaker(e, r.region) is not null) as breakers
          from ses_routes(p_regions) r (region) left join send_rates s on s.region = r.region
    ), judged as (
        select region, stopped, spent,
               stopped or 'open' = any (breakers) and not 'closed' = any (breakers) as down,
               not stopped and not spent and ('closed' = any (breakers)
                                or answered and cardinality(breakers) > 0 and not 'open' = any (breakers)) as up
          from seen
    )
    select jsonb_build_object(
        'state', case when bool_or(up) then 'up' when bool_and(down or spent) and bool_or(down) then 'down' end,
        'reason', 'SES can''t send: ' || string_agg(
            case when stopped then 'it lets the account send nothing in '
                 when down then 'it does not answer in ' else 'the daily quota is used up in ' end || region,
            ', ' order by region) filter (where down or spent) || '.')
      from judged;
$$;

-- Whether a sender's last call by a route was answered: the breaker of one that has just started is closed, too.
create or replace function is_proved(e executors, p_route text) returns boolean
language sql immutable set search_path = public, pg_temp as $$
    select coalesce((e.state -> 'routes' -> p_route ->> 'proved')::boolean, true);
$$;

-- How a sender's circuit breaker for a route stands: closed, half_open, open; null: it hasn't said.
create or replace function route_breaker(e executors, p_route text) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case when e.state ? 'routes' then e.state -> 'routes' -> p_route ->> 'breaker'
                when e.region = p_route then e.state ->> 'breaker' end;
$$;

-- Why a provider can't send now, whatever the mailout; null: it can, or nobody has tried.
create or replace function provider_trouble(p_provider text) returns text
language sql volatile set search_path = public, pg_temp as $$
    select coalesce(
        (select reason from mailout_blocks
          where region = p_provider and code = 'account' and until > clock_timestamp() order by until desc limit 1),
        (select 'It does not answer.' from executors e
          where is_alive(e) and route_breaker(e, p_provider) is not null
         having bool_or(route_breaker(e, p_provider) = 'open')
            and not bool_or(route_breaker(e, p_provider) = 'closed')));
$$;

-- The next in order, after the last the first; null: there is none that didn't fail within ten minutes. Failed has
-- who had to hand on; whose turn ended as SES could send again has not.
create or replace function provider_after(p_provider text, p_providers jsonb) returns text
language sql volatile set search_path = public, pg_temp as $$
    with asked as (select name, n from jsonb_array_elements_text(p_providers) with ordinality as a (name, n)),
         here as (select coalesce((select n from asked where name = p_provider), 0) as n)
    select name from asked, here
     where name <> p_provider
       and not exists (select from fallback_changes c
                        where c.provider = name and c.at > clock_timestamp() - interval '10 minutes'
                          and (select next.provider from fallback_changes next
                                where next.id > c.id order by next.id limit 1) is not null)
     order by asked.n < here.n, asked.n limit 1;
$$;

-- Mailouts that are paused because SES can't send them, and that the provider can. Answers their ids.
create or replace function resume_for_fallback() returns jsonb
language sql set search_path = public, pg_temp as $$
    with resumed as (
        update mailouts m set status = 'sending', pause_code = null, status_reason = null
          from fallback_route() p
         where m.status = 'paused' and m.pause_code in ('account', 'quota') and coalesce(m.region, p) = p
           and not is_blocked(m.id, p)
        returning m.id)
    select coalesce(jsonb_agg(id), '[]') from resumed;
$$;
