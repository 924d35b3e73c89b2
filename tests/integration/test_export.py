"""The list as a file: complete, safe to open, and the same list when it is imported."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from typer.testing import CliRunner

from app.adapters.database.postgres import PostgresDatabase
from app.cli import exports
from app.domain.lists.export import BYTE_ORDER_MARK, ExportedRows
from app.domain.people import Filter
from app.ports import Database
from app.services.lists.export import PAGE, Export
from app.store import Store
from app.store.jobs import JobStore
from app.store.people import Place
from tests.support.dashboard import Visitor
from tests.support.factories import Arrange
from tests.support.imports import import_file
from tests.support.lists import SUBSCRIBER, cells
from tests.support.service import BEARER, Service
from tests.support.wide import examples

STORED = (
    "select email, name, status, tags, fields, timezone, created_at, consent from subscribers"
    ' order by email collate "C"'
)
HEADER = "\ufeffemail,name,status,tags,timezone,created_at,consent"


@pytest.fixture
def jobs(postgres_database: PostgresDatabase) -> JobStore:
    return JobStore(postgres_database)


async def text_of(store: Store, wanted: Filter | None = None) -> str:
    return "".join([part async for part in Export(store, wanted or Filter()).parts()])


async def stored(arrange: Arrange) -> list[dict[str, Any]]:
    return list(await (await arrange.sql.execute(STORED)).fetchall())


async def put(arrange: Arrange, email: str, **columns: Any) -> None:
    consent = columns.pop("consent", None)
    if consent is not None:
        columns["consent"] = Jsonb(consent)
    await arrange.subscriber(email, **columns)


async def test_an_export_has_every_subscriber_and_field(store: Store, arrange: Arrange) -> None:
    at = "2024-01-02T03:04:05+00:00"
    await put(
        arrange, "b@example.com", name="Bo", status="bounced", tags=["x", "y"], created_at=at,
        timezone="Europe/Berlin", consent={"source": "sign-up"},
    )  # fmt: skip
    await put(
        arrange, "a@example.com", fields={"city": "Köln", "age": 5, "status": "x"}, created_at=at
    )
    assert await text_of(store) == (
        f"{HEADER},city,fields.status,json.age\r\n"
        f"a@example.com,,active,,,{at},,Köln,x,5\r\n"
        f'b@example.com,Bo,bounced,x;y,Europe/Berlin,{at},"{{""source"": ""sign-up""}}",,,\r\n'
    )
    for wanted in (Filter(status="bounced"), Filter(tags=["y", "z"]), Filter(q="bo")):
        found = cells(await text_of(store, wanted))
        assert [row[0] for row in found] == ["email", "b@example.com"]


async def test_an_export_goes_on_from_page_to_page(direct_store: Store, arrange: Arrange) -> None:
    await arrange.subscribers(PAGE + 5)
    export = Export(direct_store, {})
    parts = [part async for part in export.parts()]
    assert len(parts) == 3
    assert export.count == PAGE + 5
    assert len({row[0] for row in cells("".join(parts))}) == PAGE + 6


async def test_what_was_written_elsewhere_is_exported_such_that_it_can_be_imported(
    direct_store: Store, jobs: JobStore, arrange: Arrange
) -> None:
    """An invisible character that came by SQL doesn't lose anybody."""
    await arrange.subscriber("an\u00adn@Example.com")
    await arrange.subscriber("Bob@exämple.de")
    content = await text_of(direct_store)
    await arrange.sql.execute("delete from subscribers")
    done = await import_file(direct_store, jobs, content.encode())
    assert (done["added"], done["refused"]) == (2, 0)
    addresses = await arrange.sql.execute("select address from subscribers order by address")
    assert [row["address"] for row in await addresses.fetchall()] == [
        "ann@example.com",
        "bob@xn--exmple-cua.de",
    ]


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(subscribers=st.lists(SUBSCRIBER, min_size=1, max_size=5))
@example(
    subscribers=[
        {"fields": {";'=": "", ";=": ";'="}, "consent": {"source": ";'=1"}, "tags": [";'=", "'=1"]}
    ]
)
async def test_an_export_imported_is_the_same_list(
    direct_store: Store, jobs: JobStore, arrange: Arrange, subscribers: list[dict[str, Any]]
) -> None:
    """In the same database not a byte changes; in an empty one all comes back: states, tags,
    fields of any name and type, times, consent."""
    await arrange.sql.execute("delete from subscribers")
    for number, subscriber in enumerate(subscribers):
        await put(arrange, f"Reader{number}@example.com", **subscriber)
    before = await stored(arrange)
    content = (await text_of(direct_store)).encode()
    again = await import_file(direct_store, jobs, content)
    assert (again["rows"], again["unchanged"]) == (len(subscribers), len(subscribers))
    assert await stored(arrange) == before

    await arrange.sql.execute("delete from subscribers")
    done = await import_file(direct_store, jobs, content)
    assert (done["preset"], done["added"]) == ("AmazonSender", len(subscribers))
    for was, now in zip(before, await stored(arrange), strict=True):
        if was["consent"] is None:  # of which nothing was known; now it is, where it came from
            assert now.pop("consent")["source"] == "import"
            del was["consent"]
        assert now == was


ODD = [
    {"name": "a\x7fb"}, {"name": "\x7f" * 40}, {"name": "a\x01b"}, {"name": "x" * 300},
    {"name": "a\tb\u200b"},
    {"name": "=1"}, {"tags": ["a;b", "=1"]}, {"tags": ["'", "@x"]}, {"timezone": "+x"},
    {"consent": {"n": 1.10, "m": [1, -2e-7], "s": ": 5 \x7f\n\u00e4\""}},
    {"fields": {"n": 1e300, "a": "\x1e", "b": [], "c": {"x": 2.50}, "": "=", "%s": "%", "'": '"'}},
    {"fields": {"n": "text", "b": "", "huge": 10**400}}, {"fields": {"long": 10**30}},
]  # fmt: skip


@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(subscribers=st.lists(SUBSCRIBER, min_size=1, max_size=5))
@example(subscribers=ODD)
async def test_people_written_from_lines_are_those_written_from_json(
    store: Store, arrange: Arrange, subscribers: list[dict[str, Any]]
) -> None:
    """Byte for byte; the way by JSON is the plain one, and slow."""
    await arrange.sql.execute("delete from subscribers")
    emails = ["Reader{}@Example.com", "reader{}@ex\u00e4mple.de", "r\u00adeader{}@example.com"]
    for number, subscriber in enumerate(subscribers):
        await put(arrange, emails[number % 3].format(number), **subscriber)
    await arrange.unusable_subscriber("\u212aate@example.com")
    await arrange.unusable_subscriber("nobody")
    rows = ExportedRows(*await store.subscriber_field_names())
    page = await store.subscribers_page({}, PAGE)
    assert page.next is None
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([rows.header(), *map(rows.row, page.items)])
    assert await text_of(store) == BYTE_ORDER_MARK + out.getvalue()


@pytest.mark.parametrize(
    "wanted", [Filter(), Filter(status="active"), Filter(status="bounced"), Filter(tags=["a"])]
)
async def test_small_pages_have_the_people_of_a_large_one(
    direct_store: Store, arrange: Arrange, wanted: Filter
) -> None:
    """In the same order, those without an address last, whatever the limit."""
    for number in range(9):
        await put(
            arrange, f"r{number}@example.com", status=("active", "bounced")[number % 3 == 0],
            tags=["a"] if number % 2 else [],
        )  # fmt: skip
    for email in ("nobody", "\u212aate@example.com"):
        await arrange.unusable_subscriber(email)
    page = await direct_store.subscribers_page(wanted, PAGE)
    rows = ExportedRows([], [])
    expected = [rows.row(item)[0] for item in page.items]
    assert expected
    for limit in (1, 2, 3, 5, 20):
        found: list[str] = []
        after: Place | None = None
        for _ in range(20):
            part = await direct_store.export_page(wanted, limit, after, [], [])
            columns = rows.columns(part.people, part.count)
            assert columns is not None
            assert len(columns[0]) == part.count <= limit
            found += columns[0]
            if (after := part.next) is None:
                break
        assert (found, after) == (expected, None)


async def test_field_names_are_of_texts_and_of_other_values(store: Store, arrange: Arrange) -> None:
    """Also those of the last one, when nearly all names are known; lists aren't looked into."""
    await arrange.subscribers(1_100)
    assert await store.subscriber_field_names() == ([], [])
    await arrange.sql.execute("""update subscribers set fields = '{"a": "x", "b": 1}'""")
    assert await store.subscriber_field_names() == (["a"], ["b"])
    for fields, names in (
        ('{"a": "", "b": 2}', (["a"], ["a", "b"])),
        ('{"a": "x", "b": "text"}', (["a", "b"], ["b"])),
        ('{"a": ["x"], "c": ["y"], "d": {}, "e": null}', (["a"], ["a", "b", "c", "d", "e"])),
        ('{"": "x"}', (["", "a"], ["b"])),
    ):
        await arrange.sql.execute(
            "update subscribers set fields = case id when (select max(id::text)::uuid "
            """from subscribers) then %s else '{"a": "x", "b": 1}' end::jsonb""",
            [fields],
        )
        assert await store.subscriber_field_names() == names


async def test_any_number_of_fields_is_exported(store: Store, arrange: Arrange) -> None:
    texts = {f"text{n:03}": f"t{n}" for n in range(150)}
    others = {f"other{n:03}": n for n in range(150)}
    await put(arrange, "ann@example.com", fields=texts | others)
    header, row = cells(await text_of(store))
    assert header[7:] == [*texts, *(f"json.{name}" for name in others)]
    assert row[7:] == [*texts.values(), *map(str, others.values())]


async def test_nobody_is_left_out_of_an_export_where_few_fit_and_one_is_read_as_json(
    direct_store: Store, arrange: Arrange
) -> None:
    """The way by JSON may look at fewer people for a page, and is followed to the page's end."""
    await arrange.subscribers(4_500)
    await arrange.sql.execute(
        """update subscribers s set fields = '{"k": "v"}', name = case n when 1 then e'a\\x7fb' end
             from (select id, row_number() over (order by address) as n from subscribers) r
            where r.id = s.id and (n <= 400 or n > 4400)"""
    )
    export = Export(direct_store, Filter(fields={"k": "v"}))
    found = cells("".join([part async for part in export.parts()]))
    assert len({row[0] for row in found}) == len(found) == export.count + 1 == 501


async def test_most_people_are_written_from_lines(database: Database, arrange: Arrange) -> None:
    """One call for each page, and none for who has a field, tags, consent or a doubtful cell."""
    await put(arrange, "Ann@example.com", name="=1", tags=["a;b"], consent={"n": 1},
              fields={"city": "Ulm", "n": 1})  # fmt: skip

    class Counting(Store):
        async def subscribers_page(self, *_: Any) -> Any:
            raise AssertionError("somebody is read as JSON")

    assert "'=1" in await text_of(Counting(database))


async def test_the_list_is_downloaded_by_http(quiet: Service, arrange: Arrange) -> None:
    await arrange.subscriber(
        "b@example.com", status="bounced", tags=["vip"], fields={"city": "Ulm"}
    )
    await arrange.subscriber("a@example.com")
    answer = await quiet.http.get("/subscribers/export.csv", headers=BEARER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"\xef\xbb\xbfemail,")
    assert [row[0] for row in cells(answer.content.decode())[1:]] == [
        "a@example.com",
        "b@example.com",
    ]
    for query in ("status=bounced", "tag=vip&q=b", "field.city=Ulm"):
        some = await quiet.http.get(f"/subscribers/export.csv?{query}", headers=BEARER)
        assert [row[0] for row in cells(some.text)[1:]] == ["b@example.com"], query
    visitor = Visitor(quiet)
    assert (await visitor.get("/subscribers/export.csv")).status_code == 303
    await visitor.sign_in()
    page = (await visitor.get("/subscribers?tag=vip")).text
    assert "/dashboard/subscribers/export.csv?tag=vip" in page
    some = await visitor.get("/subscribers/export.csv?tag=vip")
    assert [row[0] for row in cells(some.text)[1:]] == ["b@example.com"]
    for query in ("status=odd", "sttus=active"):
        assert (
            await quiet.http.get(f"/subscribers/export.csv?{query}", headers=BEARER)
        ).status_code == 422
    assert (await quiet.http.get("/subscribers/export.csv")).status_code == 401


async def test_a_file_is_never_replaced_by_chance(
    dsn: str, arrange: Arrange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only with --force, and then by a complete file; what fails leaves nothing behind."""
    await arrange.subscriber("a@example.com")
    monkeypatch.setenv("DATABASE_URL", dsn)
    app = typer.Typer()
    app.command()(exports.export)
    file = tmp_path / "all.csv"

    async def export(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, words)
        return done.exit_code, done.output

    assert await export(str(file)) == (0, f"1 subscribers written to {file}.\n")
    file.write_text("mine")
    code, said = await export(str(file))
    assert code != 0
    assert "--force" in said
    assert file.read_text() == "mine"
    assert (await export(str(tmp_path / "no" / "all.csv")))[0] != 0
    code, said = await export("/dev/full")  # a device is written to, never replaced
    assert (code, "can't be written" in said) == (1, True)
    assert Path("/dev/full").is_char_device()
    assert (await export(str(file), "--force"))[0] == 0
    assert "a@example.com" in file.read_text()
    code, said = await export("-")
    assert (code, "a@example.com" in said) == (0, True)

    async def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("gone")

    monkeypatch.setattr(PostgresDatabase, "call", fails)
    assert (await export(str(file), "--force"))[0] != 0
    assert "a@example.com" in file.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]
