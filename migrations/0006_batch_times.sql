-- An index to find recent claims, and the first claim of a day, in the order of time. It replaces a BRIN
-- index, which has no order and for which PostgreSQL reads all rows since the last vacuum one by one.
-- This is a file of its own so that it locks no other table: claims wait while it runs, about a second
-- for a million calls to SES.
lock table send_batches in access exclusive mode;
create index if not exists send_batches_claims on send_batches (claimed_at);
drop index if exists send_batches_claimed_at;
