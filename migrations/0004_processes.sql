-- A sender and the process that answers HTTP share nothing but this database: here the sender says
-- how it is, and for which service it works.
alter table executors
    add column service_id uuid,  -- the `serve` or `worker` it belongs to
    add column state      jsonb not null default '{}'; -- trouble, breaker, account_error: null is none
