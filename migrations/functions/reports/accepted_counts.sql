-- What SES accepted over time (0067_accepted_counts.sql).

-- A mailout's chart tells of calls that were claimed between these; others carried test mails.
create or replace function charted_from(m mailouts) returns timestamptz
language sql immutable as $$
    select date_bin('10 seconds', m.started_at, 'epoch');
$$;
create or replace function charted_to(m mailouts) returns timestamptz
language sql immutable as $$
    select case when m.status in ('sending', 'paused') then 'infinity' else coalesce(m.sent_at, m.updated_at) end;
$$;

-- What of it isn't in accepted_counts yet.
create or replace function uncounted_accepted(p_mailout uuid, p_from timestamptz, p_to timestamptz)
returns table (slot timestamptz, accepted integer) language sql stable as $$
    select date_bin('10 seconds', recorded_at, 'epoch'), accepted from send_batches
     where mailout_id = p_mailout and accepted > 0 and not counted and claimed_at between p_from and p_to;
$$;

-- Count the next p_limit calls that record_batches hasn't counted itself. Answers how many there were.
create or replace function count_accepted(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_counted bigint;
begin
    with counted as (
        update send_batches set counted = true
         where attempt_id = any (array(select attempt_id from send_batches where accepted > 0 and not counted
                                        limit p_limit for no key update skip locked))
        returning mailout_id, claimed_at, recorded_at, accepted
    ), added as (
        insert into accepted_counts as c
        select b.mailout_id, date_bin('10 seconds', b.recorded_at, 'epoch') as slot, pg_backend_pid(), sum(b.accepted)
          from counted b join mailouts m on m.id = b.mailout_id
         where b.claimed_at between charted_from(m) and charted_to(m)
         group by b.mailout_id, slot order by b.mailout_id, slot
        on conflict (mailout_id, slot, connection) do update set accepted = c.accepted + excluded.accepted
    )
    select count(*) into v_counted from counted;
    return v_counted;
end $$;
