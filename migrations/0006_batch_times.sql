-- What was claimed of late, and the first claim of a day, in the order of time. The BRIN index before
-- had no order, and left what came since the last vacuum to be read row by row. A file of its own, so
-- that this needs no other table's lock: claims wait while it runs, a second for a million calls to SES.
lock table send_batches in access exclusive mode;
create index if not exists send_batches_claims on send_batches (claimed_at);
drop index if exists send_batches_claimed_at;
