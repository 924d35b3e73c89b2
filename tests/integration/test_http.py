"""The other endpoints as the contract states them, over ASGI on a real database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.adapters.aws.sns import SnsVerifier
from app.domain.ses.sns_message import SnsMessage
from app.sandbox.server import SandboxServer
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.routes import PROTECTED
from tests.support.service import (
    BEARER,
    OTHER_SECRET,
    SECRET,
    TOPIC,
    Service,
    in_process,
    settings_for,
)
from tests.support.sns import SnsSigner


@pytest.fixture(scope="module")
async def unchanged(postgres_server: DatabaseServer) -> AsyncIterator[Service]:
    """A service for those who are refused, so that nothing of it changes: one for all of them."""
    with postgres_server.database() as name:
        settings = settings_for(postgres_server.dsn(name), None, AWS_REGION=None)
        async with in_process(settings, with_sender=False) as service:
            yield service


class TestAuthentication:
    """Written once, for each protected route."""

    PROTECTED = (("POST", "/send-mailout"), *((route.method, route.url) for route in PROTECTED))

    @pytest.mark.few_variants(8)  # tests/security/access asks every route in one test
    @pytest.mark.parametrize(("method", "path"), PROTECTED)
    async def test_strangers_get_401_and_no_hint(
        self, unchanged: Service, method: str, path: str
    ) -> None:
        for headers in (
            {},
            {"Authorization": "Bearer "},
            {"Authorization": f"Bearer {SECRET}x"},
            {"Authorization": f"Basic {SECRET}"},
            {"Authorization": SECRET},
            {"X-Auth-Token": SECRET[:-1]},
        ):
            answer = await unchanged.http.request(method, path, headers=headers)
            assert answer.status_code == 401, headers
            assert answer.headers["content-type"] == "application/problem+json", headers
            assert answer.json()["code"] == "unauthorized", headers
            assert SECRET not in answer.text, headers

    @pytest.mark.parametrize(
        "headers",
        [
            [("Authorization", f"Bearer {SECRET}"), ("Authorization", f"Bearer {SECRET}")],
            [("Authorization", f"Bearer {SECRET}"), ("Authorization", "Bearer x")],
            [("Authorization", "Basic eA=="), ("Authorization", f"Bearer {SECRET}")],
            [("X-Auth-Token", SECRET), ("X-Auth-Token", "x")],
            [("Authorization", f"Bearer {SECRET}"), ("X-Auth-Token", "x"), ("X-Auth-Token", "y")],
        ],
    )
    async def test_two_credentials_of_a_kind_are_none(
        self, unchanged: Service, headers: list[tuple[str, str]]
    ) -> None:
        """A proxy may have looked at the other one; and a secret in the body doesn't help."""
        for method, path in self.PROTECTED[::40]:  # who is refused often gets 429
            body = {"auth_token": SECRET, "mailout_id": str(UUID(int=7))}
            answer = await unchanged.http.request(
                method, path, headers=headers, json=body if method == "POST" else None
            )
            assert answer.status_code == 401, path

    async def test_three_ways_to_present_the_secret(
        self, service: Service, arrange: Arrange
    ) -> None:
        await arrange.subscriber()
        ways: list[tuple[dict[str, str], dict[str, str]]] = [
            (BEARER, {}),
            ({"X-Auth-Token": SECRET}, {}),
            ({}, {"auth_token": SECRET}),
        ]
        for headers, body in ways:
            mailout = await arrange.mailout()
            answer = await service.http.post(
                "/send-mailout", json={"mailout_id": str(mailout), **body}, headers=headers
            )
            assert answer.status_code == 202, answer.text

    async def test_authentication_comes_before_anything_else(self, unchanged: Service) -> None:
        """Strangers don't learn what a body or a header should look like."""
        mailout = f"/mailouts/{UUID(int=7)}"
        for path in ("/send-mailout", f"{mailout}/resend", f"{mailout}/preflight"):
            for headers in ({}, {"Content-Type": "application/json"}, {"Idempotency-Key": ""}):
                answer = await unchanged.http.post(path, content=b"{", headers=headers)
                assert answer.status_code == 401

    async def test_several_secrets_allow_rotation(
        self, dsn: str, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        old, new = SECRET, OTHER_SECRET
        settings = settings_for(dsn, sandbox.url, EXECUTOR_SHARED_SECRET=f"{new},{old}")
        async with in_process(settings, with_sender=False) as service:
            for secret in (old, new):
                answer = await service.http.get(
                    "/mailouts", headers={"Authorization": f"Bearer {secret}"}
                )
                assert answer.status_code == 200


class TestLooking:
    async def test_a_mailout_with_its_counts(self, service: Service, arrange: Arrange) -> None:
        mailout = await arrange.mailout("draft")
        shown = await service.show(mailout)
        assert shown["status"] == "draft"
        assert set(shown["counts"]) == {
            "queued", "sending", "sent", "delivered", "bounced", "complained", "failed",
            "unknown", "skipped", "cancelled",
        }  # fmt: skip
        missing = await service.http.get(f"/mailouts/{uuid4()}", headers=BEARER)
        assert missing.status_code == 404
        malformed = await service.http.get("/mailouts/1", headers=BEARER)
        assert malformed.status_code == 422

    async def test_pages_of_mailouts_and_subscribers(
        self, service: Service, arrange: Arrange
    ) -> None:
        for n in range(5):
            await arrange.mailout("draft", subject=f"No {n}")
        await arrange.subscribers(5)
        for path in ("/mailouts", "/subscribers"):
            seen: list[str] = []
            cursor: str | None = ""
            while cursor is not None:
                query = f"?limit=2&cursor={cursor}" if cursor else "?limit=2"
                page = (await service.http.get(path + query, headers=BEARER)).json()
                seen += [item["id"] for item in page["items"]]
                cursor = page["next_cursor"]
            assert len(seen) == len(set(seen)) == 5
            bad = await service.http.get(f"{path}?cursor=%21", headers=BEARER)
            assert bad.status_code == 422
        filtered = await service.http.get("/mailouts?status=sent", headers=BEARER)
        assert filtered.json()["items"] == []
        nonsense = await service.http.get("/mailouts?status=x", headers=BEARER)
        assert nonsense.status_code == 422

    async def test_a_subscriber_by_address(self, service: Service, arrange: Arrange) -> None:
        await arrange.subscriber("Ann@example.com", name="Ann")
        found = await service.http.get("/subscribers/ann@EXAMPLE.com", headers=BEARER)
        assert found.json()["name"] == "Ann"
        missing = await service.http.get("/subscribers/bob@example.com", headers=BEARER)
        assert missing.status_code == 404


class TestSteering:
    async def test_conditional_transitions(self, service: Service, arrange: Arrange) -> None:
        async def post(verb: str, body: Any = None) -> httpx.Response:
            return await service.http.post(f"/mailouts/{mailout}/{verb}", json=body, headers=BEARER)

        mailout = await arrange.mailout("draft")
        for verb in ("pause", "resume", "cancel"):
            refused = await post(verb)
            assert refused.status_code == 409
            assert refused.json()["code"] == "transition_not_allowed"
            assert refused.json()["mailout_status"] == "draft"
        assert (await post("resend", {"statuses": ["unknown"]})).status_code == 409
        assert (await post("resend", {"statuses": ["sent"]})).status_code == 422
        assert (await post("resend", {"statuses": []})).status_code == 422
        mailout = await arrange.mailout("ready")
        assert (await post("cancel")).json()["status"] == "cancelled"
        mailout = uuid4()
        assert (await post("pause")).status_code == 404


class TestEvents:
    async def test_an_event_that_cannot_be_stored_is_asked_for_again(
        self, service: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """503, so that SNS repeats it and then keeps it in its dead-letter queue."""

        async def genuine(self: SnsVerifier, message: SnsMessage) -> None:
            pass

        monkeypatch.setattr(SnsVerifier, "verify", genuine)
        event = json.dumps({"eventType": "Send", "mail": {"messageId": "m"}, "send": {}})
        await arrange.sql.execute(
            "alter table ses_events add constraint unwanted check (sns_message_id <> 'unwanted')"
        )
        for fields, status in (({}, 200), ({"MessageId": "unwanted"}, 503)):
            body = SnsSigner().notification(event, TopicArn=TOPIC, **fields)
            answer = await service.http.post("/ses-events", json=body)
            assert answer.status_code == status, answer.text
        assert answer.headers["retry-after"]
        assert await arrange.one("select count(*) from ses_events") == 1


class TestHealth:
    async def test_all_is_well(self, service: Service) -> None:
        body = await service.healthy()
        assert set(body["checks"]) == {"database", "ses", "migrations", "sender", "events", "loops"}
        assert body["checks"]["database"]["status"] == "ok"
        assert (await service.http.get("/health/live")).status_code == 200

    async def test_the_database_goes_and_comes_back(
        self,
        dsn: str,
        sandbox: SandboxServer,
        arrange: Arrange,
        postgres_server: DatabaseServer,
    ) -> None:
        """503 from everything that needs it, nothing claimed, and back by itself."""
        await arrange.subscriber()
        mailout = await arrange.mailout()
        async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as service:
            with postgres_server.frozen():
                health, sent = await asyncio.gather(
                    service.http.get("/health"), service.send(mailout)
                )
                assert health.status_code == 503
                assert health.json()["checks"]["database"]["status"] == "fail"
                assert sent.status_code == 503
                assert sent.headers["retry-after"]
            assert (await service.send(mailout)).status_code == 202
