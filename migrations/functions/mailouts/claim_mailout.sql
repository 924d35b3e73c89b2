-- Start a mailout: ready → sending, once, however many ask. The same transaction freezes the content and
-- opens the queue. Nothing is started when the content is no longer the one with p_content_hash, which the
-- caller has compiled ("changed"), nor when nobody is to be mailed ("audience_empty").
-- p_request_key: an Idempotency-Key or Notion event; a repeat of an accepted request gets the same answer
-- again and starts nothing. p_region, p_regions, p_rate_limit: the caller's, to estimate quota and duration
-- (send_outlook.sql). p_warnings: put into the answer unchanged. p_by: see change_mailout.sql.
create or replace function claim_mailout(
    p_mailout uuid, p_content_hash text, p_request_key text default null,
    p_request_hash text default null, p_region text default null,
    p_rate_limit double precision default null, p_warnings jsonb default '[]', p_by text default null,
    p_regions jsonb default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout  mailouts;
    v_known    jsonb;
    v_outcome  text;   -- null: it is started
    v_size     jsonb;
    v_response jsonb;
begin
    v_known := take_request_key(p_request_key, p_request_hash);
    if v_known is not null then
        return v_known;
    end if;

    v_size := audience_size(p_mailout, 200000);   -- of a longer list an estimate: the answer is awaited
    select * into v_mailout from mailouts where id = p_mailout for no key update;
    v_outcome := case
        when not found then 'not_found'
        when v_mailout.status <> 'ready' or not is_from_here(v_mailout.started_in) then 'not_ready'
        when (v_size -> 'recipients')::bigint = 0 then
            case when mailout_content_hash(v_mailout) = p_content_hash then 'audience_empty' else 'changed' end
        when not freeze_content(v_mailout, p_content_hash) then 'changed' end;
    if v_outcome is not null then
        delete from send_requests where key = p_request_key;   -- only an accepted one is kept
        if v_outcome = 'not_ready' then   -- perhaps because it was made ready in another database
            perform hold_foreign_mailouts();
        end if;
        return jsonb_build_object('outcome', v_outcome,
                                  'status', coalesce((select status from mailouts where id = p_mailout), v_mailout.status));
    end if;

    update mailouts
       set status = 'sending', started_at = now(), status_reason = null, pause_code = null,
           started_in = database_identity(), canary_until = null,
           canary_phase = case when canary is not null then 'sending' end,
           recipients = (v_size -> 'recipients')::bigint
     where id = p_mailout
    returning * into v_mailout;
    perform freeze_audience(v_mailout);
    insert into mailout_queues (mailout_id) values (p_mailout)
    on conflict (mailout_id) do update set cursor = default, done_at = null;

    v_response := jsonb_build_object('mailout_id', p_mailout, 'status', 'sending',
                                     'recipients', v_mailout.recipients,
                                     'recipients_estimated', v_size -> 'estimated',
                                     'warnings', p_warnings)
               || send_outlook(p_region, p_rate_limit, v_mailout.recipients, p_regions);
    update send_requests set response = v_response where key = p_request_key;
    perform record_audit(p_by, 'mailout.start', p_mailout::text, '{"status": "ready"}',
                         audited_state(v_mailout) || jsonb_build_object('recipients', v_mailout.recipients));
    return jsonb_build_object('outcome', 'claimed', 'response', v_response);
end $$;
