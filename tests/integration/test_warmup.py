"""The whole way: a running sender, SES's stand-in, a day of a warm-up and the next."""

from __future__ import annotations

from typing import Any

import pytest

from app.sandbox.server import SandboxServer
from tests.pacing.conftest import a_warmup
from tests.support.factories import REGION, Arrange
from tests.support.service import BEARER, in_process, settings_for
from tests.support.waiting import eventually


async def test_a_sender_keeps_to_a_warmup_and_goes_on_the_next_day(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.pacing.keep.POLL_SECONDS", 0.1)
    for number in range(30):
        await arrange.subscriber(f"reader{number}@{'gmail.com' if number % 3 else 'example.org'}")
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        plan: list[dict[str, Any]] = [{"total": 12, "providers": {"Gmail": 5}}, {"total": 100}]
        await a_warmup(service.services.store, plan)

        def mailed() -> dict[str, int]:
            to = [mail["to"].partition("@")[2] for mail in sandbox.accepted()]
            return {domain: to.count(domain) for domain in set(to)}

        async def shown() -> dict[str, Any]:
            return await service.show(mailout)

        assert (await service.send(mailout)).status_code == 202
        waits = await eventually(shown, until=lambda row: row["status_reason"])
        assert waits["status"] == "sending"
        assert waits["status_reason"].startswith(f"Waiting for the warm-up of {REGION}")
        assert mailed() == {"gmail.com": 5, "example.org": 7}

        await arrange.sql.execute(
            "update warmup_days set day = day - 1, ends_at = now() - interval '1 minute', "
            "opened_at = opened_at - interval '1 day'; "
            "update warmups set started_at = started_at - interval '1 day'"
        )
        done = await eventually(shown, until=lambda row: row["status"] == "sent")
        assert mailed() == {"gmail.com": 20, "example.org": 10}, "everybody, once"
        assert done["status_reason"] is None
        [warmup] = (await service.http.get("/warmup", headers=BEARER)).json()["items"]
        assert (warmup["day_number"], warmup["remains"]) == (2, 82)
