-- How many mails of each mailout each route accepted: an SES region or another provider. One row for each connection
-- that wrote, as in recipient_counts (0003_counts.sql), so that no transaction waits for another's. The counts outlive
-- the batches.
create table if not exists route_counts (
    mailout_id uuid not null,
    region     text not null,
    connection integer not null,
    accepted   bigint not null,
    primary key (mailout_id, region, connection)
) with (fillfactor = 50);
create index if not exists route_counts_connection on route_counts (connection) where connection <> 0;
alter table route_counts enable row level security;

-- What was sent before, by the answers alone. Batches from before the start are test mails.
insert into route_counts
select b.mailout_id, b.region, 0, sum(b.accepted)
  from send_batches b join mailouts m on m.id = b.mailout_id
 where b.accepted > 0 and b.claimed_at >= m.started_at
 group by b.mailout_id, b.region
on conflict do nothing;
