-- Erased people (table erased): known by a hash alone. `security definer`: whoever asks needs no right to
-- read the key, or the hashes.

-- HMAC-SHA-256 (RFC 2104) of a canonical address.
create or replace function erased_hash(p_address text) returns bytea
language sql stable security definer set search_path = public, pg_temp as $$
    select sha256(outer_key || sha256(inner_key || convert_to(p_address, 'UTF8'))) from erased_key;
$$;

-- Which of these canonical addresses belong to people who were erased. Where nobody is erased, it costs one
-- look at an empty table.
create or replace function erased_among(p_addresses text[]) returns text[]
language plpgsql stable security definer set search_path = public, pg_temp set enable_seqscan = off as $$
begin
    if not exists (select from erased) then
        return '{}';
    end if;
    return (with hashed as materialized (
                select address, sha256(outer_key || sha256(inner_key || convert_to(address, 'UTF8'))) as hash
                  from unnest(p_addresses) address, erased_key where address is not null)
            select coalesce(array_agg(address), '{}') from hashed
             where hash in (select address_hash from erased
                             where address_hash = any (array(select hash from hashed))));
end $$;

-- Whether somebody with this address, in any spelling, was erased.
create or replace function is_erased(p_address text) returns boolean
language sql stable security definer set search_path = public, pg_temp as $$
    select cardinality(erased_among(array[canonical_address(p_address)])) > 0;
$$;

-- Nobody but they themselves brings erased people back: a sign-up says
-- `set_config('amazonsender.signed_up', 'on', true)` in its transaction. They are still known as erased until
-- they confirm.
create or replace function refuse_erased(p_addresses text[]) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if current_setting('amazonsender.signed_up', true) is distinct from 'on'
       and cardinality(erased_among(p_addresses)) > 0
    then
        raise exception 'The subscriber was erased at their own request, and may come back only by signing up.'
            using errcode = 'check_violation', schema = 'public', table = 'subscribers', column = 'email',
                  constraint = 'erased';
    end if;
end $$;

create or replace function subscribers_added_erased() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    if exists (select from erased) then
        perform refuse_erased(array(select address from written));
        delete from erased where address_hash = any (array(
            select erased_hash(address) from written where status = 'active'));
    end if;
    return null;
end $$;

create or replace function subscribers_moved_erased() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    perform refuse_erased(array[new.address]);
    return null;
end $$;

create or replace function subscribers_confirmed_erased() returns trigger
language plpgsql security definer set search_path = public, pg_temp set enable_seqscan = off as $$
begin
    delete from erased where address_hash = erased_hash(new.address);
    return null;
end $$;

create or replace trigger subscribers_added_erased after insert on subscribers
    referencing new table as written for each statement execute function subscribers_added_erased();
create or replace trigger subscribers_moved_erased after update of email, address on subscribers
    for each row when (old.address is not null and new.address <> old.address)
    execute function subscribers_moved_erased();
create or replace trigger subscribers_confirmed_erased after update of status on subscribers
    for each row when (old.status = 'pending' and new.status = 'active')
    execute function subscribers_confirmed_erased();
