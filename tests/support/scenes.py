"""Scenes with SES's mailbox simulator, played on our sandbox and on a real account alike.

Each takes a `Stage` and asks only what both can tell: over HTTP from the running service, and from
its database.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.support.factories import Arrange
from tests.support.service import BEARER
from tests.support.waiting import eventually

SIMULATOR = "simulator.amazonses.com"


@dataclass
class Stage:
    """A running service before SES. fetch_events: brings it the events that are there now, where
    they don't come by themselves. has_events: whether any ever come. seconds: how long a scene may
    take."""

    http: httpx.AsyncClient
    arrange: Arrange
    fetch_events: Callable[[], Awaitable[None]]
    has_events: bool
    seconds: float

    async def send(self, mailout: UUID, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(
            "/send-mailout", json={"mailout_id": str(mailout), **body}, headers=BEARER
        )
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        return accepted

    async def show(self, mailout: UUID) -> dict[str, Any]:
        answer = await self.http.get(f"/mailouts/{mailout}", headers=BEARER)
        shown: dict[str, Any] = answer.raise_for_status().json()
        return shown

    async def until_sent(self, mailout: UUID) -> dict[str, Any]:
        return await eventually(
            lambda: self.show(mailout),
            until=lambda shown: shown["status"] in {"sent", "failed", "paused"},
            seconds=self.seconds,
        )

    async def until_settled(self, mailout: UUID, fates: dict[str, str]) -> None:
        """Wait until events have brought each recipient's row to its status in `fates`: a complaint
        comes after the delivery, so a row that looks settled may still move."""

        async def look() -> dict[str, str]:
            await self.fetch_events()
            done = await self.arrange.sql.execute(
                "select email, status from send_logs where mailout_id = %s and not is_test",
                [mailout],
            )
            return {row["email"]: row["status"] async for row in done}

        await eventually(look, until=lambda rows: rows == fates, seconds=self.seconds)


async def each_simulated_mailbox_meets_its_fate(stage: Stage) -> None:
    """Delivered, bounced, complained; an absence note undoes no delivery; the suppressed bounce."""
    run = uuid4().hex[:8]  # labels keep the runs apart
    fates = {
        f"success+{run}": ("delivered", "active"),
        f"bounce+{run}": ("bounced", "bounced"),
        f"complaint+{run}": ("complained", "complained"),
        f"ooto+{run}": ("delivered", "active"),
        f"suppressionlist+{run}": ("bounced", "bounced"),
    }
    for mailbox in fates:
        await stage.arrange.subscriber(f"{mailbox}@{SIMULATOR}", name="Ænn O'Hära")
    mailout = await stage.arrange.mailout(
        subject="Für {{ name }}", body_html="<p>Hi {{ name }} <a href='https://example.com'>x</a>"
    )
    assert (await stage.send(mailout))["recipients"] == len(fates)
    shown = await stage.until_sent(mailout)
    assert shown["status"] == "sent", shown["status_reason"]
    if not stage.has_events:
        assert shown["counts"]["sent"] == len(fates)
        return
    await stage.until_settled(
        mailout, {f"{box}@{SIMULATOR}": row for box, (row, _) in fates.items()}
    )
    done = await stage.arrange.sql.execute("select email, status from subscribers")
    people = {row["email"]: row["status"] async for row in done}
    assert people == {f"{box}@{SIMULATOR}": person for box, (_, person) in fates.items()}
    subtype = await stage.arrange.one(
        "select bounce_subtype from send_logs where email like 'suppressionlist%%'"
    )
    assert subtype in {"Suppressed", "OnAccountSuppressionList"}


async def a_list_goes_out_at_the_accounts_own_rate(stage: Stage) -> None:
    """Twelve recipients, nobody throttled into failure, nobody twice."""
    run = uuid4().hex[:8]
    for n in range(12):
        await stage.arrange.subscriber(f"success+{run}-{n}@{SIMULATOR}")
    mailout = await stage.arrange.mailout()
    await stage.send(mailout)
    shown = await stage.until_sent(mailout)
    assert shown["status"] == "sent", shown["status_reason"]
    counts = shown["counts"]
    assert counts["sent"] + counts["delivered"] == 12
    assert await stage.arrange.one("select count(distinct message_id) from send_logs") == 12


async def a_test_mail_is_accepted_and_changes_nothing(stage: Stage) -> None:
    """To TEST_EMAILS, which the stage has set to a simulated mailbox."""
    mailout = await stage.arrange.mailout("draft")
    assert (await stage.send(mailout, test=True))["recipients"] == 1

    async def look() -> str | None:
        status: str | None = await stage.arrange.one(
            "select status from send_logs where is_test and mailout_id = %s", mailout
        )
        return status

    status = await eventually(
        look, until=lambda s: s not in {"queued", "sending"}, seconds=stage.seconds
    )
    assert status in {"sent", "delivered"}
    shown = await stage.show(mailout)
    assert shown["status"] == "draft"
    assert shown["tested"]["current"] is True


async def the_preflight_finds_nothing_that_forbids_sending(stage: Stage) -> None:
    await stage.arrange.subscriber(f"success@{SIMULATOR}", name="Ann")
    mailout = await stage.arrange.mailout()
    answer = await stage.http.post(
        f"/mailouts/{mailout}/preflight", headers=BEARER, timeout=stage.seconds
    )
    report = answer.raise_for_status().json()
    failed = [finding for finding in report["findings"] if finding["level"] == "fail"]
    assert failed == []
    assert report["ok"] is True
    assert report["recipients"] == 1
    answered = [f["what"] for f in report["findings"] if f["what"].startswith("SES answers")]
    assert answered


SCENES = (
    each_simulated_mailbox_meets_its_fate,
    a_list_goes_out_at_the_accounts_own_rate,
    a_test_mail_is_accepted_and_changes_nothing,
    the_preflight_finds_nothing_that_forbids_sending,
)
