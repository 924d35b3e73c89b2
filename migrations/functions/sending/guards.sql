-- The guards: a mailout whose bounce or complaint rate is past its threshold stops by itself, before
-- SES reviews the account. The rates are kept as figures that change with the rows, in the same
-- transaction, so a decision counts no rows.

-- A row counts by its state alone, so doubled and reordered events lead to the same figures. Mail that SES
-- didn't try to deliver, because the address is on a suppression list of SES, is no bounce or complaint.
create or replace function has_outcome(l send_logs) returns boolean language sql immutable as $$
    select l.status in ('delivered', 'bounced', 'complained');
$$;
create or replace function counts_as_bounce(l send_logs) returns boolean language sql immutable as $$
    select l.status = 'bounced' and l.bounce_type is not distinct from 'Permanent' and coalesce(l.bounce_subtype, '') not in
        ('OnAccountSuppressionList', 'OnTenantSuppressionList', 'Suppressed',
         'EmailValidationSuppressed', 'UnsubscribedRecipient');
$$;
create or replace function counts_as_complaint(l send_logs) returns boolean language sql immutable as $$
    select l.status = 'complained' and coalesce(l.error_code, '') not in
        ('OnAccountSuppressionList', 'OnTenantSuppressionList');
$$;

drop function if exists outcome_change(send_logs, send_logs);

-- Add what events changed (move_recipients) to the figures, once per group of them. False: there was nothing to add.
create or replace function count_outcomes(p_changes jsonb[]) returns boolean
language plpgsql set search_path = public, pg_temp as $$
begin
    if cardinality(p_changes) = 0 then
        return false;
    end if;
    -- In the order of their ids, and the hour last, so that two groups can't block each other.
    insert into guard_figures as o (mailout_id, outcomes, bounces, complaints)
    select (c ->> 'mailout_id')::uuid, sum((c ->> 'outcomes')::int), sum((c ->> 'bounces')::int),
           sum((c ->> 'complaints')::int)
      from unnest(p_changes) c group by 1 order by 1
    on conflict (mailout_id) do update
       set outcomes = o.outcomes + excluded.outcomes, bounces = o.bounces + excluded.bounces,
           complaints = o.complaints + excluded.complaints;
    insert into guard_hours as h (hour, outcomes, bounces, complaints)
    select date_trunc('hour', now()), sum((c ->> 'outcomes')::int), sum((c ->> 'bounces')::int),
           sum((c ->> 'complaints')::int)
      from unnest(p_changes) c
    on conflict (hour, forgiven) do update
       set outcomes = h.outcomes + excluded.outcomes, bounces = h.bounces + excluded.bounces,
           complaints = h.complaints + excluded.complaints;
    return true;
end $$;

-- Why the guards stop a mailout now, or null: {"rate": bounce or complaint, "scope", "count",
-- "outcomes", "limit"}. p_…_rate: the shares that must not be passed; null: no guard. Judged are, of
-- what came since a person last resumed: the mailout from 100 outcomes on (while its canary is out
-- from 20), and all mailouts together over 24 hours from 1,000 on; complaints from 3 on.
create or replace function guard_trip(p_mailout uuid, p_bounce_rate numeric, p_complaint_rate numeric)
returns jsonb language plpgsql stable set search_path = public, pg_temp as $$
begin
    return (
        with figures as (
            select case when m.canary_phase is null then 'mailout' else 'canary' end as scope,
                   case when m.canary_phase is null then 100 else 20 end as sample,
                   o.outcomes - o.past_outcomes as outcomes, o.bounces - o.past_bounces as bounces,
                   o.complaints - o.past_complaints as complaints
              from guard_figures o join mailouts m on m.id = o.mailout_id
             where o.mailout_id = p_mailout
            union all
            select 'account', 1000, sum(outcomes), sum(bounces), sum(complaints)
              from guard_hours where hour > now() - interval '24 hours' and not forgiven
        )
        select jsonb_build_object('rate', v.rate, 'scope', f.scope, 'count', v.n,
                                  'outcomes', f.outcomes, 'limit', v.share)
          from figures f,
               lateral (values ('bounce', f.bounces, p_bounce_rate, 1),
                               ('complaint', f.complaints, p_complaint_rate, 3)) v (rate, n, share, least)
         where f.outcomes >= f.sample and v.n >= v.least and v.n > v.share * f.outcomes
         order by f.scope = 'account', v.rate limit 1);
end $$;

create or replace function tripped_mailouts(p_bounce_rate numeric, p_complaint_rate numeric) returns jsonb
language plpgsql stable set search_path = public, pg_temp as $$
begin
    return (select coalesce(jsonb_agg(id), '[]') from mailouts
             where status = 'sending' and guard_trip(id, p_bounce_rate, p_complaint_rate) is not null);
end $$;

-- Pause a mailout that the guards stop. Not if a person has resumed it meanwhile, so that the guards no
-- longer stop it, nor if nobody is left to send to: then it is finished as usual.
create or replace function pause_tripped(
    p_mailout uuid, p_reason text, p_bounce_rate numeric, p_complaint_rate numeric)
returns jsonb language plpgsql set search_path = public, pg_temp as $$
begin
    perform from mailouts where id = p_mailout and status = 'sending' for update;
    if not found or guard_trip(p_mailout, p_bounce_rate, p_complaint_rate) is null
       or not has_queued(p_mailout)
          and not exists (select from mailout_queues where mailout_id = p_mailout and done_at is null)
    then
        return mailout_transition(p_mailout, false);
    end if;
    return pause_mailout(p_mailout, 'guard', p_reason);
end $$;

-- A person resumes the mailout: only what comes from now on counts against it. p_forgive: the same for the
-- rate over all mailouts.
create or replace function rearm_guards(p_mailout uuid, p_forgive boolean) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
    update guard_figures
       set past_outcomes = outcomes, past_bounces = bounces, past_complaints = complaints
     where mailout_id = p_mailout;
    if p_forgive then
        with past as (delete from guard_hours where not forgiven returning *)
        insert into guard_hours as h (hour, forgiven, outcomes, bounces, complaints)
        select hour, true, outcomes, bounces, complaints from past
        on conflict (hour, forgiven) do update
           set outcomes = h.outcomes + excluded.outcomes, bounces = h.bounces + excluded.bounces,
               complaints = h.complaints + excluded.complaints;
    end if;
end $$;
