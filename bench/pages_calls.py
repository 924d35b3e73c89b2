"""What pages, `GET` endpoints and listing commands ask the database, in the forms that cost most.

$NAME: a value that `bench.pages.known` finds.
"""

from __future__ import annotations

from typing import Any, get_args

from app.api.mailouts.lists import RECIPIENTS_REACH
from app.domain.states import RecipientStatus
from app.services.audience.changes import FIRST_REACH
from app.services.audience.segments import QUICK
from app.services.engagement.reports import EARLIER, LINKS
from app.services.engagement.reports import SLICE as GROUPS_SLICE
from app.services.people.many import COUNT_REACH
from app.services.readership.list_report import SLICE

NIL = "00000000-0000-0000-0000-000000000000"
HALF = "80000000-0000-0000-0000-000000000000"
Form = dict[str, Any]
Filter = dict[str, Any]

# Conditions of a list of people, frequent, rare, in between and of nobody: every combination of one
# of each kind is asked for.
_STATUS = [{"status": s} for s in ("active", "unsubscribed", "complained")]
_TAG = [{"tags": [t]} for t in ("news", "rare", "middle", "t77", "nobody")]
_Q = [{"q": q} for q in ("gmail", "rare.org", "smith", "xav", "nobody", "a", "@gmail.com", "ann s",
                         "$lastaddress")]  # fmt: skip
_FIELDS = [{"fields": {"plan": "3"}}, {"fields": {"plan": "x"}}]


def _combined() -> list[Filter]:
    found: list[Filter] = [{}]
    for kind in (_STATUS, _TAG, _Q, _FIELDS):
        found += [one | more for one in found for more in kind]
    return found


def _asked(field: str, op: str, value: Any, **more: Any) -> Filter:
    return {"field": field, "op": op, "value": value, **more}


RULES: list[Filter] = [
    _asked("name", "contains", "nobody"),
    _asked("fields.plan", "gt", 99),
    _asked("fields.plan", "before", "1990-01-01"),
    _asked("email", "is", "$lastaddress"),
    _asked("tags", "starts_with", "zzz"),
    _asked("created_at", "within_days", 1),
    {"all": [{"tags": ["news"]}, _asked("fields.plan", "is", "x")]},
    {"all": [{"tags": ["t77"]}, _asked("received", "is_not", "$all")]},
    _asked("received", "is", "$all"),
    _asked("received", "is_not", "$all"),
    _asked("received", "is_not", "any", days=30),
    _asked("received", "is", "any", days=3000),
    _asked("received", "is_not", "any", days=3000),
    _asked("opened", "is_not", "any", days=3000),
    {"all": [_asked("opened", "is", "$all"), _asked("clicked", "is_not", "any", days=3000)]},
]
PEOPLE: list[Filter] = [
    *_combined(),
    *({"rule": rule} for rule in RULES),
    *({"rule": rule, "status": "complained"} for rule in RULES),
    *({"rule": rule, "q": "smith"} for rule in RULES),
]

_STATUSES = [None, *([status] for status in get_args(RecipientStatus))]
_SOUGHT = (None, "nobody", "rare.org", "$address", "$lastaddress", "nobody@example.com")


def _recipients() -> list[Form]:
    return [
        {
            "p_mailout": mailout,
            "p_limit": 51,
            "p_reach": RECIPIENTS_REACH,
            "p_statuses": statuses,
            "p_q": q,
            "p_after": after,
        }
        for mailout in ("$all", "$sending")
        for statuses in _STATUSES
        for q in _SOUGHT
        for after in (NIL, HALF)
    ]  # fmt: skip


def _of(*mailouts: str, **more: Any) -> list[Form]:
    return [{"p_mailout": mailout, **more} for mailout in mailouts]


EACH = ("$all", "$middle", "$sending", "$paused", "$cancelled", "$small", "$draft")
NOTHING: list[Form] = [{}]

PAGES: dict[str, list[Form]] = {
    # Subscribers
    "subscribers_page": [{"p_filter": wanted, "p_limit": 50} for wanted in PEOPLE],
    "count_people": [
        {"p_filter": wanted, "p_reach": COUNT_REACH}
        for wanted in (
            {},
            {"status": "active"},
            {"tags": ["news"]},
            {"tags": ["t77"]},
            {"q": "nobody"},
            {"q": "a", "tags": ["news"]},
            {"status": "active", "q": "smith"},
            *({"rule": rule} for rule in RULES),
        )
    ],
    "people_overview": [{"p_tags": 100}],
    "find_subscriber": [
        {"p_email": "$lastaddress"},
        {"p_email": "Nobody@Example.com"},
        {"p_subscriber": "$person"},
    ],
    "subscriber_history": [{"p_subscriber": one, "p_limit": 100} for one in ("$person", "$last")],
    "person_engagement": [{"p_subscriber": one, "p_limit": 50} for one in ("$person", "$last")],
    "why_mailed": [
        *(
            {"p_mailout": m, "p_email": e}
            for m in ("$all", "$sending", "$draft")
            for e in ("$address", "$lastaddress", "nobody@example.com")
        ),
        {"p_mailout": "$all", "p_subscriber": "$person"},
    ],
    "field_names_slice": [{"p_after": NIL, "p_limit": 2_000}],
    "sample_reader": NOTHING,
    "list_growth": [
        {"p_by": by, "p_periods": n} for by, n in (("day", 366), ("week", 104), ("month", 120))
    ],
    "mailout_churn": [{"p_limit": 50}],
    "tracked_mailouts": [{"p_days": 3_000, "p_limit": 30}],
    # Audiences
    "unknown_tags": [{"p_audience": {"tags": ["news", "nobody"]}}],
    "untracked_mailouts": [{"p_mailouts": ["$all", "$small"]}],
    "resolved_audience": [{"p_audience": {"segment": "$segment"}}],
    "list_segments": [{"p_limit": 200}],
    "show_segment": [{"p_segment": "$segment"}],
    # Mailouts
    "mailouts_page": [
        {"p_limit": 21, "p_filter": wanted}
        for wanted in (
            {},
            {"q": "nobody"},
            {"statuses": ["failed"]},
            {"statuses": ["sending"], "q": "x"},
            {"since": "2020-01-01", "until": "2021-01-01"},
            {"q": "letter", "statuses": ["sent"]},
        )
    ],
    "mailout_overview": NOTHING,
    "find_mailout": [*_of(*EACH), {"p_notion_page": "0" * 32}],
    "show_mailout": _of(*EACH),
    "mailout_headline": _of(*EACH),
    "mailout_outcomes": _of(*EACH),
    "mailout_series": _of(*EACH),
    "mailout_waves": _of(*EACH),
    "pacing_overview": [{}, *_of("$all", "$sending")],
    "sending_pace": [{}, *_of("$all", "$sending")],
    "recipients_page": _recipients(),
    "list_recipients": [
        {"p_mailout": m, "p_after": a, "p_limit": 1_000}
        for m in ("$all", "$sending")
        for a in (NIL, HALF)
    ],
    "engagement_page": [
        {"p_mailout": m, "p_after": a, "p_limit": 1_000}
        for m in ("$all", "$sending")
        for a in (NIL, HALF)
    ],
    "snapshot_content": _of("$all"),
    "tested_content": _of("$all"),
    "awkward_reader": [
        {"p_mailout": m, "p_shown": ["name", "fields.city"]} for m in ("$all", "$draft")
    ],
    "sample_subscriber": _of("$all", "$draft"),
    "first_recipients": _of("$all", "$draft", p_limit=50),
    "send_outlook": [
        {
            "p_region": None,
            "p_rate_limit": None,
            "p_recipients": 10_000_000,
            "p_regions": ["us-east-1"],
        }
    ],
    "show_dry_run": _of("$all", "$draft"),
    "guard_trip": _of("$all", "$sending", p_bounce_rate=1, p_complaint_rate=1),
    "notion_write_trouble": _of("$all"),
    "slack_trouble_of": _of("$all"),
    # The account, the standing, the watchdog, the metrics
    "account_overview": [{"p_region": "us-east-1"}],
    "metrics_snapshot": NOTHING,
    "watchdog_figures": [{"p_patience": p} for p in (0, 600)],
    "executor_state": [{"p_service": NIL, "p_region": "us-east-1"}],
    "region_states": [{"p_regions": ["us-east-1", "eu-central-1"]}],
    "count_executors": NOTHING,
    "quota_frees_at": [{"p_region": "us-east-1"}],
    "fallback_state": [{"p_next": None}],
    "provider_figures": [{"p_windows": [1, 7, 30], "p_days": 30}],
    "standing_days": [{"p_days": 30}],
    "show_standing": NOTHING,
    "standing_alarms": NOTHING,
    "list_domain_checks": NOTHING,
    "domain_alarms": NOTHING,
    "sender_addresses": NOTHING,
    "running_warmups": NOTHING,
    "list_warmups": NOTHING,
    "examine_database": NOTHING,
    # What else there are lists of
    "list_jobs": [
        {"p_limit": 21, "p_state": state, "p_before": before, "p_before_id": id_}
        for state in (None, "waiting", "running", "done", "failed", "cancelled")
        for before, id_ in ((None, None), ("$halftime", HALF))
    ],
    "show_job": [{"p_job": "$job"}],
    "list_imports": [{"p_limit": 21}],
    "show_import": [{"p_import": "$import"}],
    "list_import_refusals": [
        {"p_import": "$import", "p_after": after, "p_limit": 1_000} for after in (-1, 100_000)
    ],
    "list_audit": [
        {
            "p_limit": 31,
            "p_target": target,
            "p_action": action,
            "p_by": by,
            "p_since": since,
            "p_before": before,
        }
        for target in (None, "$target", "nobody")
        for action in (None, "mailout", "template.delete", "nobody.ever")
        for by in (None, "cli", "nobody")
        for since in (None, "2020-01-01", "2100-01-01")
        for before in (None, 1_000)
    ],
    "list_keys": NOTHING,
    "living_keys": NOTHING,
    "list_hooks": NOTHING,
    "show_hook": [{"p_hook": "$hook"}],
    "list_hook_deliveries": [
        {"p_hook": "$hook", "p_limit": 21, "p_state": state, "p_before": before}
        for state in (None, "waiting", "sending", "done", "dead")
        for before in (None, 100_000)
    ],
    "hooks_overview": NOTHING,
    "hook_sample_facts": NOTHING,
    "list_templates": [{"p_limit": 200}],
    "show_template": [{"p_template": "$template"}],
    "find_template": [{"p_name": "template 7"}],
    "list_template_versions": [{"p_template": "$template", "p_limit": 20}],
    "template_sources": [{"p_template": "$template", "p_text": "{% render 'Template 3' %}"}],
    "content_of": [{"p_mailout": {"subject": "x", "body_html": "<p>x</p>"}}],
    "find_signup": [{"p_signup": "$signup"}],
    "session_ended": [{"p_session": "nobody"}],
    "latest_asset": [{"p_store": "database"}],
    "read_asset": [{"p_sha256": "0" * 64, "p_extension": "png"}],
    "find_send_request": [{"p_key": "k7"}],
    "is_event_known": [{"p_sns_message_id": "$event"}],
    # Notion and Slack
    "notion_row": [{"p_page": "$all"}],
    "notion_source": [{"p_configured": None}],
    "notion_trouble": NOTHING,
    "notion_webhook": NOTHING,
    "notion_writes_trouble": NOTHING,
    "recent_notion_rows": [{"p_limit": 20}],
    "notion_why": _of("$all", p_email="$address"),
    "notion_write_facts": [{"p_page": "$all"}],
    "slack_facts": _of("$all", "$sending"),
    "slack_trouble": NOTHING,
    # Counts and reports of millions: COMPUTED
    "preview_audience": [
        {"p_audience": rule, "p_sample": 5, "p_exact": exact}
        for exact in (QUICK, 1_000_000)
        for rule in ({}, {"tags": ["news"]}, {"tags": ["t77"]}, *RULES)
    ],
    "count_audience": _of("$draft"),
    "audience_diff": _of("$draft", "$all", p_reach=FIRST_REACH),
    "audience_zones": _of("$draft"),
    "quiet_slice": [{"p_days": 180, "p_after": after, "p_reach": SLICE} for after in (NIL, HALF)],
    "engagement_totals": _of("$all", "$middle"),
    "engagement_links": _of("$all", "$middle", p_limit=LINKS),
    "engagement_reasons": _of("$all", "$middle"),
    "engagement_series": _of("$all", "$middle"),
    "engagement_groups_slice": [
        {
            "p_mailout": "$all",
            "p_by": by,
            "p_after": after,
            "p_rows": GROUPS_SLICE,
            "p_segment": segment,
        }
        for by, segment in (("domain", None), ("tag", None), ("segment", "$segment"))
        for after in (NIL, HALF)
    ],
    "engagement_earlier": _of("$draft", "$all", p_limit=EARLIER),
    "export_person": [{"p_email": e} for e in ("$address", "$lastaddress")],
}

COMPUTED = frozenset({
    "preview_audience", "count_audience", "audience_diff", "audience_zones", "quiet_slice",
    "engagement_totals", "engagement_links", "engagement_reasons", "engagement_series",
    "engagement_earlier", "export_person", "count_people", "slack_facts",
})  # fmt: skip
"""Counts and reports of millions, not lists: a second each. The pages that show them keep the
answers (app/services/dashboard/answer_cache.py); a person's export is asked for seldom."""

NOT_PAGES = frozenset({
    "claim_recipients", "record_batches",
    "create_key", "revoke_key", "note_key_use", "note_sign_in", "note_refused_sign_ins",
    "end_session", "keep_asset", "tell_timezone", "save_segment", "delete_segment",
    "claim_domain_check", "save_domain_check", "ask_domain_check", "add_mailout", "edit_mailout",
    "duplicate_mailout", "delete_mailout", "begin_dry_run", "queue_dry_run", "save_dry_run",
    "mark_engagement", "claim_engagement", "settle_engagement", "read_mailout_links",
    "apply_parked_events", "apply_ses_events", "use_webhook_token", "record_refused_messages",
    "begin_suppression_check", "end_suppression_check", "claim_owner_notice", "settle_owner_notice",
    "watch_fallback", "open_fallback", "close_fallback", "claim_hook_deliveries",
    "settle_hook_deliveries", "replay_hook_deliveries", "test_hook", "tidy_hooks", "change_hook",
    "delete_hook", "rotate_hook", "switch_hook", "subscribe_hook", "replay_hook_since",
    "begin_import", "store_import_chunk", "drop_upload", "start_import", "note_import",
    "import_chunk", "end_import", "begin_undo_import", "undo_import_slice", "settle_email",
    "add_job", "claim_job", "claim_one_job", "extend_job", "settle_job", "cancel_job", "retry_job",
    "prune_jobs", "claim_mailout", "schedule_mailout", "unschedule_mailout", "finish_mailout",
    "pause_mailout", "resume_mailout", "cancel_mailout", "block_route", "hold_without_route",
    "resume_waiting_mailouts", "cancel_recipients", "resend_mailout", "pause_tripped", "queue_test",
    "notion_news", "ask_notion_row", "make_notion_mailout", "save_notion_row", "freeze_notion_row",
    "end_notion_look", "forget_notion_row", "answer_forsaken_notion_rows", "forget_idle_looks",
    "begin_notion_poll", "tell_notion_source", "note_notion_trouble", "take_notion_event",
    "keep_notion_verification", "forget_notion_verifications", "tell_notion_integration",
    "claim_notion_talks", "begin_notion_comment", "act_on_notion_comment", "note_notion_answer",
    "settle_notion_comment", "note_notion_comments", "notion_write_due", "claim_notion_writes",
    "settle_notion_write", "pacing_turn", "keep_paces", "start_warmup", "stop_warmup",
    "open_warmup_day", "note_warmups", "add_subscriber", "change_subscriber", "change_people",
    "queue_change_people", "erase_subscriber", "leave_list", "resubscribe", "drop_old_events",
    "shrink_old_mailouts", "drop_old_batches", "queue_recipients", "start_due_mailouts",
    "heartbeat", "leave", "tell_executor_state", "note_waiting", "note_silence", "note_quota",
    "release_batches", "keep_house", "recover_lost", "record_account",
    "advance_canary", "ask_signup", "confirm_signup", "claim_signup_mail",
    "settle_signup_mail", "queue_standing", "add_provider_events", "save_standing",
    "claim_owner_news", "settle_owner_news", "claim_slack_message", "settle_slack_message",
    "create_template", "change_template", "delete_template",
})  # fmt: skip
"""They write: what somebody does, or what the processes do in the background."""

SLICES = frozenset({
    "audience_slice", "compare_suppressed", "find_asset", "import_order", "known_notion_rows",
    "work_due", "export_page",
    "open_notion_comments", "read_import_chunk", "sender_work", "uncounted_events", "unread_emails",
    "unread_links",
})  # fmt: skip
"""They read, but no page: work in the background asks them, in slices or by key
(tests/integration/test_reads_at_size.py)."""
