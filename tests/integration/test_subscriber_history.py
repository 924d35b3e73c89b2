"""Every change of a subscriber is kept, with who made it, whoever that was."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow

from tests.support.factories import Arrange

Sql = psycopg.AsyncConnection[DictRow]


async def history(sql: Sql, subscriber: UUID) -> list[dict[str, Any]]:
    rows = await sql.execute(
        "select by, reason, before, after from subscriber_changes where subscriber_id = %s "
        "order by id",
        [subscriber],
    )
    return await rows.fetchall()


async def test_what_anybody_changes_in_the_database(sql: Sql, arrange: Arrange) -> None:
    ann = await arrange.subscriber("ann@example.com", name="Ann", tags=["a"])
    await sql.execute("update subscribers set name = 'Anna', tags = '{a,b}' where id = %s", [ann])
    await sql.execute("update subscribers set name = 'Anna' where id = %s", [ann])  # no change
    async with sql.transaction():
        await sql.execute("select acting('dashboard', 'She asked for it.')")
        await sql.execute("update subscribers set status = 'unsubscribed' where id = %s", [ann])
    await sql.execute("delete from subscribers where id = %s", [ann])
    found = await history(sql, ann)
    assert [(row["by"], row["reason"]) for row in found] == [
        ("database", None),
        ("database", None),
        ("dashboard", "She asked for it."),
        ("database", None),
    ]
    assert found[1]["before"] == {"name": "Ann", "tags": ["a"]}
    assert found[1]["after"] == {"name": "Anna", "tags": ["a", "b"]}
    assert found[2]["after"] == {"status": "unsubscribed"}
    assert found[3]["before"]["email"] == "ann@example.com"
    assert found[3]["after"] is None


async def test_only_those_who_confirmed_get_mail(sql: Sql, arrange: Arrange) -> None:
    await arrange.subscriber(status="pending")
    await arrange.subscriber()
    mailout = await arrange.mailout()
    assert await arrange.one("select count_audience(%s)", mailout) == 1


@pytest.mark.parametrize("left", ["pending", "bounced", "unsubscribed", "complained"])
async def test_a_status_rises_only_with_a_reason(sql: Sql, arrange: Arrange, left: str) -> None:
    """Whoever writes; and no machine has one."""
    ann = await arrange.subscriber("ann@example.com", status=left)
    rise = "update subscribers set status = 'active'"
    for words in ("", "select acting('import', 'a file says so');", "select acting('ses', 'x');"):
        with pytest.raises(psycopg.errors.CheckViolation, match="by their own word") as refused:
            await sql.execute(words.encode() + rise.encode())
        assert "acting" in (refused.value.diag.message_hint or "")
    assert await arrange.one("select status from subscribers") == left
    await sql.execute(b"select acting('database', 'She asked by phone.');" + rise.encode())
    assert await arrange.one("select status from subscribers") == "active"
    assert (await history(sql, ann))[-1]["reason"] == "She asked by phone."
