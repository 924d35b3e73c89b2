-- People who were erased, so that no import brings them back (docs/decisions/0016-erasure.md).

lock table subscribers in share row exclusive mode;   -- the triggers on it are in functions/subscribers/erased.sql

-- HMAC-SHA-256 of the canonical address, with the key below.
create table erased (
    address_hash bytea primary key,
    erased_at    timestamptz not null default clock_timestamp()
);
-- One key, made here once and never changed: with another one nobody would be recognised. It is kept as the two
-- blocks that HMAC makes of it (RFC 2104: key xor 0x36, key xor 0x5c), since PostgreSQL has sha256 and no hmac
-- of its own.
create table erased_key (
    only_one  boolean primary key default true check (only_one),
    inner_key bytea not null check (length(inner_key) = 64),
    outer_key bytea not null check (length(outer_key) = 64)
);
insert into erased_key (inner_key, outer_key)
select string_agg(decode(lpad(to_hex(octet # x'36'::integer), 2, '0'), 'hex'), '' order by n),
       string_agg(decode(lpad(to_hex(octet # x'5c'::integer), 2, '0'), 'hex'), '' order by n)
  from (select n, get_byte(key, n) as octet
          from (select string_agg(uuid_send(gen_random_uuid()), '') as key from generate_series(1, 4)) made,
               generate_series(0, 63) n) octets;
alter table erased     enable row level security;
alter table erased_key enable row level security;
