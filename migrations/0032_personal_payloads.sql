-- Payloads of opens and clicks as an earlier version stored them, with the reader's IP address and user agent: found by
-- this index, keep_house (housekeeping.sql) takes both out of them.
create index if not exists ses_events_personal on ses_events (id)
    where type in ('open', 'click') and payload ? 'mail';
