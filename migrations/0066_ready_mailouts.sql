-- Each heartbeat asks whether a mailout was made ready in another database (hold_foreign_mailouts).
create index if not exists mailouts_ready on mailouts (id) where status = 'ready';
