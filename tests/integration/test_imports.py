"""Imports from the file to the report: what is found, what goes wrong, and who takes over."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.domain.states import SUBSCRIBER_STATUSES
from app.errors import DatabaseUnavailable
from app.services.imports.imports import MODES, Imports, Options
from app.services.imports.seen import SeenAddresses
from app.store import Store
from app.store.jobs import JobStore
from tests.support.factories import Arrange
from tests.support.imports import counts, import_file, in_parts, run, shown, taken_back

RANKS = {"active": 0, "pending": 0, "bounced": 1, "unsubscribed": 2, "complained": 3}

MAILCHIMP = b"""\
Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,TAGS\r
ann@example.com,Ann,Arber,2,2020-01-02 03:04:05,1.2.3.4,\"\"\"VIP\"\",\"\"Blog\"\"\"\r
nobody,,,,,,\r
ANN@example.com,Other,,,,,\r
"""


@pytest.fixture
def jobs(postgres_database: PostgresDatabase) -> JobStore:
    return JobStore(postgres_database)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.imports.run_import.CHUNK_ROWS", 10)
    monkeypatch.setattr("app.services.imports.run_import.AWAY_SECONDS", 0.0)


def people(count: int) -> bytes:
    """That many, and after each tenth a row that is refused and one that came before."""
    rows = ["email,name"]
    for n in range(count):
        rows.append(f"reader{n}@example.com,Reader {n}")
        if n % 10 == 9:
            rows += ["nonsense,x", f"READER{n}@example.com,Again"]
    return "\n".join(rows).encode()


async def test_a_tool_s_export_is_recognised_and_reported(
    direct_store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    done = await import_file(direct_store, jobs, MAILCHIMP, tags=("all",))
    assert (done["state"], done["preset"], done["encoding"], done["delimiter"]) == (
        "done", "Mailchimp", "UTF-8", ",",
    )  # fmt: skip
    assert counts(done) == {"added": 1, "repeated": 1, "refused": 1}
    assert not done["has_file"]
    ann = await direct_store.find_subscriber(email="ann@example.com")
    assert ann is not None
    assert (ann["name"], ann["tags"]) == ("Other", ["VIP", "Blog", "all"])
    assert ann["consent"] == {
        "source": "import", "import_id": done["id"], "at": "2020-01-02T03:04:05+00:00",
    }  # fmt: skip
    change = await arrange.one("select array[by, reason, import_id::text] from subscriber_changes")
    assert change == ["import", "imported", done["id"]]
    rejected = [part async for part in Imports(direct_store).rejected(UUID(done["id"]))]
    assert "".join(rejected).splitlines()[1].startswith("3,\"the address can't be used")


async def test_a_question_is_answered_with_the_file_that_is_there(
    direct_store: Store, jobs: JobStore
) -> None:
    content = b"email,Newsletter\nann@example.com,no\nbob@example.com,yes\n"
    asked = await import_file(direct_store, jobs, content)
    assert (asked["state"], asked["rows"]) == ("question", 0)
    [question] = asked["question"]
    assert question["column"] == "Newsletter"
    assert {"column": "Newsletter", "meaning": "opted_in"}.items() <= question["answers"][0].items()
    started = await Imports(direct_store).answer(
        UUID(asked["id"]), by="owner", mapping={"Newsletter": "opted_in"}
    )
    await run(direct_store, jobs, started)
    done = await shown(direct_store, UUID(asked["id"]))
    assert (done["state"], counts(done), done["question"]) == ("done", {"added": 2}, None)
    ann = await direct_store.find_subscriber(email="ann@example.com")
    assert ann is not None
    assert ann["status"] == "unsubscribed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"email\nann@example.com\n", mtime=0), "gzip"),
        (b"PK\x03\x04" + b"\0" * 40, "zip"),
        (b"email,name\n\n", "no rows"),
        (b'email,name\nann@example.com,"Ann\nbob@example.com,Bob\n', "line 2"),
        (b"name,city\nAnn,Rom\n", "no column email"),
    ],
)
async def test_a_file_that_is_none_changes_nothing(
    direct_store: Store, jobs: JobStore, arrange: Arrange, content: bytes, words: str
) -> None:
    failed = await import_file(direct_store, jobs, content)
    assert (failed["state"], failed["rows"], failed["has_file"]) == ("failed", 0, False)
    assert words in failed["error"]
    assert await arrange.one("select count(*) from subscribers") == 0


async def test_rows_that_no_database_can_hold_are_refused_one_by_one(
    direct_store: Store, jobs: JobStore
) -> None:
    content = b"email,name\nann@example.com,A\0nn\nbob@example.com,<b>=1+1</b>\n" + (
        b"eve@example.com," + b"x" * 1_100_000 + b"\n"
    )
    done = await import_file(direct_store, jobs, content)
    assert (done["state"], counts(done)) == ("done", {"added": 1, "refused": 2})
    _, rows = await direct_store.list_import_refusals(UUID(done["id"]), -1, 9)
    assert [row["line"] for row in rows] == [2, 4]


class _Interrupted(Store):
    """Its process is killed, or its answer is lost, at the third chunk, before it is written or
    after."""

    def __init__(self, database: PostgresDatabase, error: BaseException, *, after: bool) -> None:
        super().__init__(database)
        self._error: BaseException | None = error
        self._after = after
        self._chunks = 0

    async def import_chunk(self, *args: Any, **named: Any) -> int | None:
        self._chunks += 1
        error = self._error if self._chunks == 3 else None
        if error and not self._after:
            raise error
        done = await super().import_chunk(*args, **named)
        if error:
            raise error
        return done


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [False, True])
async def test_whoever_goes_on_after_a_kill_does_nothing_twice(
    postgres_database: PostgresDatabase, jobs: JobStore, arrange: Arrange, after: bool
) -> None:
    store = _Interrupted(postgres_database, _Killed(), after=after)
    content = people(50)
    started = await Imports(store).upload(in_parts(content, 7), Options(), by="owner")
    with pytest.raises(_Killed):
        await run(store, jobs, started)
    # The fourth chunk is written beside the third, and counts only behind it.
    assert (await shown(store, UUID(started["id"])))["rows"] in ({30, 40} if after else {20})
    await arrange.sql.execute("update jobs set lease_until = now() - interval '1 second'")
    await run(store, jobs, started)
    done = await shown(store, UUID(started["id"]))
    assert (done["state"], counts(done)) == ("done", {"added": 50, "repeated": 5, "refused": 5})
    assert await arrange.one("select count(*) from subscriber_changes") == 55
    assert await arrange.one("select count(*) from import_refusals") == 5


@pytest.mark.parametrize("after", [False, True])
async def test_a_database_that_goes_away_costs_nothing(
    postgres_database: PostgresDatabase, jobs: JobStore, arrange: Arrange, after: bool
) -> None:
    store = _Interrupted(postgres_database, DatabaseUnavailable("away"), after=after)
    done = await import_file(store, jobs, people(50))
    assert (done["state"], counts(done)) == ("done", {"added": 50, "repeated": 5, "refused": 5})
    assert await arrange.one("select count(*) from subscriber_changes") == 55


async def test_a_number_beyond_all_measure_holds_nothing_up(
    direct_store: Store, jobs: JobStore
) -> None:
    content = (
        "uuid,email,attributes,status\n"
        '1,ann@example.com,"{""n"": 12345678901234567890123, '
        '""m"": [-9223372036854775808]}",enabled\n'
    )
    done = await import_file(direct_store, jobs, content.encode())
    assert counts(done) == {"added": 1}
    ann = await direct_store.find_subscriber(email="ann@example.com")
    assert ann is not None
    assert ann["fields"] == {"n": "12345678901234567890123", "m": [-(2**63)]}


@pytest.mark.parametrize("apart", [0, 30])
async def test_rows_of_one_person_are_as_if_they_stood_in_two_files(
    direct_store: Store, jobs: JobStore, arrange: Arrange, apart: int
) -> None:
    """Within what is written at once, and beyond."""
    between = [f"reader{n}@example.com,,,," for n in range(apart)]
    rows = [
        "email,name,tags,city,status",
        "a@example.com,Ann,x,,active",
        *between,
        "A@example.com,,y,Ulm,bounced",
        "a@EXAMPLE.com,Ann B,x,,unsubscribed",
    ]
    done = await import_file(direct_store, jobs, "\n".join(rows).encode())
    assert counts(done) == {"added": 1 + apart, "repeated": 2}
    ann = await direct_store.find_subscriber(email="a@example.com")
    assert ann is not None
    assert (ann["name"], ann["tags"], ann["fields"]) == ("Ann B", ["x", "y"], {"city": "Ulm"})
    assert (ann["status"], ann["bounce_type"]) == ("unsubscribed", None)
    undo = await taken_back(direct_store, jobs, done["id"])
    assert (undo["deleted"], undo["left"]) == (1 + apart, {})


async def test_who_left_does_not_come_back_in_another_spelling(
    direct_store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    """The database isn't sure of this domain's script; the program is."""
    left = await arrange.unusable_subscriber("ann@ⵜⴰⵎ.example", status="unsubscribed")
    content = b"email\nann@xn--4lj2cvb.example\n"
    tried = await import_file(direct_store, jobs, content, dry_run=True)
    assert await arrange.one("select email from subscribers") == "ann@ⵜⴰⵎ.example"
    assert tried["state"] == "done"
    done = await import_file(direct_store, jobs, content)
    assert counts(done) == {"unchanged": 1}
    found = await direct_store.find_subscriber(email="ann@xn--4lj2cvb.example")
    assert found is not None
    assert (found["id"], found["status"]) == (str(left), "unsubscribed")


def files(chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Some imports: their mode and the file."""
    for _ in range(5):
        rows = [
            (chance.randrange(20), chance.choice(SUBSCRIBER_STATUSES))
            for _ in range(chance.randrange(1, 40))
        ]
        lines = [f"reader{n}@example.com,{status}" for n, status in rows]
        content = "\n".join(["email,status", *lines]).encode()
        yield chance.choice(MODES), content


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("seed", range(4))
async def test_a_status_never_rises_by_any_import_in_any_order(
    direct_store: Store, jobs: JobStore, arrange: Arrange, seed: int
) -> None:
    chance = random.Random(seed)
    for n in range(10):
        await arrange.subscriber(
            f"reader{n}@example.com", status=chance.choice(SUBSCRIBER_STATUSES)
        )
    first = before = await statuses(arrange)
    done = []
    for mode, content in files(chance):
        result = await import_file(direct_store, jobs, content, mode=mode)
        assert result["state"] == "done", result["error"]
        assert result["rows"] == content.count(b"\n")
        done.append(result["id"])
        after = await statuses(arrange)
        for email, status in before.items():
            same = after[email] == status
            assert same or RANKS[after[email]] > RANKS[status], (mode, email, status, after[email])
        before = after
    if seed % 2:  # taken back in the other order, nothing is left of them
        for import_id in reversed(done):
            assert (await taken_back(direct_store, jobs, import_id, limit=7))["left"] == {}
        assert await statuses(arrange) == first
    else:  # in any order, nobody gets above where they were at first
        chance.shuffle(done)
        for import_id in done:
            await taken_back(direct_store, jobs, import_id, limit=7)
        last = await statuses(arrange)
        for email, status in first.items():
            assert last[email] == status or RANKS[last[email]] > RANKS[status]


async def statuses(arrange: Arrange) -> dict[str, str]:
    rows = await arrange.sql.execute("select email, status from subscribers")
    return {row["email"]: row["status"] async for row in rows}


def test_a_million_addresses_are_told_apart_in_little_memory() -> None:
    seen = SeenAddresses()
    assert all(seen.add(f"reader{n}@example.com") for n in range(20_000))
    assert not any(seen.add(f"reader{n}@example.com") for n in range(0, 20_000, 7))
