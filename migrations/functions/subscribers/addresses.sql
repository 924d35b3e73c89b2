-- The one form of a mail address: trimmed, without invisible characters, all in lower case, the
-- domain in ASCII (IDNA: UTS 46, RFC 5891, RFC 3492). The same as `canonical_address` in
-- app/domain/addresses.py (a test compares them), in any locale of the database: nothing here asks
-- for the database's own idea of upper and lower case, of blanks or of letters.
create or replace function canonical_address(p_text text) returns text
language sql immutable as $$
    select address from public.read_address(p_text);
$$;

-- The pattern of nearly every address, and what must not be in it, up to 64 characters: its canonical form is its lower
-- case. The trigger that sets addresses has them as well (zy_unify_subscribers.sql).
create or replace function plain_address() returns text
language sql immutable as $$
    select '^[a-zA-Z0-9!#$%&''*+/=?^_`{|}~-]+(\.[a-zA-Z0-9!#$%&''*+/=?^_`{|}~-]+)*'
           '@([a-zA-Z0-9-]+\.)+[a-zA-Z][a-zA-Z0-9-]*$';
$$;
create or replace function odd_address() returns text
language sql immutable as $$
    select '[@.]-|-(\.|$)|=\?.*\?=';
$$;

-- The address, or what is wrong with the text, in words that don't repeat it. Each row that is written
-- passes here, so it has no search path of its own, which would cost more than the rest.
create or replace function read_address(p_text text, out address text, out problem text)
language plpgsql immutable as $$
declare
    -- What surrounds an address unseen: blanks, and Unicode's Default_Ignorable_Code_Point.
    c_blank     constant text := '\x09-\x0d\x1c-\x20\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000';
    c_unseen    constant text := '\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f'
        '\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3'
        '\U0001d173-\U0001d17a\U000e0000-\U000e0fff';
    c_joiners   constant text := '\u200c\u200d';   -- in some scripts they make another domain of it
    c_local     constant text := '^[a-zA-Z0-9!#$%&''*+/=?^_`{|}~-]+(\.[a-zA-Z0-9!#$%&''*+/=?^_`{|}~-]+)*$';
    c_domain    constant text := '^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$';
    c_plain     constant text := public.plain_address();
    c_odd       constant text := public.odd_address();
    v_text      text collate "C" := p_text;
    v_local     text collate "C";
    v_domain    text collate "C";
begin
    -- Nearly every address takes this path: ASCII only, and too short for any part of it to be too long.
    if v_text ~ c_plain and v_text !~ c_odd and length(v_text) <= 64 then
        address := lower(v_text);
        return;
    elsif length(v_text) > 1000 then
        problem := 'it is longer than 254 characters';
        return;
    end if;
    if octet_length(v_text) = length(v_text) then
        v_text := btrim(v_text, E'\t\n\x0b\f\r\x1c\x1d\x1e\x1f ');
    else
        v_text := regexp_replace(v_text, format('^[%1$s]+|[%1$s]+$', c_blank || c_unseen || c_joiners), '', 'g');
    end if;
    v_local := coalesce(substring(v_text from '^(.*)@'), '');
    v_domain := coalesce(substring(v_text from '@([^@]*)$'), '');
    if octet_length(v_text) > length(v_text) then
        v_local := regexp_replace(v_local, format('[%s]', c_unseen || c_joiners), '', 'g');
        v_domain := public.ascii_domain(regexp_replace(v_domain, format('[%s]', c_unseen), '', 'g'));
    end if;
    v_domain := lower(v_domain);

    problem := case
        when v_text ~ '[\x01-\x1f\x7f\u0080-\u009f\u2028\u2029]' then 'it holds a line break or another control character'
        when v_local = '' or v_domain = '' then 'it needs a name, an @ and a domain'
        when v_text ~ '[<>]' then 'write the address alone, without a display name or angle brackets'
        when v_local ~ '"' then 'Amazon SES refuses a quoted part before the @'
        when v_local ~ '@' or v_text ~ '[,;]' then 'it is more than one address'
        when v_text ~ format('[%s]', c_blank) then 'it holds a space'
        when v_domain ~ '^\[' then 'the part after the @ is a network address, not a domain'
        when octet_length(v_local) > length(v_local)
        then 'the part before the @ has characters that Amazon SES refuses (ASCII only)'
        when length(v_local) > 64 then 'the part before the @ is longer than 64 characters'
        when v_local ~ '=\?.*\?=' then 'the part before the @ looks like an encoded header (=?…?=)'
        when v_local !~ c_local
        then 'the part before the @ has characters or dots in places that mail doesn''t allow'
        when v_domain is null
        then 'the part after the @ is not a domain that can be read here; write it in ASCII (xn--...)'
        when v_domain !~ c_domain or v_domain ~ '[^.]{64}' then 'the part after the @ is not a valid domain'
        when length(v_local) + 1 + length(v_domain) > 254 then 'it is longer than 254 characters'
        end;
    if problem is null then
        address := lower(v_local) || '@' || v_domain;
    end if;
end $$;

-- A domain with each label in ASCII; null: it is no domain, or this function isn't sure.
create or replace function ascii_domain(p_domain text) returns text
language sql immutable set search_path = public, pg_temp as $$
    -- The full stops of East Asian keyboards separate labels, too.
    select case when count(*) = count(label) then string_agg(label, '.' order by n) end
      from (select n, case when octet_length(l) = length(l) then l else ascii_label(l) end as label
              from unnest(regexp_split_to_array(p_domain, '[.\u3002\uff0e\uff61]')) with ordinality as u (l, n)) labels;
$$;

-- A label with other than ASCII characters in Punycode. null: it isn't allowed, or it has characters
-- for which this function isn't sure: the letters below are those of the scripts that domains are
-- mostly written in, as of Unicode 3.2, and are left alone by every later version's rules.
create or replace function ascii_label(p_label text) returns text
language plpgsql immutable set search_path = public, pg_temp as $$
declare
    c_letters   constant text := 'a-z0-9'
        '\u00DF-\u00F6\u00F8-\u012F\u0131-\u017E\u01A1\u01B0\u0219-\u021B\u0259\u0390'
        '\u03AC-\u03CE\u03D7\u03D9\u03DB\u03DD\u03DF\u03E1\u03E3\u03E5\u03E7\u03E9\u03EB'
        '\u03ED\u03EF-\u03F3\u0430-\u0481\u048B-\u04BF\u04C2-\u04CE\u04D1-\u04F5\u04F9'
        '\u0501-\u050F\u0559\u0561-\u0586\u0905-\u0939\u093D\u0950\u0960-\u0961\u0966-\u096F'
        '\u0985-\u098C\u098F-\u0990\u0993-\u09A8\u09AA-\u09B0\u09B2\u09B6-\u09B9\u09E0-\u09E1'
        '\u09E6-\u09F1\u0A05-\u0A0A\u0A0F-\u0A10\u0A13-\u0A28\u0A2A-\u0A30\u0A32\u0A35'
        '\u0A38-\u0A39\u0A5C\u0A66-\u0A6F\u0A72-\u0A74\u0A85-\u0A8B\u0A8D\u0A8F-\u0A91'
        '\u0A93-\u0AA8\u0AAA-\u0AB0\u0AB2-\u0AB3\u0AB5-\u0AB9\u0ABD\u0AD0\u0AE0\u0AE6-\u0AEF'
        '\u0B05-\u0B0C\u0B0F-\u0B10\u0B13-\u0B28\u0B2A-\u0B30\u0B32-\u0B33\u0B36-\u0B39\u0B3D'
        '\u0B5F-\u0B61\u0B66-\u0B6F\u0B83\u0B85-\u0B8A\u0B8E-\u0B90\u0B92-\u0B95\u0B99-\u0B9A'
        '\u0B9C\u0B9E-\u0B9F\u0BA3-\u0BA4\u0BA8-\u0BAA\u0BAE-\u0BB5\u0BB7-\u0BB9\u0BE7-\u0BEF'
        '\u0C05-\u0C0C\u0C0E-\u0C10\u0C12-\u0C28\u0C2A-\u0C33\u0C35-\u0C39\u0C60-\u0C61'
        '\u0C66-\u0C6F\u0C85-\u0C8C\u0C8E-\u0C90\u0C92-\u0CA8\u0CAA-\u0CB3\u0CB5-\u0CB9\u0CDE'
        '\u0CE0-\u0CE1\u0CE6-\u0CEF\u0D05-\u0D0C\u0D0E-\u0D10\u0D12-\u0D28\u0D2A-\u0D39'
        '\u0D60-\u0D61\u0D66-\u0D6F\u0D85-\u0D96\u0D9A-\u0DB1\u0DB3-\u0DBB\u0DBD\u0DC0-\u0DC6'
        '\u0E01-\u0E30\u0E32\u0E40-\u0E46\u0E50-\u0E59\u0E81-\u0E82\u0E84\u0E87-\u0E88\u0E8A'
        '\u0E8D\u0E94-\u0E97\u0E99-\u0E9F\u0EA1-\u0EA3\u0EA5\u0EA7\u0EAA-\u0EAB\u0EAD-\u0EB0'
        '\u0EB2\u0EBD\u0EC0-\u0EC4\u0EC6\u0ED0-\u0ED9\u10D0-\u10F8\u1200-\u1206\u1208-\u1246'
        '\u1248\u124A-\u124D\u1250-\u1256\u1258\u125A-\u125D\u1260-\u1286\u1288\u128A-\u128D'
        '\u1290-\u12AE\u12B0\u12B2-\u12B5\u12B8-\u12BE\u12C0\u12C2-\u12C5\u12C8-\u12CE'
        '\u12D0-\u12D6\u12D8-\u12EE\u12F0-\u130E\u1310\u1312-\u1315\u1318-\u131E\u1320-\u1346'
        '\u1348-\u135A\u1780-\u17B3\u17D7\u17DC\u17E0-\u17E9\u1E01-\u1E99\u1EA1-\u1EF9'
        '\u3005-\u3007\u3041-\u3096\u309D-\u309E\u30A1-\u30FA\u30FC-\u30FE\u3105-\u312C'
        '\u3400-\u4DB5\u4E00-\u9FA5\uAC00-\uD7A3';
    c_marks     constant text :=
        '\u0901-\u0903\u093C\u093E-\u094D\u0951-\u0954\u0962-\u0963\u0981-\u0983\u09BC'
        '\u09BE-\u09C4\u09C7-\u09C8\u09CB-\u09CD\u09D7\u09E2-\u09E3\u0A02\u0A3C\u0A3E-\u0A42'
        '\u0A47-\u0A48\u0A4B-\u0A4D\u0A70-\u0A71\u0A81-\u0A83\u0ABC\u0ABE-\u0AC5\u0AC7-\u0AC9'
        '\u0ACB-\u0ACD\u0B01-\u0B03\u0B3C\u0B3E-\u0B43\u0B47-\u0B48\u0B4B-\u0B4D\u0B56-\u0B57'
        '\u0B82\u0BBE-\u0BC2\u0BC6-\u0BC8\u0BCA-\u0BCD\u0BD7\u0C01-\u0C03\u0C3E-\u0C44'
        '\u0C46-\u0C48\u0C4A-\u0C4D\u0C55-\u0C56\u0C82-\u0C83\u0CBE-\u0CC4\u0CC6-\u0CC8'
        '\u0CCA-\u0CCD\u0CD5-\u0CD6\u0D02-\u0D03\u0D3E-\u0D43\u0D46-\u0D48\u0D4A-\u0D4D\u0D57'
        '\u0D82-\u0D83\u0DCA\u0DCF-\u0DD4\u0DD6\u0DD8-\u0DDF\u0DF2-\u0DF3\u0E31\u0E34-\u0E3A'
        '\u0E47-\u0E4E\u0EB1\u0EB4-\u0EB9\u0EBB-\u0EBC\u0EC8-\u0ECD\u17B6-\u17D3\u3099-\u309A';
    -- From right to left: Hebrew and Arabic.
    c_rtl       constant text :=
        '\u05D0-\u05EA\u05F0-\u05F2\u0621-\u063A\u0641-\u064A\u066E-\u066F\u0671-\u06D3\u06D5'
        '\u06E5-\u06E6\u06FA-\u06FE';
    c_rtl_marks constant text :=
        '\u0591-\u05A1\u05A3-\u05B9\u05BB-\u05BD\u05BF\u05C1-\u05C2\u05C4\u064B-\u0655\u0670'
        '\u06D6-\u06DC\u06DF-\u06E4\u06E7-\u06E8\u06EA-\u06ED';
    v_label     text;
begin
    if current_setting('server_encoding') <> 'UTF8' then
        return null;   -- the checks below would be unreliable
    end if;
    v_label := normalize(lower_letters(normalize(p_label, NFKC)), NFC);
    if octet_length(v_label) = length(v_label) then
        -- Compatibility forms, such as full-width Latin. The single character for "1." contains a full stop,
        -- so it can't be part of a label.
        return case when v_label !~ '\.' then v_label end;
    elsif v_label ~ '^-|-$|^..--'
          or v_label !~ format('^[%1$s][%1$s%2$s-]*$', c_letters, c_marks)
             and v_label !~ format('^[%1$s][%1$s%2$s]*$', c_rtl, c_rtl_marks)
             and v_label !~ format('^[%1$s][%1$s0-9-]*$', c_rtl)
          -- A final sigma is a letter of its own, unless it was written as a mathematical symbol.
          or v_label ~ '\u03c2' and p_label !~ '\u03c2'
    then
        return null;
    end if;
    return 'xn--' || punycode(v_label);
end $$;

-- Latin, Greek, Cyrillic and Armenian letters in lower case, one for one.
create or replace function lower_letters(p_text text) returns text
language sql immutable set search_path = public, pg_temp as $$
    select string_agg(chr(case
        when c between 65 and 90 or c between 192 and 222 and c <> 215 or c between 913 and 929
             or c between 931 and 939 or c between 1040 and 1071 then c + 32
        when c between 1024 and 1039 then c + 80
        when c between 1329 and 1366 then c + 48
        when c % 2 = 0 and c <> 304 and (c between 256 and 310 or c between 330 and 374
             or c between 1120 and 1152 or c between 1162 and 1214 or c between 1232 and 1326
             or c between 7680 and 7828 or c between 7840 and 7934) then c + 1
        when c % 2 = 1 and (c between 313 and 327 or c between 377 and 381 or c between 1217 and 1229) then c + 1
        when c in (416, 431, 536, 538) then c + 1
        when c = 376 then 255
        when c = 399 then 601
        when c = 902 then 940
        when c between 904 and 906 then c + 37
        when c = 908 then 972
        when c between 910 and 911 then c + 63
        else c end), '' order by n)
      from (select ascii(l) as c, n
              from unnest(string_to_array(p_text, null)) with ordinality as u (l, n)) letters;
$$;

-- RFC 3492, section 6.3, with IDNA's parameters; the names are those of the RFC.
create or replace function punycode(p_text text) returns text
language plpgsql immutable set search_path = public, pg_temp as $$
declare
    c_digits constant text := 'abcdefghijklmnopqrstuvwxyz0123456789';
    v_points integer[] := array(
        select ascii(l) from unnest(string_to_array(p_text, null)) with ordinality as u (l, i) order by i);
    v_output text := regexp_replace(p_text, '[^\x01-\x7f]', '', 'g');
    v_basic  integer := length(v_output);
    h        integer := v_basic;
    n        bigint := 128;
    delta    bigint := 0;
    bias     bigint := 72;
    m        bigint;
    c        integer;
    q        bigint;
    k        bigint;
    t        bigint;
begin
    if v_basic > 0 then
        v_output := v_output || '-';
    end if;
    while h < cardinality(v_points) loop
        m := (select min(p) from unnest(v_points) p where p >= n);
        delta := delta + (m - n) * (h + 1);
        n := m;
        foreach c in array v_points loop
            delta := delta + (c < n)::integer;
            continue when c <> n;
            q := delta;
            k := 36;
            loop
                t := greatest(1, least(26, k - bias));
                exit when q < t;
                v_output := v_output || substr(c_digits, (t + (q - t) % (36 - t))::integer + 1, 1);
                q := (q - t) / (36 - t);
                k := k + 36;
            end loop;
            v_output := v_output || substr(c_digits, q::integer + 1, 1);
            -- adapt (section 6.1)
            delta := delta / case when h = v_basic then 700 else 2 end;
            h := h + 1;
            delta := delta + delta / h;
            k := 0;
            while delta > 455 loop
                delta := delta / 35;
                k := k + 36;
            end loop;
            bias := k + 36 * delta / (delta + 38);
            delta := 0;
        end loop;
        delta := delta + 1;
        n := n + 1;
    end loop;
    return v_output;
end $$;

-- Sets `address` on every write of a subscriber, by whoever, or refuses the row with the reason. It runs
-- with its owner's rights, since a role that may write the table need not be allowed to call our functions.
create or replace function subscribers_set_address() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    v_read record := read_address(new.email);   -- as an expression: a query would cost twice as much
begin
    new.address := v_read.address;
    if v_read.problem is not null then
        raise exception 'The subscriber''s email can''t be mailed: %.', v_read.problem
            using errcode = 'check_violation', schema = 'public', table = 'subscribers', column = 'email',
                  constraint = 'subscribers_address', hint = 'Write one address alone, such as name@example.com.';
    end if;
    return new;
end $$;
