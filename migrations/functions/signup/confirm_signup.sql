-- What a confirmation link asks for; null: there is no such sign-up, or it is over a week old.
-- `used`: it was confirmed before. `status`: the subscriber's now; null: there is none.
create or replace function find_signup(p_signup uuid) returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select jsonb_build_object('email', g.address, 'used', g.confirmed_at is not null, 'status', s.status)
      from signups g left join subscribers s on s.address = g.address
     where g.id = p_signup and g.asked_at > clock_timestamp() - interval '7 days';
$$;

-- The person behind the mailbox confirms. It has an effect once. It lifts whatever kept mails from them:
-- that they left, that a mail bounced or was reported as spam. This click came out of that very mailbox,
-- and wants it. p_text: what they agreed to. Answers as find_signup does.
-- What an unconfirmed form said of the name and tags is not taken over what was known.
create or replace function confirm_signup(p_signup uuid, p_text text) returns jsonb
language plpgsql set search_path = public, pg_temp set lock_timeout = '3s' set enable_seqscan = off as $$
declare
    v_signup signups;
    v_before subscribers;
    v_fresh  boolean;       -- no more was known than what some form said
begin
    select * into v_signup from signups
     where id = p_signup and asked_at > clock_timestamp() - interval '7 days' for update;
    if found and v_signup.confirmed_at is null then
        select * into v_before from subscribers where address = v_signup.address for update;
        v_fresh := not found or only_asked(v_before);
        perform acting('sign-up', case
            when v_before.status in ('complained', 'bounced', 'unsubscribed')
            then format('Confirmed by mail, which lifts "%s".', v_before.status)
            else 'Confirmed by mail.' end);
        perform set_config('amazonsender.signed_up', 'on', true);   -- erased people come back (erased.sql)
        insert into subscribers as s (email, name, tags, status, consent)
        values (v_signup.address, v_signup.name, v_signup.tags, 'active',
                signup_consent(v_signup.asked_at, v_signup.page)
                || jsonb_build_object('at', clock_timestamp(), 'text', p_text))
        on conflict (address) do update
           set status = 'active', bounce_type = null, bounce_subtype = null, consent = excluded.consent,
               name = case when v_fresh then excluded.name else coalesce(s.name, excluded.name) end,
               tags = case when v_fresh then excluded.tags
                           else s.tags || array(select unnest(excluded.tags) except select unnest(s.tags)) end;
        update signups set confirmed_at = clock_timestamp() where id = p_signup;
        return jsonb_build_object('email', v_signup.address, 'used', false, 'status', 'active');
    end if;
    return find_signup(p_signup);
end $$;
