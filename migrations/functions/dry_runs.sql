-- Reading an audience without touching it, for the dry run: a page after subscriber p_after.
create or replace function audience_page(p_mailout uuid, p_after uuid, p_limit integer) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_tags text[] := (select audience_tags(audience) from mailouts where id = p_mailout);
begin
    return (select coalesce(jsonb_agg(jsonb_build_object(
                       'id', s.id, 'email', s.email, 'name', s.name, 'fields', s.fields,
                       'status', s.status) order by s.id), '[]')
              from (select * from subscribers
                     where id > p_after and (v_tags is null or tags && v_tags)
                     order by id limit p_limit) s);
end $$;

create or replace function save_dry_run(p_mailout uuid, p_report jsonb) returns jsonb
language sql set search_path = public, pg_temp as $$
    insert into dry_runs (mailout_id, report) values (p_mailout, p_report)
    on conflict (mailout_id) do update set report = excluded.report, updated_at = now()
    returning to_jsonb(true);
$$;

create or replace function show_dry_run(p_mailout uuid) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select report from dry_runs where mailout_id = p_mailout;
$$;
