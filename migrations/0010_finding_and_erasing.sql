-- Finding people, and erasing them.

lock table ses_events, subscribers, send_logs in share row exclusive mode;   -- in the order of 0003_counts.sql

-- People who were erased, so that no import brings them back (docs/decisions/0017-erasure.md).

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

-- To find people by name, by address and by domain, in the order of an index, whoever is looked for.

-- The name from its p_word-th word on, as it is looked for: without accents, in lower case, at most 60
-- characters; the same in every locale. Here, because indexes need it. It runs for each row that is written, so it
-- has no search path of its own, which would cost more than the rest.
create function name_from(p_name text, p_word integer) returns text
language plpgsql immutable as $$
declare
    v_name text collate "C" := lower(left(p_name, 200) collate "C");
begin
    -- Accents off; then what has none but another base, and Greek and Cyrillic capitals, which take longer.
    if octet_length(v_name) > length(v_name) and current_setting('server_encoding') = 'UTF8' then
        v_name := lower(regexp_replace(normalize(v_name, NFD), '[\u0300-\u036f]', '', 'g'));
        if octet_length(v_name) = length(v_name) then
            null;
        elsif v_name ~ '[\u0080-\u024f]' then
            v_name := translate(v_name, E'\u00D8\u00F8\u0141\u0142\u0110\u0111\u00DF\u0131\u00C6\u00E6\u0152\u0153', 'oollddsiaaoo');
        else
            v_name := translate(v_name,
                E'\u0391\u0392\u0393\u0394\u0395\u0396\u0397\u0398\u0399\u039A\u039B\u039C\u039D\u039E\u039F\u03A0\u03A1\u03A3\u03A4\u03A5\u03A6\u03A7\u03A8\u03A9'
                 '\u0410\u0411\u0412\u0413\u0414\u0415\u0416\u0417\u0418\u0419\u041A\u041B\u041C\u041D\u041E\u041F'
                 '\u0420\u0421\u0422\u0423\u0424\u0425\u0426\u0427\u0428\u0429\u042A\u042B\u042C\u042D\u042E\u042F\u0402\u0404\u0405\u0406\u0408\u0409\u040A\u040B\u040F',
                E'\u03B1\u03B2\u03B3\u03B4\u03B5\u03B6\u03B7\u03B8\u03B9\u03BA\u03BB\u03BC\u03BD\u03BE\u03BF\u03C0\u03C1\u03C3\u03C4\u03C5\u03C6\u03C7\u03C8\u03C9'
                 '\u0430\u0431\u0432\u0433\u0434\u0435\u0436\u0437\u0438\u0439\u043A\u043B\u043C\u043D\u043E\u043F'
                 '\u0440\u0441\u0442\u0443\u0444\u0445\u0446\u0447\u0448\u0449\u044A\u044B\u044C\u044D\u044E\u044F\u0452\u0454\u0455\u0456\u0458\u0459\u045A\u045B\u045F');
        end if;
    end if;
    for n in 2 .. p_word loop
        v_name := substr(v_name, strpos(v_name, ' ') + 1);
    end loop;
    return left(v_name, 60);
end $$;
-- Names in ASCII take the short way, without a call of the function: it is more than twice as fast.
create index if not exists subscribers_by_name on subscribers (
    (case when octet_length(name) = length(name) then lower(left(name, 60) collate "C") else name_from(name, 1) end
     collate "C"), address) where name <> '';
create index if not exists subscribers_by_second_name on subscribers (
    (case when octet_length(name) = length(name)
          then left(substr(lower(left(name, 200) collate "C"), strpos(name, ' ') + 1), 60) else name_from(name, 2) end
     collate "C"), address) where split_part(name, ' ', 2) <> '';
-- Few names have more words: these two are small.
create index if not exists subscribers_by_third_name
    on subscribers ((name_from(name, 3) collate "C"), address) where split_part(name, ' ', 3) <> '';
create index if not exists subscribers_by_fourth_name
    on subscribers ((name_from(name, 4) collate "C"), address) where split_part(name, ' ', 4) <> '';
create index if not exists subscribers_by_domain on subscribers (split_part(address, '@', 2), address);

-- Subscribers with each tag, kept as subscriber_counts is (0003_counts.sql): a list with a filter has to know
-- whether a tag is rare. A tag that a subscriber has twice counts once.
create table tag_counts (
    tag         text collate "C" not null,
    connection  integer not null,
    subscribers bigint not null,
    primary key (tag, connection)
) with (fillfactor = 50);
create index tag_counts_connection on tag_counts (connection) where connection <> 0;
insert into tag_counts
select tag, 0, count(distinct id) from subscribers, unnest(tags) tag where octet_length(tag) <= 1000 group by tag;
alter table tag_counts enable row level security;

create function count_tags() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into tag_counts as c
    select tag, pg_backend_pid(), count(*) * tg_argv[0]::integer
      from written, unnest(tags) with ordinality u (tag, n)
     where n = array_position(tags, tag) and octet_length(tag) <= 1000 group by tag
    on conflict (tag, connection) do update set subscribers = c.subscribers + excluded.subscribers;
    return null;
end $$;
create function count_changed_tags() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    with changed as (
        select id, w.tags as gained, r.tags as lost from written w join replaced r using (id) where w.tags <> r.tags
    )
    insert into tag_counts as c
    select tag, pg_backend_pid(), sum(n)
      from (select distinct id, tag, 1 as n from changed, unnest(gained) tag
            union all select distinct id, tag, -1 from changed, unnest(lost) tag) changes
     where octet_length(tag) <= 1000
     group by tag having sum(n) <> 0
    on conflict (tag, connection) do update set subscribers = c.subscribers + excluded.subscribers;
    return null;
end $$;
create function forget_tag_counts() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from tag_counts;
    return null;
end $$;
create trigger subscribers_tags_added after insert on subscribers referencing new table as written
    for each statement execute function count_tags('1');
create trigger subscribers_tags_changed after update on subscribers
    referencing new table as written old table as replaced
    for each statement execute function count_changed_tags();
create trigger subscribers_tags_deleted after delete on subscribers referencing old table as written
    for each statement execute function count_tags('-1');
create trigger subscribers_tags_truncated after truncate on subscribers
    for each statement execute function forget_tag_counts();

-- What events told of one mail: for a person's history, and to erase it.
create index if not exists ses_events_send_log on ses_events (send_log_id) where send_log_id is not null;
