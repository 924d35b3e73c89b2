-- Counts have taken their place (0003_counts.sql), and send_logs_missed that of both for the missed.
drop index if exists send_logs_unsubscribed;
drop index if exists send_logs_failed;
drop index if exists send_logs_unknown;
