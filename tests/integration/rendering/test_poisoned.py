"""A template that got past the checks ends no sender and holds up nobody else's mailout."""

from __future__ import annotations

import pytest

from app.sandbox.server import SandboxServer
from app.services.rendering import limits
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually


async def test_it_is_held_and_the_others_are_sent(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever time it would take: its process is ended, with the sender's own going on."""
    await arrange.subscribers(3)
    settings = settings_for(dsn, sandbox.url)
    poisoned, sound = await arrange.mailout(), await arrange.mailout()
    async with in_process(settings, with_sender=False) as web:
        for mailout in (poisoned, sound):
            assert (await web.send(mailout)).status_code == 202
    for name in ("CPU_SECONDS_PER_MB", "CPU_SECONDS_PER_TAG", "CPU_SECONDS_EACH"):
        monkeypatch.setattr(limits, name, 0.0)
    monkeypatch.setattr(limits, "CPU_SECONDS", 0.5)
    slow = "<style>" + "a{b:c}" * 60_000 + "</style><p>Hello"
    await arrange.sql.execute(
        "update mailout_snapshots "
        "set content = content || jsonb_build_object('body_html', %s::text) where mailout_id = %s",
        [slow, poisoned],
    )

    async with in_process(settings) as service:
        await eventually(lambda: service.show(sound), until=lambda s: s["status"] == "sent")
        held = await eventually(
            lambda: service.show(poisoned), until=lambda s: s["status"] == "paused"
        )
    assert "0.5 seconds" in held["status_reason"]
    assert len(sandbox.accepted()) == 3
