-- What became of mails after their delivery, where a mailout asks for it (`tracking`): opens and clicks, what they
-- were derived from, and what was judged of them (docs/engagement.md). Neither an IP address nor a user agent is kept.

-- Links that were clicked, and those of the document once they are known. `url` is the link as the document has it,
-- with its holes; `place`: where it stands there; null: it isn't in the document.
create table mailout_links (
    id         bigint generated always as identity primary key,
    mailout_id uuid not null,
    url        text not null check (length(url) <= 2000),
    position   integer,                  -- among the document's links, from 0
    place      text check (place in ('body', 'footer'))
);
create unique index mailout_links_once on mailout_links (mailout_id, md5(url));

-- Signals: what one recipient did with one link (0: opened the mail), seen from one network with one kind of
-- program, within ten minutes; what repeats meanwhile only counts up. All that a verdict may rest on is here, so that
-- it can be given anew when the rules change.
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
);
create unique index engagement_signals_once
    on engagement_signals (send_log_id, kind, link_id, network, agent, slot);
create index engagement_signals_mailout on engagement_signals (mailout_id, kind, link_id);

-- One row for each recipient who did anything: the best of what was judged (human before unknown before machine).
create table engagement_recipients (
    send_log_id   bigint primary key,
    mailout_id    uuid not null,
    subscriber_id uuid,
    delivered_at  timestamptz,
    open_class    text check (open_class in ('human', 'machine', 'unknown')),
    click_class   text check (click_class in ('human', 'machine', 'unknown')),
    opened_at     timestamptz,                  -- the first of that class
    clicked_at    timestamptz,
    rules         integer,                      -- version of the rules that judged; null: never yet
    due_at        timestamptz                   -- to be judged (again); null: nothing new
);
create index engagement_recipients_mailout on engagement_recipients (mailout_id);
create index engagement_recipients_subscriber on engagement_recipients (subscriber_id) where subscriber_id is not null;
create index engagement_recipients_due on engagement_recipients (due_at) where due_at is not null;

alter table mailout_links enable row level security;
alter table engagement_signals enable row level security;
alter table engagement_recipients enable row level security;
