-- Lists with filters. No call reads more because the tables are larger.

-- A page of mailouts, newest first. p_filter: {"statuses": [any of them], "q": within the subject, "since", "until":
-- when it was created}; what isn't there doesn't matter. p_before, p_before_id: of the last row of the page before.
create or replace function mailouts_page(
    p_limit integer, p_filter jsonb default '{}', p_before timestamptz default null, p_before_id uuid default null)
returns jsonb language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_statuses text[] := case when p_filter ? 'statuses'
                         then array(select jsonb_array_elements_text(p_filter -> 'statuses')) end;
    v_q        text := lower(p_filter ->> 'q');
    v_since    timestamptz := coalesce((p_filter ->> 'since')::timestamptz, '-infinity');
    v_until    timestamptz := coalesce((p_filter ->> 'until')::timestamptz, 'infinity');
begin
    return (
        select coalesce(jsonb_agg(mailout_summary(m) order by m.created_at desc, m.id desc), '[]')
          from (select * from mailouts
                 where created_at >= v_since and created_at < v_until
                   and (p_before is null or (created_at, id) < (p_before, p_before_id))
                   and (v_statuses is null or status = any (v_statuses))
                   and (v_q is null or strpos(lower(subject), v_q) > 0)
                 order by created_at desc, id desc limit p_limit) m);
end $$;

-- Only the previous release calls it.
create or replace function list_mailouts(
    p_limit integer, p_status text default null, p_before timestamptz default null,
    p_before_id uuid default null)
returns jsonb language sql stable set search_path = public, pg_temp as $$
    select mailouts_page(p_limit, jsonb_strip_nulls(jsonb_build_object(
               'statuses', case when p_status is not null then jsonb_build_array(p_status) end)),
               p_before, p_before_id);
$$;

-- Somebody for whom a subject is shown in a list: the first active one of the first 500; null: there is none.
create or replace function sample_reader() returns jsonb
language sql stable set search_path = public, pg_temp set enable_seqscan = off as $$
    select jsonb_build_object('name', name, 'fields', fields)
      from (select * from subscribers order by id limit 500) early where status = 'active' order by id limit 1;
$$;

-- A page of a mailout's recipients after subscriber p_after: {"rows", "next"}. p_statuses: any of them; null: all. p_q:
-- an address in whatever spelling, or a part of one. At most p_reach rows are looked at, so a page may be shorter than
-- p_limit, or empty, and `next` says where to go on; null: there are no more.
create or replace function recipients_page(
    p_mailout uuid, p_limit integer, p_reach integer, p_statuses jsonb default null, p_q text default null,
    p_after uuid default '00000000-0000-0000-0000-000000000000')
returns jsonb language plpgsql stable set search_path = public, pg_temp
set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
declare
    v_statuses text[] := case when p_statuses is not null then array(select jsonb_array_elements_text(p_statuses)) end;
    v_q        text := lower(btrim(p_q));
    v_person   uuid;
    v_ids      bigint[];
    v_next     uuid;
begin
    if v_statuses is not null and recipients_in(p_mailout, v_statuses) = 0 then
        return '{"rows": [], "next": null}';
    end if;
    if v_q like '%_@_%' then
        select id into v_person from subscribers where address = canonical_address(p_q);
    end if;
    if v_person is not null then
        v_ids := array(select id from send_logs
                        where mailout_id = p_mailout and subscriber_id = v_person and not is_test
                          and (v_statuses is null or status = any (v_statuses)) and subscriber_id > p_after);
    else
        v_ids := array(
            select id from (select id, status, email from send_logs
                             where (mailout_id, subscriber_id) > (p_mailout, p_after) and mailout_id <= p_mailout
                               and not is_test
                             order by mailout_id, subscriber_id limit p_reach) reached
             where (v_statuses is null or status = any (v_statuses)) and (v_q is null or strpos(lower(email), v_q) > 0)
             limit p_limit + 1);
        if cardinality(v_ids) > p_limit then
            v_ids := v_ids[:p_limit];
            select subscriber_id into v_next from send_logs where id = v_ids[p_limit];
        else
            select subscriber_id into v_next from send_logs
             where (mailout_id, subscriber_id) > (p_mailout, p_after) and mailout_id <= p_mailout and not is_test
             order by mailout_id, subscriber_id offset p_reach - 1 limit 1;
        end if;
    end if;
    if v_ids = '{}' then
        return jsonb_build_object('rows', '[]'::jsonb, 'next', v_next);
    end if;
    return jsonb_build_object('next', v_next, 'rows', (
        select coalesce(jsonb_agg(recipient_row(
                   l, (select b.region from send_batches b where b.attempt_id = l.attempt_id)) || jsonb_build_object(
                   'name', (select name from subscribers s where s.id = l.subscriber_id)) order by l.subscriber_id), '[]')
          from send_logs l where l.id = any (v_ids)));
end $$;

-- p_route: by which its latest attempt went, an SES region or another provider; null: there was none, or it isn't known
-- any more.
create or replace function recipient_row(l send_logs, p_route text) returns jsonb
language sql stable as $$
    select jsonb_build_object(
        'id', l.id, 'subscriber_id', l.subscriber_id, 'email', l.email, 'status', l.status, 'error_code', l.error_code,
        'error_message', l.error_message, 'bounce_type', l.bounce_type, 'bounce_subtype', l.bounce_subtype,
        'message_id', l.message_id, 'attempts', l.attempts, 'sent_at', l.sent_at, 'event_at', l.event_at,
        'unsubscribed_at', l.unsubscribed_at, 'route', p_route);
$$;
