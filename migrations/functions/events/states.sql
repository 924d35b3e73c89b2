-- The rank of each status of a mail. An event only ever moves a row to a higher rank, so doubled, late and
-- reordered events lead to the same status. A transient bounce never undoes a delivery. Without settings of its own
-- PostgreSQL inlines it: it runs twice for every event.
create or replace function send_log_rank(p_status text, p_bounce_type text) returns integer
language sql immutable as $$
    select case p_status
        when 'sent' then 10
        when 'failed' then 20
        when 'bounced' then case when p_bounce_type = 'Permanent' then 50 else 30 end
        when 'delivered' then 40
        when 'complained' then 60
        else 0 end;
$$;

-- The rank of a subscriber's status: unsubscribing outranks a bounce, a complaint outranks everything.
create or replace function subscriber_rank(p_status text) returns integer
language sql immutable set search_path = public, pg_temp as $$
    select case p_status when 'complained' then 3 when 'unsubscribed' then 2 when 'bounced' then 1 else 0 end;
$$;
