-- Who may call what. On Supabase `anon` and `authenticated` get nothing and `service_role` gets
-- what it needs, whatever the project's default privileges say and whatever somebody granted since. On
-- plain PostgreSQL these roles don't exist and the owner is the only user.
--
-- What is ours stands here by name, as tables and functions of the owner's may lie in the same schema and
-- are none of our business. What was forgotten here is closed nevertheless: see migrations.py.
create or replace function own_tables() returns text[]
language sql immutable set search_path = public, pg_temp as $own_tables$
    select array[
            'subscriber_aliases', 'subscribers', 'mailouts', 'mailout_snapshots', 'mailout_queues', 'send_logs',
            'send_batches', 'executors', 'send_rates', 'send_requests', 'ses_events',
            'mailout_tests', 'dry_runs', 'event_counts', 'ended_sessions',
            'api_keys', 'templates', 'template_versions',
            'guard_figures', 'guard_hours', 'refused_messages', 'suppression_checks', 'owner_notices',
            'recipient_counts', 'subscriber_counts', 'mailout_resends',
            'tag_counts', 'mailout_zones', 'mailout_waves',
            'imports', 'import_chunks', 'import_refusals',
            'jobs', 'subscriber_changes', 'audit_log', 'erased', 'erased_key', 'signups',
            'signup_clients', 'segments', 'service_settings',
            'notion_writes', 'notion_write_asks',
            'notion_events', 'notion_verifications', 'notion_comments', 'notion_talks', 'notion_integration',
            'notion_source',
            'assets', 'asset_sources',
            'hooks', 'hook_deliveries',
            'mailout_links', 'engagement_signals', 'engagement_recipients', 'untracked_events',
            'slack_messages', 'slack_pace',
            'domain_checks',
            'owner_news',
            'provider_hours', 'standing_samples', 'standing_state',
            'list_moves', 'list_moves_since', 'list_days',
            'webhook_tokens',
            'mailout_blocks',
            'route_counts', 'accepted_counts', 'engagement_counts', 'engagement_counting',
            'provider_paces', 'provider_answers', 'pacing_turns', 'warmups', 'warmup_days',
            'fallback_changes', 'fallback_watch',
            'retention', 'shrunk_mailouts', 'shrunk_rows',
            'notion_rows']
$own_tables$;

create or replace function own_functions() returns text[]
language sql immutable set search_path = public, pg_temp as $own_functions$
    select array[
            'schema_overloads', 'unsafe_settings', 'examine_database', 'commit_durably', 'hold_empty_mailout', 'queue_again_if_empty', 'canonical_address', 'read_address', 'plain_address', 'odd_address', 'ascii_domain',
            'ascii_label', 'lower_letters', 'punycode', 'subscribers_set_address', 'subscriber_of',
            'merge_subscribers', 'merge_ledger', 'ledger_weight', 'unify_subscribers', 'unusable_addresses',
            'schema_status', 'mailout_content', 'mailout_content_hash', 'find_mailout',
            'snapshot_content', 'find_send_request', 'count_audience',
            'schedule_mailout', 'unschedule_mailout', 'audience_zones', 'wave_lead', 'still_on_time', 'start_due_mailouts',
            'place_waves', 'begin_waves', 'in_words', 'wave_state', 'mailout_waves', 'has_wave', 'freeze_content',
            'work_due', 'ring_on_change', 'ring_for_hooks',
            'claim_mailout', 'queue_recipients', 'sender_work', 'heartbeat', 'is_alive',
            'open_routes', 'ses_routes', 'route_answers', 'note_silence', 'is_blocked', 'account_is_stopped', 'quota_left', 'block_route', 'hold_without_route', 'sends_by',
            'is_fallback_route', 'fallback_provider', 'fallback_route', 'fallback_state', 'open_fallback', 'close_fallback',
            'change_fallback', 'watch_fallback', 'ses_outlook', 'is_proved', 'route_breaker', 'provider_trouble', 'provider_after', 'resume_for_fallback',
            'effective_rate', 'leave', 'recover_lost', 'record_account', 'claim_batches',
            'claim_recipients', 'record_batches',
            'record_results', 'charted_from', 'charted_to', 'uncounted_accepted', 'count_accepted', 'finish_mailout', 'closing_reason', 'ready_mailout', 'pause_mailout',
            'resume_mailout', 'resume_waiting_mailouts', 'cancel_mailout', 'cancel_recipients',
            'resend_mailout', 'mailout_transition', 'send_log_rank', 'subscriber_rank',
            'subscribers_before_update', 'status_rises', 'subscribers_after_leaving', 'mailouts_before_update',
            'mailouts_require_configuration_set',
            'mailouts_before_delete', 'apply_ses_events', 'match_send_log', 'event_status', 'move_recipients',
            'is_event_known',
            'mailouts_before_insert',
            'apply_parked_events', 'apply_parked', 'parked_events', 'unsubscribe', 'find_subscriber', 'queue_test', 'take_request_key',
            'tested_content', 'sample_subscriber', 'awkward_reader', 'create_mailout', 'mailout_summary', 'mailout_counts', 'mailout_tested',
            'show_mailout', 'list_mailouts', 'list_recipients', 'import_subscribers',
            'list_subscribers', 'audience_page', 'first_recipients', 'begin_dry_run', 'save_dry_run',
            'show_dry_run', 'send_outlook',
            'add_event_counts', 'count_events', 'recent_rates', 'end_session', 'session_ended',
            'mailout_outcomes', 'mailout_overview', 'mailout_headline', 'sending_pace', 'mailout_series', 'account_overview',
            'count_executors', 'metrics_snapshot', 'database_identity', 'is_from_here', 'is_open',
            'release_batches', 'refresh_reasons', 'hold_foreign_mailouts', 'hold_mailouts', 'note_waiting', 'subscriber_field_names',
            'has_outcome', 'counts_as_bounce', 'counts_as_complaint',
            'count_outcomes', 'guard_trip', 'tripped_mailouts', 'pause_tripped', 'rearm_guards',
            'canary_is_valid', 'is_canary', 'advance_canary', 'record_refused_messages',
            'watchdog_figures', 'begin_suppression_check', 'compare_suppressed',
            'end_suppression_check', 'mailouts_tell_owner', 'claim_owner_notice',
            'is_accepted', 'count_proven', 'mailout_routes',
            'recipients_in', 'unsubscribed_count', 'example_message', 'subscribers_in', 'recount',
            'count_recipients', 'count_changed_recipients', 'forget_recipient_counts',
            'count_subscribers', 'count_changed_subscribers', 'forget_subscriber_counts',
            'keep_house', 'old_parked_events', 'merge_counts', 'resend_slice', 'is_empty_mailout', 'due_recipients', 'has_queued', 'audience_slice', 'field_names_slice', 'has_queued_canaries', 'audience_size',
            'settle_owner_notice', 'quota_frees_at', 'note_quota',
            'add_job', 'claim_job', 'claim_one_job', 'extend_job', 'settle_job', 'cancel_job', 'retry_job', 'show_job',
            'list_jobs', 'prune_jobs', 'queue_dry_run',
            'tidy_imports',
            'begin_import', 'drop_upload', 'store_import_chunk', 'read_import_chunk', 'start_import', 'import_order',
            'note_import', 'end_import', 'import_state', 'import_json', 'show_import', 'list_imports',
            'list_import_refusals', 'unread_emails', 'settle_email', 'import_chunk', 'rows_done', 'import_turn', 'import_rows', 'add_rows', 'judge_rows', 'export_page', 'export_cells',
            'repeat_rows', 'lower_statuses', 'begin_undo_import', 'undo_import_slice', 'mailed_since', 'left_since', 'undo_noted',
            'undo_left', 'counts_as_since', 'tags_before', 'fields_before',
            'tell_executor_state', 'executor_state',
            'create_key', 'listed_key', 'list_keys', 'living_keys', 'revoke_key', 'note_key_use',
            'list_audit', 'note_sign_in', 'note_refused_sign_ins', 'audited_state', 'lock_mailout', 'audited_transition',
            'lock_job', 'audited_job', 'audited_job_state',
            'mailouts_page', 'sample_reader', 'recipients_page', 'recipient_row', 'add_mailout', 'mailout_of_page', 'mailout_words', 'edit_mailout', 'words_apart', 'release_mailout',
            'unready_mailout', 'duplicate_mailout', 'delete_mailout',
            'acting', 'kept_columns', 'note_added_subscribers', 'note_changed_subscribers',
            'note_deleted_subscribers', 'record_audit',
            'leave_list', 'resubscribe', 'ask_signup', 'signup_consent', 'only_asked', 'find_signup', 'confirm_signup',
            'claim_signup_mail', 'settle_signup_mail', 'tidy_signups',
            'erased_hash', 'erased_among', 'is_erased', 'refuse_erased', 'subscribers_added_erased',
            'subscribers_moved_erased', 'subscribers_confirmed_erased',
            'name_from', 'count_tags', 'count_changed_tags', 'forget_tag_counts', 'people_reached', 'next_road',
            'people_search', 'people_tags', 'tagged', 'people_fields', 'people_road', 'people_condition',
            'reach_of_rule', 'segment_used', 'in_ledger',
            'people_tagged', 'subscribers_page', 'count_people', 'people_overview', 'status_problem',
            'add_subscriber', 'change_subscriber', 'changed_tags', 'change_people', 'queue_change_people',
            'person_ids', 'person_mails', 'subscriber_history', 'export_person', 'erase_subscriber',
            'scrub_address', 'forget_erased_events', 'without_words', 'scrub_links',
            'template_names', 'living_template', 'template_sources', 'content_of', 'mailouts_check_template',
            'create_template', 'change_template', 'add_template_version', 'layout_problem', 'template_depth',
            'audited_template', 'listed_template', 'show_template', 'find_template', 'list_templates', 'list_template_versions',
            'delete_template', 'naming_templates', 'naming_mailouts',
            'take_notion_event', 'keep_notion_verification', 'notion_webhook', 'forget_notion_verifications',
            'tell_notion_integration', 'tidy_notion', 'claim_notion_talks', 'open_notion_comments',
            'begin_notion_comment', 'act_on_notion_comment', 'note_notion_answer', 'settle_notion_comment',
            'note_notion_comments', 'notion_why', 'recent_notion_rows',
            'audience_problem', 'resolved_audience', 'audience_segments', 'service_timezone', 'tell_timezone',
            'frozen_audience', 'freeze_audience', 'mailout_audience', 'folded', 'number_in', 'day_in', 'is_day', 'first_day', 'instant_in',
            'compile_audience', 'compile_condition', 'compile_instant', 'compile_engagement', 'untracked_mailouts', 'needed_tags',
            'count_rule', 'count_spread', 'between_counts', 'unusable_actives', 'affordable', 'early_addresses', 'count_tagged', 'preview_audience', 'unknown_tags',
            'segments_check', 'mailouts_check_segments', 'save_segment', 'delete_segment', 'list_segments', 'show_segment',
            'notion_write_due', 'mailouts_tell_notion', 'take_up_notion_asks', 'claim_notion_writes', 'notion_write_facts',
            'settle_notion_write', 'notion_write_trouble', 'notion_writes_trouble',
            'notion_news', 'notion_key', 'ask_notion_row', 'notion_mailout', 'make_notion_mailout', 'notion_row', 'save_notion_row',
            'freeze_notion_row', 'end_notion_look', 'forget_notion_row', 'known_notion_rows', 'answer_forsaken_notion_rows', 'forget_idle_looks',
            'keep_asset', 'find_asset', 'read_asset', 'latest_asset',
            'begin_notion_poll', 'tell_notion_source', 'notion_source', 'note_notion_trouble', 'notion_trouble',
            'person_at', 'audience_holds', 'explain_audience', 'asked_value', 'explain_engagement', 'why_mailed', 'why_mail', 'person_consent', 'why_claim', 'why_content', 'why_schedule', 'why_events', 'mail_signals',
            'create_hook', 'audited_hook', 'listed_hook', 'list_hooks', 'show_hook', 'change_hook', 'delete_hook', 'rotate_hook', 'switch_hook',
            'wanted_events', 'new_event_id', 'small_enough', 'hook_mailout', 'mailouts_tell_hooks', 'hook_recipient', 'recipients_tell_hooks',
            'hook_subscriber', 'added_subscribers_tell_hooks', 'changed_subscribers_tell_hooks', 'deleted_subscribers_tell_hooks',
            'forget_in_hooks', 'claim_hook_deliveries', 'settle_hook_deliveries', 'list_hook_deliveries', 'replay_hook_deliveries',
            'test_hook', 'tidy_hooks', 'hooks_overview', 'wake_hook',
            'by_class', 'engagement_totals', 'engagement_links', 'engagement_reasons', 'engagement_series',
            'engagement_groups', 'engagement_groups_slice', 'engagement_earlier', 'engagement_page',
            'engagement_figures', 'count_engagement', 'merge_engagement_counts', 'uncounted_engagement', 'hour_number',
            'best_class', 'count_readers', 'count_signals', 'count_written_readers', 'count_changed_readers',
            'count_written_signals', 'count_changed_signals', 'forget_engagement_counts',
            'fold_engagement', 'sane_time', 'engagement_in', 'forget_untracked', 'note_deliveries', 'clicked_links', 'known_links', 'link_of', 'unread_links', 'read_mailout_links', 'move_clicks', 'claim_engagement', 'settle_engagement', 'mark_engagement', 'forget_engagement', 'export_engagement', 'forget_readers_machines',
            'mailout_so_far', 'mailouts_tell_slack', 'claim_slack_message', 'slack_facts', 'settle_slack_message', 'slack_trouble', 'slack_trouble_of',
            'sender_addresses', 'claim_domain_check', 'save_domain_check', 'list_domain_checks', 'ask_domain_check', 'domain_alarms',
            'add_owner_news', 'claim_owner_news', 'settle_owner_news',
            'counted_as', 'uncounted_events', 'add_provider_events', 'provider_figures', 'queue_standing', 'save_standing', 'show_standing', 'standing_days', 'standing_alarms',
            'subscribe_hook', 'hook_sample_facts', 'replay_hook_since',
            'list_slot', 'list_source', 'list_move', 'count_list_gains', 'count_list_moves', 'count_list_losses', 'forget_list_moves', 'merge_list_moves', 'list_growth', 'mailout_churn', 'quiet_slice', 'tracked_mailouts', 'person_engagement', 'folded_engagement',
            'region_states', 'region_breaker', 'silent_regions',
            'silent_mails', 'mailout_events', 'silent_mailouts', 'unopened_mailouts', 'unasked_events',
            'use_webhook_token',
            'has_aside', 'limits_on', 'limit_of', 'domain_of', 'sums', 'aside_keys', 'permitted_recipients', 'pass_limits', 'charge_limits', 'plus', 'give_back',
            'pacing_turn', 'read_answers', 'answer_of', 'keep_paces', 'pacing_overview',
            'start_warmup', 'stop_warmup', 'open_warmup_day', 'running_warmups', 'shown_warmup', 'list_warmups', 'note_warmups',
            'may_drop', 'drop_old_events', 'drop_old_batches',
            'shrink_old_mailouts', 'begin_shrinking', 'is_asked_about', 'report_part', 'kept_report', 'shrink_slice', 'row_mark', 'apply_late_events', 'refuse_dropped', 'refuse_dropped_condition',
            'segment_json', 'segment_users', 'audience_diff', 'id_at', 'within_share',
            'own_tables', 'own_functions', 'own_objects', 'open_grants']
$own_functions$;

-- kind: table, sequence, function. name: as SQL writes it.
create or replace function own_objects() returns table (kind text, id oid, name text)
language sql stable set search_path = public, pg_temp as $own_objects$
    with tables as (
        select c.oid from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
           and c.relname = any (own_tables() || array['schema_migrations', 'schema_version']))
    select 'table', oid, oid::regclass::text from tables
    union all
    select 'sequence', d.objid, d.objid::regclass::text
      from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
     where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
       and d.refobjid in (table tables) and d.deptype in ('a', 'i')
    union all
    select 'function', p.oid, p.oid::regprocedure::text
      from pg_proc p
     where p.pronamespace = 'public'::regnamespace and p.proname = any (own_functions());
$own_objects$;

-- What is open to people who should have none of it, whoever granted it and however (to everybody, to a
-- role they are in, on a column): each in words. `migrate` closes it.
create or replace function open_grants() returns jsonb
language sql stable set search_path = public, pg_temp as $open_grants$
    with strangers as (
        select 'public' as role
        union all
        select rolname::text from pg_roles where rolname in ('anon', 'authenticated')
    ), found as (
        select format('%s may use the %s %s', role, kind, name) as said
          from own_objects(), strangers
         where case kind
                   when 'table' then
                       has_table_privilege(role, id, 'select, insert, update, delete, truncate, references, trigger')
                       or has_any_column_privilege(role, id, 'select, insert, update, references')
                   when 'sequence' then has_sequence_privilege(role, id, 'usage, select, update')
                   else has_function_privilege(role, id, 'execute')
               end
        union all
        select format('row level security of the table %s is off', name)
          from own_objects() join pg_class on oid = id
         where kind = 'table' and relkind in ('r', 'p') and not relrowsecurity
    )
    select coalesce(jsonb_agg(said order by said), '[]') from found;
$open_grants$;

do $grants$
declare
    v_kind    text;
    v_id      oid;
    v_name    text;
    v_role    text;
    v_roles   text[] := array(select quote_ident(rolname) from pg_roles
                               where rolname in ('anon', 'authenticated'));
    v_service boolean := exists (select from pg_roles where rolname = 'service_role');
begin
    for v_kind, v_id, v_name in select kind, id, name from own_objects() loop
        foreach v_role in array array['public'] || v_roles loop
            execute format('revoke all on %s %s from %s cascade', v_kind, v_name, v_role);
        end loop;
        if v_kind = 'table' and exists (
            select from pg_class where oid = v_id and relkind in ('r', 'p') and not relrowsecurity) then
            execute format('alter table %s enable row level security', v_name);
        end if;
        if v_service and v_name <> all (array['schema_migrations', 'schema_version']) then
            execute format('grant %s on %s %s to service_role',
                           case v_kind when 'table' then 'select, insert, update, delete'
                                       when 'sequence' then 'usage' else 'execute' end, v_kind, v_name);
        end if;
    end loop;
    if v_service then
        grant select on table schema_version to service_role;
        grant usage on schema public to service_role;
    end if;
end $grants$;
