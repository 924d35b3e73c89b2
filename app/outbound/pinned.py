"""Requests to an address that was checked. A name may lead elsewhere when it is asked for again, so
whoever may not be led into a private network asks the address and says the name beside it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx


async def resolve_name(host: str, port: int, threads: Executor | None = None) -> list[str]:
    """The addresses of a name. Raises OSError when it has none. threads: to wait in; None: those
    of the loop."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(threads, ask)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def no_cookies() -> CookieJar:
    """For a client that asks addresses: cookies would go to every name that is at one."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@asynccontextmanager
async def asked(
    http: httpx.AsyncClient,
    method: str,
    target: httpx.URL,
    addresses: Sequence[str],
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> AsyncIterator[httpx.Response]:
    """The answer of the first of the addresses that takes a connection (IPv6 may not work here, and
    that may show only by nobody answering), its body not read yet. The certificate is checked for
    the name. Raises httpx.HTTPError."""
    *others, last = addresses
    for address in others:
        try:
            answer = await _sent(http, _request(http, method, target, address, headers, content))
            break
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    else:
        answer = await _sent(http, _request(http, method, target, last, headers, content))
    try:
        yield answer
    finally:
        await answer.aclose()


async def _sent(http: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """httpx reads where a redirect leads also where it doesn't follow, and raises what is no error
    of its own for `http://xn--/`."""
    try:
        return await http.send(request, stream=True)
    except UnicodeError:
        raise httpx.RemoteProtocolError("It redirects to no address.") from None


def _request(
    http: httpx.AsyncClient,
    method: str,
    target: httpx.URL,
    address: str,
    headers: Mapping[str, str] | None,
    content: bytes | None,
) -> httpx.Request:
    return http.build_request(
        method,
        target.copy_with(host=address, userinfo=b"", fragment=None),
        content=content,
        headers={"Host": target.netloc.decode("ascii"), **(headers or {})},
        extensions={"sni_hostname": target.raw_host.decode("ascii")},
    )
