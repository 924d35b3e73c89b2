-- How a rule reads people's data. These four are put into the queries that use them (they have no search path of their
-- own for that), so that a million rows take a second.

-- A text as it is compared: letters of Latin, Greek and Cyrillic in lower case, the same in every locale.
create or replace function folded(p_text text) returns text
language sql immutable parallel safe as $$
    select case when octet_length(p_text) = length(p_text) then lower(p_text collate "C")
                else translate(lower(p_text collate "C"),
                               'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽͰͲͶͿΆΈΉΊΌΎΏΑΒΓΔΕΖΗΘΙΚΛΜΝΞ'
                               'ΟΠΡΣΤΥΦΧΨΩΪΫϏϘϚϜϞϠϢϤϦϨϪϬϮϴϷϹϺϽϾϿЀЁЂЃЄЅІЇЈЉЊЋЌЍЎЏАБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯѠѢѤѦѨѪѬѮѰѲѴѶѸѺѼѾҀҊҌҎҐҒҔҖҘҚҜҞҠҢҤҦҨҪҬҮҰҲҴҶҸҺҼҾӀӁӃӅӇӉӋӍӐӒӔӖӘӚӜӞӠӢӤӦӨӪӬӮӰӲӴӶӸӺӼӾԀԂԄԆԈԊԌԎԐԒԔԖԘԚԜԞԠԢԤԦԨԪԬԮ',
                               'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþāăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżžͱͳͷϳάέήίόύώαβγδεζηθικλμνξ'
                               'οπρστυφχψωϊϋϗϙϛϝϟϡϣϥϧϩϫϭϯθϸϲϻͻͼͽѐёђѓєѕіїјљњћќѝўџабвгдежзийклмнопрстуфхцчшщъыьэюяѡѣѥѧѩѫѭѯѱѳѵѷѹѻѽѿҁҋҍҏґғҕҗҙқҝҟҡңҥҧҩҫҭүұҳҵҷҹһҽҿӏӂӄӆӈӊӌӎӑӓӕӗәӛӝӟӡӣӥӧөӫӭӯӱӳӵӷӹӻӽӿԁԃԅԇԉԋԍԏԑԓԕԗԙԛԝԟԡԣԥԧԩԫԭԯ') end;
$$;

-- The number that a text is (42, -1.5), as `->>` gives it of a number, too; null: it is none. Written so that a million
-- take half a second: no regular expression, and the text is named seldom, since each time it is read from the field.
create or replace function number_in(p_text text) returns numeric
language sql immutable parallel safe as $$
    select case translate(p_text, '0123456789', '')
        when '' then case when p_text <> '' and length(p_text) <= 60 then p_text::numeric end
        when '.' then case when length(p_text) between 2 and 60 then p_text::numeric end
        when '-' then case when left(p_text, 1) = '-' and length(p_text) between 2 and 60 then p_text::numeric end
        when '-.' then case when left(p_text, 1) = '-' and length(p_text) between 3 and 60 then p_text::numeric end
        when '+' then case when left(p_text, 1) = '+' and length(p_text) between 2 and 60 then p_text::numeric end
        when '+.' then case when left(p_text, 1) = '+' and length(p_text) between 3 and 60 then p_text::numeric end end;
$$;

-- The day that a text begins with, 2026-05-31; null: there is none, or no such day.
create or replace function day_in(p_text text) returns date
language sql immutable parallel safe as $$
    select case
        when translate(left(p_text, 10), '123456789', '000000000') <> '0000-00-00' or substr(p_text, 11, 1) not in ('', 'T', ' ')
             or left(p_text, 4) collate "C" not between '1000' and '2999'
             or substr(p_text, 6, 2) collate "C" not between '01' and '12'
             or substr(p_text, 9, 2) collate "C" not between '01' and '31' then null
        when substr(p_text, 9, 2) collate "C" <= '28' or substr(p_text, 9, 2)::integer <= extract(day from
             make_date(left(p_text, 4)::integer, substr(p_text, 6, 2)::integer, 1) + interval '1 month -1 day')
        then make_date(left(p_text, 4)::integer, substr(p_text, 6, 2)::integer, substr(p_text, 9, 2)::integer) end;
$$;

-- Whether a text of ten characters that sorts between two days is one. It names the text seldom (see number_in).
create or replace function is_day(p_text text) returns boolean
language sql immutable parallel safe as $$
    select translate(p_text, '123456789', '000000000') = '0000-00-00'
       and (substr(p_text, 9, 2) = any ('{01,02,03,04,05,06,07,08,09,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28}')
            and substr(p_text, 6, 2) = any ('{01,02,03,04,05,06,07,08,09,10,11,12}')
            or day_in(p_text) is not null);
$$;

-- The first day in a zone that begins at an instant or later.
create or replace function first_day(p_from timestamptz, p_zone text) returns date
language sql immutable set search_path = public, pg_temp as $$
    select d + case when d::timestamp at time zone p_zone < p_from then 1 else 0 end
      from (select (p_from at time zone p_zone)::date as d) days;
$$;

-- The instant that a text names: a day (its beginning), or a day and a time, 2026-05-31T18:00 with or without seconds and
-- an offset (Z, +02:00); without one it is p_zone's. null: it names none.
create or replace function instant_in(p_text text, p_zone text) returns timestamptz
language sql immutable parallel safe as $$
    select case
        when length(p_text) = 10 then day_in(p_text)::timestamp at time zone p_zone
        when p_text ~ '^.{10}[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)? ?(Z|[-+](0[0-9]|1[0-4]):?[0-5][0-9])?$'
        then case when p_text ~ '[0-9.] ?(Z|[-+][0-9]{2}:?[0-9]{2})$' and length(p_text) > 16
                  then (day_in(p_text) + make_interval(hours => substr(p_text, 12, 2)::integer,
                                                       mins => substr(p_text, 15, 2)::integer,
                                                       secs => coalesce(substring(p_text from '^.{16}:([0-9.]+)'), '0')::float8)
                        - case when p_text like '%Z' then interval '0'
                               else make_interval(hours => (substring(p_text from '([-+][0-9]{2}):?[0-9]{2}$'))::integer,
                                                  mins => (substring(p_text from '([-+])[0-9]{2}:?[0-9]{2}$')
                                                           || right(p_text, 2))::integer) end) at time zone 'UTC'
                  else (day_in(p_text) + make_interval(hours => substr(p_text, 12, 2)::integer,
                                                       mins => substr(p_text, 15, 2)::integer,
                                                       secs => coalesce(substring(p_text from '^.{16}:([0-9.]+)'), '0')::float8))
                       at time zone p_zone end end;
$$;
