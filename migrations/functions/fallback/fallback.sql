-- Another provider in SES's place. It is open while a provider has its turn: only then are recipients claimed
-- for it (claim_batches.sql), and only such as are queued, which the ledger proves not to be accepted.

create or replace function is_fallback_route(p_route text) returns boolean language sql immutable as $$
    select p_route in ('sendgrid', 'mailgun');
$$;

-- Whose turn it is; null: nobody's.
create or replace function fallback_provider() returns text
language sql volatile set search_path = public, pg_temp as $$
    select provider from fallback_changes order by id desc limit 1;
$$;

-- The same, if a living sender has it.
create or replace function fallback_route() returns text
language sql volatile set search_path = public, pg_temp as $$
    select p from fallback_provider() p where exists (select from executors e where sends_by(e, p) and is_alive(e));
$$;

-- The present state, for people: {"open", "provider", "since", "by", "reason", "changes", "waiting", "rate",
-- "ses_down_since"}. waiting: recipients that are queued; rate: the provider's, or of p_next, who would have
-- the next turn. changes: the last ten.
create or replace function fallback_state(p_next text default null) returns jsonb
language sql volatile set search_path = public, pg_temp as $$
    with last as (select * from fallback_changes order by id desc limit 10)
    select jsonb_build_object(
        'open', c.provider is not null, 'provider', c.provider, 'since', c.at, 'by', c.by, 'reason', c.reason,
        'changes', (select coalesce(jsonb_agg(to_jsonb(l) order by l.id desc), '[]') from last l),
        'waiting', (select coalesce(sum(recipients_in(id, '{queued}')), 0) from mailouts
                     where region is null and (status = 'sending'
                        or status = 'paused' and pause_code in ('account', 'quota'))),
        'rate', (select rate from send_rates where region = coalesce(c.provider, p_next)),
        'ses_down_since', w.down_since)
      from fallback_watch w left join (select * from last order by id desc limit 1) c on true;
$$;

-- A person opens it, or gives the turn to another provider. {"changed", …} and the state. p_by: as in audit_log.
create or replace function open_fallback(p_provider text, p_reason text, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    return change_fallback(p_provider, p_reason, p_by, 'fallback.open');
end $$;

-- A person closes it. The rule opens it again only for an outage that begins later.
create or replace function close_fallback(p_reason text, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
begin
    return change_fallback(null, p_reason, p_by, 'fallback.close');
end $$;

create or replace function change_fallback(p_provider text, p_reason text, p_by text, p_action text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before text;
begin
    perform from fallback_watch for update;   -- one change after the other
    v_before := fallback_provider();
    if v_before is not distinct from p_provider then
        return fallback_state(p_provider) || jsonb_build_object('changed', false);
    end if;
    insert into fallback_changes (provider, by, reason) values (p_provider, p_by, p_reason);
    perform record_audit(p_by, p_action, 'fallback', jsonb_build_object('provider', v_before),
                         jsonb_build_object('provider', p_provider, 'reason', p_reason));
    return fallback_state(p_provider) || jsonb_build_object('changed', true);
end $$;
