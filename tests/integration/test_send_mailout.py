"""`POST /send-mailout` as the contract states it, over ASGI on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import (
    BEARER,
    Service,
    in_process,
    settings_for,
)
from tests.support.waiting import eventually


def notion(page: object, event: str | None = None) -> dict[str, Any]:
    return {
        "source": {"type": "automation", "event_id": event or str(uuid4()), "attempt": 1},
        "data": {"object": "page", "id": str(page), "properties": {}},
    }


async def status_of(arrange: Arrange, mailout: UUID) -> str:
    status: str = await arrange.one("select status from mailouts where id = %s", mailout)
    return status


class TestSendMailout:
    @pytest.mark.short
    async def test_racing_callers_start_it_once(self, service: Service, arrange: Arrange) -> None:
        await arrange.subscriber()
        mailout = await arrange.mailout()
        answers = await asyncio.gather(*(service.send(mailout) for _ in range(20)))
        assert sorted(a.status_code for a in answers) == [202] + [409] * 19
        refused = next(a for a in answers if a.status_code == 409).json()
        assert refused["code"] == "mailout_not_ready"
        assert refused["mailout_status"] in {"sending", "sent"}

    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize(
        "status", ["draft", "sending", "paused", "sent", "failed", "cancelled"]
    )
    async def test_only_a_ready_mailout_starts(
        self, service: Service, arrange: Arrange, status: str
    ) -> None:
        being_sent = status == "sending"
        mailout = await (arrange.being_sent() if being_sent else arrange.mailout(status))
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
        await arrange.subscriber()
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
        await arrange.subscriber()
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

    async def test_a_template_that_fails_for_everybody_is_refused_before_the_claim(
        self, service: Service, arrange: Arrange
    ) -> None:
        """What all recipients share is no failure of theirs; it is told with its place."""
        for n in range(3):
            await arrange.subscriber(f"p{n}@example.com", fields={"points": f"none {n}"})
        await arrange.subscriber(status="unsubscribed", fields={"points": "5"})
        body = "<p>{% if fields.points > 100 %}Hi{% endif %}</p>"
        mailout = await arrange.mailout(body_html=body)
        refused = await service.send(mailout)
        assert (refused.status_code, refused.json()["code"]) == (409, "template_invalid")
        assert refused.json()["field"] == "body_html"
        assert "each of the first 3" in refused.json()["detail"]
        assert "fields.points > 100" in refused.json()["detail"]
        assert "none 0" not in refused.text
        assert "example.com" not in refused.text
        assert await status_of(arrange, mailout) == "ready"
        assert await arrange.one("select count(*) from send_logs") == 0

        await arrange.subscriber("q@example.com", fields={"points": "150"})
        assert (await service.send(mailout)).status_code == 202
        sent = await eventually(
            lambda: service.show(mailout), until=lambda shown: shown["status"] == "sent"
        )
        assert (sent["counts"]["sent"], sent["counts"]["failed"]) == (1, 3)

    @pytest.mark.few_variants(2)
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


class TestEdits:
    """Somebody edits the mailout while it is being started or tested."""

    @pytest.fixture
    def edits(self, arrange: Arrange, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
        """Edit it so many times, each between looking at it and claiming or queueing."""

        def install(times: int) -> None:
            left = iter(range(times))
            for function in ("claim_mailout", "queue_test"):
                real = getattr(Store, function)

                async def edited_first(
                    self: Store, *args: Any, _real: Any = real, **kwargs: Any
                ) -> Any:
                    if (number := next(left, None)) is not None:
                        await arrange.sql.execute(
                            "update mailouts set subject = %s", [f"Edited {number}"]
                        )
                    return await _real(self, *args, **kwargs)

                monkeypatch.setattr(Store, function, edited_first)

        return install

    @pytest.mark.few_variants(1)
    @pytest.mark.parametrize("test", [False, True])
    async def test_what_was_edited_last_is_what_is_sent(
        self,
        service: Service,
        sandbox: SandboxServer,
        arrange: Arrange,
        edits: Callable[[int], None],
        test: bool,
    ) -> None:
        await arrange.subscriber()
        mailout = await arrange.mailout()
        edits(2)
        assert (await service.send(mailout, test=test)).status_code == 202

        async def mails() -> set[str]:
            return {mail["subject"].removeprefix("[Test] ") for mail in sandbox.mails()}

        assert await eventually(mails, until=bool) == {"Edited 1"}

    @pytest.mark.few_variants(1)
    @pytest.mark.parametrize("test", [False, True])
    async def test_without_end_it_is_told_to_try_again_and_nothing_is_begun(
        self, service: Service, arrange: Arrange, edits: Callable[[int], None], test: bool
    ) -> None:
        await arrange.subscriber()
        mailout = await arrange.mailout()
        edits(1_000)
        answer = await service.send(mailout, test=test)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "being edited" in answer.json()["detail"]
        assert (await service.show(mailout))["status"] == "ready"
        assert await arrange.one("select count(*) from send_logs") == 0


class TestNotion:
    async def test_an_automation_starts_its_page(self, service: Service, arrange: Arrange) -> None:
        await arrange.subscriber()
        page = uuid4()
        mailout = await arrange.mailout(notion_page_id=page.hex)
        answer = await service.http.post("/send-mailout", json=notion(page), headers=BEARER)
        assert answer.status_code == 202
        assert answer.json()["mailout_id"] == str(mailout)

    async def test_the_same_event_again_starts_nothing_and_is_202(
        self, service: Service, arrange: Arrange
    ) -> None:
        await arrange.subscriber()
        page = uuid4()
        await arrange.mailout(notion_page_id=str(page))
        first = await service.http.post("/send-mailout", json=notion(page, "e"), headers=BEARER)
        repeated = notion(page, "e")
        repeated["source"]["attempt"] = 2
        again = await service.http.post("/send-mailout", json=repeated, headers=BEARER)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json()

    async def test_one_event_for_several_pages_starts_each(
        self, service: Service, arrange: Arrange
    ) -> None:
        await arrange.subscriber()
        for page in (uuid4(), uuid4()):
            mailout = await arrange.mailout(notion_page_id=str(page))
            answer = await service.http.post(
                "/send-mailout", json=notion(page, "e"), headers=BEARER
            )
            assert (answer.status_code, answer.json()["mailout_id"]) == (202, str(mailout))

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

    async def test_a_page_may_be_named_by_its_link(
        self, service: Service, arrange: Arrange
    ) -> None:
        await arrange.subscriber()
        page = uuid4()
        await arrange.mailout(notion_page_id=str(page))
        body = notion(f"https://www.notion.so/June-{page.hex}?pvs=4")
        assert (
            await service.http.post("/send-mailout", json=body, headers=BEARER)
        ).status_code == 202
        refused = await service.http.post("/send-mailout", json=notion("June"), headers=BEARER)
        assert (refused.status_code, refused.json()["started"]) == (200, False)
        assert refused.json()["reason"].startswith("data.id: names no page of Notion: paste")

    @pytest.mark.parametrize(
        "body",
        [
            {"verification_token": "secret_canary"},
            {"id": "ev-1", "type": "page.properties_updated", "subscription_id": "s",
             "entity": {"id": str(uuid4()), "type": "page"}, "data": {"updated_properties": []}},
        ],
    )  # fmt: skip
    async def test_what_an_integration_posts_is_told_where_it_belongs(
        self, service: Service, body: dict[str, Any]
    ) -> None:
        """With the secret and, as Notion can't be told one there, without it."""
        known = await service.http.post("/send-mailout", json=body, headers=BEARER)
        assert (known.status_code, known.json()["started"]) == (200, False)
        assert "/notion-events" in known.json()["reason"]
        with capture_logs() as log:
            stranger = await service.http.post("/send-mailout", json=body)
        assert (stranger.status_code, stranger.json()["code"]) == (401, "unauthorized")
        assert "/notion-events" in stranger.json()["detail"]
        assert "/notion-events" in str(log)
        assert "secret_canary" not in str(log) + known.text + stranger.text

    async def test_401_and_404_stay_errors(self, service: Service) -> None:
        body = notion(uuid4())
        assert (await service.http.post("/send-mailout", json=body)).status_code == 401
        unknown = await service.http.post("/send-mailout", json=body, headers=BEARER)
        assert unknown.status_code == 404


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
        await arrange.subscriber()
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
