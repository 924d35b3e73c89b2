"""The dashboard over HTTP: what it shows, and what its buttons do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.api.dashboard import access as dashboard_access
from app.domain.sending.batches import Outcome, Result
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.dashboard import Visitor
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange, all_sent, claim, living_sender, start
from tests.support.service import Service
from tests.support.waiting import eventually

NOBODY = UUID(int=7)


class TestPages:
    async def test_browsers_are_told_to_trust_nothing_else(
        self, quiet: Service, visitor: Visitor, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout("sending")
        for path in (
            "/login",
            "",
            "/account",
            f"/mailouts/{mailout}",
            f"/mailouts/{mailout}/pause",
            f"/mailouts/{NOBODY}",
        ):
            answer = await visitor.get(path)
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self';")
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            inline = r"<style|\sstyle=|\son\w+=|<script(?! src=)|(?:src|href|action)=.https?:"
            assert not re.search(inline, answer.text)

    async def test_assets_are_public_and_kept_for_long(self, quiet: Service) -> None:
        page = (await quiet.http.get("/dashboard/login")).text
        for path in re.findall(r'href="(/dashboard/assets/[^"]+)"', page):
            answer = await quiet.http.get(path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        assert (await quiet.http.get("/dashboard/assets/base.html")).status_code == 404

    async def test_what_authors_write_is_text(self, visitor: Visitor, arrange: Arrange) -> None:
        mailout = await arrange.mailout(subject="<script>alert(1)</script>", status_reason="<b>x")
        for path in ("", f"/mailouts/{mailout}", f"/mailouts/{mailout}/cancel"):
            text = (await visitor.get(path)).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert(1)" in text

    async def test_a_long_list_has_pages(self, visitor: Visitor, arrange: Arrange) -> None:
        for number in range(45):
            await arrange.mailout("draft", subject=f"Letter {number:02}")
        seen: list[str] = []
        path = ""
        while True:
            html = (await visitor.get(path)).text
            seen += re.findall(r"Letter \d\d", html)
            older = re.search(r'href="/dashboard(\?[^"]*)">Older', html)
            if older is None:
                break
            path = older[1].replace("&amp;", "&")
        assert seen == [f"Letter {number:02}" for number in reversed(range(45))]

    async def test_the_list_is_filtered_by_status(self, visitor: Visitor, arrange: Arrange) -> None:
        for status in ("draft", "sent"):
            await arrange.mailout(status, subject=f"A {status} one")
        html = (await visitor.get("?status=sent")).text
        assert "A sent one" in html
        assert "A draft one" not in html

    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize(
        "path",
        [
            f"/mailouts/{NOBODY}",
            f"/mailouts/{NOBODY}/pause",
            "/mailouts/x",
            "/mailouts/x/y",
            "?status=x",
        ],
    )
    async def test_what_is_not_there_is_a_page_too(self, visitor: Visitor, path: str) -> None:
        answer = await visitor.get(path)
        assert answer.status_code == 404
        assert "To the mailouts" in answer.text
        assert "Sign out" in answer.text  # so the way to the other pages, too

    async def test_without_a_database_the_page_says_so(
        self,
        visitor: Visitor,
        postgres_server: DatabaseServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(dashboard_access, "PAGE_SECONDS", 0.3)
        with postgres_server.frozen():
            answer = await visitor.get()
        assert answer.status_code == 503
        assert "Try again" in answer.text

    async def test_nobody_is_shown_in_full(
        self, visitor: Visitor, arrange: Arrange, direct_store: Store
    ) -> None:
        await arrange.subscriber("very.personal@example.com")
        mailout = await arrange.mailout()
        await start(direct_store, mailout)
        batch = await claim(direct_store, mailout, await living_sender(direct_store))
        words = "550 <very.personal@example.com> is unknown to us"
        await direct_store.record_results(
            batch.attempt_id,
            [
                Result(
                    batch.recipients[0].send_log_id,
                    "failed",
                    code="MESSAGE_REJECTED",
                    message=words,
                )
            ],
        )
        html = (await visitor.get(f"/mailouts/{mailout}")).text
        assert "550 &lt;v•••@e•••.com&gt; is unknown to us" in html
        assert "very.personal" not in html

    async def test_the_account_says_what_is_missing(self, visitor: Visitor) -> None:
        html = (await visitor.get("/account")).text
        assert "AWS_REGION is not set, so nothing is sent." in html
        assert "SES was not asked yet." in html


class TestSteering:
    @pytest.mark.few_variants(1)
    @pytest.mark.parametrize(
        ("before", "action", "after"),
        [
            ("sending", "pause", "paused"),
            ("paused", "resume", "sending"),
            ("sending", "cancel", "cancelled"),
            ("ready", "cancel", "cancelled"),
        ],
    )
    async def test_buttons_move_the_mailout(
        self, visitor: Visitor, arrange: Arrange, before: str, action: str, after: str
    ) -> None:
        mailout = await arrange.mailout(before)
        page = f"/mailouts/{mailout}"
        assert f"/dashboard{page}/{action}" in (await visitor.get(page)).text
        assert (await visitor.get(f"{page}/{action}")).status_code == 200
        answer = await visitor.post(f"{page}/{action}")
        assert answer.headers["location"] == f"/dashboard{page}?notice={action}"
        assert await arrange.one("select status from mailouts") == after

    async def test_a_button_that_came_too_late_changes_nothing(
        self, visitor: Visitor, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout("sent")
        answer = await visitor.post(f"/mailouts/{mailout}/pause")
        assert answer.headers["location"].endswith("?notice=late")
        assert await arrange.one("select status from mailouts") == "sent"
        assert (await visitor.get(f"/mailouts/{mailout}/pause")).status_code == 303

    async def test_resend_goes_to_whom_was_chosen(
        self, visitor: Visitor, arrange: Arrange, direct_store: Store
    ) -> None:
        await arrange.subscribers(3)
        mailout = await arrange.mailout()
        await start(direct_store, mailout)
        batch = await claim(direct_store, mailout, await living_sender(direct_store))
        outcomes: tuple[Outcome, ...] = ("sent", "failed", "unknown")
        await direct_store.record_results(
            batch.attempt_id,
            [
                Result(
                    recipient.send_log_id, outcome, message_id="m" if outcome == "sent" else None
                )
                for recipient, outcome in zip(batch.recipients, outcomes, strict=True)
            ],
        )
        page = f"/mailouts/{mailout}"
        assert (await visitor.post(f"{page}/resend")).status_code == 422
        answer = await visitor.post(f"{page}/resend", statuses="unknown")
        assert answer.headers["location"].endswith("?notice=nobody")
        answer = await visitor.post(f"{page}/resend", statuses=["failed", "unknown"])
        assert answer.headers["location"].endswith("?notice=resend")
        assert await arrange.counts(mailout) == {"sent": 1, "queued": 1, "unknown": 1}

    async def test_the_preflight_is_the_same_as_elsewhere(
        self, visitor: Visitor, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout("draft", subject="Hi {{ nome }}")
        assert "Check it before sending" in (await visitor.get(f"/mailouts/{mailout}")).text
        answer = await visitor.post(f"/mailouts/{mailout}/preflight")
        assert answer.status_code == 200
        assert "This mailout would not be sent" in answer.text
        assert "nome" in answer.text
        assert await arrange.one("select status from mailouts") == "draft"


class TestFigures:
    async def test_a_mailout_is_accounted_for(
        self, service: Service, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
    ) -> None:
        """What SES accepted and what its events said, from the ledger and over time."""
        await arrange.subscribers(60)
        mailout = await arrange.mailout(subject="Sixty")
        await service.send(mailout)
        await eventually(
            lambda: service.show(mailout), until=lambda shown: shown["status"] == "sent"
        )
        done = await arrange.sql.execute(
            "select id, message_id, attempt_id from send_logs order by id"
        )
        rows = await done.fetchall()
        bounce = {"bounceType": "Permanent", "bounceSubType": "General"}
        events = [_event(mailout, row, "delivery") for row in rows[:50]]
        events += [
            _event(mailout, row, "bounce", payload={"bounce": bounce}, bounce_type="Permanent")
            for row in rows[50:58]
        ]
        events.append(_event(mailout, rows[0], "complaint", suppresses="complained"))
        for _ in range(2):  # a doubled event counts once
            await direct_store.apply_ses_events(events)
        outcomes = await direct_store.mailout_outcomes(mailout)
        assert {s: n for s, n in outcomes["counts"].items() if n} == {
            "delivered": 49, "bounced": 8, "complained": 1, "sent": 2,
        }  # fmt: skip
        series = await direct_store.mailout_series(mailout)
        assert series is not None
        totals: dict[str, int] = {}
        for point in series["points"]:
            assert 0 <= point["step"] < series["steps"]
            totals[point["kind"]] = totals.get(point["kind"], 0) + point["n"]
        assert totals == {"accepted": 60, "delivery": 50, "bounce": 8, "complaint": 1}
        assert await direct_store.sending_pace(mailout) > 0

        person = Visitor(service)
        await person.sign_in()
        html = (await person.get(f"/mailouts/{mailout}")).text
        assert re.search(r"Accepted for sending</th>.*?<td>60</td>", html, re.DOTALL)
        assert len(re.findall(r'<svg\b[^>]* class="chart\b', html)) == 3
        assert (await person.get("/account")).status_code == 200

    async def test_test_mails_count_nowhere(
        self, service: Service, arrange: Arrange, direct_store: Store
    ) -> None:
        await arrange.subscribers(1)
        mailout = await arrange.mailout("draft")
        await service.send(mailout, test=True)
        row = await eventually(
            lambda: _first(
                arrange, "select id, message_id, attempt_id from send_logs where status = 'sent'"
            ),
            until=bool,
        )
        await direct_store.apply_ses_events([_event(mailout, row, "delivery")])
        assert await arrange.one("select count(*) from event_counts") == 0

    async def test_a_mailout_that_never_started_has_no_figures(
        self, direct_store: Store, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout("draft")
        assert await direct_store.mailout_series(mailout) is None
        assert await direct_store.sending_pace(mailout) == 0

    async def test_unsubscribing_shows_over_time(
        self, direct_store: Store, arrange: Arrange
    ) -> None:
        reader = await arrange.subscriber("a@example.com")
        mailout = await arrange.mailout()
        await start(direct_store, mailout)
        batch = await claim(direct_store, mailout, await living_sender(direct_store))
        await direct_store.record_results(batch.attempt_id, all_sent(batch))
        for _ in range(2):
            await direct_store.unsubscribe(reader, mailout)
        series = await direct_store.mailout_series(mailout)
        assert series is not None
        counted = {point["kind"]: point["n"] for point in series["points"]}
        assert counted == {"accepted": 1, "unsubscribe": 1}


async def _first(arrange: Arrange, query: str) -> dict[str, Any] | None:
    return await (await arrange.sql.execute(query.encode())).fetchone()


def _event(mailout: UUID, row: Any, kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "sns_message_id": str(uuid4()),
        "type": kind,
        "message_id": row["message_id"],
        "occurred_at": datetime.now(UTC).isoformat(),
        "mailout_id": str(mailout),
        "send_log_id": str(row["id"]),
        "attempt": str(row["attempt_id"]),
        "bounce_type": None,
        "bounce_subtype": None,
        "suppresses": None,
        "detail": None,
        "payload": {},
    } | changes
