-- Commands in comments on a row's page: each is answered once, by one process.

-- The rows whose comments are to be looked at now, p_limit at most: those that somebody has to do with. Each every p_seconds
-- while it is being sent or was just changed, else ten times as seldom; so, too, where events of Notion come.
create or replace function claim_notion_talks(p_limit integer, p_seconds double precision) returns jsonb
language sql set search_path = public, pg_temp as $$
    with told as (
        select case when exists (select from notion_events where received_at > now() - interval '1 day') then 10 else 1
               end as slower
    ), due as (
        select r.page_id
          from notion_rows r left join mailouts m on m.id = r.mailout_id left join notion_talks t on t.page_id = r.page_id,
               told
         where r.gone_at is null
           and (m.status in ('scheduled', 'sending', 'paused') or r.changed_at > now() - interval '1 day'
                or m.sent_at > now() - interval '7 days')
           and (t.looked_at is null
                or t.looked_at < now() - make_interval(secs => p_seconds * slower * case
                       when m.status in ('sending', 'paused') or r.changed_at > now() - interval '10 minutes' then 1
                       else 10 end))
         order by m.status in ('sending', 'paused') is true desc, t.looked_at nulls first limit p_limit
           for update of r skip locked
    ), marked as (
        insert into notion_talks as t select page_id, now() from due order by page_id
        on conflict (page_id) do update set looked_at = excluded.looked_at
        returning page_id
    )
    select coalesce(jsonb_agg(page_id), '[]') from marked;
$$;

-- Of these comments (a list of ids), those that nobody has answered yet.
create or replace function open_notion_comments(p_comments jsonb) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(id), '[]') from jsonb_array_elements_text(p_comments) id
     where not exists (select from notion_comments where comment_id = id::uuid and outcome is not null);
$$;

-- Take a comment to answer it: {"tries", "answer_hash"}; null: another has it, or it was answered. Of a later try the hash
-- is that of an answer which may stand in the thread already.
create or replace function begin_notion_comment(
    p_comment uuid, p_page uuid, p_command text, p_lease_seconds double precision) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into notion_comments as c (comment_id, page_id, command, lease_until)
    values (p_comment, p_page, p_command, clock_timestamp() + make_interval(secs => p_lease_seconds))
    on conflict (comment_id) do update
       set tries = c.tries + 1, lease_until = excluded.lease_until
     where c.outcome is null and c.lease_until < clock_timestamp()
    returning jsonb_build_object('tries', tries, 'answer_hash', answer_hash);
$$;

-- Pause or resume as a comment asks, once, whoever reads the comment again: {"changed", "status", "status_reason"}.
create or replace function act_on_notion_comment(p_comment uuid, p_act text, p_mailout uuid, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_acted jsonb;
begin
    select acted into v_acted from notion_comments where comment_id = p_comment for update;
    if v_acted is null then
        v_acted := case p_act when 'pause' then pause_mailout(p_mailout, 'person', 'Paused by a person.', p_by)
                              when 'resume' then resume_mailout(p_mailout, p_by) end;
        update notion_comments set acted = v_acted where comment_id = p_comment;
    end if;
    return v_acted;
end $$;

-- This is about to be written as its answer.
create or replace function note_notion_answer(p_comment uuid, p_hash text) returns jsonb
language sql set search_path = public, pg_temp as $$
    update notion_comments set answer_hash = p_hash where comment_id = p_comment;
    select to_jsonb(true);
$$;

-- It is done with (p_outcome: answered, refused); null: another may try at once.
create or replace function settle_notion_comment(p_comment uuid, p_outcome text) returns jsonb
language sql set search_path = public, pg_temp as $$
    update notion_comments set outcome = p_outcome, lease_until = clock_timestamp()
     where comment_id = p_comment and outcome is null;
    select to_jsonb(true);
$$;

-- What Notion said to our reading or writing comments; null: it lets us.
create or replace function note_notion_comments(p_refused text) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into notion_integration as i (comments_refused, refused_at)
    select p_refused, now() where p_refused is not null or exists (select from notion_integration)
    on conflict (only_one) do update
       set comments_refused = excluded.comments_refused,
           refused_at = case when excluded.comments_refused is not null then now() end
     where i.comments_refused is distinct from excluded.comments_refused;
    select to_jsonb(true);
$$;

-- Whether a person was in a mailout and what became of them, or why not:
--   {"subscriber": {"email", "status", "since", "added_at", "problem" (of the address)}, null: nobody has this address,
--    "erased": they were, at their own wish, "mail": their row of the ledger, null: none,
--    "fits": whether the mailout's rule fits them, as they are now, "then": {"status", "fits" (null: not known)} when it
--    started, as the history tells, null: it doesn't,
--    "status": of the mailout, "started_at", "queued": its whole audience is in the ledger}
create or replace function notion_why(p_mailout uuid, p_email text) returns jsonb
language plpgsql stable set search_path = public, pg_temp set enable_seqscan = off as $$
declare
    v_mailout mailouts;
    v_person  subscribers;
    v_mail    send_logs;
    v_rule    record;
    v_fits    boolean;
    v_then    jsonb;
begin
    select * into v_mailout from mailouts where id = p_mailout;
    select * into v_person from subscribers where id = (find_subscriber(null, p_email) ->> 'id')::uuid;
    if v_person.id is not null then
        select * into v_mail from send_logs
         where mailout_id = p_mailout and subscriber_id = any (person_ids(v_person.id)) and not is_test
         order by sent_at desc nulls last limit 1;
        begin
            select c.* into v_rule
              from mailout_audience(p_mailout) a, compile_audience(a.rule, '$1', a.at, a.zone) c;
            execute format('select %s from subscribers s where s.id = $2', v_rule.condition)
               into v_fits using v_rule.bound, v_person.id;
        exception when sqlstate 'P0D01' then   -- it asks for details that were dropped
            v_fits := null;
        end;
        select case when (was ->> 'known')::boolean then jsonb_build_object(
                   'status', was #> '{row,status}', 'fits', case when a.rule is null then true else (explain_audience(
                       a.rule, to_jsonb(v_person), was -> 'row', a.at, a.zone, person_ids(v_person.id)) ->> 'then')::boolean end) end
          into v_then from mailout_audience(p_mailout) a, person_at(v_person.id, a.at) was
         where v_mailout.started_at is not null;
    end if;
    return jsonb_build_object(
        'subscriber', case when v_person.id is not null then jsonb_build_object(
            'email', v_person.email, 'status', v_person.status, 'since', v_person.status_updated_at,
            'added_at', v_person.created_at,
            'problem', case when v_person.address is null then (read_address(v_person.email)).problem end) end,
        'erased', v_person.id is null and is_erased(p_email),
        'mail', case when v_mail.id is not null then jsonb_build_object(
            'status', v_mail.status, 'error_code', v_mail.error_code, 'error_message', v_mail.error_message,
            'bounce_type', v_mail.bounce_type, 'bounce_subtype', v_mail.bounce_subtype, 'attempts', v_mail.attempts,
            'queued_at', v_mail.created_at, 'due_at', v_mail.next_attempt_at, 'sent_at', v_mail.sent_at,
            'event_at', v_mail.event_at, 'unsubscribed_at', v_mail.unsubscribed_at) end,
        'fits', v_fits, 'then', v_then,
        'details_dropped_at', (select started_at from shrunk_mailouts where mailout_id = p_mailout),
        'status', v_mailout.status, 'started_at', v_mailout.started_at,
        'queued', v_mailout.started_at is not null
                  and not exists (select from mailout_queues where mailout_id = p_mailout and done_at is null));
end $$;

-- Rows that something was asked of, or that changed within a day, the latest first: {"page_id", "title", "status", and what
-- notion_write_facts says}.
create or replace function recent_notion_rows(p_limit integer) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('page_id', page_id, 'title', title, 'status', status)
                              || notion_write_facts(page_id) order by changed_at desc, page_id), '[]')
      from (select * from notion_rows
             where gone_at is null and (press > 0 or changed_at > now() - interval '1 day')
             order by changed_at desc, page_id limit p_limit) r;
$$;
