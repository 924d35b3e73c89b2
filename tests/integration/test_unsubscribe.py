"""`/unsubscribe` as the contract and RFC 8058 state it, over ASGI on a real database."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

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

    async def test_a_deleted_subscriber_is_no_error(
        self, service: Service, arrange: Arrange, link: str
    ) -> None:
        await arrange.sql.execute("delete from subscribers")
        assert (await service.http.post(link)).status_code == 200
