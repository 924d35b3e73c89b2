-- Several people, pages and programs may write one draft: each says which version it has read.
-- Counted by a trigger (mailout_triggers.sql), so that what is changed with SQL counts too.
alter table mailouts add column version bigint not null default 1;
