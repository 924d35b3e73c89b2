"""A direct connection to PostgreSQL: `DATABASE_URL`, or the embedded server."""

from __future__ import annotations

import asyncio
import functools
import re
import select
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb, set_json_loads
from psycopg_pool import AsyncConnectionPool

from app.adapters.database.liveness import NEVER_GIVEN_UP, LivenessProbe
from app.adapters.database.sqlstates import UNWRITABLE, is_outage, outage, retrying_conflicts
from app.domain.untrusted import plain, read_json
from app.errors import ConfigurationError, DatabaseError, DatabaseUnavailable

# A call that takes longer is given up; SQL functions work in slices far below this.
CALL_SECONDS = 30.0

# Of the database's own words in an error, so much is kept: our functions' messages are shorter.
MESSAGE_CHARS = 1_000

# A server that refuses us for good, in its words or a pooler's: libpq keeps the SQLSTATE of a
# failed connection to itself. Other words, also these in another language, are waited for.
_REFUSALS = (
    "password authentication failed", "authentication failed for user", "no password supplied",
    "wrong password", "no pg_hba.conf entry", "not permitted to log in", "does not exist",
    "no such database", "no such user", "tenant or user not found",
    "permission denied for database", "is not currently accepting connections",
)  # fmt: skip

# What libpq says of a parameter that it can't use; and Python's name look-up of a host.
_UNUSABLE = re.compile(
    r"invalid (?:\w+ value|port number)|may not be used with|when SSL support is not compiled in"
)
CONNECT_ERRORS = (psycopg.Error, OSError, UnicodeError)

# A connection that answered this short a time ago isn't asked again whether it is alive: that would
# double the calls of an idle service. So long the kernel asks nobody either (keepalives_idle), and
# whoever ends a connection shows it at once. One that was cut off silently fails the call that
# meets it as it would fail the question, and as soon (liveness.py).
TRUSTED_SECONDS = 30.0

_CONNECTION_SETTINGS: dict[str, Any] = {
    "autocommit": True,  # one call is one statement is one transaction
    "prepare_threshold": None,  # a transaction pooler gives each statement another connection
    "fallback_application_name": "amazonsender",
    # A network that swallows packets is noticed: libpq's manual, "Connection Parameters".
    "keepalives_idle": round(TRUSTED_SECONDS),
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 4000,
}


class _Connection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that remembers when it last answered (seconds, monotonic)."""

    answered_at = 0.0

    @property
    def looks_alive(self) -> bool:
        """Whether it answered lately and the server has sent nothing since: one that shuts down
        sends a word or closes the connection, and both would show."""
        if time.monotonic() - self.answered_at > TRUSTED_SECONDS:
            return False
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)


class PostgresDatabase:
    """`ports.Database` over a pool of connections that finds back after an outage by itself.

    dsn: libpq connection string or URL. min_size, max_size: connections.
    timeout: seconds after which an unreachable database is DatabaseUnavailable.
    """

    def __init__(
        self, dsn: str, *, min_size: int = 1, max_size: int = 10, timeout: float = 4.0
    ) -> None:
        try:
            psycopg.conninfo.conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # The cause is dropped on purpose: it quotes the string, password and all.
            raise ConfigurationError("DATABASE_URL is not a PostgreSQL address") from None
        self._dsn = dsn
        self._timeout = timeout
        self._options = {**_CONNECTION_SETTINGS, "connect_timeout": max(2, round(timeout))}
        self._liveness = LivenessProbe(self._greet)
        self._running: set[asyncio.Task[Any]] = set()
        self._opened = False
        self._pool = AsyncConnectionPool(
            dsn,
            connection_class=_Connection,
            kwargs=self._options,
            configure=_configure,
            check=self._check,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            reconnect_timeout=timeout,
            name="amazonsender",
            open=False,
        )

    async def open(self) -> None:
        """Start connecting in the background. `call` does it too when it wasn't done."""
        if not self._opened:
            self._opened = True
            await self._pool.open()

    async def check_access(self) -> None:
        """Connect once beside the pool, which doesn't tell why it can't.

        Raises ConfigurationError when the server refuses us for good (user, password, database),
        DatabaseUnavailable with what is wrong.
        """
        try:
            await self._greet()
        except CONNECT_ERRORS as error:
            raise not_connected(error) from error

    async def _greet(self) -> None:
        async with await _Connection.connect(self._dsn, **self._options) as connection:
            await connection.execute("")

    async def close(self) -> None:
        self._opened = True
        await self._pool.close()

    async def call(self, function: str, /, **arguments: Any) -> Any:
        await self.open()
        query = _query(function, tuple(arguments))
        values = {name: _parameter(value) for name, value in arguments.items()}
        to_the_end = function in NEVER_GIVEN_UP
        return await retrying_conflicts(lambda: self._bounded(query, values, to_the_end))

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """`ports.Listen`: a connection of its own that hears what is sent to this channel."""
        try:
            connection = await psycopg.AsyncConnection.connect(self._dsn, **self._options)
        except CONNECT_ERRORS as error:
            raise DatabaseUnavailable("No connection to listen by") from error
        async with connection:
            try:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            except psycopg.Error as error:
                raise _translated(error) from error
            yield _heard(connection)

    async def _bounded(self, query: bytes, values: dict[str, Any], to_the_end: bool) -> Any:
        """Run it in a task of its own, which cleans up after itself when its time is over.

        Cancelling a query asks the server and waits for it, up to ten seconds with psycopg. A
        caller of a frozen server must not wait that long.
        """
        try:
            async with asyncio.timeout(self._timeout) as limit:
                task = asyncio.create_task(self._execute(query, values, limit))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                try:
                    if to_the_end:
                        return await asyncio.shield(task)
                    return await self._liveness.wait_for(task)
                finally:
                    task.cancel()
        except TimeoutError:
            raise DatabaseUnavailable("The database doesn't answer in time") from None

    async def _execute(self, query: bytes, values: dict[str, Any], limit: asyncio.Timeout) -> Any:
        try:
            async with self._pool.connection() as connection:
                _stop_if_left(limit)
                limit.reschedule(asyncio.get_running_loop().time() + CALL_SECONDS)
                row = await (await connection.execute(query, values)).fetchone()
                connection.answered_at = time.monotonic()
        except psycopg.Error as error:
            raise _translated(error) from error
        except (orjson.JSONDecodeError, RecursionError) as error:
            # Not as an outage, which would be everybody's: only this call meets what is odd.
            raise DatabaseError("The database's answer can't be read", sqlstate=None) from error
        except (TypeError, UnicodeEncodeError) as error:  # half of a surrogate pair, for one
            raise DatabaseError("The arguments can't be written", sqlstate=UNWRITABLE) from error
        return row[0] if row else None

    async def _check(self, connection: _Connection) -> None:
        """The pool's check before it hands out a connection. Raises when it is dead."""
        if connection.looks_alive:
            return
        try:
            await connection.execute("")
        except psycopg.OperationalError:
            # The server was gone, so the pool's other connections are dead, too. To find out one
            # by one would take seconds.
            await self._pool.drain()
            raise


async def _heard(connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[str]:
    """What is sent to it. Raises DatabaseUnavailable when the connection breaks.

    The socket wakes us: psycopg would look ten times a second whether it is to end, which was most
    of what a service at rest took of the processor.
    """
    try:
        heard = [each async for each in connection.notifies(timeout=0)]  # came with an answer
        while True:
            for notification in heard:
                yield notification.payload
            await _readable(connection.fileno())
            heard = [each async for each in connection.notifies(timeout=1, stop_after=1)]
    except psycopg.Error as error:
        raise DatabaseUnavailable("The connection to listen by broke") from error


async def _readable(descriptor: int) -> None:
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(descriptor)


def _stop_if_left(limit: asyncio.Timeout) -> None:
    """Ends this task when its caller no longer waits. The pool swallows a cancellation that comes
    together with a connection (so does asyncio.wait_for before Python 3.12), and what the caller
    was told didn't happen must not happen afterwards."""
    task = asyncio.current_task()
    if limit.expired() or (task and task.cancelling()):
        raise asyncio.CancelledError


def not_connected(error: Exception) -> ConfigurationError | DatabaseUnavailable:
    """Why there is no connection, one of CONNECT_ERRORS, in libpq's or the server's words.

    ConfigurationError: the server refuses us for good, or a parameter can't be used. The words
    name user, host, port, database and parameters, never the password (connection_string.py
    refuses the texts of which a piece of it could pass for one of those).
    """
    words = " ".join(str(error).split())
    if any(refusal in words.lower() for refusal in _REFUSALS):
        return ConfigurationError(f"The database refuses us, check DATABASE_URL: {words}")
    if _UNUSABLE.search(words) or not isinstance(error, psycopg.OperationalError | OSError):
        return ConfigurationError(f"DATABASE_URL can't be used: {words}")
    return DatabaseUnavailable(
        f"The database can't be reached; check DATABASE_URL, and that the server runs: {words}"
    )


async def _configure(connection: _Connection) -> None:
    set_json_loads(read_json, connection)
    connection.answered_at = time.monotonic()


@functools.lru_cache
def _query(function: str, names: tuple[str, ...]) -> bytes:
    """The call with named arguments. Qualified, so that the user's search_path doesn't matter."""
    arguments = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in names
    )
    return (
        sql.SQL("select {}({})")
        .format(sql.Identifier("public", function), arguments)
        .as_bytes(None)
    )


def _parameter(value: Any) -> Any:
    """Numbers go as literals without a type, as texts do: the function's declaration decides.

    So an int fits `numeric` and `bigint` alike, as it does over Supabase's API.
    """
    match value:
        case dict() | list():
            return Jsonb(value, dumps=orjson.dumps)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return value


def _translated(error: psycopg.Error) -> DatabaseUnavailable | DatabaseError:
    """Ours for psycopg's. No SQLSTATE: there was no answer, only a broken connection."""
    if error.sqlstate is not None and is_outage(error.sqlstate):
        return DatabaseUnavailable(outage(error.sqlstate))
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return DatabaseUnavailable("The database can't be reached, or the connection broke")
    words = plain(error.diag.message_primary or str(error), MESSAGE_CHARS)
    unwritable = error.sqlstate is None and isinstance(error, psycopg.DataError)
    return DatabaseError(words, sqlstate=UNWRITABLE if unwritable else error.sqlstate)
