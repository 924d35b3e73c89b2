"""A process at rest asks seldom and learns at once of what another starts; where the connection
delivers nothing it asks more often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.errors import DatabaseUnavailable
from app.ports import Listen
from app.running.loops import Loops
from app.running.resting import ASLEEP_SECONDS, AWAKE_SECONDS, Resting
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.watching import find_work
from app.services.watching.find_work import LISTENING_SECONDS, FindWork
from app.settings import Settings
from app.store import Store
from app.store.jobs import JobStore
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually


@dataclass
class Counted:
    """A store that counts its questions."""

    store: Store
    asked: int = 0
    is_away: bool = False

    async def work_due(self, kinds: list[str], probe: str | None = None) -> dict[str, float]:
        self.asked += 1
        if self.is_away:
            raise DatabaseUnavailable("away")
        return await self.store.work_due(kinds, probe)


@dataclass
class AtRest:
    """A process with one loop, which looks for jobs and is asleep."""

    counted: Counted
    find: FindWork
    resting: Resting
    seconds: list[float] = field(default_factory=lambda: [0.0])
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def pass_by(self, seconds: float) -> None:
        self.seconds[0] += seconds

    async def woken(self) -> None:
        await asyncio.wait_for(self.news.wait(), 30)
        self.news.clear()


def at_rest(
    store: Store, listen: Listen | None, get_ready: Callable[[], object] = lambda: None
) -> AtRest:
    seconds, news = [1_000.0], asyncio.Event()
    resting = Resting(now=lambda: seconds[0])
    counted = Counted(store)
    pause = resting.pause("jobs", lambda: 1.0, news)
    assert pause() == 1.0
    seconds[0] += AWAKE_SECONDS
    assert pause() == ASLEEP_SECONDS
    find = FindWork(
        counted,  # type: ignore[arg-type]
        resting,
        listen,
        get_ready=get_ready,
        now=lambda: seconds[0],
    )
    return AtRest(counted, find, resting, seconds, news)


@asynccontextmanager
async def running(here: AtRest) -> AsyncIterator[AtRest]:
    async with Loops() as loops:
        here.find.start(loops)
        yield here


async def listens(here: AtRest) -> None:
    async def look() -> bool:
        return here.find.rings_come

    await eventually(look, until=bool)


async def test_a_start_by_another_is_heard_without_asking(
    postgres_database: PostgresDatabase, dsn: str
) -> None:
    async with running(at_rest(Store(postgres_database), postgres_database.listen)) as here:
        await listens(here)
        assert here.find.pause() == LISTENING_SECONDS
        asked = here.counted.asked
        assert asked <= 2, "at the start, and once it listens"
        another = PostgresDatabase(dsn)
        await JobStore(another).add_job("export", {})
        await another.close()
        await here.woken()
        assert here.counted.asked == asked + 1
        assert here.resting.is_awake("jobs")


async def test_whoever_will_send_gets_ready_while_a_start_is_still_checked(
    postgres_database: PostgresDatabase, dsn: str, arrange: Arrange
) -> None:
    """Where another process takes the request; a start that can't be doesn't trouble anybody."""
    ready = asyncio.Event()
    store = Store(postgres_database)
    settings = settings_for(dsn, "http://127.0.0.1:9")
    async with (
        running(at_rest(store, postgres_database.listen, ready.set)) as here,
        in_process(settings, with_sender=False) as quiet,
    ):
        await listens(here)
        await arrange.subscribers(1)
        for mailout in (uuid4(), await arrange.mailout("draft")):
            answer = await quiet.send(mailout)
            assert answer.status_code in {404, 409}
        assert not ready.is_set()
        asked = here.counted.asked
        broken = await arrange.mailout(body_html="<p>{{ </p>")
        answer = await quiet.send(broken)
        assert answer.status_code == 409, "refused after it was announced"
        await asyncio.wait_for(ready.wait(), 30)
        assert here.counted.asked == asked, "nothing is to be done yet"


async def test_where_nothing_is_delivered_it_asks_more_often_the_sooner_there_was_work(
    postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As through a pooler, which takes the words and gives the connection to somebody else."""
    monkeypatch.setattr(find_work, "PROBE_ANSWER_SECONDS", 0.01)
    deaf = at_rest(Store(postgres_database), lambda _: postgres_database.listen("elsewhere"))
    listening = asyncio.create_task(deaf.find.listen())
    while not listening.done():
        deaf.pass_by(find_work.GAP_SECONDS)
        await deaf.find.look()
        await asyncio.sleep(0)
    await listening
    assert not deaf.find.rings_come
    await deaf.find.look()
    pauses = []
    for _ in range(8):
        pauses.append(deaf.find.pause())
        deaf.pass_by(60)
    assert [round(seconds) for seconds in pauses] == [1, 1, 2, 3, 4, 5, 5, 5]
    await JobStore(postgres_database).add_job("export", {})
    await deaf.find.look()
    await deaf.woken()
    assert deaf.find.pause() == 1


async def test_what_becomes_due_is_found_then(
    postgres_database: PostgresDatabase, arrange: Arrange
) -> None:
    jobs = JobStore(postgres_database)
    async with running(at_rest(Store(postgres_database), postgres_database.listen)) as here:
        await listens(here)
        await jobs.add_job("export", {}, delay_seconds=5)

        async def pause() -> float:
            return here.find.pause()

        assert await eventually(pause, until=lambda seconds: seconds <= 5) > 0
        assert not here.resting.is_awake("jobs")
        await arrange.sql.execute("update jobs set due_at = now()")  # the time has come
        here.pass_by(5)
        assert here.find.pause() == 0


async def test_after_an_outage_it_listens_again_and_asks_at_once(
    postgres_database: PostgresDatabase, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_work, "RECONNECT_SECONDS", 0.01)
    async with running(at_rest(Store(postgres_database), postgres_database.listen)) as here:
        await listens(here)
        asked = here.counted.asked
        cut = (
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and query ilike 'listen%%'"
        )
        async with arrange.sql.transaction():  # nobody hears this one's ring
            await arrange.sql.execute(cut)
        await JobStore(postgres_database).add_job("export", {})
        await here.woken()
        assert here.counted.asked > asked
        await listens(here)
        here.pass_by(AWAKE_SECONDS)
        here.news.clear()
        await arrange.sql.execute("update jobs set due_at = now() where state = 'waiting'")
        await JobStore(postgres_database).add_job("export", {})
        await here.woken()


async def test_while_the_question_fails_all_look_by_themselves(direct_store: Store) -> None:
    here = at_rest(direct_store, None)
    here.counted.is_away = True
    with pytest.raises(DatabaseUnavailable):
        await here.find.look()
    await here.woken()
    assert here.resting.is_awake("jobs")


LOCAL = {"log", "report", "account", "waiting", "listening", "retention"}
"""Loops that ask the database only when there is something to say, or much less often."""


async def test_a_service_at_rest_asks_every_other_second_at_most(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So there is room for what is asked by the way, and for PostgreSQL's own look after itself."""
    monkeypatch.setattr("app.running.resting.AWAKE_SECONDS", 0.0)
    started: dict[str, Loops] = {}
    begin = Loops.start

    def noted(self: Loops, name: str, *arguments: object, **more: object) -> None:
        started[name] = self
        begin(self, name, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Loops, "start", noted)
    with SandboxServer(SandboxConfig()) as ses:
        await look_at_pauses(settings_for(dsn, ses.url), started)


async def look_at_pauses(settings: Settings, started: dict[str, Loops]) -> None:
    async with in_process(settings) as service:
        await service.healthy()

        async def seconds() -> dict[str, float]:
            return {
                name: loops._loops[name].seconds()
                for name, loops in started.items()
                if name not in LOCAL
            }

        # Until notifications are known to come, what is due is asked every second.
        pauses = await eventually(seconds, until=lambda found: found["work"] > 1)
        assert {"upkeep", "dispatch", "jobs", "hooks", "engagement", "heartbeat"} <= pauses.keys()
        calls = {"heartbeat": 2}
        asked = {name: calls.get(name, 1) / seconds for name, seconds in pauses.items()}
        assert sum(asked.values()) <= 0.5, asked
