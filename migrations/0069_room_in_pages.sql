-- Queued rows are 100 bytes shorter than those of finished mails, and so went one by one into the gaps at the ends of old
-- pages: a page for each recipient that is read, and written to the WAL whole. With some room kept in each page, gaps are left
-- alone, and a row that grows mostly stays where it is (docs/scale.md). Pages that are there stay as they are.
alter table send_logs set (fillfactor = 90);
