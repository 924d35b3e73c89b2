-- Gives every subscriber its canonical address, and merges subscribers with the same one. Runs whenever
-- the functions are put: rows whose email an earlier version couldn't read get their address then.
-- Answers how many got an address, how many were merged into others, and how many have none.
create or replace function unify_subscribers() returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_read    bigint;
    v_merged  bigint := 0;
    v_from    uuid;
    v_into    uuid;
begin
    -- The lock lets nobody write subscribers meanwhile, so that no row is missed; reading goes on.
    lock table subscribers in share row exclusive mode;
    create temporary table read_addresses on commit drop as
        select id, (read_address(email)).address from subscribers where address is null;
    delete from read_addresses where address is null;
    create index on read_addresses (address);
    analyze read_addresses;

    -- The oldest of each mailbox stays.
    for v_from, v_into in
        with same as (
            select id, address from read_addresses
            union all
            select s.id, s.address from subscribers s where s.address in (select address from read_addresses)
        ), ranked as (
            select same.id, first_value(same.id) over mailbox as first, row_number() over mailbox as n
              from same join subscribers s on s.id = same.id
             where same.address in (select address from same group by address having count(*) > 1)
            window mailbox as (partition by same.address order by s.created_at, s.id)
        )
        select id, first from ranked where n > 1
    loop
        perform merge_subscribers(v_from, v_into);
        v_merged := v_merged + 1;
    end loop;
    if v_merged > 0 then
        -- A merged subscriber has the tags of both, so mailouts that are being queued start over.
        update mailout_queues set cursor = default where done_at is null;
    end if;

    update subscribers s set address = r.address from read_addresses r
     where r.id = s.id and s.address is null;
    get diagnostics v_read = row_count;
    drop table read_addresses;
    drop index if exists subscribers_email;   -- by the locale's lower case, before there were addresses
    return jsonb_build_object('read', v_read, 'merged', v_merged,
                              'unusable', (select count(*) from subscribers where address is null));
end $$;

-- Who can't be mailed, and why: subscribers from before there were addresses. To be corrected or deleted.
create or replace function unusable_addresses()
returns table (id uuid, email text, status text, problem text)
language sql stable set search_path = public, pg_temp as $$
    select s.id, s.email, s.status, (read_address(s.email)).problem
      from subscribers s where s.address is null order by s.email;
$$;

select unify_subscribers();

-- From here on the trigger sets the address. It is created last, so that it doesn't run for the rows above. It needn't
-- run where the address is there and right: plain addresses, which are nearly all, as an import gives them. That is
-- looked at here by the same two patterns as in read_address, which takes a quarter of the time (10 µs a row).
do $trigger$
begin
    execute format($create$
        create or replace trigger subscribers_set_address before insert or update of email, address on subscribers
            for each row when ((new.address = lower(new.email collate "C") and length(new.email) <= 64
                                and new.email collate "C" ~ %L and new.email collate "C" !~ %L) is not true)
            execute function subscribers_set_address()
        $create$, plain_address(), odd_address());
end $trigger$;
