-- Whether a webhook's token may stand for this event: it is new, or came with the very same event before, as when
-- the provider repeats what it got no answer to. Tokens are kept for two days, longer than a signature holds
-- (app/domain/providers/signatures.py); each new one takes some old ones along.
create or replace function use_webhook_token(p_token text, p_event text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_event text;
begin
    insert into webhook_tokens (token, event) values (p_token, p_event) on conflict (token) do nothing;
    if not found then
        select event into v_event from webhook_tokens where token = p_token;
        return to_jsonb(coalesce(v_event = p_event, false));
    end if;
    delete from webhook_tokens
     where token in (select token from webhook_tokens where seen_at < now() - interval '2 days'
                      order by seen_at limit 5 for update skip locked);
    return 'true';
end $$;
