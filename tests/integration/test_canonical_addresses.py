"""The database and the program have one form for each mailbox, whoever writes it and however."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import DictRow, dict_row

from app.adapters.database.migrations import migrate
from app.domain.addresses import InvalidAddress, canonical_address
from app.store import Store
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.wide import examples
from tests.unit.test_addresses import REFUSED

Sql = psycopg.AsyncConnection[DictRow]


def here(text: str) -> str | None:
    """The program's form; None when it refuses."""
    try:
        return canonical_address(text)
    except InvalidAddress:
        return None


async def there(sql: Sql, texts: list[str]) -> list[str | None]:
    """The database's form of each, in one call."""
    done = await sql.execute(
        "select canonical_address(t) as address from unnest(%s::text[]) with ordinality u (t, n) "
        "order by n",
        [texts],
    )
    return [row["address"] for row in await done.fetchall()]


def same_or_unsure(text: str, database: str | None) -> bool:
    """The database may refuse a domain that it isn't sure of; it never has another form."""
    program = here(text)
    return database == program or (database is None and not text.rpartition("@")[2].isascii())


SPELLINGS = [
    "ann@exämple.de",
    "Ann@Exämple.de",
    "ANN@EXÄMPLE.DE",
    "ann@exa\u0308mple.de",
    "ann@xn--exmple-cua.de",
    "ANN@XN--EXMPLE-CUA.DE",
    "ann@ex\u200bämple.de",
    "an\u00adn@exämple.de",
    "\ufeffann@exämple.de",
    " ann@exämple.de\u00a0\n",
    "\u202aann@exämple.de\u202c",
    "ann@exämple。de",
    "ann@ｅｘämple．de",
]


@pytest.mark.few_variants(4)
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_is_one_subscriber(
    sql: Sql, arrange: Arrange, store: Store, spelling: str
) -> None:
    """Found by any of them, and a second one is refused."""
    ann = await arrange.subscriber("ann@exämple.de")
    address = await arrange.one("select address from subscribers")
    assert address == "ann@xn--exmple-cua.de"
    found = await store.find_subscriber(email=spelling)
    assert found is not None
    assert (found["id"], found["email"]) == (str(ann), "ann@exämple.de")
    with pytest.raises(psycopg.errors.UniqueViolation, match="subscribers_address"):
        await arrange.subscriber(spelling)
    assert canonical_address(spelling) == address


@pytest.fixture
async def turkish(postgres_server: DatabaseServer) -> AsyncIterator[Sql]:
    """A migrated database whose lower case is Turkish."""
    with postgres_server.turkish_database() as name:
        await migrate(postgres_server.dsn(name))
        async with await psycopg.AsyncConnection.connect(
            postgres_server.dsn(name), autocommit=True, row_factory=dict_row
        ) as connection:
            yield connection


async def test_a_turkish_database_compares_local_parts_in_ascii(turkish: Sql) -> None:
    """There lower('I') is no i: INFO@ and info@ must not be two."""
    arrange = Arrange(turkish)
    assert await arrange.one("select lower('I')") == "ı"
    await arrange.subscriber("INFO@EXAMPLE.COM")
    assert await arrange.one("select address from subscribers") == "info@example.com"
    with pytest.raises(psycopg.errors.UniqueViolation):
        await arrange.subscriber("info@example.com")
    spellings = ["INFO@DIŞ.com", "info@dış.com", "INFO@Müller.DE"]
    assert await there(turkish, spellings) == [here(spelling) for spelling in spellings]


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.short)])
async def test_every_character_in_a_domain_reads_as_the_program_reads_it(
    sql: Sql, step: int
) -> None:
    """One by one: within a label, and at its beginning where marks are not allowed. Of the large
    scripts, whose characters are all alike, some; all that Unicode writes in another way. Every
    seventh of them in the suite."""
    characters = [
        chr(n)
        for n in range(0x80, 0x30000)
        if not 0xD800 <= n < 0xF900  # surrogates, private use
        and (n < 0x3100 or n % 23 == 0 or unicodedata.normalize("NFKC", chr(n)) != chr(n))
        and not 0xAC00 < n < 0xD7A3
    ][::step]
    certain = 0
    for form in ("x@a{}b.example", "x@{}b.example"):
        texts = [form.format(char) for char in characters]
        for text, database in zip(texts, await there(sql, texts), strict=True):
            assert same_or_unsure(text, database), ascii(text)
            certain += database is not None
    assert certain > 10_000 / step


async def test_every_character_in_a_local_part(sql: Sql) -> None:
    texts = [
        form.format(chr(n))
        for n in (*range(1, 0x600), *range(0x2000, 0x2100), *range(0xFE00, 0x10000))
        for form in ("a{}b@example.com", "{}b@example.com", "b{}@example.com", "b@example.com{}")
    ]
    for text, database in zip(texts, await there(sql, texts), strict=True):
        assert database == here(text) or not text.rpartition("@")[2].isascii(), ascii(text)


PIECES = st.sampled_from(
    "abzABZ019-._+@ ,;<>\"'()[]\t\n"
    "äÄßẞéÉğıİşŞøØłŁæœŒσςΣαΑάΆйЙёЁїЇӐհՀ"
    "アーｱ例え漢。．｡한ㅎתבאﬁﬀابپ٣۳เ่ा्भ"
    "\u00ad\u200b\u200c\u200d\u200e\ufeff\u2060\u0301\u0308\u0327\u00a0\u3000\u202e"
)


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.builds(
            "{}@{}.{}".format,
            st.text(PIECES, max_size=8),
            st.text(PIECES, max_size=16),
            st.sampled_from(["example", "com", "рф", "テスト", "xn--p1ai", ""]),
        )
        | st.text(PIECES, max_size=30)
        | st.builds("{}@{}".format, st.just("x"), st.text(min_size=1, max_size=12)),
        min_size=20,
        max_size=20,
    )
)
async def test_any_text_reads_alike_in_both(sql: Sql, texts: list[str]) -> None:
    """The same form, or the database refuses; what has a form is stable."""
    texts = [text.replace("\0", "") for text in texts]
    texts = [text for text in texts if not any("\ud800" <= char < "\ue000" for char in text)]
    for text, database in zip(texts, await there(sql, texts), strict=True):
        assert same_or_unsure(text, database), ascii(text)
    forms = [form for form in map(here, texts) if form is not None]
    assert await there(sql, forms) == forms


DOMAINS = (
    "müller.de", "straße.de", "MÜNCHEN.de", "łódź.pl", "ığdır.com.tr", "ŞIŞLI.tr", "țară.ro",
    "ελλάδα.gr", "ΟΔΌΣ.gr", "яндекс.рф", "ЁЛКА.рф", "україна.укр", "հայաստան.հայ",
    "საქართველო.გე",
    "ישראל.co.il", "مثال.إختبار", "भारत.भारत", "தமிழ்.இந்தியா", "ไทย.ไทย", "例え.テスト",
    "中国.中国", "한국.한국", "việtnam.vn", "azərbaycan.az", "ශ්රී.ලංකා",
)  # fmt: skip


async def test_domains_of_all_large_scripts_are_read_by_the_database(sql: Sql) -> None:
    """Refusing is for the odd ones only."""
    for domain in DOMAINS:
        [database] = await there(sql, [f"info@{domain}"])
        assert database is not None, domain
        assert database == here(f"info@{domain}")


WRITABLE = [
    (address, reason)
    for address, reason in REFUSED
    # What PostgreSQL or the table refuses before, and what only needs trimming.
    if 0 < len(address) <= 320 and not set(address) & {"\0", "\ud800"} and not here(address)
]


async def test_what_cannot_be_mailed_is_refused_with_a_reason_and_a_remedy(
    arrange: Arrange,
) -> None:
    """Whoever writes it; the address isn't repeated, as errors are logged."""
    for address, reason in WRITABLE:
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            await arrange.subscriber(address)
        said = caught.value.diag.message_primary or ""
        assert said.startswith("The subscriber's email can't be mailed: "), ascii(address)
        assert caught.value.diag.message_hint, ascii(address)
        assert len(address) < 5 or address not in said
        assert reason.strip() in said or "is not a domain" in said or "longer than 254" in said


async def test_an_edit_of_the_email_moves_the_address(arrange: Arrange, sql: Sql) -> None:
    """By hand too, and nobody can set the address to something else."""
    ann = await arrange.subscriber("Ann@example.com")
    await sql.execute("update subscribers set email = 'Ann.New@Example.com' where id = %s", [ann])
    assert await arrange.one("select address from subscribers") == "ann.new@example.com"
    await sql.execute("update subscribers set address = 'else@example.com' where id = %s", [ann])
    assert await arrange.one("select address from subscribers") == "ann.new@example.com"
    with pytest.raises(psycopg.errors.CheckViolation):
        await sql.execute("update subscribers set email = 'nobody' where id = %s", [ann])


async def test_a_role_that_may_only_write_subscribers_can(sql: Sql, arrange: Arrange) -> None:
    """Such as an importer of the owner's, which isn't allowed our functions."""
    await sql.execute("create role importer_of_theirs")
    try:
        await sql.execute("grant insert, select on subscribers to importer_of_theirs")
        await sql.execute("create policy theirs on subscribers to importer_of_theirs using (true)")
        await sql.execute("set role importer_of_theirs")
        await sql.execute("insert into subscribers (email) values ('Ann@Example.com')")
        await sql.execute("reset role")
        assert await arrange.one("select address from subscribers") == "ann@example.com"
    finally:
        await sql.execute("reset role")
        await sql.execute("drop owned by importer_of_theirs")
        await sql.execute("drop role importer_of_theirs")


async def test_pages_are_in_the_order_of_addresses_and_lose_nobody(
    store: Store, arrange: Arrange
) -> None:
    """Upper case doesn't come first; a page ends and begins where the one before ended."""
    for email in ("b@example.com", "A@example.com", "c@exämple.de", "a.b@example.com"):
        await arrange.subscriber(email)
    for email in ("Ü@x", "ä@y"):
        await arrange.unusable_subscriber(email)
    seen: list[str] = []
    page = await store.subscribers_page({}, 2)
    seen += [row["email"] for row in page.items]
    while page.next is not None:
        page = await store.subscribers_page({}, 2, page.next)
        seen += [row["email"] for row in page.items]
    assert seen[:4] == ["a.b@example.com", "A@example.com", "b@example.com", "c@exämple.de"]
    assert sorted(seen[4:]) == sorted(["Ü@x", "ä@y"])


PLAIN = ["ann@example.com", "Ann+x@Example.com", "a.b-c_d@x-y.example.co", "o'neil@a1.de"]
CLOSE = ["a@-b.com", "a@b-.com", "a@b.-com", "a@b..com", ".a@b.com", "a.@b.com", "=?x?=@b.com",
         "a@b.c0m-", "a@b.0", f"{'a' * 60}@b.com", f"a@{'d' * 64}.test", " ann@b.com",
         "ann@b.com\n", "\u212aate@b.com", "ann@ex\u00e4mple.de"]  # fmt: skip


@pytest.mark.few_variants(8)
@pytest.mark.parametrize("email", [*PLAIN, *CLOSE, *(text for text, _ in WRITABLE)])
async def test_an_address_that_is_given_along_is_believed_only_where_it_is_right(
    sql: Sql, email: str
) -> None:
    """Imports give it; with it a row is stored, or refused, as without it."""
    outcomes = []
    for address in ("null", 'lower(%(email)s collate "C")', "'somebody@else.example'", "%(email)s"):
        try:
            async with sql.transaction(force_rollback=True):
                done = await sql.execute(
                    "insert into subscribers (email, address) "
                    f"values (%(email)s, {address}) returning address".encode(),
                    {"email": email},
                )
                outcomes.append([row["address"] for row in await done.fetchall()])
        except psycopg.errors.CheckViolation as refused:
            outcomes.append([refused.diag.message_primary])
    assert all(outcome == outcomes[0] for outcome in outcomes), outcomes
