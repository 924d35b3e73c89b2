"""Every loop of the program is watched: one that dies or ends is started again, `/health` says so,
and the mailout goes out all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.sandbox.server import SandboxServer
from app.services.sending.dispatch import Dispatcher
from app.services.sending.housekeeping import Housekeeping
from tests.support.factories import Arrange
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually

READERS = 30
LOOPS = {
    "heartbeat", "upkeep", "dispatch", "tell_owner", "account", "suppression", "report", "jobs",
    "watchdog", "cloudwatch", "hooks", "hooks-tidy", "engagement", "slack", "slack_news",
    "standing", "pacing", "waiting", "log", "retention", "work", "listening",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _look_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.watching.health.CACHE_SECONDS", -1.0)
    monkeypatch.setattr("app.services.watching.health.FAILED_SECONDS", -1.0)
    monkeypatch.setattr("app.services.sending.sender_report.LOOK_SECONDS", 0.05)


def running() -> dict[str, asyncio.Task[Any]]:
    named = {task.get_name(): task for task in asyncio.all_tasks()}
    return {name[5:]: task for name, task in named.items() if name.startswith("loop ")}


async def health(service: Service) -> tuple[int, dict[str, Any]]:
    answer = await service.http.get("/health")
    return answer.status_code, answer.json()


async def over(service: Service, arrange: Arrange) -> dict[str, int]:
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    await service.send(mailout)
    await eventually(lambda: service.show(mailout), until=lambda s: s["status"] == "sent")
    return await arrange.counts(mailout)


async def test_each_loop_is_started_again(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    settings = settings_for(
        dsn,
        sandbox.url,
        OWNER_EMAIL="me@example.com",
        METRICS_CLOUDWATCH="true",
        SLACK_WEBHOOK_URL="http://127.0.0.1:1/services/nowhere",
    )
    async with in_process(settings) as service:
        await eventually(lambda: health(service), until=lambda h: h[0] == 200)
        killed = running()
        assert set(killed) == LOOPS
        for task in killed.values():
            task.cancel()
        code, report = await health(service)
        assert (code, report["status"]) != (200, "ok")
        again = await eventually(_async(running), until=lambda now: set(now) == LOOPS)
        assert not set(again.values()) & set(killed.values())
        assert await over(service, arrange) == {"sent": READERS}
        code, report = await eventually(
            lambda: health(service), until=lambda h: h[1]["checks"]["sender"]["status"] == "ok"
        )
        assert code == 200


def _async(look: Any) -> Any:
    async def looking() -> Any:
        return look()

    return looking


STEPS = {
    "heartbeat": (Housekeeping, "heartbeat"),
    "upkeep": (Housekeeping, "take_turns"),
    "dispatch": (Dispatcher, "send_what_is_due"),
}


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("loop", STEPS)
@pytest.mark.parametrize("error", [OverflowError("34, 'Numerical result out of range'"), None])
async def test_a_loop_of_the_sender_that_fails_is_no_200(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    loop: str,
    error: Exception | None,
) -> None:
    """Nothing can be sent without it; error: None: the loop itself is cancelled, over and over."""
    broken = True
    owner, name = STEPS[loop]
    real = getattr(owner, name)

    async def step(self: Any) -> None:
        await real(self)
        if broken:
            raise error or asyncio.CancelledError

    monkeypatch.setattr(owner, name, step)
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        code, report = await eventually(
            lambda: health(service), until=lambda h: h[1]["checks"]["loops"]["status"] == "warn"
        )
        assert code == 503
        assert report["checks"]["sender"]["status"] == "fail"
        assert loop in report["checks"]["loops"]["detail"]
        assert (await service.http.get("/health/live")).status_code == 200
        broken = False
        await eventually(lambda: health(service), until=lambda h: h[0] == 200)
        assert await over(service, arrange) == {"sent": READERS}


async def test_a_batch_that_hangs_is_told(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending goes on beside it, so it is no 503."""
    monkeypatch.setattr("app.services.sending.dispatch.STUCK_SECONDS", 0.0)
    sandbox.faults(latency={"min": 2.0, "max": 2.0})
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        code, _ = await eventually(
            lambda: health(service),
            until=lambda h: "batches" in h[1]["checks"]["loops"].get("detail", ""),
        )
        assert code == 200
        await eventually(lambda: service.show(mailout), until=lambda s: s["status"] == "sent")
