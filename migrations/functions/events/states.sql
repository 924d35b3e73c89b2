-- The order of what can be known of a mail: events only ever move a row up, so that doubled, late
-- and reordered ones come to the same end. A transient bounce never undoes a delivery.
create or replace function send_log_rank(p_status text, p_bounce_type text) returns integer
language sql immutable set search_path = public, pg_temp as $$
    select case p_status
        when 'sent' then 10
        when 'failed' then 20
        when 'bounced' then case when p_bounce_type = 'Permanent' then 50 else 30 end
        when 'delivered' then 40
        when 'complained' then 60
        else 0 end;
$$;

-- A subscriber's own word weighs more than a bounce, a complaint more than all.
create or replace function subscriber_rank(p_status text) returns integer
language sql immutable set search_path = public, pg_temp as $$
    select case p_status when 'complained' then 3 when 'unsubscribed' then 2 when 'bounced' then 1 else 0 end;
$$;
