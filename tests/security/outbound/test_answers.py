"""Answers from outside are untrusted: of any form, size and length, they cost little memory, end,
and say nothing that nobody said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
import pytest
from botocore.exceptions import ReadTimeoutError

from app.adapters.aws.answers import AnswerTooSlow, bound_answers
from app.adapters.aws.ses import aws_client
from app.adapters.aws.standing import SesStanding
from app.adapters.notion.client import NotionApi
from app.adapters.providers.asking import Asking
from app.domain.providers.answers import TOO_SLOW
from app.domain.ses.answers import Answer
from app.errors import AppError, NotionAway
from app.outbound.bounded import BoundedClient, bounded
from app.services.checks.web import Web, web_client
from tests.security.outbound.strangers import (
    MANNERS,
    Ask,
    Stranger,
    bomb,
    everybody,
    forget_peak,
    large,
    peak_kb,
    trickle,
    trickling_head,
)
from tests.support.factories import Arrange
from tests.support.local_server import Reply
from tests.support.service import in_process, settings_for
from tests.support.strangers import StrangeSes
from tests.support.waiting import eventually

GROWTH_KB = 50_000


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        yield server


@pytest.fixture(scope="module")
def asks(stranger: Stranger) -> Iterator[dict[str, Ask]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", stranger.url)
        with everybody(stranger.url) as found:
            yield found


@pytest.mark.short
@pytest.mark.parametrize(
    "manner",
    [
        pytest.param(
            manner, id=manner.__name__, marks=[] if manner is bomb else [pytest.mark.short]
        )
        for manner in MANNERS
    ],
)
async def test_57_no_answer_costs_much_memory(
    stranger: Stranger, asks: dict[str, Ask], manner: Callable[[], Iterator[bytes]]
) -> None:
    """Each client asks; whatever comes is a refusal of ours or an answer in our words, and a send
    ends as one that may have happened."""
    stranger.manner = manner
    for name, ask in asks.items():
        stranger.asked.clear()
        forget_peak()
        before = peak_kb()
        try:
            said = await ask()
        except AppError as exc:
            said = exc
        grown = peak_kb() - before
        assert grown < GROWTH_KB, (name, grown)
        assert stranger.asked, name
        if isinstance(said, Answer) and "refusal" not in manner.__name__:
            assert said.outcome in {"unknown", "sent"}, (name, said)


async def test_57_a_large_answer_is_read_no_further(
    stranger: Stranger, asks: dict[str, Ask]
) -> None:
    """Of SES, in whose hands the recipients are: nobody is told to be sent, nor tried again."""
    stranger.manner = large
    for name in ("ses_bulk", "ses_single"):
        forget_peak()
        before = peak_kb()
        said = await asks[name]()
        assert peak_kb() - before < GROWTH_KB
        assert isinstance(said, Answer)
        assert said.outcome == "unknown"


async def test_57_an_answer_that_trickles_ends(stranger: Stranger) -> None:
    stranger.manner = trickle
    settings = settings_for("postgresql://unused", stranger.url)
    client = aws_client(settings, "sesv2", region="us-east-1")
    bound_answers(client, "sesv2", 0.1)
    with pytest.raises(AnswerTooSlow):
        await asyncio.to_thread(client.get_account)
    async with httpx.AsyncClient(event_hooks=bounded(1_000_000, 0.1), trust_env=False) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(stranger.url)


async def test_57_a_head_that_trickles_ends(stranger: Stranger) -> None:
    """A header now and then, for ever: each read gets something."""
    stranger.manner = trickling_head
    settings = settings_for("postgresql://unused", stranger.url)
    client = aws_client(settings, "sesv2", region="us-east-1")
    bound_answers(client, "sesv2", 0.1)
    with pytest.raises(ReadTimeoutError):
        await asyncio.to_thread(client.get_account)
    async with BoundedClient(1_000, head_seconds=0.1, trust_env=False) as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.get(stranger.url)
        answer = await Web(http, allowed=lambda _: True).ask(stranger.url)
        assert answer.problem == "does not answer in time"
    asking = Asking(max_connections=1, call_seconds=0.1)
    try:
        assert await asyncio.to_thread(asking.get, stranger.url, {}) == TOO_SLOW
    finally:
        asking.close()
    async with web_client() as ours:
        assert isinstance(ours, BoundedClient)


async def test_57_a_list_without_end_ends(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page says that another follows."""

    def more() -> Iterator[bytes]:
        said = (
            b'{"results": [{}], "has_more": true, "next_cursor": "again", "NextToken": "again", '
            b'"ReputationEntities": []}'
        )
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(said)
        yield said

    stranger.manner = more
    monkeypatch.setattr("app.adapters.notion.client.MAX_PAGES", 3)
    monkeypatch.setattr("app.adapters.aws.standing.MOST", 3)
    async with NotionApi("ntn_0123456789", stranger.url, per_second=1000) as notion:
        with pytest.raises(NotionAway, match="without end"):
            await notion.children(UUID(int=1))
    settings = settings_for("postgresql://unused", stranger.url)
    assert await asyncio.to_thread(SesStanding(settings, "us-east-1").entities) == []


async def test_57_nobody_is_sent_twice_after_an_answer_nobody_could_read(
    dsn: str, arrange: Arrange
) -> None:
    """Through the service: each recipient was in one call, and is unknown."""
    odd = ["NUL \0", "two\r\nlines", "m" * 1_000_000, 7, None]
    await arrange.subscribers(len(odd))
    mailout = await arrange.mailout()

    def send(to: list[str]) -> Reply:
        results = [{"Status": "SUCCESS", "MessageId": id_} for id_, _ in zip(odd, to, strict=False)]
        return Reply.json({"BulkEmailEntryResults": results})

    with StrangeSes(send) as ses:
        async with in_process(settings_for(dsn, ses.url, SES_SEND_MODE="bulk")) as service:
            await service.send(mailout)
            await eventually(
                lambda: arrange.counts(mailout),
                until=lambda counts: counts.get("unknown") == len(odd),
            )
    sent = [address for call in ses.calls for address in call]
    assert len(sent) == len(set(sent)) == len(odd)
