-- Somebody asks for mails to an address. Nobody is put on the list by this: a mail asks the address itself.
-- The answer is the same whoever the address belongs to; {"taken": false, "seconds"} is about the client, who
-- asked too often within the hour and may ask again in so many seconds.
-- The address gets at most one mail in ten minutes and three in 24 hours, whoever asks.
create or replace function ask_signup(
    p_client text, p_client_limit integer, p_address text, p_name text, p_tags jsonb, p_page text)
returns jsonb language plpgsql
set search_path = public, pg_temp set lock_timeout = '3s' set enable_seqscan = off as $$
declare
    c_apart constant interval := '10 minutes';
    c_a_day constant integer := 3;
    v_now   constant timestamptz := clock_timestamp();
    v_hour  constant timestamptz := date_trunc('hour', v_now, 'UTC');
    v_tags  constant text[] := array(select jsonb_array_elements_text(p_tags));
    v_tries integer;
begin
    insert into signup_clients as c (client, hour, tries) values (p_client, v_hour, 1)
    on conflict (client, hour) do update set tries = c.tries + 1
    returning tries into v_tries;
    if v_tries > p_client_limit then
        return jsonb_build_object('taken', false,
            'seconds', ceil(extract(epoch from v_hour + interval '1 hour' - v_now)));
    end if;

    -- Of two who ask for one address at once the second sees what the first did.
    perform pg_advisory_xact_lock(hashtextextended('amazonsender:signup:' || p_address, 0));
    if not exists (select from signups where address = p_address and asked_at > v_now - c_apart)
       and (select count(*) from signups
             where address = p_address and asked_at > v_now - interval '24 hours') < c_a_day
    then
        insert into signups (address, name, tags, page) values (p_address, p_name, v_tags, p_page);
        if not is_erased(p_address) then   -- for whom even that waits for their own word
            perform acting('sign-up', 'Asked for in the form; not confirmed yet.');
            insert into subscribers (email, name, tags, status, consent)
            values (p_address, p_name, v_tags, 'pending', signup_consent(v_now, p_page))
            on conflict (address) do nothing;
        end if;
    end if;
    return jsonb_build_object('taken', true);
end $$;

-- What is kept of a consent that was asked for. `at` and `text` come with the confirmation.
create or replace function signup_consent(p_asked_at timestamptz, p_page text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'source', 'sign-up', 'asked_at', p_asked_at, 'page', p_page));
$$;

-- Whether nothing is known of a subscriber but what some form said, which nobody has confirmed: not where an
-- import or a person has added to it.
create or replace function only_asked(p_subscriber subscribers) returns boolean
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select p_subscriber.status = 'pending' and p_subscriber.consent ->> 'source' = 'sign-up'
           and not exists (select from subscriber_changes
                            where subscriber_id = p_subscriber.id and by <> 'sign-up');
$$;
