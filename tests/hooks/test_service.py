"""The service delivers by itself, and says how its hooks do."""

from __future__ import annotations

import pytest

from app.store import Store
from tests.hooks.conftest import Later, Receiver, a_hook
from tests.support.factories import Arrange
from tests.support.local_server import Reply
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually


async def test_the_service_tells_its_hooks_and_tells_of_them(
    dsn: str,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sending needn't be configured for that."""
    monkeypatch.setattr("app.services.watching.health.CACHE_SECONDS", 0.0)
    monkeypatch.setattr("app.services.watching.health.FAILED_SECONDS", 0.0)
    monkeypatch.setattr("app.services.hooks.deliver.POLL_SECONDS", 0.05)
    async with in_process(settings_for(dsn, None, HOOKS_ALLOW_PRIVATE="true")) as service:
        assert "hooks" not in (await service.health())["checks"]
        await a_hook(direct_store, receiver.hook_url)
        await arrange.subscriber()

        async def done() -> int:
            found: int = await arrange.one(
                "select count(*) from hook_deliveries where state = 'done'"
            )
            return found

        await eventually(done, until=lambda count: count == 1)
        check = (await service.health())["checks"]["hooks"]
        assert check == {"status": "ok", "waiting": 0, "dead": 0, "oldest_seconds": 0}
        metrics = (await service.http.get("/metrics")).text
        assert 'amazonsender_hook_deliveries_total{outcome="done"} 1.0' in metrics
        assert "amazonsender_hooks_waiting 0.0" in metrics

        receiver.answer = lambda _: Reply(410, b"")
        await arrange.subscriber()

        async def hooks() -> dict[str, object]:
            found: dict[str, object] = (await service.health())["checks"]["hooks"]
            return found

        check = await eventually(hooks, until=lambda check: check["status"] == "warn")
        assert check["detail"] == "1 hook ended; see the page of hooks"
        assert check["waiting"] == 1
        assert "s3cret" not in str(check)
