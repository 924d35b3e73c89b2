-- Scheduling a mailout and taking that back. The instants are computed by the program, so that PostgreSQL's
-- own time zones don't matter.

-- ready → scheduled. It freezes the content and the audience's rule, as a start does, unless that is no longer the one with
-- p_content_hash, which the caller has compiled ("changed"). Nobody to be mailed: "audience_empty". The same
-- schedule once more: "repeat"; another one, or another state: "not_ready".
-- p_schedule: as the person gave it. p_at: when somebody is mailed first. p_zones: null, or for each zone
-- {"at", "next_at", "recipients"} (0017_schedules.sql). p_by: see change_mailout.sql.
create or replace function schedule_mailout(
    p_mailout uuid, p_content_hash text, p_schedule jsonb, p_at timestamptz, p_zones jsonb,
    p_recipients bigint, p_by text default null)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
declare
    v_mailout mailouts;
begin
    select * into v_mailout from mailouts where id = p_mailout for no key update;
    if not found or v_mailout.status <> 'ready' then
        return jsonb_build_object('status', v_mailout.status, 'outcome', case
            when v_mailout.id is null then 'not_found'
            when v_mailout.status = 'scheduled' and v_mailout.schedule = p_schedule then 'repeat'
            else 'not_ready' end);
    elsif p_recipients = 0 then
        return jsonb_build_object('outcome', 'audience_empty', 'status', v_mailout.status);
    elsif not freeze_content(v_mailout, p_content_hash) then
        return jsonb_build_object('outcome', 'changed', 'status', v_mailout.status);
    end if;

    update mailouts
       set status = 'scheduled', scheduled_at = p_at, schedule = p_schedule, waves = p_zones is not null,
           recipients = p_recipients, status_reason = null, started_in = database_identity()
     where id = p_mailout
    returning * into v_mailout;
    perform freeze_audience(v_mailout);
    delete from mailout_zones where mailout_id = p_mailout;
    insert into mailout_zones (mailout_id, zone, at, next_at, recipients)
    select p_mailout, key, (value ->> 'at')::timestamptz, (value ->> 'next_at')::timestamptz,
           (value ->> 'recipients')::bigint
      from jsonb_each(p_zones);
    perform record_audit(p_by, 'mailout.schedule', p_mailout::text, '{"status": "ready"}',
                         audited_state(v_mailout) || jsonb_build_object(
                             'schedule', p_schedule, 'scheduled_at', p_at, 'recipients', p_recipients));
    return jsonb_build_object('outcome', 'scheduled', 'status', 'scheduled');
end $$;

-- scheduled → ready. Its content and audience can be changed again.
create or replace function unschedule_mailout(p_mailout uuid, p_by text default null) returns jsonb
language plpgsql set search_path = public, pg_temp as $$
declare
    v_before  jsonb := lock_mailout(p_mailout);
    v_changed boolean;
begin
    update mailouts
       set status = 'ready', scheduled_at = null, schedule = null, waves = false, recipients = null,
           status_reason = null, started_in = null
     where id = p_mailout and status = 'scheduled';
    v_changed := found;
    if v_changed then
        delete from mailout_snapshots where mailout_id = p_mailout;
        delete from mailout_zones where mailout_id = p_mailout;
    end if;
    return audited_transition(p_mailout, v_changed, p_by, 'mailout.unschedule', v_before);
end $$;

-- How many of a mailout's audience live in each zone, by its name in small letters. Where a tag is needed that
-- few have, those are looked at; of more than a million subscribers a sample of about 100,000, which is never
-- empty: who is really there is found when the audience is queued.
create or replace function audience_zones(p_mailout uuid) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
declare
    c_large  constant bigint := 1000000;
    c_sample constant bigint := 100000;
    v_listed constant bigint := subscribers_in(null);
    v_rule   record;
    v_tags   text[];
    v_part   double precision := 1;   -- of the list that is looked at
    v_zones  jsonb;
begin
    select c.*, needed_tags(a.rule) as tags into v_rule
      from mailout_audience(p_mailout) a, compile_audience(a.rule, '$1', a.at, a.zone) c;
    if tagged(v_rule.tags) <= c_sample then
        v_tags := v_rule.tags;
    elsif v_listed > c_large then
        v_part := c_sample::double precision / v_listed;
    end if;
    execute format($query$
        select jsonb_object_agg(zone, round(n / $2))
          from (select coalesce(lower(btrim(timezone)), '') as zone, count(*) as n
                  from %s s where status = 'active' and (%s) group by 1) zones
        $query$,
        case when v_tags is not null then '(select * from subscribers where tags && $3 offset 0)'
             when v_part < 1 then format('(select * from subscribers tablesample system (%s))',
                                         round((100 * v_part)::numeric, 6))
             else 'subscribers' end,
        v_rule.condition) into v_zones using v_rule.bound, v_part, v_tags;
    return coalesce(v_zones, case when v_part < 1 then '{"": 1}' else '{}' end::jsonb);
end $$;
