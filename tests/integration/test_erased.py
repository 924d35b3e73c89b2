"""Erased people are known by a keyed hash alone; only their own sign-up brings them back."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

import psycopg
import pytest
from psycopg.rows import DictRow

from tests.support.factories import Arrange
from tests.support.waiting import eventually

Sql = psycopg.AsyncConnection[DictRow]

ANN = "ann@xn--exmple-cua.de"
SPELLINGS = ["Ann@Exämple.de", " ANN@XN--EXMPLE-CUA.DE ", "ann\u200b@exämple.de"]


@pytest.fixture
async def erased_ann(sql: Sql) -> None:
    await sql.execute("insert into erased (address_hash) values (erased_hash(%s))", [ANN])


async def test_the_hash_is_hmac_of_the_address_with_a_key_of_its_own(arrange: Arrange) -> None:
    made = await arrange.sql.execute("select inner_key, outer_key from erased_key")
    row = await made.fetchone()
    assert row is not None
    key = bytes(octet ^ 0x36 for octet in row["inner_key"])
    assert bytes(octet ^ 0x5C for octet in row["outer_key"]) == key
    assert len(set(key)) > 32  # random, not constant
    expected = hmac.new(key, ANN.encode(), hashlib.sha256).digest()
    assert await arrange.one("select erased_hash(%s)", ANN) == expected


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_no_spelling_brings_an_erased_person_back(
    arrange: Arrange, erased_ann: None, spelling: str
) -> None:
    assert await arrange.one("select is_erased(%s)", spelling)
    with pytest.raises(psycopg.errors.CheckViolation, match="erased at their own request") as told:
        await arrange.subscriber(spelling)
    assert told.value.diag.constraint_name == "erased"
    bob = await arrange.subscriber("bob@example.com")
    with pytest.raises(psycopg.errors.CheckViolation, match="erased"):
        await arrange.sql.execute(
            "update subscribers set email = %s where id = %s", [spelling, bob]
        )


async def test_others_are_not_concerned(arrange: Arrange, erased_ann: None) -> None:
    bob = await arrange.subscriber("bob@example.com")
    await arrange.sql.execute("update subscribers set email = 'rob@x.org' where id = %s", [bob])
    assert not await arrange.one("select is_erased('bob@example.com')")
    assert not await arrange.one("select is_erased('no address')")
    assert await arrange.one("select erased_among(%s) = %s", ["bob@example.com", ANN, None], [ANN])


async def test_who_signs_up_comes_back_with_the_confirmation(
    arrange: Arrange, erased_ann: None
) -> None:
    """A stranger may type the address into the form: that alone changes nothing."""
    sql = arrange.sql
    async with sql.transaction():
        await sql.execute("select set_config('amazonsender.signed_up', 'on', true)")
        await arrange.subscriber(ANN, status="pending")
    assert await arrange.one("select is_erased(%s)", ANN)
    await arrange.bring_back_everybody()
    assert not await arrange.one("select is_erased(%s)", ANN)


async def test_any_role_that_may_write_subscribers_is_refused_too(
    arrange: Arrange, erased_ann: None
) -> None:
    """Who may add rows needs no right to read the hashes or their key."""
    sql = arrange.sql
    async with sql.transaction(force_rollback=True):
        await sql.execute("grant insert, select on subscribers to authenticated")
        await sql.execute(
            "create policy writes on subscribers for insert to authenticated with check (true)"
        )
        await sql.execute("set local role authenticated")
        await sql.execute("insert into subscribers (email) values ('bob@example.com')")
        with pytest.raises(psycopg.errors.CheckViolation, match="erased"):
            async with sql.transaction():
                await sql.execute("insert into subscribers (email) values (%s)", [ANN])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await sql.execute("select * from erased_key")


async def test_who_is_being_erased_is_not_added_at_the_same_moment(
    dsn: str, arrange: Arrange
) -> None:
    """An import that waits for the row of somebody who is being erased sees the erasure."""
    await arrange.subscriber(ANN)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as other:
        pid = other.info.backend_pid
        async with arrange.sql.transaction():
            await arrange.sql.execute("select erase_subscriber(%s, 'owner')", [ANN])
            adding = asyncio.create_task(
                other.execute("insert into subscribers (email) values (%s)", [ANN])
            )
            waiting = "select wait_event_type from pg_stat_activity where pid = %s"
            await eventually(lambda: arrange.one(waiting, pid), until=lambda event: event == "Lock")
        with pytest.raises(psycopg.errors.CheckViolation, match="erased"):
            await adding
    assert await arrange.one("select count(*) from subscribers") == 0
