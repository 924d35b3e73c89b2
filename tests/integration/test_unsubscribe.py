"""`/unsubscribe` as the contract and RFC 8058 state it, over ASGI on a real database."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.timed_tokens import Mistake, ResubscribeTokens, SignupTokens
from app.domain.tokens import UnsubscribeTokens
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import (
    UNSUBSCRIBE_SECRET,
    Service,
    in_process,
    settings_for,
)

TOKENS = UnsubscribeTokens([UNSUBSCRIBE_SECRET])


class TestUnsubscribe:
    @pytest.fixture
    async def link(self, arrange: Arrange) -> str:
        someone = await arrange.subscriber("anna@example.com")
        return f"/unsubscribe?token={TOKENS.sign(someone, None)}"

    async def test_looking_changes_nothing_and_shows_no_address_in_full(
        self, service: Service, arrange: Arrange, link: str
    ) -> None:
        for method in ("GET", "HEAD"):
            page = await service.http.request(method, link)
            assert page.status_code == 200
        page = await service.http.get(link)
        assert "anna@example.com" not in page.text
        assert "<form" in page.text
        assert "<script" not in page.text
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert "noindex" in page.headers["x-robots-tag"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert await arrange.one("select status from subscribers") == "active"

    @pytest.mark.parametrize(
        "body",
        [
            {"data": {"List-Unsubscribe": "One-Click"}},
            {"files": {"List-Unsubscribe": (None, "One-Click")}},
            {"content": b""},
        ],
        ids=["form", "multipart", "button"],
    )
    async def test_a_post_unsubscribes_any_number_of_times(
        self, service: Service, arrange: Arrange, link: str, body: dict[str, Any]
    ) -> None:
        for _ in range(3):
            answer = await service.http.post(link, **body)
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers
        assert await arrange.one("select status from subscribers") == "unsubscribed"
        assert "You are unsubscribed" in (await service.http.get(link)).text

    async def test_bad_tokens_get_one_and_the_same_page(
        self, service: Service, arrange: Arrange, link: str
    ) -> None:
        stranger = UnsubscribeTokens(["s" * 40]).sign(uuid4(), None)
        pages = [
            await service.http.request(method, f"/unsubscribe?token={token}")
            for method in ("GET", "POST")
            for token in (
                "",
                "x",
                stranger,
                link.split("=")[1][:-1],
                "%00",
                "é",
                "%ff",
                "a" * 5_000,
            )
        ]
        assert {p.status_code for p in pages} == {400}
        assert len({p.text for p in pages}) == 1
        assert (await service.http.get("/unsubscribe")).status_code == 400
        assert await arrange.one("select status from subscribers") == "active"

    async def test_without_confirmation_a_get_unsubscribes(
        self, dsn: str, sandbox: SandboxServer, arrange: Arrange, link: str
    ) -> None:
        settings = settings_for(dsn, sandbox.url, UNSUBSCRIBE_CONFIRM="false")
        async with in_process(settings, with_sender=False) as service:
            assert (await service.http.head(link)).status_code == 200
            assert await arrange.one("select status from subscribers") == "active"
            assert (await service.http.get(link)).status_code == 200
        assert await arrange.one("select status from subscribers") == "unsubscribed"

    async def test_the_history_says_by_which_button(
        self, service: Service, arrange: Arrange, link: str
    ) -> None:
        """Our page's, or a mail program's, whose user sees no page."""
        by_mail_client = await service.http.post(link, data={"List-Unsubscribe": "One-Click"})
        assert "resubscribe" not in by_mail_client.text
        await arrange.bring_back_everybody()
        by_page = await service.http.post(link)
        assert "I clicked by mistake" in by_page.text
        done = await arrange.sql.execute(
            "select by from subscriber_changes where after->>'status' = 'unsubscribed' order by id"
        )
        assert [row["by"] async for row in done] == ["mail client", "link"]
        # Who had left before has nothing to take back.
        assert "resubscribe" not in (await service.http.post(link)).text

    async def test_a_deleted_subscriber_is_no_error(
        self, service: Service, arrange: Arrange, link: str
    ) -> None:
        await arrange.sql.execute("delete from subscribers")
        assert (await service.http.post(link)).status_code == 200


class TestByMistake:
    """The page after unsubscribing takes it back, for an hour."""

    async def leave(self, service: Service, someone: UUID) -> str:
        """The address that its button sends to."""
        page = await service.http.post(f"/unsubscribe?token={TOKENS.sign(someone, None)}")
        [action] = re.findall(r'action="(resubscribe[^"]+)"', page.text)
        return f"/{action}"

    @pytest.mark.parametrize("was", ["active", "bounced"])
    async def test_gives_back_what_was(self, quiet: Service, arrange: Arrange, was: str) -> None:
        someone = await arrange.subscriber("anna@example.com", status=was)
        back = await self.leave(quiet, someone)
        assert (await quiet.http.get(back)).status_code == 405
        assert await arrange.one("select status from subscribers") == "unsubscribed"
        for _ in range(2):
            answer = await quiet.http.post(back)
            assert answer.status_code == 200
            assert "You are back" in answer.text
            assert "anna@example.com" not in answer.text
        done = await arrange.sql.execute(
            "select by, reason, after from subscriber_changes order by id desc limit 1"
        )
        assert await done.fetchone() == {
            "by": "link", "reason": "Unsubscribed by mistake.", "after": {"status": was},
        }  # fmt: skip
        # The same token takes no later unsubscribing back.
        later = await self.leave(quiet, someone)
        assert (await quiet.http.post(back)).status_code == 400
        assert await arrange.one("select status from subscribers") == "unsubscribed"
        assert (await quiet.http.post(later)).status_code == 200

    @pytest.mark.parametrize("since", ["complained", "active then unsubscribed"])
    async def test_but_nothing_that_has_happened_since(
        self, quiet: Service, arrange: Arrange, since: str
    ) -> None:
        someone = await arrange.subscriber()
        back = await self.leave(quiet, someone)
        for status in since.split(" then "):
            if status == "active":
                await arrange.bring_back_everybody()
            else:
                await arrange.sql.execute("update subscribers set status = %s", [status])
        answer = await quiet.http.post(back)
        assert answer.status_code == 400
        assert "Nothing was changed" in answer.text
        assert await arrange.one("select status from subscribers") == since.split()[-1]

    async def test_bad_tokens_change_nothing(
        self, quiet: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        someone = await arrange.subscriber()
        other = await arrange.subscriber()
        back = await self.leave(quiet, someone)
        change = await arrange.one("select max(id) from subscriber_changes")
        tokens = ResubscribeTokens([UNSUBSCRIBE_SECRET])
        with monkeypatch.context() as patch:
            patch.setattr("itsdangerous.timed.time.time", lambda: 1_000_000_000)
            old = tokens.sign(Mistake(someone, change))
        bad = [
            "", "x", "%00", "%ff", "a" * 5_000, back.split("=")[1][:-1], old,
            ResubscribeTokens(["s" * 40]).sign(Mistake(someone, change)),
            tokens.sign(Mistake(other, change)),
            tokens.sign(Mistake(someone, change - 1)),
            TOKENS.sign(someone, None),
            SignupTokens([UNSUBSCRIBE_SECRET]).sign(someone),
        ]  # fmt: skip
        answers = [await quiet.http.post(f"/resubscribe?token={token}") for token in bad]
        assert {answer.status_code for answer in answers} == {400}
        assert len({answer.text for answer in answers}) == 1
        await arrange.sql.execute("delete from subscribers where id = %s", [someone])
        assert (await quiet.http.post(back)).status_code == 400
