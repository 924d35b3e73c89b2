-- What became of mails after their delivery, where a mailout asks for it (`tracking`): opens and clicks, what they
-- were derived from, and what was judged of them (docs/engagement.md). Neither an IP address nor a user agent is kept.

-- Links that were clicked, and those of the document once they are known (`mailout_snapshots.links_read`). `url` is the
-- link as the document has it, with its holes, in one spelling (app/domain/engagement/links.py); `place`: where it stands
-- there; null, as `position` is: it isn't in the document. `other`: the name for all that are clicked beyond a thousand
-- of these.
create table mailout_links (
    id         bigint generated always as identity primary key,
    mailout_id uuid not null,
    url        text not null check (length(url) <= 2000),
    position   integer,                  -- among the document's links, from 0
    place      text check (place in ('body', 'footer')),
    pattern    text                      -- where it has holes: what `like` finds the links by that people clicked
);
create unique index mailout_links_once on mailout_links (mailout_id, md5(url));
create index mailout_links_patterns on mailout_links (mailout_id) where pattern is not null;
create index mailout_links_strangers on mailout_links (mailout_id) where position is null;

alter table mailout_snapshots add column links_read boolean not null default false;
create index mailout_snapshots_unread on mailout_snapshots (mailout_id) where not links_read and content ? 'tracking';

-- Signals: what one recipient did with one link (0: opened the mail), seen from one network with one kind of
-- program, within ten minutes; what repeats meanwhile only counts up. All that a verdict may rest on is here, so that
-- it can be given anew when the rules change. Of one recipient there are at most some hundred (fold_engagement.sql).
create table engagement_signals (
    id          bigint generated always as identity primary key,
    send_log_id bigint not null,
    mailout_id  uuid not null,
    kind        text not null check (kind in ('open', 'click')),
    link_id     bigint not null default 0,
    network     text not null default '',       -- our name of the network that it came from; '': none that we know
    agent       text not null default '',       -- our name of the kind of program; '': an ordinary one
    slot        timestamptz not null,           -- start of the ten minutes
    first_at    timestamptz not null,           -- as SES says
    last_at     timestamptz not null,
    events      integer not null default 1,
    class       text check (class in ('human', 'machine', 'unknown')),    -- null: not judged yet
    reason      text,                           -- code of the rule that decided
    rules       integer                         -- version of the rules that judged
) with (fillfactor = 85);
create unique index engagement_signals_once
    on engagement_signals (send_log_id, kind, link_id, network, agent, slot);
create index engagement_signals_mailout on engagement_signals (mailout_id, kind, link_id);

-- One row for each recipient who did anything: the best of what was judged (human before unknown before machine).
-- Whoever clicked has read, also where no picture was loaded: whoever asks who read asks for both.
create table engagement_recipients (
    send_log_id   bigint primary key,
    mailout_id    uuid not null,
    subscriber_id uuid,
    delivered_at  timestamptz,
    open_class    text check (open_class in ('human', 'machine', 'unknown')),
    click_class   text check (click_class in ('human', 'machine', 'unknown')),
    opened_at     timestamptz,                  -- the first of that class
    clicked_at    timestamptz,
    last_opened_at  timestamptz,                -- the latest that wasn't a machine's
    last_clicked_at timestamptz,
    rules         integer,                      -- version of the rules that judged; null: never yet
    due_at        timestamptz                   -- to be judged (again) then; null: nothing new
) with (fillfactor = 85);
create index engagement_recipients_mailout on engagement_recipients (mailout_id);
create index engagement_recipients_subscriber on engagement_recipients (subscriber_id, mailout_id)
    where subscriber_id is not null;
create index engagement_recipients_due on engagement_recipients (due_at) where due_at is not null;

alter table mailout_links enable row level security;
alter table engagement_signals enable row level security;
alter table engagement_recipients enable row level security;
