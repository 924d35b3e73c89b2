"""Seen from outside the process: real processes, real HTTP, real signatures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.services.sending.send_batch import FAST_BULK_CALLS
from tests.support.factories import Arrange
from tests.support.service import BEARER, command, process
from tests.support.waiting import eventually, within
from tests.support.world import World

SENDING = ("SendEmail", "SendBulkEmail")


async def test_events_come_back_signed_and_everybody_is_accounted_for(
    world: World, arrange: Arrange
) -> None:
    """Deliveries, bounces, a complaint, an unsubscribe: the whole circle."""
    await arrange.subscribers(60)
    for kind in ("bounce", "complaint", "suppressionlist", "ooto"):
        await arrange.subscriber(f"{kind}+x@simulator.amazonses.com")
    mailout = await arrange.mailout()
    answer = await world.http.post(
        "/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER
    )
    assert answer.status_code == 202
    shown = await eventually(
        lambda: world.show(mailout),
        until=lambda s: s["counts"]["complained"] == 1 and s["counts"]["sent"] == 0,
    )
    assert shown["status"] == "sent"
    assert shown["counts"] | {"delivered": 61, "bounced": 2, "complained": 1} == shown["counts"]
    assert sum(shown["counts"].values()) == shown["recipients"] == 64
    done = await arrange.sql.execute(
        "select email, status from subscribers where status <> 'active'"
    )
    left = {row["email"].split("+")[0]: row["status"] async for row in done}
    assert left == {"bounce": "bounced", "complaint": "complained", "suppressionlist": "bounced"}

    [mail] = world.sandbox.mails("reader7@")
    one_click = world.sandbox.control.post(f"/sandbox/mails/{mail['message_id']}/unsubscribe")
    assert one_click.status_code == 200
    assert (
        await arrange.one("select status from subscribers where email = 'reader7@example.com'")
        == "unsubscribed"
    )


@pytest.mark.short
async def test_a_killed_sender_leaves_unknown_rows_that_events_settle(
    world: World, arrange: Arrange
) -> None:
    """kill -9 in mid-send, then a new process: nobody twice, nobody lost.

    All calls that may be under way at once hang, half of them after SES has accepted their mails.
    """
    half = FAST_BULK_CALLS // 2 * 50
    await arrange.subscribers(2 * half + 100)
    mailout = await arrange.mailout()
    world.sandbox.control.post("/sandbox/events/hold")
    world.sandbox.faults(
        next=[{"hang": {"seconds": 60, "accept": n % 2 == 0}} for n in range(FAST_BULK_CALLS)]
    )
    await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)

    async def under_way() -> tuple[int, int]:
        sending = (await arrange.counts(mailout)).get("sending", 0)
        return sending, len(world.sandbox.accepted())

    await eventually(under_way, until=lambda seen: seen == (2 * half, half))
    world.service.kill()
    world.sandbox.faults()
    with process(world.folder, world.variables, "serve") as second:
        world.service = second
        await world.healthy()
        shown = await eventually(
            lambda: world.show(mailout), until=lambda s: s["status"] == "sent", seconds=40
        )
        counts = shown["counts"]
        assert (counts["sent"], counts["unknown"]) == (100, 2 * half)
        assert world.sandbox.stats()["duplicates"] == 0
        world.sandbox.control.post("/sandbox/events/release")
        shown = await eventually(
            lambda: world.show(mailout),
            until=lambda s: s["counts"]["delivered"] == half + 100,
            seconds=40,
        )
        assert shown["counts"]["unknown"] == half


async def test_sigterm_lets_the_call_in_flight_finish(world: World, arrange: Arrange) -> None:
    await arrange.subscribers(200)
    mailout = await arrange.mailout()
    world.sandbox.control.post("/sandbox/events/hold")  # they would make `delivered` of some
    world.sandbox.faults(latency={"min": 0.5, "max": 0.6})
    await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)

    async def calls() -> int:
        return sum(world.sandbox.stats()["requests"].get(name, 0) for name in SENDING)

    # Not before the call has reached SES: what is marked and hasn't left yet is given back.
    await eventually(calls, until=lambda n: n > 0)
    assert world.service.stop() < within(10)
    counts = await arrange.counts(mailout)
    assert counts["sent"] == len(world.sandbox.accepted()) > 0
    assert counts.keys() <= {"sent", "queued"}


async def test_a_call_that_never_answers_is_unknown_at_the_stop(
    world: World, arrange: Arrange
) -> None:
    await arrange.subscribers(10)
    mailout = await arrange.mailout()
    world.sandbox.control.post("/sandbox/events/hold")
    world.sandbox.faults(hang={"seconds": 25, "accept": True})
    await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)

    async def accepted() -> int:
        return len(world.sandbox.accepted())

    await eventually(accepted, until=lambda n: n == 10)
    assert world.service.stop() < within(10)
    assert await arrange.counts(mailout) == {"unknown": 10}


@pytest.mark.short
async def test_http_and_sender_in_processes_of_their_own(world: World, arrange: Arrange) -> None:
    """`serve --no-sender` takes the request, `worker` sends."""
    world.service.stop()
    await arrange.subscribers(60)
    mailout = await arrange.mailout()
    with process(world.folder, world.variables, "serve", "--no-sender") as front:
        world.service = front
        await world.healthy()
        await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
        assert world.sandbox.accepted() == []
        with (
            process(world.folder, world.variables, "worker") as one,
            process(world.folder, world.variables, "worker") as two,
        ):
            await eventually(lambda: world.show(mailout), until=lambda s: s["status"] == "sent")
            assert max(one.stop(), two.stop()) < within(10)
    assert len(world.sandbox.accepted()) == 60
    assert world.sandbox.stats()["duplicates"] == 0


async def test_logs_are_json_lines_without_secrets_or_addresses(
    world: World, arrange: Arrange
) -> None:
    await arrange.subscriber("canary.address@example.com", name="Canary Name")
    mailout = await arrange.mailout()
    await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
    await eventually(lambda: world.show(mailout), until=lambda s: s["counts"]["delivered"] == 1)
    await world.http.get("/subscribers/canary.address@example.com", headers=BEARER)
    await world.http.get("/unsubscribe?token=canary-token")
    world.service.stop()
    lines = [json.loads(line) for line in world.service.log.splitlines()]
    assert {"mailout_started", "batch_sent", "mailout_finished", "request"} <= {
        line["event"] for line in lines
    }
    hidden = ["canary.address", "Canary Name", "canary-token"]
    hidden += [v for k, v in world.variables.items() if "SECRET" in k or k == "DATABASE_URL"]
    for secret in hidden:
        assert secret not in world.service.log


async def test_a_port_in_use_is_one_plain_line(world: World) -> None:
    done = command(world.folder, world.variables, "serve")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("amazonsender: Can't listen on 127.0.0.1:")


@pytest.mark.short
async def test_the_command_line_does_the_whole_job(world: World, arrange: Arrange) -> None:
    def run(*arguments: str) -> str:
        done = command(world.folder, world.variables, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (world.folder / "people.csv").write_text(
        "email,name,tags,city\nann@example.com,Ann,a;b,Rome\nnot-an-address,X,,\n"
        "bob@example.com,,,\n",
        encoding="utf-8",
    )
    (world.folder / "letter.md").write_text("# Hi {{ name }}\n\nText.", encoding="utf-8")
    imported = command(world.folder, world.variables, "subscribers", "import", "people.csv")
    assert imported.returncode == 0, imported.stderr
    assert "line 3" in imported.stderr
    mailout = run("mailouts", "create", "letter.md", "--subject", "Hello").strip()
    assert "is ready" in run("mailouts", "ready", mailout)
    assert "2 recipients" in run("send", mailout)
    await eventually(lambda: world.show(mailout), until=lambda s: s["counts"]["delivered"] == 2)
    assert mailout in run("mailouts", "list")
    statement = run("statement", mailout)
    assert statement.count("\n") == 3
    assert "delivered" in statement
    run("subscribers", "export", "out.csv")
    assert "ann@example.com" in (world.folder / "out.csv").read_text(encoding="utf-8")
    assert "Nothing to do" in run("migrate")
    refused = command(world.folder, world.variables, "send", mailout)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "not ready" in refused.stderr


async def test_forged_and_foreign_messages_are_refused(world: World, arrange: Arrange) -> None:
    def post(body: Any) -> Any:
        return world.http.post(
            "/ses-events",
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Content-Type": "text/plain; charset=UTF-8"},
        )

    envelope = {
        "Type": "Notification",
        "MessageId": "m",
        "TopicArn": "arn:aws:sns:us-east-1:123456789012:amazonsender",
        "Message": "{}",
        "Timestamp": "2026-11-24T12:00:00.000Z",
        "SignatureVersion": "2",
        "Signature": "AAAA",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com.evil.test/x.pem",
    }
    assert (await post(b"nonsense")).status_code == 400
    assert (await post(envelope)).status_code == 403
    other = envelope | {"TopicArn": "arn:aws:sns:us-east-1:999999999999:other"}
    assert (await post(other)).status_code == 403
    assert (await post(b"x" * 400_000)).status_code == 413
    assert await arrange.one("select count(*) from ses_events") == 0
