"""What an upgrade reads of the time before moves were counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.store import Store
from tests.support.factories import Arrange

FILE = Path(__file__).parents[2] / "migrations" / "0027_list_moves.sql"
BEFORE = """
drop table list_moves, list_moves_since;
drop function list_slot, list_source, list_move;
drop function count_list_gains, count_list_moves, count_list_losses, forget_list_moves cascade
"""


async def moves(arrange: Arrange) -> dict[tuple[str, str], int]:
    done = await arrange.sql.execute(
        "select move, source, sum(people)::int as n from list_moves group by move, source"
    )
    return {(row["move"], row["source"]): row["n"] async for row in done}


async def test_an_upgrade_counts_what_the_history_tells(
    direct_store: Store, arrange: Arrange
) -> None:
    sql = arrange.sql

    async def as_(by: str, statement: str) -> None:
        async with sql.transaction():
            await sql.execute("select acting(%s, 'asked')", [by])
            await sql.execute(statement.encode())

    add: Any = "insert into subscribers (email, status) values ('{}@example.com', '{}')".format
    for name in ("ann", "bob", "cleo", "dora"):
        await as_("import", add(name, "active"))
    await as_("sign-up", add("pia", "pending"))
    await as_("key shop", add("left", "unsubscribed"))
    status: Any = "update subscribers set status = '{}' where email = '{}@example.com'".format
    await as_("link", status("unsubscribed", "ann"))
    await as_("dashboard", status("active", "ann"))
    await as_("ses", status("bounced", "bob"))
    await as_("sign-up", status("active", "pia"))
    await as_("dashboard", "delete from subscribers where email = 'cleo@example.com'")
    await direct_store.erase_subscriber("dora@example.com", "owner")
    await arrange.subscriber("old@example.com", created_at="2020-01-01")  # before the history
    await sql.execute(
        "delete from subscriber_changes where subscriber_id = "
        "(select id from subscribers where email = 'old@example.com')"
    )
    counted = await moves(arrange)
    for statement in BEFORE.split(";"):
        await sql.execute(statement.encode())
    await sql.execute(f"begin; {FILE.read_text('utf-8')}; commit".encode())
    read = await moves(arrange)
    # Of whom an erasure left no word nothing is told; the one before the history came somehow.
    unread = {("erased", "api"), ("new", "database")}
    assert read == {
        **{move: n for move, n in counted.items() if move not in unread},
        ("new", "import"): counted["new", "import"] - 1,
        ("new", "unknown"): 1,
    }
    gained = sum(n for (move, _), n in read.items() if move in {"new", "back"})
    lost = sum(read.values()) - gained
    active = "select count(*) from subscribers where status = 'active'"
    assert gained - lost == await arrange.one(active) == 3
    await arrange.subscriber("after@example.com")  # and counting goes on
    assert (await moves(arrange))["new", "database"] == 1
