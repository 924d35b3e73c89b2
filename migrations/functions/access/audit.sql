-- Note what a person or a key did, within the transaction that does it. Never pass a secret.
create or replace function record_audit(
    p_by text, p_action text, p_target text, p_before jsonb default null, p_after jsonb default null)
returns void language sql set search_path = public, pg_temp as $$
    insert into audit_log (by, action, target, before, after)
    values (p_by, p_action, p_target, p_before, p_after);
$$;
