-- People: who signed up but hasn't confirmed, what somebody consented to, and a history of every change.

lock table ses_events, subscribers, send_logs in share row exclusive mode;   -- in the order of 0003_counts.sql

-- pending: signed up and not confirmed; never mailed.
alter table subscribers drop constraint subscribers_status_check;
alter table subscribers add constraint subscribers_status_check
    check (status in ('active', 'pending', 'unsubscribed', 'bounced', 'complained')) not valid;
alter table subscribers validate constraint subscribers_status_check;
-- {"source": "sign-up" | "import" | "api" | "dashboard", "at", and what is known: "text", "page", "import_id"}.
-- null: not known.
alter table subscribers add column consent jsonb check (jsonb_typeof(consent) = 'object');

-- Every change of a subscriber, written by triggers, whoever made it. Who and why is what the transaction
-- said (function `acting`); a change without such words was made in the database itself.
create table subscriber_changes (
    id            bigint generated always as identity primary key,
    subscriber_id uuid not null,       -- no reference: a deleted subscriber's history stays
    at            timestamptz not null default clock_timestamp(),
    by            text not null,
    reason        text,
    import_id     uuid,
    before        jsonb,               -- the changed columns as they were; null: added
    after         jsonb                -- and as they became; null: added or deleted
);
create index subscriber_changes_subscriber on subscriber_changes (subscriber_id, id);
create index subscriber_changes_import on subscriber_changes (import_id, id) where import_id is not null;
alter table subscriber_changes enable row level security;

-- What persons and keys did: one row per act, without secrets.
create table audit_log (
    id     bigint generated always as identity primary key,
    at     timestamptz not null default clock_timestamp(),
    by     text not null,
    action text not null,              -- such as mailout.pause, subscriber.erase, key.create
    target text not null,              -- such as a mailout's id or a key's name
    before jsonb,
    after  jsonb
);
create index audit_log_target on audit_log (target, id);
alter table audit_log enable row level security;
