"""Connections that outlast a test, as those of a service outlast a call.

A new one takes PostgreSQL 3 ms, and again as much until it knows the tables and functions that a
test uses; nearly every test needs a few. So what one test closed stays open beside its database,
and the next one that gets this database gets the connections, too.
"""

from __future__ import annotations

import asyncio
import functools
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo, pq
from psycopg.rows import DictRow

from app.adapters.database import postgres

AT_MOST = 8
"""Of each kind and database: a service with its sender has five."""

# What a session may have changed; no statement of ours or of a test is prepared by name.
_AS_NEW = b"""
reset session authorization; reset role; reset all; unlisten *; close all; discard temp;
discard sequences; select pg_advisory_unlock_all()
"""


class KeptConnections:
    def __init__(self) -> None:
        self._idle: dict[str, dict[str, list[psycopg.AsyncConnection[Any]]]] = {}
        """By the database's address, which has been told; then by what asked for it and how."""

    def keep_for(self, dsn: str) -> None:
        """From now on what is closed of this database stays open."""
        self._idle.setdefault(_same(dsn), {})

    def drop(self, dsn: str) -> None:
        """Close what is open of it, and keep nothing more of it."""
        for connections in self._idle.pop(_same(dsn), {}).values():
            _finish(connections)

    def renew(self, dsn: str) -> list[int]:
        """Make what is open of it as new; gives the process ids of the server."""
        pids = []
        for kind, connections in self._idle.get(_same(dsn), {}).items():
            alive = [each for each in connections if _is_idle(each)]
            _finish([each for each in connections if each not in alive])
            self._idle[_same(dsn)][kind] = alive
            for connection in alive:
                result = connection.pgconn.exec_(_AS_NEW)
                assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
                pids.append(connection.info.backend_pid)
        return pids

    def close(self) -> None:
        while self._idle:
            for connections in self._idle.popitem()[1].values():
                _finish(connections)

    def take(self, dsn: str, kind: str) -> psycopg.AsyncConnection[Any] | None:
        idle = self._idle.get(_same(dsn), {}).get(kind, [])
        while idle:
            connection = idle.pop()
            if _is_idle(connection):
                return connection
            _finish([connection])
        return None

    def put(self, connection: psycopg.AsyncConnection[Any], dsn: str, kind: str) -> bool:
        """False: it isn't one to keep."""
        kinds = self._idle.get(_same(dsn))
        if kinds is None or not _is_idle(connection):
            return False
        idle = kinds.setdefault(kind, [])
        if len(idle) >= AT_MOST:
            return False
        connection._pool = None
        connection.lock = asyncio.Lock()  # the next may belong to another event loop
        idle.append(connection)
        return True


KEPT = KeptConnections()
"""This process's."""


class SqlConnection(psycopg.AsyncConnection[DictRow]):
    """The superuser's, of the fixture `sql`."""


def _finish(connections: list[psycopg.AsyncConnection[Any]]) -> None:
    for connection in connections:
        connection._closed = True
        connection.pgconn.finish()


@functools.lru_cache
def _same(dsn: str) -> str:
    """The server's address and the database, however they are written."""
    parts = conninfo.conninfo_to_dict(dsn)
    return "{port} {dbname} {user}".format(**{"port": "", "dbname": "", "user": ""} | parts)


def _is_idle(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Between two transactions, and the server has sent nothing since: neither a notification nor
    its end."""
    if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return not poll.poll(0)


@contextmanager
def connections_kept(set_attribute: Callable[[Any, str, Any], None]) -> Iterator[None]:
    """Those of the service's pools, and the test's own superuser's."""
    for kind in (postgres._Connection, SqlConnection):
        _keep(kind, set_attribute)
    try:
        yield
    finally:
        KEPT.close()


def _keep(
    cls: type[psycopg.AsyncConnection[Any]], set_attribute: Callable[[Any, str, Any], None]
) -> None:
    connect, close = cls.connect.__func__, cls.close  # type: ignore[attr-defined]

    async def connect_or_take(
        kind: type[psycopg.AsyncConnection[Any]], /, dsn: str = "", **options: Any
    ) -> psycopg.AsyncConnection[Any]:
        how = f"{kind.__name__} {sorted(options.items(), key=str)}"
        taken = KEPT.take(dsn, how)
        if taken is None:
            taken = await connect(kind, dsn, **options)
            taken.__dict__["_asked"] = (dsn, how)
        return taken

    async def close_or_put(self: Any) -> None:
        asked = self.__dict__.get("_asked")
        if self.closed or asked is None or not KEPT.put(self, *asked):
            await close(self)

    set_attribute(cls, "connect", classmethod(connect_or_take))
    set_attribute(cls, "close", close_or_put)
