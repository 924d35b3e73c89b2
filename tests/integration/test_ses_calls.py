"""How a call to SES may end without an answer, on real sockets: what never left is tried again,
what may have left is unknown."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest

from app.adapters.aws.ses import SesSender
from app.domain.content.render import template_variables
from app.domain.mailouts import MailoutContent
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import Mail, bulk_entry
from app.services.sending.prepare import Prepared, prepare
from tests.support.certificates import self_signed, server_context
from tests.support.ports import free_port
from tests.support.service import settings_for

CONTENT = MailoutContent("Hi", None, "<p>x</p>", None, None, None, None, None, None)

Call = Callable[[SesSender, Fence], Answer]


@cache
def prepared() -> Prepared:
    return prepare(settings_for("postgresql://unused", None), UUID(int=1), CONTENT)


def mail() -> Mail:
    variables = template_variables(
        email="a@example.com", name=None, fields={}, mailout_id="1", unsubscribe_url="https://x"
    )
    return Mail(1, "a@example.com", prepared().compiled.values(variables), "https://x", ())


def bulk(ses: SesSender, fence: Fence) -> Answer:
    entry = bulk_entry(mail())
    assert entry is not None
    [first, second] = ses.send_bulk(prepared().bulk_head, [entry, entry], fence)
    assert first == second
    return first


def single(ses: SesSender, fence: Fence) -> Answer:
    return ses.send_single(prepared().compiled, prepared().envelope, mail(), fence)


@pytest.fixture(params=[bulk, single], ids=lambda call: call.__name__)
def call(request: pytest.FixtureRequest) -> Call:
    found: Call = request.param
    return found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.adapters.aws.ses.CONNECT_TIMEOUT", 0.3)
    monkeypatch.setattr("app.adapters.aws.ses.READ_TIMEOUT", 0.3)


def ask(call: Call, url: str, *, fence: Fence | None = None) -> Answer:
    settings = settings_for("postgresql://unused", url)
    ses = SesSender(settings, settings.home, max_connections=1)
    return call(ses, fence or Fence(60))


@contextmanager
def serving(treat: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that treats each connection so, and then hangs up; its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        treat(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


# What never left


def test_nobody_listens(call: Call) -> None:
    answer = ask(call, f"http://127.0.0.1:{free_port()}")
    assert (answer.outcome, answer.code, answer.halt) == ("requeue", "not_connected", "unreachable")


def test_a_connection_that_is_never_made(call: Call) -> None:
    """What asks for it is swallowed, as behind a firewall: a full queue does the same."""
    with socket.socket() as server, contextlib.ExitStack() as others:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):  # whoever comes after the first one or two is left waiting
            waiting = others.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        answer = ask(call, f"http://127.0.0.1:{server.getsockname()[1]}")
    assert (answer.outcome, answer.code, answer.halt) == ("requeue", "not_connected", "unreachable")
    assert not answer.from_ses


def test_a_certificate_that_nobody_vouches_for(call: Call, tmp_path: Path) -> None:
    context = server_context(self_signed(tmp_path, "127.0.0.1"))

    def shake_hands(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True)

    with serving(shake_hands) as address:
        answer = ask(call, f"https://{address}")
    assert (answer.outcome, answer.code, answer.halt) == ("requeue", "certificate", "unreachable")


def test_a_claim_that_is_too_old(call: Call) -> None:
    received: list[bytes] = []
    with serving(lambda connection: received.append(connection.recv(1))) as address:
        answer = ask(call, f"http://{address}", fence=Fence(-1))
    assert (answer.outcome, answer.code, answer.halt) == ("requeue", "lease_lost", None)
    assert not any(received)
    assert not answer.from_ses


def test_no_credentials(call: Call) -> None:
    settings = settings_for(
        "postgresql://unused", "http://127.0.0.1:9", AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )  # fmt: skip
    answer = call(SesSender(settings, settings.home, max_connections=1), Fence(60))
    assert (answer.outcome, answer.code) == ("requeue", "not_prepared")
    assert answer.halt == "configuration"
    assert not answer.from_ses


# What may have left


def read(connection: socket.socket) -> None:
    """The request, or the most of it."""
    connection.recv(65_536)


def keep_silent(connection: socket.socket) -> None:
    read(connection)
    connection.settimeout(10)
    connection.recv(1)  # until the client hangs up


def begin_to_answer(connection: socket.socket) -> None:
    read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def speak_another_language(connection: socket.socket) -> None:
    read(connection)
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


@pytest.mark.parametrize(
    "treat",
    [read, keep_silent, begin_to_answer, speak_another_language],
    ids=lambda treat: treat.__name__,
)
def test_no_answer_to_what_may_have_arrived(
    call: Call, treat: Callable[[socket.socket], None]
) -> None:
    with serving(treat) as address:
        answer = ask(call, f"http://{address}")
    assert (answer.outcome, answer.halt) == ("unknown", "unreachable")
    assert answer.code in {"no_answer", "unreadable_answer"}
    assert not answer.from_ses
