-- sending → sent | failed when the audience is queued and every recipient is settled; gives the
-- mailout's status. `failed`: everybody was refused for good.
create or replace function finish_mailout(p_mailout uuid) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_status text;
    v_failed boolean;
begin
    select status into v_status from mailouts where id = p_mailout;
    if v_status <> 'sending' or is_open(p_mailout) then
        return to_jsonb(v_status);
    end if;
    -- record_results takes a share lock on the mailout, so while this lock is held it can't queue a row.
    select status into v_status from mailouts where id = p_mailout for no key update;
    if v_status <> 'sending' or is_open(p_mailout) then
        return to_jsonb(v_status);
    end if;
    v_failed := recipients_in(p_mailout, '{failed}') > 0
        and recipients_in(p_mailout, null) = recipients_in(p_mailout, '{failed,skipped,cancelled}');
    update mailouts
       set status = case when v_failed then 'failed' else 'sent' end,
           sent_at = clock_timestamp(), status_reason = closing_reason(p_mailout)
     where id = p_mailout
    returning status into v_status;
    return to_jsonb(v_status);
end $$;

-- Whether anybody of a mailout is still to be queued, sent or recorded.
create or replace function is_open(p_mailout uuid) returns boolean
language sql volatile set search_path = public, pg_temp set enable_seqscan = off as $$
    -- The cheap questions come first: during sending one of them is true, and the last one, which
    -- reads past all entries of rows that are no longer queued, isn't asked.
    select case
        when exists (select from mailout_queues where mailout_id = p_mailout and done_at is null)
        then true
        when exists (select from send_batches where mailout_id = p_mailout and recorded_at is null)
        then true
        else has_queued(p_mailout)
    end;
$$;

-- A sentence about a finished mailout; null when there is nothing to say.
create or replace function closing_reason(p_mailout uuid) returns text
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_total   bigint := (select recipients from mailouts where id = p_mailout);
    v_unknown bigint := recipients_in(p_mailout, '{unknown}');
    v_failed  bigint := recipients_in(p_mailout, '{failed}');
    v_error   text;
begin
    -- The message of a row with the most frequent code.
    select example_message(p_mailout, array_agg(sample), 'failed', error_code) into v_error
      from recipient_counts where mailout_id = p_mailout and status = 'failed'
     group by error_code order by sum(recipients) desc limit 1;
    return nullif(concat_ws(' ',
        case when v_unknown > 0 then format(
            '%s of %s recipients: it is unknown whether the mail was accepted. Events settle this; a person may resend.',
            v_unknown, v_total) end,
        case when v_failed > 0 then format('%s of %s recipients were refused: %s',
            v_failed, v_total, coalesce(v_error, 'see the statement')) end), '');
end $$;
