"""A STAND-IN for PostgREST, whose binary can't be had here. Not PostgREST itself.

It does what PostgREST does with `POST /rest/v1/rpc/FUNCTION`, against the real database: becomes
the role of the key, calls the function with named arguments cast to their declared types in one
transaction, and answers JSON or PostgREST's error JSON. Behind Supabase's gateway, whose refusal
of an unknown key it plays too. Source of the rules: PostgREST's pages "Functions as RPC",
"Errors", "Transactions"; Supabase's pages "API keys" and "Timeouts". `pytest -m supabase` runs
the same suite against a live project.

Databases are told apart by the first part of the path: http://127.0.0.1:PORT/DATABASE/rest/v1/…
"""

from __future__ import annotations

import re
import socket
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import jwt
import orjson
import psycopg
import uvicorn
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_Connection: TypeAlias = psycopg.AsyncConnection[DictRow]

KEPT_DATABASES = 2
"""To so many databases connections are kept."""
JWT_SECRET = "the stand-in's secret, at least thirty-two bytes long"
AUTHENTICATOR_PASSWORD = "authenticator"
MAX_ROWS = 1000  # Supabase's default for rows of tables, views and table-returning functions
SCHEMA = "public"

# As on Supabase: who may log in, who bypasses row-level security, how long each may take, and
# what each is granted without asking. Our own revokes have to undo the last part.
ROLES_SQL = f"""
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password '{AUTHENTICATOR_PASSWORD}';
grant anon, authenticated, service_role to authenticator;
alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
"""
PRIVILEGES_SQL = """
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges in schema public
    grant all on sequences to anon, authenticated, service_role;
"""

FIND_FUNCTION_SQL = """
select p.proretset, p.provolatile = 'v' as writes, p.proconfig, t.typname as returns,
       coalesce(p.proargnames, '{}')::text[] as names,
       array(select format_type(a, null) from unnest(p.proargtypes) with ordinality u(a, n)
              order by n) as types,
       p.pronargs - p.pronargdefaults as required
  from pg_proc p join pg_type t on t.oid = p.prorettype
 where p.pronamespace = %s::regnamespace and p.proname = %s and p.prokind = 'f'
"""


def make_key(role: str) -> str:
    """A key such as Supabase hands out: a JWT that names the role."""
    return jwt.encode({"role": role, "iss": "supabase"}, JWT_SECRET, algorithm="HS256")


@dataclass(eq=False)
class _Refusal(Exception):
    """One of PostgREST's error answers."""

    status: int
    code: str | None
    message: str
    details: str | None = None
    hint: str | None = None

    def response(self) -> Response:
        error: dict[str, str | None] = {"message": self.message}
        if self.code is not None:
            error |= {"code": self.code, "details": self.details, "hint": self.hint}
        return _json(orjson.dumps(error), self.status)


class PostgrestStandIn:
    """The server, in a thread of its own. dsn_of: a database's name → the authenticator's DSN."""

    def __init__(self, dsn_of: Callable[[str], str]) -> None:
        self._dsn_of = dsn_of
        self._idle: OrderedDict[str, list[_Connection]] = OrderedDict()
        self._socket = socket.create_server(("127.0.0.1", 0))
        app = Starlette(
            routes=[Route("/{database}/rest/v1/rpc/{function}", self._rpc, methods=["POST"])],
            lifespan=self._lifespan,
        )
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def url(self, database: str) -> str:
        """What to give as SUPABASE_URL."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/{database}"

    def __enter__(self) -> Self:
        self._thread.start()  # requests queue up at the socket until it serves
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    async def _rpc(self, request: Request) -> Response:
        try:
            role = _role(request)
            arguments = _arguments(await request.body())
            async with self._connected(request.path_params["database"]) as connection:
                return await _call(connection, role, request.path_params["function"], arguments)
        except _Refusal as refusal:
            return refusal.response()

    @asynccontextmanager
    async def _connected(self, database: str) -> AsyncIterator[_Connection]:
        """A connection that no other request has, kept afterwards, as in PostgREST's pool."""
        connection = await self._living(database)
        try:
            yield connection
        finally:
            idle = connection.info.transaction_status == TransactionStatus.IDLE
            if idle and not connection.closed:
                self._idle.setdefault(database, []).append(connection)
                self._idle.move_to_end(database)
            else:
                await connection.close()
        await self._close_all_but(KEPT_DATABASES)

    async def _living(self, database: str) -> _Connection:
        """One that was kept, if the server hasn't ended it meanwhile, or a new one."""
        while kept := self._idle.get(database):
            connection = kept.pop()
            try:
                await connection.execute("")
            except psycopg.OperationalError:
                await connection.close()
            else:
                return connection
        try:
            return await psycopg.AsyncConnection.connect(
                self._dsn_of(database),
                row_factory=dict_row,
                autocommit=True,
                application_name="postgrest",
            )
        except psycopg.OperationalError as error:
            raise _Refusal(503, "PGRST000", "Database connection error") from error

    async def _close_all_but(self, databases: int) -> None:
        """All connections but those to the databases that were asked last."""
        while len(self._idle) > databases:
            for connection in self._idle.popitem(last=False)[1]:
                await connection.close()

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        yield
        await self._close_all_but(0)


def _role(request: Request) -> str:
    """Supabase's gateway looks at `apikey`, PostgREST at the bearer token."""
    try:
        jwt.decode(request.headers.get("apikey", ""), JWT_SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError as error:
        raise _Refusal(401, None, "Invalid API key") from error
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return "anon"
    try:
        return str(jwt.decode(token, JWT_SECRET, algorithms=["HS256"])["role"])
    except jwt.InvalidTokenError as error:
        raise _Refusal(401, "PGRST301", "No suitable key or wrong key type") from error


def _arguments(body: bytes) -> dict[str, Any]:
    try:
        arguments = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise _Refusal(400, "PGRST102", "Empty or invalid json") from error
    if not isinstance(arguments, dict):
        raise _Refusal(400, "PGRST102", "All object keys must match")
    return arguments


async def _call(
    connection: _Connection,
    role: str,
    name: str,
    arguments: dict[str, Any],
) -> Response:
    try:
        function = await _find(connection, name, arguments)
        async with connection.transaction():
            if not function["writes"]:
                await connection.execute("set transaction read only")
            await _become(connection, role, function["proconfig"] or [])
            row = await (
                await connection.execute(
                    _query(name, function, arguments), [orjson.dumps(arguments).decode()]
                )
            ).fetchone()
    except psycopg.Error as error:
        raise _refusal_of(error, role) from error
    if function["returns"] == "void":
        return Response(status_code=204)
    assert row is not None
    return _json((row["body"] or "null").encode(), 200)


async def _find(connection: _Connection, name: str, arguments: dict[str, Any]) -> DictRow:
    """The one function whose parameters these arguments fit, as in PostgREST's schema cache."""
    rows = await (await connection.execute(FIND_FUNCTION_SQL, [SCHEMA, name])).fetchall()
    fitting = [
        row
        for row in rows
        if set(row["names"][: row["required"]])
        <= set(arguments)
        <= set(row["names"][: len(row["types"])])
    ]
    if not fitting:
        signature = f"{SCHEMA}.{name}({', '.join(sorted(arguments))})"
        raise _Refusal(
            404, "PGRST202", f"Could not find the function {signature} in the schema cache"
        )
    if len(fitting) > 1:
        raise _Refusal(300, "PGRST203", "Could not choose the best candidate function")
    return fitting[0]


async def _become(connection: _Connection, role: str, function_settings: list[str]) -> None:
    """Take the role on, with the role's own settings, then the function's timeout."""
    own = await (
        await connection.execute("select rolconfig from pg_roles where rolname = %s", [role])
    ).fetchone()
    await connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    for setting in [*((own and own["rolconfig"]) or []), *function_settings]:
        key, _, value = setting.partition("=")
        if key == "statement_timeout":
            await connection.execute("select set_config(%s, %s, true)", [key, value])


def _query(name: str, function: DictRow, arguments: dict[str, Any]) -> sql.Composed:
    types = dict(zip(function["names"], function["types"], strict=False))
    given = sql.SQL(", ").join(
        sql.SQL("{0} := (select {0} from given)").format(sql.Identifier(key)) for key in arguments
    )
    call = sql.SQL("{}.{}({})").format(sql.Identifier(SCHEMA), sql.Identifier(name), given)
    if arguments:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(key), sql.SQL(types[key])) for key in arguments
        )
        head = sql.SQL("with given as (select * from json_to_record(%s) as _({})) ").format(columns)
    else:
        head = sql.Composed([sql.SQL("with given as (select %s::json) ")])
    if function["proretset"]:
        body = sql.SQL(
            "select coalesce(json_agg(found), '[]')::text as body from (select * from {} limit {})"
            " found"
        ).format(call, sql.Literal(MAX_ROWS))
    else:
        body = sql.SQL("select to_json({})::text as body").format(call)
    return head + body


def _refusal_of(error: psycopg.Error, role: str) -> _Refusal:
    if error.sqlstate is None:
        return _Refusal(503, "PGRST001", "Database client error")
    return _Refusal(
        _status_of(error.sqlstate, role),
        error.sqlstate,
        error.diag.message_primary or "",
        error.diag.message_detail,
        error.diag.message_hint,
    )


def _status_of(sqlstate: str, role: str) -> int:
    """PostgREST's table "Status Codes" of its page "Errors"; the first that fits holds."""
    if custom := re.fullmatch(r"PT(\d{3})", sqlstate):
        return int(custom[1])
    table = {
        "42501": 401 if role == "anon" else 403,
        "53400": 500, "42P17": 500, "P0001": 400, "25006": 405, "42883": 404, "42P01": 404,
        "23503": 409, "23505": 409,
        "08": 503, "53": 503, "28": 403, "P0": 500, "40": 500, "54": 500, "55": 500, "57": 500,
    }  # fmt: skip
    return next((table[code] for code in table if sqlstate.startswith(code)), 400)


def _json(body: bytes, status: int) -> Response:
    return Response(body, status, media_type="application/json")
