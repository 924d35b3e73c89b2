"""Notion's answers, as the client hands them on: good ones, and each bad one in plain words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.adapters.notion.client import NotionApi
from app.adapters.notion.pace import Pace
from app.errors import AppError, NotionAway, NotionRefused
from tests.notion.support import TOKEN, FakeTime, refused

PAGE = UUID("1f0d0000-0000-4000-8000-00000000abcd")
Answer = httpx.Response | Exception


class Wire:
    """Gives the answers one after the other, the last one again and again, and keeps the
    requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(wire: Callable[[httpx.Request], httpx.Response], time: FakeTime) -> NotionApi:
    pace = Pace(1000, 20, now=time.now, sleep=time.sleep)
    http = httpx.AsyncClient(transport=httpx.MockTransport(wire))
    return NotionApi(TOKEN, "https://api.notion.com", pace=pace, http=http)


def done(**content: Any) -> httpx.Response:
    return httpx.Response(200, json={"object": "page", **content})


@pytest.mark.parametrize(
    ("answer", "call", "words"),
    [
        (refused(401, "unauthorized"), "page", ["NOTION_API_TOKEN", "revoked"]),
        (refused(403, "restricted_resource"), "page", ["“Read content”", "Capabilities"]),
        (refused(403, "restricted_resource"), "update_page", ["“Update content”"]),
        (refused(403, "restricted_resource"), "comment", ["“Insert comments”"]),
        (refused(403, "restricted_resource"), "comments", ["“Read comments”"]),
        (refused(404, "object_not_found"), "page", ["page", "••• → Connections"]),
        (refused(404, "object_not_found"), "database", ["database", "••• → Connections"]),
        (refused(400, "validation_error", "Delivery is not a property that exists."), "update_page",
         ["“Delivery” is missing", "amazonsender notion check"]),
        (refused(400, "validation_error", 'Status option "Gone" does not exist".'), "update_page",
         ["“Gone”", "missing"]),
        (refused(400, "validation_error", "Progress is expected to be number."), "update_page",
         ["“Progress”", "another type than number"]),
        (refused(400, "validation_error", "Can't edit block that is archived."), "update_page",
         ["trash", "Restore"]),
        (refused(400, "missing_version", "Notion-Version is missing."), "page", ["Notion-Version"]),
    ],
)  # fmt: skip
async def test_a_refusal_names_the_remedy(
    answer: httpx.Response, call: str, words: list[str]
) -> None:
    wire = Wire(answer)
    async with client(wire, FakeTime()) as notion:
        arguments: dict[str, tuple[Any, ...]] = {
            "update_page": (PAGE, {}),
            "comment": ({"page_id": str(PAGE)}, "Hello"),
        }
        with pytest.raises(NotionRefused) as caught:
            await getattr(notion, call)(*arguments.get(call, (PAGE,)))
    assert all(word in caught.value.detail for word in words), caught.value.detail
    assert caught.value.extra["notion_status"] == answer.status_code
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(403, text="<html>Cloudflare ray 8f</html>"), "not as Notion does"),
        (httpx.Response(404, text="no such site"), "NOTION_API_URL"),
        (httpx.Response(301, headers={"location": "https://elsewhere.example/"}), "redirect"),
        (httpx.Response(200, text="<html>sign in</html>"), "can't be read"),
        (httpx.Response(200, json=[1]), "can't be read"),
        (httpx.Response(502, text="bad gateway"), "502"),
        (refused(503, "service_unavailable"), "503"),
        (refused(409, "conflict_error"), "409"),
        (httpx.ReadTimeout("slow"), "doesn't answer within"),
        (httpx.ConnectError(f"no route, {TOKEN}"), "can't be reached (ConnectError)"),
        (httpx.RemoteProtocolError("peer closed connection"), "can't be reached"),
        (httpx.DecodingError("broken gzip"), "can't be reached"),
    ],
)
async def test_what_may_pass_is_away_and_was_tried_again(answer: Answer, words: str) -> None:
    wire = Wire(answer)
    async with client(wire, FakeTime()) as notion:
        with pytest.raises(NotionAway) as caught:
            await notion.page(PAGE)
    assert words in caught.value.detail
    assert TOKEN not in f"{caught.value.detail}{caught.value.extra}"
    assert len(wire.requests) > 1


async def test_what_could_be_done_twice_is_not_tried_again() -> None:
    wire = Wire(httpx.ReadTimeout("slow"), done(id="c1"))
    async with client(wire, FakeTime()) as notion:
        with pytest.raises(NotionAway):
            await notion.comment({"page_id": str(PAGE)}, "Hello")
    assert len(wire.requests) == 1


@pytest.mark.parametrize("status", [429, 529])
async def test_a_short_rest_is_waited_for_whatever_was_asked(status: int) -> None:
    time = FakeTime()
    code = "rate_limited" if status == 429 else "service_overload"
    wire = Wire(refused(status, code, **{"Retry-After": "7"}), done(id="c1"))
    async with client(wire, time) as notion:
        assert (await notion.comment({"discussion_id": "d1"}, "Hello"))["id"] == "c1"
    assert time.passed >= 7


async def test_ten_minutes_of_rest_are_kept_by_all_requests() -> None:
    """Nobody waits so long in place, and nobody asks before it is over."""
    time = FakeTime()
    wire = Wire(refused(529, "service_overload", **{"Retry-After": "600"}), done(id="p1"))
    async with client(wire, time) as notion:
        for call in (notion.page(PAGE), notion.me(), notion.comments(PAGE)):
            with pytest.raises(NotionAway, match="Notion is slow") as caught:
                await call
            assert caught.value.extra["retry_after"] > 500
        assert len(wire.requests) == 1
        time.passed += 590
        assert (await notion.page(PAGE))["id"] == "p1"  # the rest of it is short: waited for
    assert time.passed >= 600


async def test_a_rest_until_a_date_and_one_of_nonsense() -> None:
    date = "Thu, 01 Jan 2099 00:00:00 GMT"
    for value, shortest in ((date, 3600 - 1), ("soon", 1)):
        time = FakeTime()
        wire = Wire(refused(429, "rate_limited", **{"Retry-After": value}))
        async with client(wire, time) as notion:
            with pytest.raises(NotionAway) as caught:
                await notion.page(PAGE)
            assert caught.value.extra["retry_after"] >= shortest


async def test_two_and_a_half_requests_leave_in_a_second() -> None:
    time = FakeTime()
    pace = Pace(now=time.now, sleep=time.sleep)
    for _ in range(11):
        await pace.turn()
    assert time.passed == pytest.approx(4.0)


async def test_nothing_is_printed_and_no_token(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wire = Wire(refused(404, "object_not_found", f"Could not find page with {TOKEN}"))
    async with client(wire, FakeTime()) as notion:
        with pytest.raises(AppError):
            await notion.page(PAGE)
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""
    assert TOKEN not in caplog.text
    assert "object_not_found" not in caplog.text


async def test_a_whole_list_is_read_and_the_version_is_said() -> None:
    def page(*ids: str, more: str | None = None) -> httpx.Response:
        results = [{"object": "block", "id": one} for one in ids]
        return httpx.Response(
            200, json={"results": results, "has_more": more is not None, "next_cursor": more}
        )

    wire = Wire(page("a", "b", more="2"), page("c"))
    async with client(wire, FakeTime()) as notion:
        assert [block["id"] for block in await notion.children(PAGE)] == ["a", "b", "c"]
    first, second = wire.requests
    assert first.headers["Notion-Version"] == "2026-03-11"
    assert first.headers["Authorization"] == f"Bearer {TOKEN}"
    assert second.url.params["start_cursor"] == "2"
