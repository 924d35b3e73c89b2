-- Test mails are rows of their own that belong to no subscriber, so they change nobody's state. Their
-- content is kept, to see later whether the mailout was changed since it was tested.
-- p_content_hash: of the content the caller has compiled; when it was edited since, nothing is
-- queued ("changed"). p_request_key: as in claim_mailout; a repeat queues nothing. p_by: see change_mailout.sql.
create or replace function queue_test(
    p_mailout uuid, p_emails jsonb, p_content_hash text default null,
    p_request_key text default null, p_request_hash text default null, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_known    jsonb := take_request_key(p_request_key, p_request_hash);
    v_response jsonb;
begin
    if v_known is not null then
        return v_known;
    end if;
    -- Its rows would be kept for good. Locked, so that none comes in while it begins to shrink.
    perform from mailouts where id = p_mailout for share;
    perform refuse_dropped(p_mailout, 'This mailout''s details were dropped on %s (LEDGER_RETENTION_DAYS), so nothing of '
        'it can be mailed again. Duplicate it, and test that.');
    insert into mailout_tests as t (mailout_id, content, content_hash)
    select m.id, mailout_content(m), mailout_content_hash(m) from mailouts m
     where m.id = p_mailout and mailout_content_hash(m) = coalesce(p_content_hash, mailout_content_hash(m))
    on conflict (mailout_id) do update
       set content = excluded.content, content_hash = excluded.content_hash, tested_at = now();
    if not found then
        delete from send_requests where key = p_request_key;
        return jsonb_build_object('outcome', 'changed');
    end if;
    insert into send_logs (mailout_id, email, is_test)
    select p_mailout, email, true from jsonb_array_elements_text(p_emails) as e (email);
    perform pg_notify('amazonsender', 'work');   -- not by a trigger on the ledger (sending/work_due.sql)
    select jsonb_build_object('mailout_id', id, 'status', status,
                              'recipients', jsonb_array_length(p_emails), 'test', true)
      into v_response from mailouts where id = p_mailout;
    update send_requests set response = v_response where key = p_request_key;
    perform record_audit(p_by, 'mailout.test', p_mailout::text, null,
                         jsonb_build_object('recipients', v_response -> 'recipients'));
    return jsonb_build_object('outcome', 'queued', 'response', v_response);
end $$;

-- The content of a mailout's waiting test mails; null when nobody ever asked for one.
create or replace function tested_content(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object('content', content, 'content_hash', content_hash)
      from mailout_tests where mailout_id = p_mailout;
$$;

-- The subscriber whose name and fields a test mail shows: the first of the audience among the first 5,000
-- subscribers; if none is, one found by the indexes of tags and status. null: the audience is empty, or nobody was
-- found so soon.
create or replace function sample_subscriber(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_audience record;
    v_rule     record;
    v_tags     text[];
    v_found    subscribers;
begin
    select * into v_audience from mailout_audience(p_mailout);
    select * into v_rule from compile_audience(v_audience.rule, '$1', v_audience.at, v_audience.zone);
    v_tags := needed_tags(v_audience.rule);
    execute format($query$
        select * from (select * from subscribers order by id limit 5000) s
         where status = 'active' and (%s) order by id limit 1
        $query$, v_rule.condition) into v_found using v_rule.bound;
    if v_found.id is null and v_audience.rule is null then
        select * into v_found from subscribers where status = 'active' limit 1;
    elsif v_found.id is null and v_tags is not null then
        execute format($query$
            select * from (select * from subscribers where tags && $2 offset 0) s
             where status = 'active' and (%s) limit 1
            $query$, v_rule.condition) into v_found using v_rule.bound, v_tags;
    end if;
    return case when v_found.id is not null then
        jsonb_build_object('id', v_found.id, 'email', v_found.email, 'name', v_found.name,
                           'fields', v_found.fields) end;
end $$;
