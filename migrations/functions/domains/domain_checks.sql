-- The domains that mail is sent from, and what is seen of them in DNS.

-- The addresses that mailouts of the last 90 days name as their sender, one for each domain, of the 200 domains
-- used last: ["news@example.com"].
create or replace function sender_addresses() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(from_email order by from_email), '[]')
      from (select min(from_email) as from_email from mailouts
             where from_email is not null and created_at > now() - interval '90 days'
             group by lower(split_part(from_email, '@', 2))
             order by max(created_at) desc limit 200) senders;
$$;

-- The domain that is due, held for p_lease_seconds, so that one process looks at it; null: none is.
-- p_senders: [{"domain", "address"}], all that are to be watched. Others, with their alarms, are forgotten two days later. A turn that is
-- further off than any look puts it comes of a clock that was wrong.
create or replace function claim_domain_check(p_senders jsonb, p_lease_seconds double precision) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_found domain_checks;
begin
    insert into domain_checks (domain, address)
    select domain, min(address) from jsonb_to_recordset(p_senders) as s (domain text, address text)
     group by domain order by domain
    on conflict (domain) do nothing;
    delete from domain_checks
     where next_at < clock_timestamp() - interval '2 days'
       and domain not in (select s.domain from jsonb_to_recordset(p_senders) as s (domain text));
    update domain_checks d
       set claims = claims + 1, next_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
           address = (select min(s.address) from jsonb_to_recordset(p_senders) as s (domain text, address text)
                       where s.domain = d.domain)
     where domain = (select c.domain from domain_checks c
                      join jsonb_to_recordset(p_senders) as s (domain text) on s.domain = c.domain
                      where c.next_at not between clock_timestamp() and clock_timestamp() + interval '2 days'
                      order by c.next_at, c.domain limit 1 for update of c skip locked)
    returning * into v_found;
    if not found then
        return null;
    end if;
    return jsonb_build_object('domain', v_found.domain, 'address', v_found.address, 'claim', v_found.claims,
                              'watched', v_found.watched);
end $$;

-- What was seen. p_notice: what the owner is to be told, by each of p_ways; null: nothing.
-- Answers whether it was kept: not, where another process has looked since.
create or replace function save_domain_check(
    p_domain text, p_claim bigint, p_result jsonb, p_next_seconds double precision, p_notice jsonb, p_ways jsonb)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
begin
    update domain_checks
       set checked_at = clock_timestamp(), next_at = clock_timestamp() + make_interval(secs => p_next_seconds),
           asked = (p_result->>'asked')::boolean, looks = p_result->'looks', watched = p_result->'watched'
     where domain = p_domain and claims = p_claim;
    if not found then
        return to_jsonb(false);
    end if;
    perform add_owner_news(p_domain, 'domain', p_notice, p_ways);
    return to_jsonb(true);
end $$;

-- Every domain that is watched, those with alarms first.
create or replace function list_domain_checks() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(to_jsonb(c) - 'claims' order by jsonb_array_length(coalesce(watched->'alarms', '[]')) desc, domain), '[]')
      from domain_checks c;
$$;

-- Have one looked at before all others. Answers whether it is watched.
create or replace function ask_domain_check(p_domain text) returns jsonb
language sql set search_path = public, pg_temp as $$
    with asked as (
        update domain_checks set next_at = least(next_at, clock_timestamp() - interval '1 day') where domain = p_domain returning 1)
    select to_jsonb(exists (select from asked));
$$;

-- The alarms, for health: {"domains", "alarms": [{"domain", "what"}]}; null: none was looked at yet.
create or replace function domain_alarms() returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select case when count(*) > 0 then jsonb_build_object(
               'domains', count(*),
               'alarms', coalesce((
                   select jsonb_agg(jsonb_build_object('domain', a.domain, 'what', one->>'what') order by a.domain)
                     from domain_checks a, jsonb_array_elements(coalesce(a.watched->'alarms', '[]')) one), '[]')) end
      from domain_checks where checked_at is not null;
$$;
