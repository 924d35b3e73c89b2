-- Writing mailouts before they are sent. Whoever changes one says which version of it was read (mailout_triggers.sql
-- counts them), so that of two who write at once the second is told, and nothing is lost. p_by: see change_mailout.sql.

-- Store a draft: {"id", "version"}; or {"taken": the mailout that has the same Notion page}.
create or replace function add_mailout(p_mailout jsonb, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout mailouts;
begin
    insert into mailouts (subject, preheader, body_html, body_markdown, body_text, notion_page_id,
                          from_email, from_name, reply_to, configuration_set, audience, canary, template_id,
                          tracking, schedule, region)
    select subject, preheader, body_html, body_markdown, body_text, notion_page_id, from_email,
           from_name, reply_to, configuration_set, audience, canary, template_id,
           coalesce(tracking, false), schedule, region
      from jsonb_populate_record(null::mailouts, p_mailout)
    on conflict (replace(lower(notion_page_id), '-', '')) where notion_page_id is not null do nothing
    returning * into v_mailout;
    if not found then
        return jsonb_build_object('taken', mailout_of_page(p_mailout ->> 'notion_page_id'));
    end if;
    perform record_audit(p_by, 'mailout.create', v_mailout.id::text, null, mailout_words(v_mailout));
    return jsonb_build_object('id', v_mailout.id, 'version', v_mailout.version);
end $$;

-- Only the previous release calls it.
create or replace function create_mailout(p_mailout jsonb, p_by text default null) returns jsonb
language sql set search_path = public, pg_temp as $$
    select add_mailout(p_mailout, p_by) -> 'id';
$$;

create or replace function mailout_of_page(p_page text) returns uuid
language sql stable set search_path = public, pg_temp as $$
    select id from mailouts where replace(lower(notion_page_id), '-', '') = replace(lower(p_page), '-', '');
$$;

-- A mailout for the audit log. The hash says whether it is the content that was sent later; the content itself is with
-- the mailout.
create or replace function mailout_words(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'status', m.status, 'subject', m.subject, 'preheader', m.preheader, 'audience', m.audience,
        'canary', m.canary, 'notion_page_id', m.notion_page_id, 'from_name', m.from_name,
        'from_email', m.from_email, 'reply_to', m.reply_to, 'configuration_set', m.configuration_set,
        'template_id', m.template_id, 'tracking', nullif(m.tracking, false), 'schedule', m.schedule,
        'region', m.region,
        'content_hash', mailout_content_hash(m)));
$$;

-- Change columns of a draft or of a ready mailout, if it still is p_version. p_change: the columns by name; null
-- clears one. Answers {"changed", "status", "version"}, with "taken" as in add_mailout; null for an unknown id.
create or replace function edit_mailout(
    p_mailout uuid, p_version bigint, p_change jsonb, p_by text default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_before mailouts;
    v_after  mailouts;
begin
    -- The lock makes a second writer wait here, and see the first one's version.
    select * into v_before from mailouts where id = p_mailout for no key update;
    if not found then
        return null;
    end if;
    begin
        update mailouts m
           set (subject, preheader, body_html, body_markdown, body_text, notion_page_id, from_email, from_name,
                reply_to, configuration_set, audience, canary, template_id, tracking, schedule, region)
             = (select n.subject, n.preheader, n.body_html, n.body_markdown, n.body_text, n.notion_page_id,
                       n.from_email, n.from_name, n.reply_to, n.configuration_set, n.audience, n.canary,
                       n.template_id, n.tracking, n.schedule, n.region
                  from jsonb_populate_record(m, p_change) n),
               status_reason = case when status = 'paused' then status_reason end
         where id = p_mailout and version = p_version
           and (status in ('draft', 'ready') or status = 'paused' and p_change - 'region' = '{}')
        returning * into v_after;
    exception when unique_violation then
        return jsonb_build_object('taken', mailout_of_page(p_change ->> 'notion_page_id'));
    end;
    if v_after.id is null then
        return jsonb_build_object('changed', false, 'status', v_before.status, 'version', v_before.version);
    end if;
    if v_after.version <> v_before.version then
        perform record_audit(p_by, 'mailout.edit', p_mailout::text,   -- only what differs
                             words_apart(mailout_words(v_before), mailout_words(v_after)),
                             words_apart(mailout_words(v_after), mailout_words(v_before)));
    end if;
    return jsonb_build_object('changed', true, 'status', v_after.status, 'version', v_after.version);
end $$;

-- The members of p_these that p_those has otherwise or not at all.
create or replace function words_apart(p_these jsonb, p_those jsonb) returns jsonb
language sql immutable set search_path = public, pg_temp as $$
    select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(p_these)
     where value is distinct from p_those -> key;
$$;

-- draft → ready, if it still is p_version (null: whatever it is now).
create or replace function release_mailout(
    p_mailout uuid, p_version bigint default null, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before jsonb := lock_mailout(p_mailout);
begin
    update mailouts set status = 'ready', status_reason = null
     where id = p_mailout and status = 'draft' and version = coalesce(p_version, version);
    return audited_transition(p_mailout, found, p_by, 'mailout.ready', v_before);
end $$;

-- Only the previous release calls it.
create or replace function ready_mailout(p_mailout uuid, p_by text default null) returns jsonb
language sql set search_path = public, pg_temp as $$
    select release_mailout(p_mailout, null, p_by);
$$;

-- ready → draft, if it still is p_version: no request sends it until it is released again. p_reason: for people.
create or replace function unready_mailout(
    p_mailout uuid, p_version bigint default null, p_reason text default null, p_by text default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_before jsonb := lock_mailout(p_mailout);
begin
    update mailouts set status = 'draft', status_reason = p_reason
     where id = p_mailout and status = 'ready' and version = coalesce(p_version, version);
    return audited_transition(p_mailout, found, p_by, 'mailout.unready', v_before);
end $$;

-- A new draft of what a mailout says, to whom, and in which template. Not its Notion page, which names one mailout,
-- nor its schedule, nor a template that was deleted. Answers its id; null for an unknown one.
create or replace function duplicate_mailout(p_mailout uuid, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_copy mailouts;
begin
    insert into mailouts (subject, preheader, body_html, body_markdown, body_text, from_email, from_name, reply_to,
                          configuration_set, audience, canary, template_id, tracking, region)
    select subject, preheader, body_html, body_markdown, body_text, from_email, from_name, reply_to,
           configuration_set, audience, canary,
           (select t.id from templates t where t.id = template_id and t.archived_at is null), tracking, region
      from mailouts where id = p_mailout
    returning * into v_copy;
    if not found then
        return null;
    end if;
    perform record_audit(p_by, 'mailout.create', v_copy.id::text, null,
                         mailout_words(v_copy) || jsonb_build_object('copy_of', p_mailout));
    return to_jsonb(v_copy.id);
end $$;

-- Delete a draft, if it still is p_version (null: whatever it is now). Test mails that wait are not sent. Answers as
-- other transitions do, and `version`; null for an unknown id.
create or replace function delete_mailout(
    p_mailout uuid, p_version bigint default null, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_mailout mailouts;
begin
    select * into v_mailout from mailouts where id = p_mailout for update;
    if not found then
        return null;
    end if;
    if v_mailout.status <> 'draft' or v_mailout.version <> coalesce(p_version, v_mailout.version) then
        return mailout_transition(p_mailout, false) || jsonb_build_object('version', v_mailout.version);
    end if;
    update send_logs set status = 'cancelled', next_attempt_at = null
     where mailout_id = p_mailout and status = 'queued' and is_test;
    delete from mailouts where id = p_mailout;
    perform record_audit(p_by, 'mailout.delete', p_mailout::text, mailout_words(v_mailout), null);
    return jsonb_build_object('changed', true, 'status', v_mailout.status, 'status_reason', null,
                              'version', v_mailout.version);
end $$;
