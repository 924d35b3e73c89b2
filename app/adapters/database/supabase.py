"""Supabase's API, for those who have no database password: `SUPABASE_URL` and its secret key.

supabase-py's `.rpc()` is the only verb used: PostgREST runs the function in one transaction, as
the role that the key stands for. Needs `service_role`, the only one allowed to call ours.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
from postgrest.exceptions import APIError
from supabase import AsyncClient, AsyncClientOptions, SupabaseException, acreate_client

from app.adapters.database.liveness import NEVER_GIVEN_UP, LivenessProbe
from app.adapters.database.postgres import CALL_SECONDS, MESSAGE_CHARS
from app.adapters.database.sqlstates import UNWRITABLE, is_outage, outage, retrying_conflicts
from app.domain.untrusted import plain, read_json
from app.errors import ConfigurationError, DatabaseError, DatabaseUnavailable
from app.outbound.bounded import bounded

# PostgREST's code for a JWT that it can't verify. The gateway before it answers 401 without one.
_KEY_REFUSED = "PGRST301"

MAX_BYTES = 32_000_000
"""Of an answer: far beyond a file of 5 MB in base64, the longest there is."""

_COME_AGAIN = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.REQUEST_TIMEOUT}


class SupabaseDatabase:
    """`ports.Database` over `POST /rest/v1/rpc/FUNCTION`.

    url: the project's address. key: its `sb_secret_…` key, or the older `service_role` JWT.
    timeout: seconds to connect and to get a connection of ours; an answer may take CALL_SECONDS.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 4.0) -> None:
        self._url, self._key = url, key
        self._client: AsyncClient | None = None
        self._liveness = LivenessProbe(lambda: self._call("schema_status", {}))
        limits = bounded(MAX_BYTES, CALL_SECONDS)
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, read=CALL_SECONDS),
            event_hooks={
                "request": limits["request"],
                "response": [*limits["response"], _refuse_gateway_errors],
            },
            trust_env=False,  # the environment's proxies are not meant for the database
        )

    async def open(self) -> None:
        """Check the address and the key's form; `call` does it too when it wasn't done."""
        if self._client is None:
            try:
                self._client = await acreate_client(
                    self._url,
                    self._key,
                    options=AsyncClientOptions(
                        httpx_client=self._http, auto_refresh_token=False, persist_session=False
                    ),
                )
            except SupabaseException as error:
                raise ConfigurationError(
                    "SUPABASE_URL or SUPABASE_SERVICE_ROLE_KEY is malformed"
                ) from error

    async def check_access(self) -> None:
        """Nothing to ask beforehand: every call tells all that is wrong."""

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, function: str, /, **arguments: Any) -> Any:
        if function in NEVER_GIVEN_UP:
            return await retrying_conflicts(lambda: self._call(function, arguments))
        return await retrying_conflicts(lambda: self._bounded(function, arguments))

    async def _bounded(self, function: str, arguments: dict[str, Any]) -> Any:
        work = asyncio.create_task(self._call(function, arguments))
        try:
            return await self._liveness.wait_for(work)
        finally:
            work.cancel()

    async def _call(self, function: str, arguments: dict[str, Any]) -> Any:
        await self.open()
        if self._client is None or self._http.is_closed:
            raise DatabaseUnavailable("The connection to Supabase is closed")
        try:
            answer = await self._client.rpc(function, arguments).execute()
        except APIError as error:
            raise _translated(error) from error
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(
                f"Supabase's API can't be reached ({type(error).__name__}): check SUPABASE_URL"
            ) from error
        except RecursionError as error:
            raise DatabaseError("The database's answer can't be read", sqlstate=None) from error
        except (TypeError, UnicodeEncodeError) as error:  # half of a surrogate pair, for one
            raise DatabaseError(
                f"The arguments of {function} can't be written", sqlstate=UNWRITABLE
            ) from error
        return answer.data


async def _refuse_gateway_errors(response: httpx.Response) -> None:
    """Judge by the status what comes from the gateway; APIError doesn't carry the status.

    Raises DatabaseError for a refused key or a wrong address, DatabaseUnavailable when it wasn't
    PostgREST who answered, though it may have done what was asked.
    """
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise DatabaseError(
            "Supabase refused the key: check SUPABASE_SERVICE_ROLE_KEY", sqlstate=_KEY_REFUSED
        )
    body = await response.aread()
    if response.is_success:
        if not _is_json(body):
            raise DatabaseUnavailable(
                "Something else answered in place of Supabase's API, such as a proxy's web page"
            )
        return
    if _is_postgrest_error(body):
        return
    if response.is_server_error or response.status_code in _COME_AGAIN:
        raise DatabaseUnavailable(f"Supabase's API answered {response.status_code}")
    raise DatabaseError(
        f"This is not Supabase's API (it answered {response.status_code}): check SUPABASE_URL",
        sqlstate=None,
    )


def _is_json(body: bytes) -> bool:
    try:
        read_json(body)
    except ValueError:
        return False
    except RecursionError:
        return True
    return True


def _is_postgrest_error(body: bytes) -> bool:
    try:
        error = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(error, dict) and isinstance(error.get("code"), str)


def _translated(error: APIError) -> DatabaseUnavailable | DatabaseError:
    if error.code is not None and is_outage(error.code):
        return DatabaseUnavailable(outage(error.code))
    return DatabaseError(
        plain(error.message, MESSAGE_CHARS) or "Supabase refused the call", sqlstate=error.code
    )
