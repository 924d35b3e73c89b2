-- By which route a mailout's mails left. A mail counts once, when it is proven that a route accepted it: by the answer
-- (record_results.sql), or by an event that came before the answer, or instead of it. A recipient who was mailed again
-- counts for each mail.

-- Without settings of its own PostgreSQL inlines it: it runs twice for every event.
create or replace function is_accepted(p_status text) returns boolean
language sql immutable as $$
    select p_status in ('sent', 'delivered', 'bounced', 'complained');
$$;

-- p_attempts: of mails that events proved accepted, one entry for each mail.
create or replace function count_proven(p_attempts uuid[]) returns void
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
begin
    if coalesce(cardinality(p_attempts), 0) = 0 then
        return;
    end if;
    insert into route_counts as c
    select b.mailout_id, b.region, pg_backend_pid(), sum(p.n)
      from (select attempt_id, count(*) as n from unnest(p_attempts) attempt_id group by attempt_id) p
      join (select attempt_id, mailout_id, region from send_batches where attempt_id = any (p_attempts)) b using (attempt_id)
     group by b.mailout_id, b.region
    on conflict (mailout_id, region, connection) do update set accepted = c.accepted + excluded.accepted;
end $$;

-- {"eu-west-1": {"accepted", "unknown"}}: mails that each route accepted, and recipients of whom nobody knows yet whether
-- it did. `unknown` is null where more than c_reach failed and unknown recipients would have to be looked through.
create or replace function mailout_routes(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    c_reach    constant bigint := 10000;
    v_counted  boolean := true;
    v_attempts uuid[] := '{}';
    v_unknown  jsonb := '{}';
begin
    if recipients_in(p_mailout, '{unknown}') > 0 then
        v_counted := recipients_in(p_mailout, '{failed,unknown}') <= c_reach;
        if v_counted then
            v_attempts := array(
                select attempt_id from (select attempt_id, status from send_logs
                                         where (mailout_id, id) > (p_mailout, 0) and mailout_id <= p_mailout
                                           and status in ('failed', 'unknown') and not is_test
                                         order by mailout_id, id) missed
                 where status = 'unknown' and attempt_id is not null);
        end if;
    end if;
    if v_attempts <> '{}' then
        select jsonb_object_agg(region, n) into v_unknown
          from (select b.region, sum(u.n) as n
                  from (select attempt_id, count(*) as n from unnest(v_attempts) attempt_id group by attempt_id) u
                  join (select attempt_id, region from send_batches where attempt_id = any (v_attempts)) b using (attempt_id)
                 group by b.region) by_route;
    end if;
    return (
        select coalesce(jsonb_object_agg(region, jsonb_build_object(
                   'accepted', accepted,
                   'unknown', case when v_counted then coalesce((v_unknown ->> region)::bigint, 0) end)), '{}')
          from (select region, sum(accepted) as accepted
                  from (select region, accepted from route_counts where mailout_id = p_mailout
                        union all select jsonb_object_keys(coalesce(v_unknown, '{}')), 0) each
                 group by region) routes);
end $$;
