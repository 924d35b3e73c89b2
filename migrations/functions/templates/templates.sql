-- Creating, changing, showing, listing and deleting templates. p_by: see change_mailout.sql. Saves come one
-- after the other, so that two can't close a ring of layouts between them.

-- p_template: name, subject, body_html or body_markdown, layout_id. The outcome: created, name_taken, or what
-- layout_problem says.
create or replace function create_template(p_template jsonb, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_version  template_versions := jsonb_populate_record(null::template_versions, p_template);
    v_template templates;
    v_problem  text;
begin
    perform pg_advisory_xact_lock(hashtext('amazonsender templates'));
    v_problem := layout_problem(null, v_version.layout_id);
    if v_problem is not null then
        return jsonb_build_object('outcome', v_problem);
    end if;
    insert into templates (name) values (v_version.name)
    on conflict (lower(name)) where archived_at is null do nothing
    returning * into v_template;
    if not found then
        return jsonb_build_object('outcome', 'name_taken');
    end if;
    perform add_template_version(v_template, v_version, p_by);
    perform record_audit(p_by, 'template.create', v_template.id::text, null, audited_template(v_template));
    return jsonb_build_object('outcome', 'created', 'template', show_template(v_template.id));
end $$;

-- Save a new version. p_version: the one that the caller saw; null: whichever it is. p_changes: the columns
-- that change; a body of one kind replaces the body of the other. The outcome: changed, unchanged (nothing
-- differs: no new version), not_found, stale (with the present template), name_taken, named (with those that
-- name it as a partial, where the name is to change), or what layout_problem says.
create or replace function change_template(p_template uuid, p_version integer, p_changes jsonb, p_by text)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_template templates;
    v_before   jsonb;
    v_old      template_versions;
    v_new      template_versions;
    v_problem  text;
    v_users    jsonb;
begin
    perform pg_advisory_xact_lock(hashtext('amazonsender templates'));
    select * into v_template from templates where id = p_template and archived_at is null for no key update;
    if not found then
        return jsonb_build_object('outcome', 'not_found');
    elsif v_template.version <> p_version then
        return jsonb_build_object('outcome', 'stale', 'template', show_template(p_template));
    end if;
    select * into v_old from template_versions where template_id = p_template and version = v_template.version;
    if p_changes ->> 'body_html' is not null then
        p_changes := p_changes || '{"body_markdown": null}';
    elsif p_changes ->> 'body_markdown' is not null then
        p_changes := p_changes || '{"body_html": null}';
    end if;
    v_new := jsonb_populate_record(v_old, p_changes);
    if v_new = v_old then
        return jsonb_build_object('outcome', 'unchanged', 'template', show_template(p_template));
    end if;
    v_problem := layout_problem(p_template, v_new.layout_id);
    if v_problem is not null then
        return jsonb_build_object('outcome', v_problem);
    end if;
    if lower(v_new.name) <> lower(v_template.name) then
        if exists (select from templates where lower(name) = lower(v_new.name) and archived_at is null) then
            return jsonb_build_object('outcome', 'name_taken');
        end if;
        v_users := naming_templates(v_template) || naming_mailouts(v_template);
        if v_users <> '[]' then
            return jsonb_build_object('outcome', 'named', 'users', v_users);
        end if;
    end if;
    v_before := audited_template(v_template);
    update templates set name = v_new.name, version = version + 1, updated_at = now() where id = p_template
    returning * into v_template;
    perform add_template_version(v_template, v_new, p_by);
    perform record_audit(p_by, 'template.update', p_template::text, v_before, audited_template(v_template));
    return jsonb_build_object('outcome', 'changed', 'template', show_template(p_template));
end $$;

create or replace function add_template_version(p_template templates, p_version template_versions, p_by text)
returns void language sql set search_path = public, pg_temp as $$
    insert into template_versions (template_id, version, name, subject, body_html, body_markdown, layout_id, created_by)
    values (p_template.id, p_template.version, p_template.name, p_version.subject, p_version.body_html,
            p_version.body_markdown, p_version.layout_id, p_by);
$$;

-- Why a template can't have this layout: layout_missing, layout_cycle, layout_depth (more than five around
-- each other); null: it can. p_template: null for a new one.
create or replace function layout_problem(p_template uuid, p_layout uuid) returns text
language plpgsql stable set search_path = public, pg_temp as $$
declare
    v_layout uuid := p_layout;
    v_above  integer := 0;
begin
    if p_layout is null then
        return null;
    elsif not exists (select from templates where id = p_layout and archived_at is null) then
        return 'layout_missing';
    end if;
    while v_layout is not null loop
        v_above := v_above + 1;
        if v_layout = p_template then
            return 'layout_cycle';
        end if;
        select v.layout_id into v_layout
          from templates t join template_versions v on v.template_id = t.id and v.version = t.version
         where t.id = v_layout;
    end loop;
    return case when v_above + template_depth(p_template, 5) > 5 then 'layout_depth' end;
end $$;

-- How many layouts deep others stand in this one already; counted as far as p_limit.
create or replace function template_depth(p_template uuid, p_limit integer) returns integer
language sql stable set search_path = public, pg_temp as $$
    with recursive inside (id, depth) as (
        select p_template, 0 where p_template is not null
        union
        select t.id, i.depth + 1
          from inside i
          join template_versions v on v.layout_id = i.id
          join templates t on t.id = v.template_id and t.version = v.version and t.archived_at is null
         where i.depth < p_limit)
    select coalesce(max(depth), 0) from inside;
$$;

-- For the audit log: the text itself is in the versions.
create or replace function audited_template(t templates) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_strip_nulls(jsonb_build_object('name', v.name, 'version', v.version, 'subject', v.subject,
                                                'layout_id', v.layout_id))
      from template_versions v where v.template_id = t.id and v.version = t.version;
$$;

-- As it is listed: without its text.
create or replace function listed_template(t templates) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', t.id, 'name', t.name, 'version', t.version, 'subject', v.subject,
        'kind', case when v.body_html is null then 'markdown' else 'html' end,
        'layout_id', v.layout_id, 'created_at', t.created_at, 'updated_at', t.updated_at,
        'mailouts', (select count(*) from mailouts where template_id = t.id))
      from template_versions v where v.template_id = t.id and v.version = t.version;
$$;

-- One with its text: the newest version, or that of p_version. null: there is none.
create or replace function show_template(p_template uuid, p_version integer default null) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'id', t.id, 'name', v.name, 'version', v.version, 'newest', v.version = t.version, 'subject', v.subject,
        'body_html', v.body_html, 'body_markdown', v.body_markdown, 'layout_id', v.layout_id,
        'created_at', t.created_at, 'updated_at', v.created_at, 'updated_by', v.created_by)
      from templates t join template_versions v on v.template_id = t.id and v.version = coalesce(p_version, t.version)
     where t.id = p_template and t.archived_at is null;
$$;

-- The living one of this name, in any case, with its text; null: there is none.
create or replace function find_template(p_name text) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select show_template(living_template(lower(p_name)));
$$;

-- A page of the living ones, by name. p_after: the name of the last one on the page before.
create or replace function list_templates(p_limit integer, p_after text default null) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(listed_template(t) order by lower(t.name)), '[]')
      from (select * from templates
             where archived_at is null and (p_after is null or lower(name) > lower(p_after))
             order by lower(name) limit p_limit) t;
$$;

-- A page of a template's versions, newest first, without their text. null: there is no such template.
create or replace function list_template_versions(p_template uuid, p_limit integer, p_before integer default null)
returns jsonb language sql stable set search_path = public, pg_temp as $$
    select (select coalesce(jsonb_agg(jsonb_build_object(
                       'version', v.version, 'name', v.name, 'subject', v.subject, 'layout_id', v.layout_id,
                       'kind', case when v.body_html is null then 'markdown' else 'html' end,
                       'created_at', v.created_at, 'by', v.created_by) order by v.version desc), '[]')
              from (select * from template_versions
                     where template_id = p_template and (p_before is null or version < p_before)
                     order by version desc limit p_limit) v)
      from templates t where t.id = p_template and t.archived_at is null;
$$;

-- Delete a template: it is in no list any more, but its versions stay. The outcome: deleted, not_found, or
-- in_use with `users`: mailouts that were not started yet, and templates that it is the layout or a partial of.
create or replace function delete_template(p_template uuid, p_by text) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_template templates;
    v_users    jsonb;
begin
    perform pg_advisory_xact_lock(hashtext('amazonsender templates'));
    -- For update: a mailout that is just being given the template is waited for, or finds it gone.
    select * into v_template from templates where id = p_template and archived_at is null for update;
    if not found then
        return jsonb_build_object('outcome', 'not_found');
    end if;
    v_users := naming_mailouts(v_template) || naming_templates(v_template)
            || (select coalesce(jsonb_agg(jsonb_build_object('mailout_id', id, 'subject', subject)), '[]')
                  from (select id, subject from mailouts
                         where template_id = p_template and status in ('draft', 'ready', 'scheduled')
                         order by created_at, id limit 20) m)
            || (select coalesce(jsonb_agg(jsonb_build_object('template_id', t.id, 'name', t.name)), '[]')
                  from template_versions v
                  join templates t on t.id = v.template_id and t.version = v.version and t.archived_at is null
                 where v.layout_id = p_template);
    if v_users <> '[]' then
        return jsonb_build_object('outcome', 'in_use', 'users', v_users);
    end if;
    update templates set archived_at = now() where id = p_template returning * into v_template;
    perform record_audit(p_by, 'template.delete', p_template::text, audited_template(v_template));
    return jsonb_build_object('outcome', 'deleted', 'template', listed_template(v_template));
end $$;

-- The templates and the mailouts not started yet that name this one as a partial.
create or replace function naming_templates(p_template templates) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('template_id', t.id, 'name', t.name) order by t.name), '[]')
      from templates t
      join template_versions v on v.template_id = t.id and v.version = t.version
     where t.archived_at is null and t.id <> p_template.id
       and lower(p_template.name) = any (template_names(coalesce(v.body_html, v.body_markdown)));
$$;

create or replace function naming_mailouts(p_template templates) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select coalesce(jsonb_agg(jsonb_build_object('mailout_id', id, 'subject', subject)), '[]')
      from (select id, subject from mailouts
             where status in ('draft', 'ready', 'scheduled')
               and (template_id is null or template_id <> p_template.id)
               and lower(p_template.name) = any (template_names(concat(body_html, body_markdown)))
             order by created_at, id limit 20) m;
$$;
