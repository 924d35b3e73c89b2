-- Do a slice of the work that nobody waits for. Answers whether more is left to do at once.
create or replace function keep_house() returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    c_slice constant integer := 1000;
    v_old bigint[];
begin
    if not pg_try_advisory_xact_lock(hashtext('amazonsender:keep_house')) then
        return to_jsonb(false);   -- another sender does it now
    end if;
    -- A sender records a message id when SES answers, at the latest when its database is back. So an
    -- event that fits no row after a week never will: it is tried once more, and then only stored.
    v_old := old_parked_events(c_slice);
    perform apply_parked(v_old);
    update ses_events set parked = null where id = any (v_old) and parked is not null;
    perform tidy_imports();
    delete from untracked_events where hour < now() - interval '7 days';
    perform take_up_notion_asks(c_slice, 10);   -- where nobody writes into Notion, its lines don't pile up
    return to_jsonb(greatest(cardinality(v_old), forget_readers_machines(c_slice), merge_counts(c_slice), tidy_signups(c_slice), tidy_notion(c_slice), merge_list_moves(c_slice), count_accepted(c_slice),
                             merge_engagement_counts(c_slice), count_engagement(c_slice)) >= c_slice);
end $$;

create or replace function old_parked_events(p_limit integer) returns bigint[]
language sql stable set search_path = public, pg_temp set enable_seqscan = off set enable_sort = off set enable_incremental_sort = off as $$
    select array(select id from ses_events
                  where parked is not null and received_at < now() - interval '7 days'
                  order by received_at limit p_limit);
$$;

-- Add the counts of connections that are gone to those of connection 0.
create or replace function merge_counts(p_limit integer) returns bigint
language plpgsql set search_path = public, pg_temp as $$
declare
    v_gone   integer[];
    v_merged bigint;
begin
    v_gone := array(select distinct connection from recipient_counts where connection <> 0
                    union select connection from subscriber_counts where connection <> 0
                    union select connection from tag_counts where connection <> 0
                    union select connection from route_counts where connection <> 0
                    except select pid from pg_stat_activity);
    with gone as (
        delete from recipient_counts
         where ctid = any (array(select ctid from recipient_counts
                                  where connection <> 0 and connection = any (v_gone)
                                  limit p_limit for update skip locked))
        returning *
    ), merged as (
        insert into recipient_counts as c
        select mailout_id, status, error_code, bounce_type, bounce_subtype, 0, sum(recipients),
               sum(unsubscribed), max(sample)
          from gone group by mailout_id, status, error_code, bounce_type, bounce_subtype
        on conflict on constraint recipient_counts_key do update
           set recipients = c.recipients + excluded.recipients,
               unsubscribed = c.unsubscribed + excluded.unsubscribed,
               sample = greatest(excluded.sample, c.sample)
    )
    select count(*) into v_merged from gone;
    with gone as (
        delete from subscriber_counts
         where ctid = any (array(select ctid from subscriber_counts
                                  where connection <> 0 and connection = any (v_gone)
                                    for update skip locked))
        returning *
    )
    insert into subscriber_counts as c
    select status, 0, sum(subscribers) from gone group by status
    on conflict (status, connection) do update set subscribers = c.subscribers + excluded.subscribers;
    with gone as (
        delete from tag_counts
         where ctid = any (array(select ctid from tag_counts
                                  where connection <> 0 and connection = any (v_gone)
                                  limit p_limit for update skip locked))
        returning *
    ), merged as (
        insert into tag_counts as c
        select tag, 0, sum(subscribers) from gone group by tag
        on conflict (tag, connection) do update set subscribers = c.subscribers + excluded.subscribers
    )
    select greatest(v_merged, count(*)) into v_merged from gone;
    with gone as (
        delete from route_counts
         where ctid = any (array(select ctid from route_counts
                                  where connection <> 0 and connection = any (v_gone)
                                  limit p_limit for update skip locked))
        returning *
    ), merged as (
        insert into route_counts as c
        select mailout_id, region, 0, sum(accepted) from gone group by mailout_id, region
        on conflict (mailout_id, region, connection) do update set accepted = c.accepted + excluded.accepted
    )
    select greatest(v_merged, count(*)) into v_merged from gone;
    return v_merged;
end $$;
