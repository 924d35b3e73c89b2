-- A table without a primary key can't be changed where it is published (`for all tables`, a replica that
-- is made for an upgrade), and with it no mail could be recorded: its whole rows are its identity.
alter table recipient_counts replica identity full;
