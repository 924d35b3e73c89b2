-- Reading the counts that every write of the ledger and of the subscribers keeps (0003_counts.sql).

-- Recipients of a mailout in any of these statuses (null: in whatever status), test rows aside.
create or replace function recipients_in(p_mailout uuid, p_statuses text[]) returns bigint
language sql stable set search_path = public, pg_temp as $$
    select coalesce(sum(recipients), 0)::bigint from recipient_counts
     where mailout_id = p_mailout and (p_statuses is null or status = any (p_statuses));
$$;

-- Recipients per status, test rows aside; every status is there.
create or replace function mailout_counts(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_object_agg(s.status, coalesce(c.n, 0))
      from unnest(array['queued', 'sending', 'sent', 'delivered', 'bounced', 'complained',
                        'failed', 'unknown', 'skipped', 'cancelled']) as s (status)
      left join (select status, sum(recipients) as n from recipient_counts
                  where mailout_id = p_mailout group by status) c using (status);
$$;

-- Recipients who used the link of this mailout's mail to unsubscribe.
create or replace function unsubscribed_count(p_mailout uuid) returns bigint
language sql stable set search_path = public, pg_temp as $$
    select coalesce(sum(unsubscribed), 0)::bigint from recipient_counts where mailout_id = p_mailout;
$$;

-- What SES or the mailbox provider said of one of a mailout's rows in this state: of these samples, else
-- of its first 1,000 failed and unknown rows. null: none of them is in this state.
create or replace function example_message(
    p_mailout uuid, p_samples bigint[], p_status text, p_code text) returns text
language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_message text;
begin
    select error_message into v_message from send_logs
     where id = any (p_samples) and status = p_status and error_code is not distinct from p_code limit 1;
    if not found and p_status in ('failed', 'unknown') then
        select error_message into v_message
          from (select status, error_code, error_message from send_logs
                 where (mailout_id, id) > (p_mailout, 0) and mailout_id <= p_mailout
                   and status in ('failed', 'unknown') and not is_test
                 order by mailout_id, id limit 1000) missed
         where status = p_status and error_code is not distinct from p_code limit 1;
    end if;
    return v_message;
end $$;

-- Subscribers in any of these statuses (null: in whatever status).
create or replace function subscribers_in(p_statuses text[]) returns bigint
language sql stable set search_path = public, pg_temp as $$
    select coalesce(sum(subscribers), 0)::bigint from subscriber_counts
     where p_statuses is null or status = any (p_statuses);
$$;

-- Count everything anew. Only needed after rows were written with the triggers disabled (such as by a
-- restore of data). Nothing is sent meanwhile; the locks are those of 0003_counts.sql and 0071_engagement_counts.sql. Opens
-- and clicks are counted by upkeep, in slices.
create or replace function recount() returns void
language plpgsql set search_path = public, pg_temp as $$
begin
    perform pg_advisory_xact_lock(hashtext('amazonsender:keep_house'));   -- against merge_counts, which writes them
    lock table ses_events, subscribers, send_logs, engagement_recipients, engagement_signals in exclusive mode;
    -- Of a mailout that shrank, or does so now, the counts are all that there is.
    delete from recipient_counts where mailout_id not in (select mailout_id from shrunk_mailouts);
    insert into recipient_counts
    select mailout_id, status, error_code, bounce_type, bounce_subtype, 0, count(*),
           count(unsubscribed_at), max(id)
      from send_logs where not is_test and mailout_id not in (select mailout_id from shrunk_mailouts)
     group by mailout_id, status, error_code, bounce_type, bounce_subtype;
    delete from subscriber_counts;
    insert into subscriber_counts select status, 0, count(*) from subscribers group by status;
    delete from tag_counts;
    insert into tag_counts
    select tag, 0, count(distinct id) from subscribers, unnest(tags) tag
     where octet_length(tag) <= 1000 group by tag;
    delete from engagement_counts;
    delete from engagement_counting;
    insert into engagement_counting (ends_at)
    select max(send_log_id) from engagement_recipients having count(*) > 0;
end $$;
