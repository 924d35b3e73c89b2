"""Links are asked as far as the public internet goes, and no further."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.domain.networks import is_public
from app.outbound.pinned import asked
from app.services.checks import links as link_checks
from app.services.checks.links import check_links
from app.services.checks.web import MAX_REDIRECTS, Web, WebAnswer, web_client
from tests.support.certificates import self_signed, server_context

Answer = Callable[[str, str], tuple[int, dict[str, str]]]


@asynccontextmanager
async def server(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A web server on a free port; answer: status and headers for method and path."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, path, _ = request.split(" ", 2)
        status, headers = answer(method, path)
        lines = [f"HTTP/1.1 {status} x", "Content-Length: 0", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with running:
        yield running.sockets[0].getsockname()[1]


def resolving(**names: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """Names of this test's internet; `_` stands for a dot."""

    async def resolve(host: str, port: int) -> list[str]:
        address = names.get(host.replace(".", "_"), host)
        if address == "none":
            raise OSError
        return address.split(",")

    return resolve


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with web_client() as client:
        yield client


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "169.254.169.254",
     "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1",
     "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
     "ff02::1", "192.0.0.8", "192.0.0.192", "3fff::1", "2001:db8::1"],
)  # fmt: skip
def test_other_addresses_are_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]:8000/",
     "http://localhost/", "http://2130706433/", "http://0x7f.1/", "http://user:pw@10.0.0.1/"],
)  # fmt: skip
async def test_our_own_network_is_never_asked(http: httpx.AsyncClient, url: str) -> None:
    answer = await Web(http).ask(url)
    assert answer.status is None
    assert "private address" in answer.problem


async def test_neither_by_a_redirect(http: httpx.AsyncClient) -> None:
    async with server(lambda *_: (302, {"Location": "http://10.0.0.1/"})) as port:
        web = Web(http, resolving(good_example="127.0.0.1"), lambda a: a == "127.0.0.1")
        answer = await web.ask(f"http://good.example:{port}/")
    assert answer.status is None
    assert "private address" in answer.problem


async def test_neither_by_a_name_with_one_address_of_ours(http: httpx.AsyncClient) -> None:
    web = Web(http, resolving(odd_example="8.8.8.8,10.0.0.1"))
    assert "private address" in (await web.ask("http://odd.example/")).problem


async def test_the_connection_goes_to_the_address_that_was_checked(
    http: httpx.AsyncClient,
) -> None:
    """A name is resolved once per request: what it says the second time doesn't matter."""
    hosts: list[str] = []

    async def once(host: str, port: int) -> list[str]:
        hosts.append(host)
        return ["127.0.0.1"]

    async with server(lambda *_: (200, {})) as port:
        answer = await Web(http, once, lambda _: True).ask(f"http://no-such-name.example:{port}/")
    assert answer.status == 200
    assert hosts == ["no-such-name.example"]


async def test_redirects_are_followed_to_the_end(http: httpx.AsyncClient) -> None:
    def answer(method: str, path: str) -> tuple[int, dict[str, str]]:
        hop = int(path[1:])
        return (301, {"Location": f"/{hop - 1}"}) if hop else (404, {})

    async with server(answer) as port:
        web = Web(http, allowed=lambda _: True)
        assert (await web.ask(f"http://127.0.0.1:{port}/2")).status == 404
        loop = await web.ask(f"http://127.0.0.1:{port}/{MAX_REDIRECTS}")
        assert "redirects more than" in loop.problem


async def test_a_server_that_refuses_head_is_asked_by_get(http: httpx.AsyncClient) -> None:
    asked: list[str] = []

    def answer(method: str, path: str) -> tuple[int, dict[str, str]]:
        asked.append(method)
        return (405 if method == "HEAD" else 200), {}

    async with server(answer) as port:
        found = await Web(http, allowed=lambda _: True).ask(f"http://127.0.0.1:{port}/")
    assert found.status == 200
    assert asked == ["HEAD", "GET"]


async def test_what_does_not_answer_says_why(http: httpx.AsyncClient) -> None:
    web = Web(http, resolving(gone_example="none"), lambda _: True)
    assert "name that doesn't exist" in (await web.ask("http://gone.example/")).problem
    assert "can't be reached" in (await web.ask("http://127.0.0.1:9/")).problem
    assert "no web address" in (await web.ask("ftp://example.com/")).problem


async def test_the_first_address_that_takes_a_connection_is_taken(
    http: httpx.AsyncClient,
) -> None:
    async with server(lambda *_: (200, {})) as port:
        web = Web(http, resolving(two_example="127.0.0.2,127.0.0.1"), lambda _: True)
        assert (await web.ask(f"http://two.example:{port}/")).status == 200


async def test_the_certificate_is_checked_for_the_name(tmp_path: Path) -> None:
    """Though the connection goes to an address: by one who trusts it, and by one who doesn't."""
    certificate = self_signed(tmp_path, "secure.example")
    trusting = ssl.create_default_context(cafile=str(certificate))
    resolve = resolving(secure_example="127.0.0.1", other_example="127.0.0.1")
    async with (
        server(lambda *_: (200, {}), server_context(certificate)) as port,
        httpx.AsyncClient(verify=trusting, trust_env=False) as friend,
        web_client() as stranger,
    ):
        ask = Web(friend, resolve, lambda _: True).ask
        assert (await ask(f"https://secure.example:{port}/")).status == 200
        assert "no valid certificate" in (await ask(f"https://other.example:{port}/")).problem
        ask = Web(stranger, resolve, lambda _: True).ask
        assert "no valid certificate" in (await ask(f"https://secure.example:{port}/")).problem


async def test_findings_about_links(http: httpx.AsyncClient) -> None:
    async with server(lambda _, path: (int(path[1:]), {})) as port:
        base = f"http://127.0.0.1:{port}"
        web = Web(http, allowed=lambda _: True)
        found = await check_links([f"{base}/{n}" for n in (200, 204, 404, 403, 500)], web)
    assert [f.level for f in found] == ["warn", "warn", "warn", "ok"]
    assert "is dead: it answers 404" in found[0].what
    assert "answers 403 to a program" in found[1].what
    assert found[3].what == "2 links answered."


async def test_many_links_and_slow_ones_are_bounded(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Web):
        async def ask(self, url: str) -> WebAnswer:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(link_checks, "ALL_SECONDS", 0.05)
    found = await check_links([f"https://example.com/{n}" for n in range(60)], Slow(http))
    assert len(found) == link_checks.MAX_LINKS + 1
    assert all("in time" in f.what for f in found[:-1])
    assert "Only the first 50 of 60" in found[-1].what


async def test_the_next_address_is_asked_where_the_first_takes_no_connection() -> None:
    """Whether it is refused, or nobody answers: IPv6 that leads nowhere."""

    def reply(request: httpx.Request) -> httpx.Response:
        match request.url.host:
            case "2001:db8::1":
                raise httpx.ConnectTimeout("nobody answers")
            case "192.0.2.1":
                raise httpx.ConnectError("refused")
        return httpx.Response(204)

    addresses = ["2001:db8::1", "192.0.2.1", "192.0.2.2"]
    async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as client:
        async with asked(client, "POST", httpx.URL("http://example.com/"), addresses) as answer:
            assert answer.status_code == 204
        with pytest.raises(httpx.ConnectTimeout):
            async with asked(client, "GET", httpx.URL("http://example.com/"), addresses[:1]):
                pass
