"""A sender drops by itself what is old, and a database knows itself again."""

from __future__ import annotations

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.retention.test_ledger import an_old_mailout
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually


@pytest.mark.parametrize("days", ["365", None])
async def test_a_sender_drops_what_the_settings_say(
    dsn: str, arrange: Arrange, monkeypatch: pytest.MonkeyPatch, days: str | None
) -> None:
    """Events by the default; a ledger where the setting says so."""
    monkeypatch.setattr("app.services.sending.drop_details.REST_SECONDS", 0.02)
    with SandboxServer(SandboxConfig()) as sandbox:
        settings = settings_for(dsn, sandbox.url, LEDGER_RETENTION_DAYS=days)
        async with in_process(settings, with_sender=False) as quiet:
            await an_old_mailout(quiet.services.store, arrange)
        await arrange.sql.execute("update ses_events set received_at = now() - interval '1 year'")
        async with in_process(settings):
            words = "select count(*) from ses_events where payload <> '{}'"
            await eventually(lambda: arrange.one(words), until=lambda left: left == 0)
            if days:
                rows = "select count(*) from send_logs"
                await eventually(lambda: arrange.one(rows), until=lambda left: left == 0)
    assert await arrange.one("select count(*) from send_logs") == (0 if days else 8)


@pytest.mark.parametrize(
    ("noted", "known"),
    [
        ("{0}:{1}:{2}:{3}", True),
        ("{0}:{1}:{2}", True),  # by an earlier version
        ("::{2}:{3}", True),  # by a role that may not read the cluster's
        ("{2}", True),  # the same, by an earlier version
        ("{0}:{1}:{2}:1", False),  # restored into the same database
        ("::{2}:1", False),
        ("{0}:{1}:1:{3}", False),  # another database of the cluster
        ("{0}:00000002:{2}:{3}", False),  # after a failover or a recovery to a point in time
        ("1:{1}:{2}:{3}", False),
        ("0:0:0:0", False),  # whoever said `hold_mailouts(true)`
    ],
)
async def test_a_database_knows_itself_by_all_that_both_tell(
    arrange: Arrange, noted: str, known: bool
) -> None:
    here = str(await arrange.one("select database_identity()")).split(":")
    assert len(here) == 4
    assert await arrange.one("select is_from_here(%s)", noted.format(*here)) is known


async def test_a_copy_that_cannot_be_told_is_held_by_a_person(arrange: Arrange) -> None:
    held = {
        state: await arrange.mailout(state, scheduled_at=None)
        for state in ("sending", "paused", "ready", "scheduled", "sent", "draft")
    }
    await arrange.sql.execute("select hold_mailouts(true)")
    now = {
        state: await arrange.one("select status from mailouts where id = %s", mailout)
        for state, mailout in held.items()
    }
    assert now == {
        "sending": "paused", "paused": "paused", "ready": "draft", "scheduled": "scheduled",
        "sent": "sent", "draft": "draft",
    }  # fmt: skip
    foreign = "select not is_from_here(started_in) from mailouts where id = %s"
    assert await arrange.one(foreign, held["scheduled"])


async def test_a_database_that_is_tended_stays_itself(arrange: Arrange) -> None:
    """Also when whoever connects changes, such as from the superuser to a role of its own."""
    before = await arrange.one("select database_identity()")
    for tending in (
        "vacuum full mailouts",
        "cluster mailouts using mailouts_pkey",
        "reindex table mailouts",
        "alter table mailouts add column note text default 'x'",
        "alter table mailouts alter column note type varchar(9)",
        "create role tender; grant execute on function database_identity to tender; "
        "set role tender",
    ):
        await arrange.sql.execute(tending.encode())
        assert await arrange.one("select database_identity()") == before, tending
    await arrange.sql.execute("reset role; drop owned by tender; drop role tender")
