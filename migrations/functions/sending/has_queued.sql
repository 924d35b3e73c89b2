-- Whether a mailout has a queued row, in the common queue or set aside (pacing/limits.sql). It asks for the last one in the order of the index of queued rows.
-- Asked for just any, PostgreSQL may read all of the mailout's rows, when its statistics say that most are
-- queued. No other index has that order, and as enable_sort is off, none is read and sorted. Claims begin with the first, so until a
-- vacuum that end of the index is dead entries, in a mailout to ten million some millions.
create or replace function has_queued(p_mailout uuid) returns boolean
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
begin
    perform from send_logs
      where (mailout_id, id) > (p_mailout, 0) and mailout_id <= p_mailout
        and status = 'queued' and not is_test and aside is null
      order by mailout_id desc, id desc limit 1;
    return found or has_aside(p_mailout);
end $$;

create or replace function has_queued_canaries(p_mailout uuid) returns boolean
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
begin
    perform from send_logs
      where (mailout_id, id) > (p_mailout, 0) and mailout_id <= p_mailout
        and status = 'queued' and canary and aside is null
      order by mailout_id desc, id desc limit 1;
    -- While a canary is out, nobody else has been looked at, and so nobody else is aside.
    return found or has_aside(p_mailout);
end $$;

create or replace function has_aside(p_mailout uuid) returns boolean
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
begin
    perform from send_logs
      where (mailout_id, aside) > (p_mailout, '') and mailout_id <= p_mailout
        and status = 'queued' and aside is not null
      order by mailout_id, aside, id limit 1;
    return found;
end $$;
