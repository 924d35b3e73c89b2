-- What a mailout's content is made of besides its own text: its template, the layouts around that, and the
-- partials that any of them names. mailout_content adds it, so it is frozen with the mailout.

-- The names in {% render "NAME" %} and {% include 'NAME' %}, in lower case. Some may stand in a comment or in
-- a raw block: then one source too many is kept, which changes nothing that is sent.
create or replace function template_names(p_text text) returns text[]
language sql immutable set search_path = public, pg_temp as $$
    select case when p_text like '%{\%%' then
        array(select lower(coalesce(m[1], m[2]))
                from regexp_matches(p_text, '\{%-?\s*(?:render|include)\s+(?:"([^"]*)"|''([^'']*)'')', 'g') m)
    else '{}' end;
$$;

create or replace function living_template(p_name text) returns uuid
language sql stable set search_path = public, pg_temp as $$
    select id from templates where lower(name) = p_name and archived_at is null;
$$;

-- p_template: may be null. p_text: a body that may name partials. The newest versions, at most 61 of them,
-- which is more than the program takes; null when nothing is used.
create or replace function template_sources(p_template uuid, p_text text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    with recursive used (id) as (
        select id from (select p_template as id
                        union all
                        select living_template(name) from unnest(template_names(p_text)) name) first
         where id is not null
        union
        select n.id
          from used u
          join templates t on t.id = u.id
          join template_versions v on v.template_id = t.id and v.version = t.version
         cross join lateral (
            select v.layout_id as id
            union all
            select living_template(name)
              from unnest(template_names(coalesce(v.body_html, v.body_markdown))) name) n
         where n.id is not null
    ), found as (select id from used limit 61)
    select jsonb_build_object('template_id', p_template, 'templates', jsonb_agg(jsonb_build_object(
               'id', t.id, 'name', t.name, 'version', t.version, 'body_html', v.body_html,
               'body_markdown', v.body_markdown, 'layout_id', v.layout_id) order by t.id))
      from found f
      join templates t on t.id = f.id
      join template_versions v on v.template_id = t.id and v.version = t.version
    having count(*) > 0;
$$;

-- The content that a mailout with these columns would have: to check it before it is stored.
create or replace function content_of(p_mailout jsonb) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select mailout_content(m) from jsonb_populate_record(null::mailouts, p_mailout) m;
$$;

-- A mailout can't be given a template that is gone.
create or replace function mailouts_check_template() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    perform from templates where id = new.template_id and archived_at is null for key share;
    if not found then
        raise exception 'There is no template %.', new.template_id using errcode = 'foreign_key_violation';
    end if;
    return new;
end $$;

create or replace trigger mailouts_template_added before insert on mailouts
    for each row when (new.template_id is not null) execute function mailouts_check_template();
create or replace trigger mailouts_template_changed before update of template_id on mailouts
    for each row when (new.template_id is not null and new.template_id is distinct from old.template_id)
    execute function mailouts_check_template();
