"""What a process shows and does while another provider has the turn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from app.domain.reports.people import EVENTS
from app.domain.sending.batches import Account
from app.services.sending.pausing import Pausing, silence_reason
from app.services.sending.routes import SesRoute, Waiting, for_tests
from app.store import Store
from tests.support.factories import an_account

SILENT = "Waiting for SES, which does not answer; next try at 10:00:00 UTC."
ITS_TOO = "Waiting for SES, in whose place SendGrid does not answer; next try at 10:00:00 UTC."


class Shown:
    """What the mailouts that are sending show. turn: the provider that sends beside the regions."""

    def __init__(self) -> None:
        self.turn: str | None = None
        self._reason: str | None = None

    async def note_waiting(self, reason: str | None, *, kept_to: str | None = None) -> None:
        if kept_to is None:
            self._reason = reason

    async def note_silence(
        self, reason: str, *, routes: Sequence[str], silent: Sequence[str]
    ) -> None:
        sending = {*(one for one in routes if one in {"eu-west-1", self.turn})}
        self._reason = reason if sending <= {*silent} else None

    def reason(self) -> str | None:
        return self._reason


async def test_nobody_is_said_to_wait_while_a_provider_sends() -> None:
    shown = Shown()
    waiting = Waiting(cast(Store, shown), ("eu-west-1", "sendgrid"))
    await waiting.note("eu-west-1", SILENT)
    assert shown.reason() == SILENT
    shown.turn = "sendgrid"
    await waiting.look()
    assert shown.reason() is None
    await waiting.note("sendgrid", ITS_TOO)
    assert shown.reason() == ITS_TOO, "that one is silent, too"
    await waiting.note("sendgrid", None)
    assert shown.reason() is None


def test_it_is_said_who_does_not_answer() -> None:
    at = datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert silence_reason("eu-west-1", ["eu-west-1"], at) == SILENT
    assert silence_reason("sendgrid", ["eu-west-1", "us-east-1"], at) == ITS_TOO
    assert silence_reason("us-east-1", ["eu-west-1", "us-east-1"], at) == (
        "Waiting for SES in us-east-1, which does not answer; next try at 10:00:00 UTC."
    )


def test_no_event_is_said_to_be_of_ses() -> None:
    """Whoever had the mail may have told of it."""
    assert [words for words in EVENTS.values() if "SES" in words] == []


def route(name: str, *, account: Account | None = None, silent: bool = False) -> SesRoute:
    made = SesRoute(
        name,
        cast(Any, SimpleNamespace(breaker=SimpleNamespace(probing=silent))),
        cast(Any, None),
        cast(Any, None),
        cast(Any, SimpleNamespace(account=account or an_account())),
    )
    assert made.is_open is (not silent and made.account.account.can_send)  # type: ignore[union-attr]
    return made


def test_a_test_mail_goes_by_a_provider_only_when_no_region_can_send() -> None:
    stopped = an_account(sending_enabled=False)
    down, up = route("eu-west-1", silent=True), route("us-east-1")
    assert for_tests([down, up], "sendgrid") == "us-east-1"
    assert for_tests([down, route("us-east-1", account=stopped)], "sendgrid") == "sendgrid"
    assert for_tests([down], None) == "eu-west-1", "it waits there, or is told why it fails"


class Blocked:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def block_route(self, *arguments: Any, **named: Any) -> Any:
        self.reasons.append(arguments[3])
        return SimpleNamespace(changed=True, status="paused")


@pytest.mark.parametrize("halt", ["account", "configuration", "not_ses"])
async def test_what_a_provider_refuses_isnt_said_of_ses(halt: Any) -> None:
    store = Blocked()
    pausing = Pausing(cast(Store, store), "mailgun", ["eu-west-1", "mailgun"])
    await pausing.for_answers(UUID(int=1), {halt: "Forbidden."})
    [reason] = store.reasons
    assert reason.startswith("SES can't send, and nor can Mailgun: ")
    said = reason.removeprefix("SES can't send, and nor can Mailgun: ")
    assert "SES" not in said
    assert "Mailgun" in said and said.endswith("Forbidden.")
    assert ("MAILGUN_API_URL" in said) is (halt == "not_ses")
