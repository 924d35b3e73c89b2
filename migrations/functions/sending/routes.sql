-- Routes: the ways out for mail, each with a token bucket and an account of its own (send_rates). A mailout
-- takes every route that is open to it, as each has tokens; it is paused only when none is.

-- Regions of SES: those of p_regions, and of every living sender, which may have others.
create or replace function ses_routes(p_regions jsonb) returns setof text
language sql volatile set search_path = public, pg_temp as $$
    select r from jsonb_array_elements_text(p_regions) r where not is_fallback_route(r)
    union
    select r from executors e, jsonb_object_keys(
               case when e.routes = '{}' then jsonb_build_object(e.region, null) else e.routes end) r
     where is_alive(e) and not is_fallback_route(r);
$$;

-- Those of p_routes (names), the regions of all other senders, and the provider whose turn it is, whichever process
-- has it, by which this mailout could be sent now.
create or replace function open_routes(p_mailout uuid, p_routes jsonb) returns text[]
language sql volatile set search_path = public, pg_temp as $$
    select coalesce(array_agg(s.region order by s.region), '{}')
      from (select region from ses_routes(p_routes) region
            union all select p from fallback_route() p where p is not null) asked
      join mailouts m on m.id = p_mailout and coalesce(m.region, asked.region) = asked.region
      join send_rates s on s.region = asked.region
     where s.rate > 0 and not account_is_stopped(s.account) and coalesce(quota_left(s), 1) >= 1
       and not is_blocked(p_mailout, s.region);
$$;

create or replace function is_blocked(p_mailout uuid, p_region text) returns boolean
language sql volatile set search_path = public, pg_temp as $$
    select exists (select from mailout_blocks
                    where mailout_id = p_mailout and region = p_region and until > clock_timestamp());
$$;

-- What GetAccount said: SES sends nothing for it. false while nothing is known.
create or replace function account_is_stopped(p_account jsonb) returns boolean language sql immutable as $$
    select coalesce(not (p_account ->> 'sending_enabled')::boolean
                    or p_account ->> 'enforcement_status' = 'SHUTDOWN', false);
$$;

-- Mails of today's quota that are left; null: unlimited, or not known.
create or replace function quota_left(s send_rates) returns double precision language sql immutable as $$
    select case when (s.account ->> 'max_24h_send')::double precision >= 0
                then (s.account ->> 'max_24h_send')::double precision
                     - (s.account ->> 'sent_last_24h')::double precision - s.taken_since_check end;
$$;

-- A route can't send this mailout for now: leave it to the others of p_routes, or pause it when none is
-- open. The block ends with the route's next good account check (resume_waiting_mailouts), after a minute
-- at the latest.
create or replace function block_route(
    p_mailout uuid, p_region text, p_code text, p_reason text, p_routes jsonb)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
begin
    -- Locked as pause_mailout does, so that of two routes that are blocked at once the second one sees it.
    -- One that is kept to another route doesn't mind.
    perform from mailouts where id = p_mailout and status = 'sending' and coalesce(region, p_region) = p_region
        for no key update;
    if not found then
        return mailout_transition(p_mailout, false);
    end if;
    insert into mailout_blocks as b (mailout_id, region, code, reason, until)
    values (p_mailout, p_region, p_code, p_reason, clock_timestamp() + interval '1 minute')
    on conflict (mailout_id, region) do update
       set code = excluded.code, reason = excluded.reason, until = excluded.until;
    if cardinality(open_routes(p_mailout, p_routes)) > 0 then
        return mailout_transition(p_mailout, false);
    end if;
    return pause_mailout(p_mailout, p_code, p_reason);
end $$;

-- Hold a mailout that is kept to a route which no living sender has, so that it doesn't wait unseen. Not yet when
-- somebody asked SES for that route's account within three minutes: who has it may only be restarting.
create or replace function hold_without_route(p_mailout uuid, p_reason text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    if exists (select from mailouts m join executors e on e.region = m.region or e.routes ? m.region
                where m.id = p_mailout and is_alive(e))
       or exists (select from mailouts m join send_rates s on s.region = m.region
                   where m.id = p_mailout and s.account_checked_at > clock_timestamp() - interval '3 minutes') then
        return mailout_transition(p_mailout, false);
    end if;
    return pause_mailout(p_mailout, 'held', p_reason);
end $$;

-- Say on every mailout that may take any route why it waits (p_reason), where nobody can send it, and no longer
-- where somebody can. p_routes: those of the sender that asks; p_silent: which of them do not answer. How the others
-- are, their senders have told. Only words of this function and of note_waiting are replaced.
create or replace function note_silence(p_reason text, p_routes jsonb, p_silent jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    with waits as (
        select m.id, not exists (select from unnest(open_routes(m.id, p_routes)) r
                                  where not p_silent ? r and (p_routes ? r or route_answers(r))) as all_wait
          from mailouts m where m.status = 'sending' and m.region is null
    ), theirs as (
        select m.id, case when w.all_wait then p_reason end as reason
          from mailouts m join waits w using (id)
         where m.status = 'sending' and (m.status_reason is null or m.status_reason like 'Waiting for SES%')
           and m.status_reason is distinct from case when w.all_wait then p_reason end
         order by m.id for no key update of m
    ), noted as (
        update mailouts m set status_reason = t.reason from theirs t where m.id = t.id
        returning 1)
    select to_jsonb(count(*)) from noted;
$$;

-- Whether a route answers, as far as its senders have told: false when it is silent for all of them.
create or replace function route_answers(p_route text) returns boolean
language sql volatile set search_path = public, pg_temp as $$
    select coalesce(min(route_breaker(e, p_route)), 'closed') = 'closed'
      from executors e where is_alive(e) and sends_by(e, p_route);
$$;
