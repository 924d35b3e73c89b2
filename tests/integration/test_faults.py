"""Each way a call to SES can end, over a real socket: what is recorded, and how many requests went
out. Nothing whose outcome is unknown is ever sent again by itself."""

from __future__ import annotations

from typing import Any

import pytest

from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.ports import free_port
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually

RECIPIENTS = 8


async def send_to_the_end(service: Service, arrange: Arrange) -> dict[str, Any]:
    await arrange.subscribers(RECIPIENTS)
    mailout = await arrange.mailout()
    await service.send(mailout)
    return await eventually(
        lambda: service.show(mailout), until=lambda s: s["status"] in {"sent", "failed"}
    )


FAULTS: tuple[dict[str, Any], ...] = (
    {"accept_then_drop": 1},
    {"accept_then_drop": {"reset": True}},
    {"drop_before_accept": 1},
    {"server_error": {"status": 500, "accept": True}},
    {"server_error": {"status": 503, "accept": False}},
    {"server_error": {"status": 504, "accept": True}},
    {"cut_answer": {"bytes": 10}},
    {"cut_answer": {"bytes": 0}},
)
OF_LISTS: tuple[dict[str, Any], ...] = ({"short_results": 1}, {"long_results": 1})
"""A single answer has no list of results."""


@pytest.mark.few_variants(3)
@pytest.mark.parametrize(
    ("mode", "fault"),
    [
        *(("bulk", fault) for fault in FAULTS + OF_LISTS),
        ("single", FAULTS[0]),
        *(pytest.param("single", fault, marks=pytest.mark.short) for fault in FAULTS[1:]),
    ],
    ids=str,
)
async def test_what_may_have_been_accepted_is_unknown(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, fault: dict[str, Any], mode: str
) -> None:
    """One request, no repeat, and the mailout says how many are unknown."""
    calls = 1 if mode == "bulk" else RECIPIENTS
    sandbox.faults(next=[fault] * calls)
    async with in_process(settings_for(dsn, sandbox.url, SES_SEND_MODE=mode)) as service:
        shown = await send_to_the_end(service, arrange)
    assert shown["counts"]["unknown"] == RECIPIENTS
    assert f"{RECIPIENTS} of {RECIPIENTS}" in shown["status_reason"]
    operation = "SendBulkEmail" if mode == "bulk" else "SendEmail"
    assert sandbox.stats()["requests"] == {
        **sandbox.stats()["requests"],
        operation: calls,
    }
    assert sandbox.stats()["duplicates"] == 0


async def test_a_refused_connection_is_tried_again(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """Nothing left this machine, so everybody is queued again and gets the mail later."""
    await arrange.subscribers(RECIPIENTS)
    mailout = await arrange.mailout()
    nobody = f"http://127.0.0.1:{free_port()}"
    async with in_process(settings_for(dsn, nobody)) as service:
        await arrange.sql.execute(
            "update send_rates set rate = 1000, account = '{\"max_send_rate\": 1000}'"
        )
        await service.send(mailout)
        await eventually(
            lambda: arrange.one("select max(error_code) from send_logs"),
            until=lambda code: code == "not_connected",
        )
        shown = await eventually(
            lambda: service.show(mailout), until=lambda s: s["counts"]["queued"] == RECIPIENTS
        )
        assert shown["counts"]["unknown"] == 0
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        shown = await eventually(
            lambda: service.show(mailout), until=lambda s: s["status"] == "sent"
        )
    assert shown["counts"]["sent"] == RECIPIENTS


async def test_one_poisonous_recipient_does_not_spoil_the_call(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """SES refuses the whole call because of one entry: it is found by halving."""
    await arrange.subscriber("poison@example.com")
    sandbox.faults(poison=["poison@example.com"])
    shown = await send_to_the_end(service, arrange)
    assert (shown["counts"]["sent"], shown["counts"]["failed"]) == (RECIPIENTS, 1)
    assert sandbox.stats()["requests"]["SendBulkEmail"] <= 12
    assert sandbox.stats()["duplicates"] == 0


@pytest.mark.short
async def test_auto_mode_fills_up_with_single_calls_when_bulk_is_held_at_one_a_second(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(900)
    mailout = await arrange.mailout()
    sandbox.faults(bulk_one_per_second=True)
    async with in_process(settings_for(dsn, sandbox.url, RATE_LIMIT_PER_SEC="150")) as service:
        await service.send(mailout)
        await eventually(
            lambda: service.show(mailout), until=lambda s: s["status"] == "sent", seconds=60
        )
    requests = sandbox.stats()["requests"]
    assert requests["SendEmail"] > 20
    assert requests["SendBulkEmail"] > 3
    assert sandbox.stats()["duplicates"] == 0
    assert len(sandbox.accepted()) == 900


@pytest.mark.short
async def test_content_too_large_for_a_bulk_call_goes_singly(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """1 MB of HTML is beyond SES's limit for bulk calls, not for a single mail."""
    await arrange.subscribers(2)
    body = "<p>Hi {{ name }}</p>" + f"<p>{'Lorem ipsum dolor sit amet. ' * 1_000}</p>\n" * 36
    mailout = await arrange.mailout(body_html=body, body_text="Hi {{ name }}")
    async with in_process(settings_for(dsn, sandbox.url, SES_SEND_MODE="bulk")) as service:
        refused = await service.send(mailout)
        assert refused.status_code == 409
        assert refused.json()["code"] == "template_invalid"
        assert "SES_SEND_MODE=auto" in refused.json()["detail"]
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        assert (await service.send(mailout)).status_code == 202
        shown = await eventually(
            lambda: service.show(mailout), until=lambda s: s["status"] == "sent"
        )
    assert shown["counts"]["sent"] == 2
    assert sandbox.stats()["requests"]["SendEmail"] == 2


async def test_an_outage_opens_the_breaker_and_everything_heals_by_itself(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """A SES that fails again and again costs a few careful batches, not the whole list."""
    await arrange.subscribers(500)
    mailout = await arrange.mailout()
    sandbox.faults(server_error={"status": 500, "accept": False})
    await service.send(mailout)

    sender = service.services.sender
    assert sender is not None
    sender.home.breaker.base_seconds = 0.5  # the length of the first spell

    async def breaker() -> str:
        return "open" if sender.home.breaker.open_until is not None else "closed"

    await eventually(breaker, until=lambda state: state == "open")
    sandbox.faults()
    shown = await eventually(
        lambda: service.show(mailout), until=lambda s: s["status"] == "sent", seconds=40
    )
    assert await breaker() == "closed"
    counts = shown["counts"]
    assert counts["sent"] + counts["unknown"] == 500
    assert counts["sent"] > 0
