-- Tokens that came with the webhooks of a provider whose signature covers the token and not the event (Mailgun):
-- a token holds for one event, or whoever has seen one request could put its signature on any other.
create table webhook_tokens (
    token   text primary key,
    event   text not null,               -- the event that it came with
    seen_at timestamptz not null default now()
);
create index webhook_tokens_seen_at on webhook_tokens (seen_at);
alter table webhook_tokens enable row level security;

-- Whose word it was that somebody left the list: SendGrid's and Mailgun's, too.
create or replace function list_source(p_by text, p_import text) returns text
language sql immutable set search_path = public, pg_temp as $$
    select case when coalesce(p_import, '') <> '' then 'import'
                when p_by = 'owner' or p_by like 'key %' then 'api'
                when p_by in ('import', 'sign-up', 'dashboard', 'cli', 'link', 'mail client', 'ses', 'database',
                              'sendgrid', 'mailgun') then p_by
                when coalesce(p_by, '') = '' then 'database'
                else 'other' end;
$$;
