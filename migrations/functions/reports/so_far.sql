-- How far a mailout is, for those who are told of it elsewhere: the owner's Notion and Slack. `notice`: the latest that the
-- owner was to be told (owner_notices.sql).
create or replace function mailout_so_far(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select mailout_summary(m) || jsonb_build_object(
        'pause_code', m.pause_code, 'canary_phase', m.canary_phase, 'canary_until', m.canary_until,
        'counts', mailout_counts(m.id), 'unsubscribed', unsubscribed_count(m.id),
        'waves', case when m.status in ('scheduled', 'sending', 'paused') then mailout_waves(m.id) end,
        'pace', case when m.status = 'sending' then sending_pace(m.id) end,
        'ended_at', case when m.status in ('sent', 'failed', 'cancelled') then coalesce(m.sent_at, m.updated_at) end,
        'notice', (select jsonb_build_object('id', n.id, 'status', n.status) from owner_notices n
                    where n.mailout_id = m.id order by n.id desc limit 1));
$$;
