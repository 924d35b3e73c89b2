"""The service works as an ordinary role that owns its database: it needs no superuser."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import conninfo

from app.adapters.database.migrations import migrate
from app.sandbox.server import SandboxServer
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually

SCRIPT = Path(__file__).parents[3] / "docker/postgres/20-service-role.sql"
PASSWORD = "Qd8rWm2kTz6yLp4n"


def run_script(dsn: str) -> None:
    """As psql runs it: its own commands are played."""
    lines = SCRIPT.read_text("utf-8").replace(":'password'", f"'{PASSWORD}'").splitlines()
    text = "\n".join(line for line in lines if not line.startswith((r"\getenv", "--")))
    with psycopg.connect(dsn, autocommit=True) as sql:
        for part in text.split(r" \gexec"):
            *statements, query = part.rsplit(";", 1) if ";" in part else ("", part)
            for statement in statements:
                if statement.strip():
                    sql.execute(statement.encode())
            if query.strip():
                for (made,) in sql.execute(query.encode()).fetchall():
                    sql.execute(made.encode())


async def test_a_mailout_by_an_ordinary_role(
    postgres_server: DatabaseServer, sandbox: SandboxServer
) -> None:
    """On a database that a superuser had migrated, as volumes of older versions are."""
    with postgres_server.database(new=True) as name:
        superuser = postgres_server.dsn(name)
        run_script(superuser)
        run_script(superuser)  # again does no harm
        dsn = conninfo.make_conninfo(superuser, user="amazonsender", password=PASSWORD)
        try:
            with psycopg.connect(superuser, autocommit=True) as sql:
                sql.execute("grant select on subscribers to anon")
            assert await migrate(dsn) == ["functions"]
            async with await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, row_factory=psycopg.rows.dict_row
            ) as sql:
                row = await (await sql.execute("select examine_database() as about")).fetchone()
                assert row
                assert (row["about"]["superuser"], row["about"]["open_grants"]) == (False, [])
                arrange = Arrange(sql)
                await arrange.subscribers(20)
                mailout = await arrange.mailout()
                async with in_process(settings_for(dsn, sandbox.url)) as service:
                    await service.healthy()
                    assert (await service.send(mailout)).status_code == 202
                    done = await eventually(
                        lambda: service.show(mailout), until=lambda s: s["status"] == "sent"
                    )
            assert done["counts"]["sent"] == 20
        finally:
            with psycopg.connect(superuser, autocommit=True) as sql:
                sql.execute("reassign owned by amazonsender to postgres")
                sql.execute("drop owned by amazonsender; drop role amazonsender")
