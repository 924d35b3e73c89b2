"""Whoever answers the program's own requests: in every bad manner, to every client that it has."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip
import socketserver
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr

from app.adapters.assets.fetch import PictureFetcher
from app.adapters.assets.supabase_storage import SupabaseShelf
from app.adapters.aws.s3 import S3Shelf
from app.adapters.aws.ses import SesSender, sns_client
from app.adapters.aws.sns import SnsConfirmer, SnsVerifier
from app.adapters.aws.sqs.facts import SqsFacts
from app.adapters.aws.sqs.queue import SqsQueue
from app.adapters.aws.standing import SesStanding
from app.adapters.aws.topics import SnsTopics
from app.adapters.database.supabase import SupabaseDatabase
from app.adapters.notion.client import NotionApi
from app.adapters.providers.mailgun import MailgunSender
from app.adapters.providers.sendgrid import SendGridSender
from app.adapters.slack.client import SlackBot, SlackWebhook
from app.domain.content.render import template_variables
from app.domain.mailouts import MailoutContent
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import Mail, bulk_entry
from app.domain.ses.sns_message import SnsMessage
from app.domain.slack.message import Message
from app.services.checks.public import check_public
from app.services.checks.web import Web, web_client
from app.services.hooks.poster import Poster
from app.services.sending.prepare import prepare
from tests.support.hooks import a_delivery
from tests.support.service import TOPIC, settings_for

LARGE = 400_000_000
_PIECE = b"x" * 65_536
QUEUE = "/123456789012/requests"


class Stranger:
    """An HTTP server that answers every request in one manner, and notes which came.

    manner: status, headers and body; an endless body ends when the other side hangs up.
    """

    def __init__(self) -> None:
        _bomb()  # before anybody measures what an answer costs
        self.manner: Callable[[], Iterator[bytes]] = html
        self.asked: list[str] = []
        self.headers: list[bytes] = []

    def __enter__(self) -> Self:
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    head = _head(self.rfile)
                    if head:
                        owner.asked.append(head.split(b"\r\n", 1)[0].decode("latin-1"))
                        owner.headers.append(head)
                        for piece in owner.manner():
                            self.request.sendall(piece)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def _head(file: Any) -> bytes:
    """The request's head; its body is read and thrown away."""
    head, length, chunked = b"", 0, False
    while (line := file.readline()) not in (b"", b"\r\n"):
        head += line
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        chunked |= name.lower() == b"transfer-encoding"
    file.read(length)
    while chunked and (size := int(file.readline().split(b";")[0], 16)):
        file.read(size + 2)
    return head


def _answer(*headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def html() -> Iterator[bytes]:
    yield _answer("Content-Type: text/html", "Content-Length: 30")
    yield b"<!doctype html><h1>Sign in</h1"


def large() -> Iterator[bytes]:
    yield _answer("Content-Type: application/json", f"Content-Length: {LARGE}")
    for _ in range(LARGE // len(_PIECE)):
        yield _PIECE


def large_refusal() -> Iterator[bytes]:
    yield _answer(
        "Content-Type: application/json", f"Content-Length: {LARGE}", status="400 Bad Request"
    )
    for _ in range(LARGE // len(_PIECE)):
        yield _PIECE


def endless() -> Iterator[bytes]:
    """Without a length, in chunks."""
    yield _answer("Content-Type: application/json", "Transfer-Encoding: chunked")
    for _ in range(LARGE // len(_PIECE)):
        yield b"%x\r\n%s\r\n" % (len(_PIECE), _PIECE)


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(bytes(1_000_000) * 200, 9)


def bomb() -> Iterator[bytes]:
    """A thousand times as much as it seems."""
    yield _answer(
        "Content-Type: application/json",
        "Content-Encoding: gzip",
        f"Content-Length: {len(_bomb())}",
    )
    yield _bomb()


def strange_packing() -> Iterator[bytes]:
    yield _answer("Content-Encoding: gzip, br", f"Content-Length: {len(_bomb())}")
    yield _bomb()


def broken_packing() -> Iterator[bytes]:
    yield _answer("Content-Encoding: gzip", "Content-Length: 20")
    yield b"this is never a gzip"


def headers_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(LARGE // 60_000):
        yield b"X-%d: %s\r\n" % (number, b"h" * 60_000)


def one_long_header() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nX-Long: "
    for _ in range(LARGE // len(_PIECE)):
        yield _PIECE


def interim_answers() -> Iterator[bytes]:
    """One promise after another."""
    for _ in range(20_000):
        yield b"HTTP/1.1 100 Continue\r\n\r\n"


def nothing() -> Iterator[bytes]:
    yield b""


def garbage() -> Iterator[bytes]:
    yield b"\x16\x03\x01\x00\xff" * 200


def deep_json() -> Iterator[bytes]:
    yield _answer("Content-Type: application/json", "Content-Length: 200000")
    yield b"[" * 200_000


def deep_refusal() -> Iterator[bytes]:
    yield _answer(
        "Content-Type: application/json", "Content-Length: 200000", status="400 Bad Request"
    )
    yield b'{"a":' * 40_000


def no_object() -> Iterator[bytes]:
    yield _answer("Content-Type: application/json", "Content-Length: 6")
    yield b'"NUL\0"'


def cut() -> Iterator[bytes]:
    yield _answer("Content-Type: application/json", "Content-Length: 5000")
    yield b'{"results": [{'


def trickle() -> Iterator[bytes]:
    yield _answer("Content-Type: application/json", "Content-Length: 100000")
    waiting = threading.Event()
    while not waiting.wait(0.01):
        yield b" "


def trickling_head() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    waiting = threading.Event()
    while not waiting.wait(0.01):
        yield b"X: y\r\n"


MANNERS = (
    html, large, large_refusal, endless, bomb, strange_packing, broken_packing,
    headers_without_end, one_long_header, nothing, garbage, deep_json, deep_refusal, no_object, cut,
)  # fmt: skip


def redirect(location: str, status: str) -> Callable[[], Iterator[bytes]]:
    def manner() -> Iterator[bytes]:
        yield _answer(f"Location: {location}", "Content-Length: 0", status=status)

    return manner


# Who asks


Ask = Callable[[], Awaitable[object]]
"""One request, to its end. What it raises is an AppError, or it raises nothing."""
_CONTENT = MailoutContent("Hi", None, "<p>x</p>", None, None, None, None, None, None)


def in_thread(call: Callable[..., object], *arguments: object) -> Ask:
    async def ask() -> object:
        return await asyncio.to_thread(call, *arguments)

    return ask


@contextmanager
def everybody(url: str) -> Iterator[dict[str, Ask]]:
    """Each of the program's clients, at this address, by name.

    AWS_ENDPOINT_URL_S3 has to name the address, too: no setting of ours does.
    """
    settings = settings_for(
        "postgresql://unused",
        url,
        AWS_ENDPOINT_URL_SQS=url,
        ASSETS_STORE="s3://pictures",
        SUPABASE_URL=url,
        SUPABASE_SERVICE_ROLE_KEY="sb_secret_0123456789abcdefghij0123456789",
        SQS_QUEUE_URL=f"{url}{QUEUE}",
        APP_BASE_URL=url,
        DATABASE_URL=None,
    )
    with ExitStack() as stack:
        ses = SesSender(settings, settings.home, max_connections=2)
        standing = SesStanding(settings, "us-east-1")
        confirmer = SnsConfirmer(lambda region: sns_client(settings, region))
        topics = SnsTopics(lambda region: sns_client(settings, region))
        facts = SqsFacts(settings)
        s3 = S3Shelf(settings, "pictures")
        storage = SupabaseShelf(settings, "pictures")
        sendgrid = SendGridSender(SecretStr("SG.x"), url, max_connections=1)
        mailgun = MailgunSender(SecretStr("key"), "mg.example.com", url, max_connections=1)
        stack.callback(sendgrid.close)
        stack.callback(mailgun.close)
        prepared = prepare(settings, UUID(int=1), _CONTENT)
        variables = template_variables(
            email="a@example.com", name=None, fields={}, mailout_id="1", unsubscribe_url="https://x"
        )
        mail = Mail(1, "a@example.com", prepared.compiled.values(variables), "https://x", ())
        entry = bulk_entry(mail)
        assert entry is not None

        def single(sender: Any) -> Answer:
            answer: Answer = sender.send_single(
                prepared.compiled, prepared.envelope, mail, Fence(60)
            )
            return answer

        def bulk() -> Answer:
            [answer] = ses.send_bulk(prepared.bulk_head, [entry], Fence(60))
            return answer

        yield {
            "ses_bulk": in_thread(bulk),
            "ses_single": in_thread(single, ses),
            "ses_account": in_thread(ses.get_account),
            "ses_suppressed": in_thread(ses.suppressed_page, None),
            "ses_identity": in_thread(ses.identity, "example.com"),
            "ses_standing": in_thread(standing.entities),
            "ses_ips": in_thread(standing.dedicated_ips),
            "sns_confirm": lambda: confirmer.confirm(_message(url)),
            "sns_certificate": lambda: _certificate(url),
            "sns_topics": in_thread(topics.subscriptions, TOPIC, "https://x"),
            "sqs_take": lambda: _take(settings, url),
            "sqs_facts": in_thread(facts.attributes, f"{url}{QUEUE}"),
            "s3_get": lambda: s3.get("x.png"),
            "s3_put": lambda: s3.put("x.png", b"x", "image/png"),
            "storage_get": lambda: storage.get("x.png"),
            "storage_put": lambda: storage.put("x.png", b"x", "image/png"),
            "supabase": lambda: _supabase(url),
            "notion": lambda: _notion(url),
            "notion_children": lambda: _children(url),
            "slack_webhook": lambda: _slack(SlackWebhook(SecretStr(f"{url}/services/T/B/x"))),
            "slack_bot": lambda: _slack(SlackBot(SecretStr("xoxb-1"), "C1", f"{url}/api")),
            "sendgrid": in_thread(single, sendgrid),
            "mailgun": in_thread(single, mailgun),
            "mailgun_check": in_thread(mailgun.check),
            "hook": lambda: _hook(url),
            "link": lambda: _link(url),
            "own_address": lambda: _own_address(url, settings),
            "picture": lambda: PictureFetcher(url).fetch(f"{url}/x.png"),
        }


def _message(url: str, topic: str = TOPIC) -> SnsMessage:
    return SnsMessage(
        type="SubscriptionConfirmation",
        message_id=str(uuid4()),
        topic_arn=topic,
        message="x",
        subject=None,
        timestamp=datetime.now(UTC).isoformat(),
        token="2336",
        subscribe_url=f"{url}/subscribe",
        signature="c2ln",
        signature_version="1",
        signing_cert_url=f"{url}/SimpleNotificationService-1.pem",
    )


async def _certificate(url: str) -> None:
    async with httpx.AsyncClient(follow_redirects=False) as http:
        await SnsVerifier(
            allowed_topic_arns=frozenset({TOPIC}), sandbox_endpoint=lambda _: url, http=http
        ).verify(_message(url))


async def _take(settings: Any, url: str) -> None:
    queue = SqsQueue(settings, f"{url}{QUEUE}", name="sqs", threads=1, wait_seconds=0)
    try:
        await queue.take(10)
    finally:
        await queue.close()


async def _supabase(url: str) -> None:
    database = SupabaseDatabase(url, "sb_secret_0123456789abcdefghij0123456789")
    try:
        await database.call("schema_status")
    finally:
        await database.close()


async def _notion(url: str) -> None:
    async with NotionApi("ntn_0123456789", url, per_second=1000) as notion:
        # Once: that a question is asked again is another test's.
        await notion.create_page({"parent": {}})


async def _children(url: str) -> None:
    async with NotionApi("ntn_0123456789", url, per_second=1000) as notion:
        await notion._ask("GET", "blocks/x/children", {}, None)


async def _slack(way: SlackWebhook | SlackBot) -> None:
    async with way:
        await way.post(Message("x", ()))


async def _hook(url: str) -> object:
    async with Poster(allow_private=True) as poster:
        return await poster.post(a_delivery(url))


async def _link(url: str) -> object:
    async with web_client() as http:
        return await Web(http, allowed=lambda _: True).ask(f"{url}/page")


async def _own_address(url: str, settings: Any) -> object:
    """APP_BASE_URL as it is seen from outside; this machine's own isn't asked."""
    public = settings.model_copy(update={"app_base_url": url.replace("127.0.0.1", "own.test")})
    async with web_client() as http:
        transport = _Here(url)
        http._transport = transport
        try:
            return await check_public(public, http)
        finally:
            await transport.aclose()


class _Here(httpx.AsyncHTTPTransport):
    def __init__(self, url: str) -> None:
        super().__init__(trust_env=False)
        self._here = httpx.URL(url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "own.test":
            request.url = request.url.copy_with(host="127.0.0.1")
        return await super().handle_async_request(request)


def peak_kb() -> int:
    """The most memory that this process has had since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
