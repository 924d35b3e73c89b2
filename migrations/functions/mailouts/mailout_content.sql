-- The part of a mailout that decides what is sent: frozen when it starts. Only where it has a template or
-- names a partial, it has `sources`, and `tracking` where that is on: so the hash of any other stays what it was.
create or replace function mailout_content(m mailouts) returns jsonb
language sql stable set search_path = public, pg_temp as $$
    select jsonb_build_object(
        'subject', m.subject, 'preheader', m.preheader, 'body_html', m.body_html,
        'body_markdown', m.body_markdown, 'body_text', m.body_text, 'from_email', m.from_email,
        'from_name', m.from_name, 'reply_to', m.reply_to, 'configuration_set', m.configuration_set)
        || coalesce((select jsonb_build_object('sources', s)
                       from template_sources(m.template_id, concat(m.body_html, m.body_markdown)) s
                      where s is not null), '{}')
        || case when m.tracking then '{"tracking": true}' else '{}' end::jsonb;
$$;

create or replace function mailout_content_hash(m mailouts) returns text
language sql stable set search_path = public, pg_temp as $$
    select md5(mailout_content(m)::text);
$$;
