"""The last release's program goes on working on this schema, so that an upgrade may be done one
process after another; and its database becomes ours."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from app.adapters.database.migrations import migrate
from tests.support.factories import Arrange
from tests.support.service import BEARER, command, process
from tests.support.waiting import eventually
from tests.support.world import World, run_world

LAST_RELEASE = "34b3c5e06aada23b82f4732d1bfaca5eecb05d1e"
"""The commit of 1.0.0; set to the newest one with each release."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the last release's program."""
    root = Path(__file__).parents[2]
    archive = subprocess.run(
        ["git", "-C", root, "archive", LAST_RELEASE, "app", "migrations"],
        capture_output=True,
        check=False,
    )
    if archive.returncode != 0:
        pytest.skip("the last release's commit isn't here: no git, or a shallow clone")
    folder = tmp_path_factory.mktemp("last-release")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        # Python has filters from 3.11.4 on; Debian 12 has 3.11.2.
        files.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        files.extractall(folder)
    return folder


@pytest.fixture
async def old(empty_dsn: str, release: Path) -> AsyncIterator[World]:
    """The last release, running on a database that it has made itself."""
    async with run_world(empty_dsn, release, migrate=True) as running:
        yield running


@pytest.fixture
async def theirs(empty_dsn: str) -> AsyncIterator[Arrange]:
    connection = await psycopg.AsyncConnection.connect(
        empty_dsn, autocommit=True, row_factory=dict_row
    )
    async with connection:
        yield Arrange(connection)


async def whole_mailout(old: World, theirs: Arrange) -> dict[str, Any]:
    """Claimed, queued, sent, recorded, reported by events; gives it when all of it is there."""
    mailout = await theirs.mailout(canary=None)
    answer = await old.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
    assert answer.status_code == 202, answer.text
    return await eventually(
        lambda: old.show(mailout),
        until=lambda s: s["status"] == "sent" and s["counts"]["sent"] == 0,
    )


@pytest.mark.short
async def test_the_last_release_sends_on_this_schema(
    old: World, theirs: Arrange, empty_dsn: str
) -> None:
    """Before the upgrade, and after it without a restart: every call that it makes still fits."""
    await theirs.subscribers(120)
    await theirs.sql.execute("update subscribers set updated_at = '2025-01-01'")
    stamped = await theirs.one("select max(updated_at) from subscribers")
    await theirs.subscriber("bounce+x@simulator.amazonses.com")
    shown = await whole_mailout(old, theirs)
    assert (shown["counts"]["delivered"], shown["counts"]["bounced"]) == (120, 1)

    # Somebody who left by another spelling, which it took for another person.
    await theirs.subscriber("reader1@exam\u00adple.com", status="unsubscribed")
    await theirs.subscriber("not an address")
    assert "functions" in await migrate(empty_dsn)
    gone = "select status from subscribers where address = 'reader1@example.com'"
    assert await theirs.one(gone) == "unsubscribed"
    untouched = "select updated_at from subscribers where address = 'reader2@example.com'"
    assert await theirs.one(untouched) == stamped
    await theirs.subscriber("complaint+x@simulator.amazonses.com")
    shown = await whole_mailout(old, theirs)
    counts = shown["counts"]
    assert (counts["delivered"], counts["complained"], counts["failed"]) == (119, 1, 1)
    assert sum(counts.values()) == shown["recipients"] == 121

    mail = old.sandbox.mails("reader7@")[-1]
    left = old.sandbox.control.post(f"/sandbox/mails/{mail['message_id']}/unsubscribe")
    assert left.status_code == 200
    statuses = await theirs.sql.execute(
        "select email, status from subscribers where status <> 'active' order by email"
    )
    assert [row["status"] for row in await statuses.fetchall()] == [
        "bounced",
        "complained",
        "unsubscribed",
        "unsubscribed",
    ]
    mailout = await theirs.mailout()
    test = {"mailout_id": str(mailout), "test": True}
    assert (await old.http.post("/send-mailout", json=test, headers=BEARER)).status_code == 202
    await eventually(
        lambda: theirs.one("select count(*) from send_logs where is_test and status = 'sent'"),
        until=lambda n: n == 2,
    )
    for path in ("/mailouts", "/subscribers", "/subscribers/READER1@example.com", "/health"):
        assert (await old.http.get(path, headers=BEARER)).status_code == 200
    assert await theirs.one("select count(*) from send_logs where status = 'unknown'") == 0
    events = [json.loads(line) for line in old.service.log.splitlines() if line.startswith("{")]
    assert [event for event in events if event["level"] == "error"] == []


@pytest.mark.short
async def test_the_last_release_starts_on_this_schema(old: World, theirs: Arrange) -> None:
    """Such as one that is started again in the middle of an upgrade; its commands work, too."""
    await theirs.subscriber("not an address")
    done = command(old.folder.parent, old.variables, "migrate")
    assert done.returncode == 0, done.stderr
    assert "1 subscriber can't be mailed" in done.stderr
    await theirs.sql.execute("delete from subscribers")
    old.service.stop()
    list_of_theirs = old.folder / "list.csv"
    list_of_theirs.write_text("email,name\nann@example.com,Ann\nAnn@Example.com,Ann\n")
    done = command(old.folder, old.variables, "subscribers", "import", str(list_of_theirs))
    assert done.returncode == 0, done.stderr
    assert "1 added" in done.stdout
    mailout = await theirs.mailout()
    with process(old.folder, old.variables, "serve") as again:
        old.service = again
        await old.healthy()
        sent = command(old.folder, old.variables, "send", str(mailout))
        assert sent.returncode == 0, sent.stderr
        await eventually(lambda: old.show(mailout), until=lambda s: s["counts"]["delivered"] == 1)
    out = old.folder / "statement.csv"
    done = command(old.folder, old.variables, "statement", str(mailout), "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert "ann@example.com" in out.read_text()


def calls_of(store: str) -> set[tuple[str, frozenset[str]]]:
    """Each function that a store calls, with the arguments that it names there."""
    found = set()
    for node in ast.walk(ast.parse(store)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="_call" | "_transition" as how),
                args=[ast.Constant(value=str(name)), *_],
            ):
                names = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
                found.add(
                    (name, frozenset(names | ({"p_mailout"} if how == "_transition" else set())))
                )
    return found


async def test_every_function_that_the_last_release_calls_is_there(
    release: Path, sql: psycopg.AsyncConnection[Any]
) -> None:
    """Once, with the parameters that it names, and with a default for those that it doesn't."""
    calls = calls_of((release / "app" / "adapters" / "store.py").read_text())
    assert len(calls) > 50
    for name, arguments in calls:
        done = await sql.execute(
            "select coalesce(proargnames, '{}') as names, pronargs - pronargdefaults as required "
            "from pg_proc where pronamespace = 'public'::regnamespace and proname = %s",
            [name],
        )
        [function] = await done.fetchall()
        assert arguments <= set(function["names"]), name
        missing = set(function["names"][: function["required"]]) - arguments
        assert missing <= {"p_bounce_rate", "p_complaint_rate"}, name  # given by **_limits(…)
