-- The process with the sender and the one that answers HTTP share nothing but this database. In these
-- columns the sender writes whether it has trouble, and for which service it works; `/health` reads them.
alter table executors
    add column service_id uuid,  -- the `serve` or `worker` it belongs to
    add column state      jsonb not null default '{}'; -- trouble, breaker, account_error: null is none
