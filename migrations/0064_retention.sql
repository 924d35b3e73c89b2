-- How far details of the past have been dropped (functions/retention/). One row.
create table retention (
    one        boolean primary key default true check (one),
    events_to  bigint not null default 0,                       -- the last of ses_events that was looked at
    batches_to timestamptz not null default '-infinity',        -- claimed_at of the last of send_batches
    ran_at     timestamptz
);
insert into retention default values;
alter table retention enable row level security;
