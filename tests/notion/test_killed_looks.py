"""A process that is killed while it looks at a row: another begins again, and ends in the same
place. It is killed before and after each of its calls of the database."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.sandbox.notion.server import NotionServer
from tests.notion.support_rows import Looker, looking, notion_settings
from tests.support.factories import Arrange

A_FEW = 2
"""Places in which it is killed, of those of one look, where not all are tried."""


class Killed(BaseException):
    """From here on the process does nothing any more."""


@dataclass
class Doomed:
    """A database on which a process ends with its `left`th call: right before it, or right after
    it was committed. None: it doesn't."""

    real: PostgresDatabase
    left: int | None = None
    committed: bool = False
    calls: int = 0

    async def call(self, function: str, /, **arguments: Any) -> Any:
        self.calls += 1
        if self.left is None:
            return await self.real.call(function, **arguments)
        self.left -= 1
        if self.left < 0:
            raise Killed
        if self.left > 0:
            return await self.real.call(function, **arguments)
        if self.committed:
            await self.real.call(function, **arguments)
        raise Killed

    async def check_access(self) -> None:
        await self.real.check_access()

    async def close(self) -> None:
        pass


@dataclass
class Scene:
    """database: of the one who may be killed. other: who comes after."""

    database: Doomed
    mortal: Looker
    other: Looker
    notion: NotionServer
    arrange: Arrange
    rows: int = 0

    async def row(self, steps: list[dict[str, Any]]) -> str:
        """One with which all but the last step was done; that one isn't seen yet."""
        self.rows += 1
        page = self.notion.make_page({"Name": f"Letter {self.rows}"}, ["Hello"])
        for n, properties in enumerate(steps, 1):
            self.notion.set(page, properties)
            if n < len(steps):
                await self.other.look(page)
        return page

    async def after(self, page: str) -> dict[str, Any]:
        """What the row and its mailout have come to."""
        row = await self.other.row(page)
        found = await self.arrange.sql.execute(
            "select status, schedule,"
            " (select count(*) from send_logs l where l.mailout_id = m.id and is_test) as tests,"
            " (select count(*) from audit_log a where target = m.id::text"
            "   and action = 'mailout.start') as starts"
            " from mailouts m where notion_page_id = %s",
            [page],
        )
        seen = (row.press, row.answered, row.delivery, row.problem is None)
        return {"row": seen, "mailout": await found.fetchone()}

    async def killed_look(self, page: str, at: int, *, committed: bool) -> None:
        self.database.left, self.database.committed = at, committed
        with pytest.raises(Killed):
            await self.mortal.look(page)
        self.database.left = None
        await self.arrange.sql.execute(  # time passes
            "update jobs set lease_until = now() - interval '1 s' where state = 'running';"
            "update jobs set due_at = now() where state = 'waiting'"
        )
        await self.other.recover()


@pytest.fixture
async def scene(
    dsn: str, postgres_database: PostgresDatabase, notion: NotionServer, arrange: Arrange
) -> AsyncIterator[Scene]:
    await arrange.subscribers(2)
    settings = notion_settings(dsn, notion, TEST_EMAILS="me@example.com")
    doomed = Doomed(postgres_database)
    async with looking(doomed, settings) as mortal, looking(postgres_database, settings) as other:
        yield Scene(doomed, mortal, other, notion, arrange)


LATER = {"Status": "Send", "Send at": "2027-02-01T09:00:00+00:00"}
STEPS = {
    "test": [{"Status": "Send test"}],
    "send": [{"Status": "Send"}],
    "send what was tested": [{"Status": "Send test"}, {"Status": "Send"}],
    "schedule": [LATER],
    "take back": [LATER, {"Status": "Draft"}],
    "pause": [{"Status": "Send"}, {"Status": "Pause"}],
    "resume": [{"Status": "Send"}, {"Status": "Pause"}, {"Status": "Send"}],
    "cancel": [LATER, {"Status": "Cancel"}],
}


async def check(scene: Scene, steps: list[dict[str, Any]], few: int | None) -> None:
    whole = await scene.row(steps)
    scene.database.calls = 0
    await scene.mortal.look(whole)
    expected, calls = await scene.after(whole), scene.database.calls
    places = [(at, committed) for at in range(2, calls + 1) for committed in (False, True)]
    for at, committed in random.sample(places, few) if few else places:
        page = await scene.row(steps)
        await scene.killed_look(page, at, committed=committed)
        assert await scene.after(page) == expected, f"killed at call {at}, {committed=}"


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("steps", [STEPS["send what was tested"], STEPS["take back"]])
async def test_a_look_that_is_killed_somewhere(scene: Scene, steps: list[dict[str, Any]]) -> None:
    await check(scene, steps, A_FEW)


@pytest.mark.short
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", STEPS)
async def test_a_look_that_is_killed_anywhere(scene: Scene, name: str) -> None:
    await check(scene, STEPS[name], None)
