"""What /health says of SES and of the sender, from what the database and the sender know."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from app.services.watching.health import sender_check, ses_check
from tests.support.factories import an_account


def found(
    age_seconds: float = 30.0, account: dict[str, Any] | None = None, **state: Any
) -> dict[str, Any]:
    """As `executor_state` answers."""
    return {
        "executor": {"alive": True, "silent_seconds": 1.0, "state": {"breaker": "closed"} | state},
        "account": asdict(an_account()) if account is None else account,
        "account_age_seconds": age_seconds,
    }


@pytest.mark.parametrize(
    ("what", "status", "words"),
    [
        (found(), "ok", None),
        (found(179), "ok", None),
        (found(181), "fail", "not asked for 181 s"),
        (found(account_error="SES did not answer"), "fail", "SES did not answer"),
        (found(account={}), "fail", "not asked yet"),
        (found(account=asdict(an_account(sending_enabled=False))), "fail", "does not let"),
        (found(account=asdict(an_account(enforcement_status="SHUTDOWN"))), "fail", "does not let"),
        (found(account=asdict(an_account(enforcement_status="PROBATION"))), "ok", None),
        (found(breaker="open"), "fail", "does not answer"),
        (found(breaker="half_open"), "ok", None),
    ],
)
def test_ses_is_well_only_while_it_was_asked_of_late(
    what: dict[str, Any], status: str, words: str | None
) -> None:
    """GetAccount is asked once a minute: an answer of three minutes ago says nothing of now."""
    report = ses_check(what)
    assert report["status"] == status
    assert words is None or words in report["detail"]


def test_without_a_sender_of_its_own_the_account_is_judged_all_the_same() -> None:
    known = found() | {"executor": None}
    assert ses_check(known) == {"status": "ok", "max_send_rate": 1e6, "sending_enabled": True}
    assert ses_check(known | {"account_age_seconds": 181})["status"] == "fail"


@pytest.mark.parametrize(
    ("executor", "status", "words"),
    [
        (None, "fail", "not reported yet"),
        ({"alive": True, "silent_seconds": 1, "state": {}}, "ok", None),
        ({"alive": False, "silent_seconds": 61.4, "state": {}}, "fail", "missing for 61 s"),
        ({"alive": True, "silent_seconds": 1, "state": {"trouble": "Full."}}, "warn", "Full."),
        (
            {"alive": True, "silent_seconds": 1, "state": {"trouble": "F", "stops_sending": True}},
            "fail",
            "F",
        ),
    ],
)
def test_a_sender_is_well_while_it_lives_and_gets_its_work_done(
    executor: dict[str, Any] | None, status: str, words: str | None
) -> None:
    report = sender_check(executor)
    assert report["status"] == status
    assert report.get("detail") == words or (words or "") in report["detail"]
