"""The endpoints as the contract states them, over ASGI on a real database."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.adapters.sns import SnsVerifier
from app.domain.sns_message import SnsMessage
from app.domain.tokens import UnsubscribeTokens
from app.sandbox.server import SandboxServer
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import (
    BEARER,
    SECRET,
    TOPIC,
    UNSUBSCRIBE_SECRET,
    Service,
    in_process,
    settings_for,
)
from tests.support.sns import SnsSigner

TOKENS = UnsubscribeTokens([UNSUBSCRIBE_SECRET])


def notion(page: object, event: str | None = None) -> dict[str, Any]:
    return {
        "source": {"type": "automation", "event_id": event or str(uuid4()), "attempt": 1},
        "data": {"object": "page", "id": str(page), "properties": {}},
    }


async def status_of(arrange: Arrange, mailout: UUID) -> str:
    status: str = await arrange.one("select status from mailouts where id = %s", mailout)
    return status


class TestAuthentication:
    """Written once, for each protected route."""

    PROTECTED = (
        ("POST", "/send-mailout"),
        ("GET", "/mailouts"),
        ("GET", f"/mailouts/{UUID(int=7)}"),
        ("GET", f"/mailouts/{UUID(int=7)}/dry-run"),
        ("POST", f"/mailouts/{UUID(int=7)}/preflight"),
        ("POST", f"/mailouts/{UUID(int=7)}/pause"),
        ("POST", f"/mailouts/{UUID(int=7)}/resume"),
        ("POST", f"/mailouts/{UUID(int=7)}/cancel"),
        ("POST", f"/mailouts/{UUID(int=7)}/resend"),
        ("GET", "/subscribers"),
        ("GET", "/subscribers/a@example.com"),
    )

    @pytest.mark.parametrize(("method", "path"), PROTECTED)
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer "},
            {"Authorization": f"Bearer {SECRET}x"},
            {"Authorization": f"Basic {SECRET}"},
            {"Authorization": SECRET},
            {"X-Auth-Token": SECRET[:-1]},
        ],
        ids=["none", "empty", "longer", "basic", "bare", "shorter"],
    )
    async def test_strangers_get_401_and_no_hint(
        self, service: Service, method: str, path: str, headers: dict[str, str]
    ) -> None:
        answer = await service.http.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unauthorized"
        assert SECRET not in answer.text

    async def test_every_route_is_protected_or_known_to_be_public(self, service: Service) -> None:
        """A new route fails closed."""
        public = {"/unsubscribe", "/ses-events", "/health", "/health/live", "/metrics"}
        paths = set((await service.http.get("/openapi.json")).json()["paths"])
        protected = {
            "/send-mailout", "/mailouts", "/mailouts/{mailout_id}", "/subscribers",
            "/mailouts/{mailout_id}/dry-run", "/mailouts/{mailout_id}/pause",
            "/mailouts/{mailout_id}/resume", "/mailouts/{mailout_id}/cancel",
            "/mailouts/{mailout_id}/resend", "/subscribers/{email}",
            "/mailouts/{mailout_id}/preflight",
        }  # fmt: skip
        assert paths == public | protected

    async def test_three_ways_to_present_the_secret(
        self, service: Service, arrange: Arrange
    ) -> None:
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

    async def test_authentication_comes_before_anything_else(self, service: Service) -> None:
        """Strangers don't learn what a body or a header should look like."""
        mailout = f"/mailouts/{UUID(int=7)}"
        for path in ("/send-mailout", f"{mailout}/resend", f"{mailout}/preflight"):
            for headers in ({}, {"Content-Type": "application/json"}, {"Idempotency-Key": ""}):
                answer = await service.http.post(path, content=b"{", headers=headers)
                assert answer.status_code == 401

    async def test_several_secrets_allow_rotation(
        self, dsn: str, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        old, new = "o" * 40, "n" * 40
        settings = settings_for(dsn, sandbox.url, EXECUTOR_SHARED_SECRET=f"{new},{old}")
        async with in_process(settings, with_sender=False) as service:
            for secret in (old, new):
                answer = await service.http.get(
                    "/mailouts", headers={"Authorization": f"Bearer {secret}"}
                )
                assert answer.status_code == 200


class TestSendMailout:
    async def test_racing_callers_start_it_once(self, service: Service, arrange: Arrange) -> None:
        mailout = await arrange.mailout()
        answers = await asyncio.gather(*(service.send(mailout) for _ in range(20)))
        assert sorted(a.status_code for a in answers) == [202] + [409] * 19
        refused = next(a for a in answers if a.status_code == 409).json()
        assert refused["code"] == "mailout_not_ready"
        assert refused["mailout_status"] in {"sending", "sent"}

    @pytest.mark.parametrize(
        "status", ["draft", "sending", "paused", "sent", "failed", "cancelled"]
    )
    async def test_only_a_ready_mailout_starts(
        self, service: Service, arrange: Arrange, status: str
    ) -> None:
        mailout = await arrange.mailout(status)
        answer = await service.send(mailout)
        assert answer.status_code == 409
        assert answer.json()["mailout_status"] == status

    async def test_unknown_and_malformed(self, service: Service) -> None:
        assert (await service.send(uuid4())).json()["code"] == "mailout_not_found"
        bodies: list[Any] = [{"mailout_id": "x"}, {}, [], {"mailout_id": str(uuid4()), "id": 1}]
        for body in bodies:
            answer = await service.http.post("/send-mailout", json=body, headers=BEARER)
            assert answer.status_code == 422, body
            assert answer.json()["code"] == "invalid_request"
        answer = await service.http.post("/send-mailout", content=b"{", headers=BEARER)
        assert answer.status_code == 422

    async def test_an_idempotency_key_repeats_the_answer(
        self, service: Service, arrange: Arrange
    ) -> None:
        await arrange.subscribers(3)
        mailout, other = await arrange.mailout(), await arrange.mailout()
        headers = {**BEARER, "Idempotency-Key": "abc"}

        async def post(which: UUID) -> httpx.Response:
            return await service.http.post(
                "/send-mailout", json={"mailout_id": str(which)}, headers=headers
            )

        first, again = await post(mailout), await post(mailout)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json()
        assert again.headers["location"] == f"/mailouts/{mailout}"
        reused = await post(other)
        assert reused.status_code == 422
        assert reused.json()["code"] == "idempotency_key_reused"
        assert await status_of(arrange, other) == "ready"

    async def test_an_empty_or_overlong_idempotency_key_is_refused(
        self, service: Service, arrange: Arrange
    ) -> None:
        page = uuid4()
        mailout = await arrange.mailout(notion_page_id=str(page))
        for key in ("", "k" * 256):
            headers = {**BEARER, "Idempotency-Key": key}
            refused = await service.http.post(
                "/send-mailout", json={"mailout_id": str(mailout)}, headers=headers
            )
            assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
            answer = await service.http.post("/send-mailout", json=notion(page), headers=headers)
            assert (answer.status_code, answer.json()["started"]) == (200, False)
            assert "Idempotency-Key" in answer.json()["reason"]
        assert await status_of(arrange, mailout) == "ready"

    async def test_a_refused_request_leaves_its_key_free(
        self, service: Service, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout("draft")
        body = {"mailout_id": str(mailout)}
        headers = {**BEARER, "Idempotency-Key": "abc"}
        refused = await service.http.post("/send-mailout", json=body, headers=headers)
        assert refused.status_code == 409
        await arrange.sql.execute("update mailouts set status = 'ready'")
        accepted = await service.http.post("/send-mailout", json=body, headers=headers)
        assert accepted.status_code == 202

    async def test_one_key_starts_one_of_two_mailouts_at_once(
        self, service: Service, arrange: Arrange
    ) -> None:
        headers = {**BEARER, "Idempotency-Key": "abc"}
        both = [await arrange.mailout(), await arrange.mailout()]
        answers = await asyncio.gather(
            *(
                service.http.post("/send-mailout", json={"mailout_id": str(m)}, headers=headers)
                for m in both
            )
        )
        assert sorted(a.status_code for a in answers) == [202, 422]
        assert "ready" in {await status_of(arrange, mailout) for mailout in both}

    @pytest.mark.parametrize(
        ("columns", "field", "says"),
        [
            ({"subject": "Hi {{ nmae }}"}, "subject", "nmae"),
            ({"body_html": "<p>{% if name %}</p>"}, "body_html", ""),
            ({"body_html": "<p>{{ foo bar</p>"}, "body_html", ""),
            ({"subject": "two\nlines"}, "subject", "line"),
            ({"body_html": "   "}, "body_html", "no body"),
            ({"body_html": "<p>{{ name | frobnicate }}</p>"}, "body_html", "frobnicate"),
        ],
    )
    async def test_content_that_cannot_be_sent_is_found_before_the_claim(
        self, service: Service, arrange: Arrange, columns: dict[str, str], field: str, says: str
    ) -> None:
        mailout = await arrange.mailout(**columns)
        answer = await service.send(mailout)
        assert answer.status_code == 409, answer.text
        assert answer.json()["code"] == "template_invalid"
        assert answer.json()["field"] == field
        assert says in answer.json()["detail"]
        assert await status_of(arrange, mailout) == "ready"

    async def test_a_missing_setting_is_named_and_nothing_is_claimed(
        self, dsn: str, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout()
        settings = settings_for(dsn, sandbox.url, SES_FROM_EMAIL=None, ORG_NAME=None)
        async with in_process(settings) as service:
            answer = await service.send(mailout)
            assert answer.status_code == 503
            assert answer.json()["code"] == "ses_not_configured"
            assert answer.json()["missing"] == ["SES_FROM_EMAIL", "ORG_NAME"]
            health = (await service.http.get("/health")).json()
            assert health["checks"]["ses"]["status"] == "not_configured"
        assert await status_of(arrange, mailout) == "ready"

    async def test_plain_http_is_refused_outside_a_rehearsal(
        self, dsn: str, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout()
        settings = settings_for(dsn, sandbox.url, APP_BASE_URL="http://news.example.com")
        async with in_process(settings) as service:
            answer = await service.send(mailout)
        assert answer.json()["code"] == "ses_not_configured"
        assert "APP_BASE_URL" in answer.json()["detail"]


class TestNotion:
    async def test_an_automation_starts_its_page(self, service: Service, arrange: Arrange) -> None:
        page = uuid4()
        mailout = await arrange.mailout(notion_page_id=page.hex)
        answer = await service.http.post("/send-mailout", json=notion(page), headers=BEARER)
        assert answer.status_code == 202
        assert answer.json()["mailout_id"] == str(mailout)

    async def test_the_same_event_again_starts_nothing_and_is_202(
        self, service: Service, arrange: Arrange
    ) -> None:
        page = uuid4()
        await arrange.mailout(notion_page_id=str(page))
        first = await service.http.post("/send-mailout", json=notion(page, "e"), headers=BEARER)
        repeated = notion(page, "e")
        repeated["source"]["attempt"] = 2
        again = await service.http.post("/send-mailout", json=repeated, headers=BEARER)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json()

    async def test_a_refusal_is_200_so_that_notion_goes_on(
        self, service: Service, arrange: Arrange
    ) -> None:
        draft, broken = uuid4(), uuid4()
        await arrange.mailout("draft", notion_page_id=str(draft))
        await arrange.mailout(notion_page_id=str(broken), subject="{{ nope }}")
        for page, status in ((draft, "draft"), (broken, "ready")):
            answer = await service.http.post("/send-mailout", json=notion(page), headers=BEARER)
            assert answer.status_code == 200
            assert answer.json()["started"] is False
            assert answer.json()["status"] == status
            assert answer.json()["reason"]
        malformed = await service.http.post(
            "/send-mailout", json={"source": {}, "data": {"id": "?"}}, headers=BEARER
        )
        assert (malformed.status_code, malformed.json()["started"]) == (200, False)

    async def test_401_and_404_stay_errors(self, service: Service) -> None:
        body = notion(uuid4())
        assert (await service.http.post("/send-mailout", json=body)).status_code == 401
        unknown = await service.http.post("/send-mailout", json=body, headers=BEARER)
        assert unknown.status_code == 404


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
                cursor = page["next"]
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


class TestTestSends:
    """Their Idempotency-Key (tests/integration/test_test_send.py has the rest)."""

    @pytest.fixture
    async def mailout(self, arrange: Arrange) -> UUID:
        return await arrange.mailout()

    @pytest.fixture
    async def front(self, dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
        """Without a sender: what is queued stays queued."""
        async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as front:
            yield front

    @staticmethod
    async def post(front: Service, key: str, **body: Any) -> httpx.Response:
        return await front.http.post(
            "/send-mailout", json=body, headers={**BEARER, "Idempotency-Key": key}
        )

    async def test_a_repeat_queues_nothing_again(
        self, front: Service, arrange: Arrange, mailout: UUID
    ) -> None:
        asked = [self.post(front, "k", mailout_id=str(mailout), test=True) for _ in range(5)]
        answers = [*await asyncio.gather(*asked[:4]), await asked[4]]
        assert {a.status_code for a in answers} == {202}
        assert len({a.text for a in answers}) == 1
        assert await arrange.one("select count(*) from send_logs where is_test") == 2
        another = await self.post(front, "l", mailout_id=str(mailout), test=True)
        assert another.status_code == 202
        assert await arrange.one("select count(*) from send_logs where is_test") == 4

    async def test_the_key_of_a_test_starts_nothing_and_the_other_way_round(
        self, front: Service, arrange: Arrange, mailout: UUID
    ) -> None:
        await self.post(front, "k", mailout_id=str(mailout), test=True)
        reused = await self.post(front, "k", mailout_id=str(mailout))
        assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
        assert await status_of(arrange, mailout) == "ready"
        assert (await self.post(front, "l", mailout_id=str(mailout))).status_code == 202
        reused = await self.post(front, "l", mailout_id=str(mailout), test=True)
        assert reused.status_code == 422
        assert await arrange.one("select count(*) from send_logs where is_test") == 2

    async def test_a_refused_test_leaves_its_key_free(
        self, front: Service, arrange: Arrange
    ) -> None:
        mailout = await arrange.mailout(subject="{{ nope }}")
        refused = await self.post(front, "k", mailout_id=str(mailout), test=True)
        assert refused.json()["code"] == "template_invalid"
        assert refused.json()["mailout_status"] == "ready"
        await arrange.sql.execute("update mailouts set subject = 'Hello'")
        answer = await self.post(front, "k", mailout_id=str(mailout), test=True)
        assert answer.status_code == 202


class TestEvents:
    async def test_an_event_that_cannot_be_stored_is_asked_for_again(
        self, service: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """503, so that SNS repeats it and then keeps it in its dead-letter queue."""

        async def genuine(self: SnsVerifier, message: SnsMessage) -> None:
            pass

        monkeypatch.setattr(SnsVerifier, "verify", genuine)
        event = json.dumps({"eventType": "Send", "mail": {"messageId": "m"}, "send": {}})
        too_long = {"MessageId": secrets.token_hex(3_000)}  # for the index that finds copies
        for fields, status in (({}, 200), (too_long, 503)):
            body = SnsSigner().notification(event, TopicArn=TOPIC, **fields)
            answer = await service.http.post("/ses-events", json=body)
            assert answer.status_code == status, answer.text
        assert answer.headers["retry-after"]
        assert await arrange.one("select count(*) from ses_events") == 1


class TestHealth:
    async def test_all_is_well(self, service: Service) -> None:
        answer = await service.http.get("/health")
        assert answer.status_code == 200
        body = answer.json()
        assert set(body["checks"]) == {"database", "ses", "migrations", "sender", "events"}
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
