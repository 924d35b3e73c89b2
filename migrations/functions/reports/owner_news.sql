-- What the owner is told that is of no single mailout (0045_owner_news.sql), by each way: written in the transaction that
-- found it, taken by one process.

-- p_about: whose it is, for the log. p_page: of the dashboard. p_notice: {"headline", "lines"}; null: nothing.
create or replace function add_owner_news(p_about text, p_page text, p_notice jsonb, p_ways jsonb) returns void
language sql set search_path = public, pg_temp as $$
    insert into owner_news (about, page, way, notice)
    select p_about, p_page, way, p_notice from jsonb_array_elements_text(p_ways) way
     where jsonb_typeof(p_notice) = 'object';
    delete from owner_news where created_at < now() - interval '90 days';
$$;

-- The next for p_way, within a day; null: none. A mail takes a token of the rate in advance, as in claim_owner_notice.
create or replace function claim_owner_news(p_way text, p_region text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_news owner_news;
begin
    update owner_news set outcome = 'overtaken'
     where way = p_way and claimed_at is null and outcome is null and created_at < clock_timestamp() - interval '24 hours';
    update owner_news set claimed_at = clock_timestamp()
     where id = (select id from owner_news
                  where way = p_way and claimed_at is null and outcome is null and due_at <= clock_timestamp()
                  order by due_at, id limit 1 for update skip locked)
    returning * into v_news;
    if not found then
        return null;
    end if;
    update send_rates
       set next_token_at = greatest(next_token_at, clock_timestamp()) + make_interval(secs => 1 / rate),
           taken_since_check = taken_since_check + 1
     where region = p_region and rate > 0;
    return jsonb_build_object('id', v_news.id, 'about', v_news.about, 'page', v_news.page, 'notice', v_news.notice);
end $$;

-- p_outcome: as of settle_owner_notice.
create or replace function settle_owner_news(
    p_news bigint, p_outcome text, p_detail text default null, p_retry_seconds double precision default 0)
returns jsonb language sql set search_path = public, pg_temp as $$
    update owner_news
       set outcome = p_outcome, detail = p_detail,
           claimed_at = case when p_outcome is not null then claimed_at end,
           due_at = clock_timestamp() + make_interval(secs => p_retry_seconds)
     where id = p_news
    returning to_jsonb(true);
$$;
