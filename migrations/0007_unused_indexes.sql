-- Nothing reads these indexes any more: counts are kept (0003_counts.sql), and send_logs_missed finds
-- `failed` and `unknown` rows.
drop index if exists send_logs_unsubscribed;
drop index if exists send_logs_failed;
drop index if exists send_logs_unknown;
