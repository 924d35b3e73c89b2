"""Failures on command, each over a real socket and seen as a client sees it."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from pydantic import ValidationError
from starlette.types import Message

from app.sandbox.faults import FaultInjector, FaultPlan
from app.sandbox.server import SandboxServer
from app.sandbox.ses.wire import EXTENSION, Dropped
from tests.sandbox.support import bulk, refused, ses_client, single, statuses

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

THREE = bulk("a@example.com", "b@example.com", "c@example.com")


def test_the_next_calls_meet_what_was_listed_then_nothing(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    sandbox.faults(next=["throttle", "ok", {"server_error": {"status": 503}}])
    with refused("TooManyRequestsException", 429, r"Maximum sending rate exceeded\."):
        ses.send_bulk_email(**THREE)
    ses.send_bulk_email(**THREE)
    with refused("ServiceUnavailableException", 503):
        ses.send_email(**single())
    ses.send_email(**single())
    assert sandbox.stats()["accepted"] == 4
    assert sandbox.control.get("/sandbox/faults").json() == {}


def test_an_error_may_come_after_the_mail_was_accepted(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    sandbox.faults(next=[{"server_error": {"accept": True}}, "server_error"])
    for _ in range(2):
        with refused("InternalServiceErrorException", 500):
            ses.send_bulk_email(**THREE)
    assert len(sandbox.accepted()) == 3


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("fault", "accepted"), [("accept_then_drop", 3), ("drop_before_accept", 0)]
)
def test_the_connection_is_closed_without_an_answer(
    ses: SESV2Client, sandbox: SandboxServer, fault: str, accepted: int, reset: bool
) -> None:
    sandbox.faults(next=[{fault: {"reset": reset}}])
    with pytest.raises(ConnectionClosedError, match="Connection was closed") as caught:
        ses.send_bulk_email(**THREE)
    assert ("reset" in str(caught.value.__context__).lower()) is reset
    assert len(sandbox.accepted()) == accepted
    assert statuses(ses.send_bulk_email(**THREE)) == ["SUCCESS"] * 3


async def test_a_client_that_left_needs_no_reset() -> None:
    """Its socket is closed by the time the fault comes to it."""

    async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        raise AssertionError("there is nobody to answer")

    async with await asyncio.start_server(leave, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        extensions = {EXTENSION: {"transport": writer.transport}}
        await Dropped(reset=True)({"type": "http", "extensions": extensions}, receive, send)


def test_a_cut_answer_promises_more_than_it_brings(sandbox: SandboxServer) -> None:
    sandbox.faults(next=[{"cut_answer": {"bytes": 7}}])
    sent: list[tuple[str, dict[str, str], str]] = []
    client = ses_client(sandbox.url)
    client.meta.events.register(
        "before-send.sesv2.SendBulkEmail",
        lambda request, **_: sent.append((request.url, dict(request.headers), request.body)),
    )
    client.send_bulk_email(**THREE)  # botocore notices nothing: RELIABILITY, fact b
    assert len(sandbox.accepted()) == 3
    sandbox.faults(next=[{"cut_answer": {"bytes": 7}}])
    url, headers, body = sent[0]
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=5)
    connection.request("POST", url.removeprefix(sandbox.url), body, headers)
    response = connection.getresponse()
    assert int(response.headers["content-length"]) > 100
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert len(caught.value.partial) == 7
    connection.close()


@pytest.mark.parametrize(("accept", "accepted"), [(True, 3), (False, 0)])
def test_a_hanging_call_times_out(sandbox: SandboxServer, accept: bool, accepted: int) -> None:
    sandbox.faults(next=[{"hang": {"seconds": 20, "accept": accept}}])
    with pytest.raises(ReadTimeoutError):
        ses_client(sandbox.url, read_timeout=0.2).send_bulk_email(**THREE)
    assert len(sandbox.accepted()) == accepted


def test_a_hanging_call_ends_with_a_closed_connection(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    sandbox.faults(next=[{"hang": {"seconds": 0.05}}])
    with pytest.raises(ConnectionClosedError):
        ses.send_bulk_email(**THREE)


def test_entries_fail_one_by_one(ses: SESV2Client, sandbox: SandboxServer) -> None:
    statuses_wanted = ["TRANSIENT_FAILURE", "ACCOUNT_THROTTLED"]
    sandbox.faults(seed=3, entry_failure={"probability": 0.5, "statuses": statuses_wanted})
    answer = ses.send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(50))))
    got = statuses(answer)
    assert set(got) == {"SUCCESS", *statuses_wanted}
    assert len(sandbox.accepted()) == got.count("SUCCESS")


def test_results_come_short_long_or_in_another_order(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    many = bulk(*(f"r{n}@example.com" for n in range(50)))
    sandbox.faults(next=["short_results", "long_results", "reordered_results"])
    lengths = [len(statuses(ses.send_bulk_email(**many))) for _ in range(2)]
    assert lengths == [49, 51]
    results = ses.send_bulk_email(**many)["BulkEmailEntryResults"]
    accepted = [line["message_id"] for line in sandbox.accepted()[-50:]]
    got = [result["MessageId"] for result in results]
    assert got != accepted
    assert sorted(got) == sorted(accepted)


def test_bulk_calls_are_limited_to_one_a_second(ses: SESV2Client, sandbox: SandboxServer) -> None:
    sandbox.faults(bulk_one_per_second=True)
    ses.send_bulk_email(**THREE)
    with refused("TooManyRequestsException", 429):
        ses.send_bulk_email(**THREE)
    ses.send_email(**single())


def test_the_account_is_paused_or_suspended(ses: SESV2Client, sandbox: SandboxServer) -> None:
    sandbox.faults(sending_paused=True)
    with refused("SendingPausedException"):
        ses.send_email(**single())
    sandbox.faults(account_suspended=True)
    with refused("AccountSuspendedException"):
        ses.send_bulk_email(**THREE)
    assert sandbox.accepted() == []


def test_one_address_poisons_the_whole_call(ses: SESV2Client, sandbox: SandboxServer) -> None:
    sandbox.faults(poison=["b@example.com"])
    with refused("BadRequestException"):
        ses.send_bulk_email(**THREE)
    ses.send_bulk_email(**bulk("a@example.com"))
    assert len(sandbox.accepted()) == 1


def test_a_slow_call_takes_its_time_and_outlives_its_client(sandbox: SandboxServer) -> None:
    """The mail of a client that gave up is accepted all the same."""
    sandbox.faults(latency={"min": 0.3, "max": 0.3})
    with pytest.raises(ReadTimeoutError):
        ses_client(sandbox.url, read_timeout=0.1).send_bulk_email(**THREE)
    while not sandbox.accepted():
        pass
    assert len(sandbox.accepted()) == 3
    sandbox.faults(latency={"min": 0.01, "max": 0.02})
    ses_client(sandbox.url).send_bulk_email(**THREE)


@pytest.mark.parametrize(
    "plan",
    [{"throtle": 1}, {"throttle": 2}, {"next": ["explode"]}, {"latency": {"min": 2, "max": 1}}],
)
def test_a_plan_that_makes_no_sense_is_refused(
    sandbox: SandboxServer, plan: dict[str, Any]
) -> None:
    response = sandbox.control.put("/sandbox/faults", json=plan)
    assert response.status_code == 422
    assert response.json()["error"]
    with pytest.raises(ValidationError):
        FaultPlan.model_validate_json(json.dumps(plan))


def test_chance_repeats_with_its_seed() -> None:
    plan = FaultPlan.model_validate({"seed": 5, "throttle": 0.3, "accept_then_drop": 0.3})
    runs = []
    for _ in range(2):
        injector = FaultInjector(seed=0)
        injector.set(plan)
        runs.append([injector.decide().kind for _ in range(200)])
    assert runs[0] == runs[1]
    assert {None, "throttle", "accept_then_drop"} == set(runs[0])


def test_a_fault_leaves_one_request_and_one_error_in_the_figures(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    sandbox.faults(next=["throttle"])
    with pytest.raises(ClientError):
        ses.send_bulk_email(**THREE)
    stats = sandbox.stats()
    assert stats["requests"] == {"SendBulkEmail": 1}
    # A call of an earlier test may still be ending.
    assert stats["answers"]["SendBulkEmail"]["TooManyRequestsException"] == 1
    assert stats["connections"] >= 1


def test_a_mail_accepted_before_a_drop_is_in_the_log_file(
    tmp_path: Any, start: Callable[..., SandboxServer]
) -> None:
    """What judges a run is written before the answer."""
    log = tmp_path / "accepted.jsonl"
    server = start(accept_log=log)
    server.faults(next=["accept_then_drop"])
    with pytest.raises(ConnectionClosedError):
        ses_client(server.url).send_bulk_email(**THREE)
    assert len(log.read_text().splitlines()) == 3
