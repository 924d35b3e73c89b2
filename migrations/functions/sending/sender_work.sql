-- What there is to do for a sender: mailouts to send (oldest first), to queue, to finish
-- cancelling, and with test mails due.
create or replace function sender_work() returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select jsonb_build_object(
        'sending', coalesce((select jsonb_agg(id order by started_at, id)
                               from mailouts where status = 'sending'), '[]'),
        'queueing', coalesce((select jsonb_agg(mailout_id)
                                from mailout_queues where done_at is null), '[]'),
        'cancelling', coalesce((select jsonb_agg(m.id) from mailouts m
                                 where m.status = 'cancelled' and has_queued(m.id)), '[]'),
        'testing', coalesce((select jsonb_agg(distinct mailout_id) from send_logs
                              where status = 'queued' and is_test
                                and (next_attempt_at is null or next_attempt_at <= clock_timestamp())),
                            '[]'));
$$;
