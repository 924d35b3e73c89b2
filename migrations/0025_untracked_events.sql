-- Opens and clicks that came for mailouts that don't ask for them, by the hour in which they came: nothing else is kept
-- of them. Many of them mean that SES rewrites links by itself (docs/engagement.md). Kept for a week.
create table untracked_events (
    hour       timestamptz not null,
    kind       text not null check (kind in ('open', 'click')),
    events     bigint not null,
    mailout_id uuid,                     -- one of them, to be named
    primary key (hour, kind)
) with (fillfactor = 50);
alter table untracked_events enable row level security;
