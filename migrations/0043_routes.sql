-- A route is a way out for mail: an SES region or, while SES can't send, another provider. The columns
-- called region hold its name. `mailouts.region`: the only route that a mailout may take; null: any.
alter table mailouts add column if not exists region text;
alter table mailouts add constraint mailouts_region check (region ~ '^[a-z0-9-]{1,40}$') not valid;
alter table mailouts validate constraint mailouts_region;

-- The routes of each sender, and the recipients per second that it was told for each (null: the account's).
-- A sender of an earlier version has none here and sends by its `region`.
alter table executors add column if not exists routes jsonb not null default '{}';

-- Routes that refused a mailout, whoever its recipient: the others go on, and these are asked again later.
create table if not exists mailout_blocks (
    mailout_id uuid not null references mailouts on delete cascade,
    region     text not null,
    code       text not null,            -- as mailouts.pause_code
    reason     text not null,
    until      timestamptz not null,
    primary key (mailout_id, region)
);
alter table mailout_blocks enable row level security;
