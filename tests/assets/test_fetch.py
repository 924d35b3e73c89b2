"""Pictures are fetched from Notion, and from nowhere that we could be led to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from app.adapters.assets import fetch
from app.adapters.assets.fetch import PictureFetcher
from app.errors import PictureExpired, PictureRefused, Unavailable
from tests.assets.conftest import Files
from tests.support.local_server import Reply

NOTION = "https://api.notion.com"
SIGNED = "https://prod-files-secure.s3.us-west-2.amazonaws.com/ab/cat.png?X-Amz-Signature=secret"


def never(_: str) -> bool:
    return False


def resolving(*addresses: str) -> Callable[..., object]:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


async def test_a_file_arrives_as_it_is(files: Files) -> None:
    url = files.has("/cat.png", b"\x89PNG and so on")
    assert await PictureFetcher(files.url).fetch(f"{url}?signature=x") == b"\x89PNG and so on"
    sent = files.headers[0]
    assert "Authorization" not in sent and sent["Host"] == httpx.URL(url).netloc.decode()


async def test_redirects_are_followed_a_few_times(files: Files) -> None:
    files.has("/a", Reply(302, headers={"Location": "/b"}))
    files.has("/b", Reply(307, headers={"Location": f"{files.url}/c"}))
    files.has("/c", b"there")
    files.has("/round", Reply(302, headers={"Location": "/round"}))
    fetcher = PictureFetcher(files.url)
    assert await fetcher.fetch(f"{files.url}/a") == b"there"
    with pytest.raises(PictureRefused, match="redirects more than 5 times"):
        await fetcher.fetch(f"{files.url}/round")
    assert files.asked.count("/round") == 6


@pytest.mark.parametrize(
    "target",
    [
        "https://127.0.0.1:1/x",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://192.168.0.1/x",
    ],
)
async def test_a_redirect_into_our_own_network_is_not_followed(files: Files, target: str) -> None:
    url = files.has("/a", Reply(302, headers={"Location": target}))
    with pytest.raises(PictureRefused) as refused:
        await PictureFetcher(files.url).fetch(url)
    assert refused.value.extra["problem"] == "private_address"


async def test_a_redirect_away_from_https_is_not_followed(files: Files) -> None:
    for target in ("http://example.com/x", "file:///etc/passwd", "ftp://example.com/x"):
        url = files.has("/a", Reply(302, headers={"Location": target}))
        with pytest.raises(PictureRefused, match="https://"):
            await PictureFetcher(files.url).fetch(url)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "fd00::1", "::1"])
async def test_a_name_of_notions_that_leads_into_a_private_network_is_refused(address: str) -> None:
    """One of two addresses is enough: either could be the one that is asked."""
    for found in ((address,), ("93.184.216.34", address), ()):
        fetcher = PictureFetcher(NOTION, resolve=resolving(*found))  # type: ignore[arg-type]
        with pytest.raises(PictureRefused) as refused:
            await fetcher.fetch(SIGNED)
        assert refused.value.extra["problem"] == "private_address"


async def test_the_address_that_was_checked_is_the_one_that_is_asked(files: Files) -> None:
    """Not what a second look at the name might give."""
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    port = httpx.URL(files.url).port
    fetcher = PictureFetcher(f"http://file.example:{port}", resolve=resolve)
    files.has("/cat.png", b"there")
    assert await fetcher.fetch(f"http://file.example:{port}/cat.png") == b"there"
    assert asked == [("file.example", port)], "nothing else knows this name"
    assert files.headers[0]["Host"] == f"file.example:{port}"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "http://127.0.0.1:1/cat.png",
        "https://file.notion.so.example.com/x",
        "file:///etc/passwd",
        "//",
        "https://",
        "https://file.notion.so:port/",
        "",
    ],
)
async def test_only_notions_files_are_fetched(url: str) -> None:
    fetcher = PictureFetcher(NOTION, resolve=resolving("127.0.0.1"))  # type: ignore[arg-type]
    with pytest.raises(PictureRefused):
        await fetcher.fetch(url)


async def test_the_api_itself_is_no_way_into_our_network() -> None:
    fetcher = PictureFetcher(NOTION, resolve=resolving("127.0.0.1"))  # type: ignore[arg-type]
    with pytest.raises(PictureRefused):
        await fetcher.fetch("https://api.notion.com/x")


@pytest.mark.parametrize(
    ("status", "query", "error", "problem"),
    [
        (403, "?X-Amz-Signature=x", PictureExpired, "expired"),
        (401, "?expirationTimestamp=1&signature=x", PictureExpired, "expired"),
        (403, "", PictureRefused, "private"),
        (401, "?table=block", PictureRefused, "private"),
        (404, "", PictureRefused, "gone"),
        (400, "", PictureRefused, "refused"),
        (204, "", PictureRefused, "refused"),
    ],
)
async def test_what_the_server_answers_is_told_apart(
    files: Files, status: int, query: str, error: type[PictureRefused], problem: str
) -> None:
    url = files.has("/cat.png", Reply(status, b""))
    with pytest.raises(error) as refused:
        await PictureFetcher(files.url).fetch(url + query)
    assert type(refused.value) is error
    assert refused.value.extra["problem"] == problem


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_in_trouble_may_be_asked_again(files: Files, status: int) -> None:
    url = files.has("/cat.png", Reply(status, b""))
    with pytest.raises(Unavailable, match="try again later"):
        await PictureFetcher(files.url).fetch(url)


async def test_a_server_that_is_away_tells_nothing_of_the_address(files: Files) -> None:
    """Whose query is the key to the file."""
    fetcher = PictureFetcher("http://127.0.0.1:9")
    with pytest.raises(Unavailable) as away:
        await fetcher.fetch("http://127.0.0.1:9/cat.png?signature=secret")
    assert "secret" not in str(away.value) and away.value.__cause__ is None


async def _served(
    body: Callable[[asyncio.StreamWriter], object],
) -> tuple[asyncio.Server, str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            await body(writer)  # type: ignore[misc]
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_picture_of_40_mb_is_named_and_not_loaded() -> None:
    sent = 0

    async def announced(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 40000000\r\n\r\n")
        await writer.drain()

    async def silent(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            writer.write(b"f4240\r\n" + bytes(1_000_000) + b"\r\n")
            await writer.drain()
            sent += 1_000_000

    for body, size in ((announced, "40 MB"), (silent, "larger")):
        server, url = await _served(body)
        async with server:
            with pytest.raises(PictureRefused) as refused:
                await PictureFetcher(url).fetch(f"{url}/cat.png")
        assert refused.value.extra["problem"] == "too_large"
        assert size in refused.value.detail and "20 MB" in refused.value.detail
    assert sent < 40_000_000, "the rest was never sent"


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hung = asyncio.Event()

    async def silence(writer: asyncio.StreamWriter) -> None:
        await hung.wait()

    monkeypatch.setattr(fetch, "ALL_SECONDS", 0.05)
    server, url = await _served(silence)
    async with server:
        with pytest.raises(Unavailable, match="in time"):
            await PictureFetcher(url).fetch(f"{url}/cat.png")
        hung.set()


async def test_an_answer_that_is_packed_isnt_unpacked(files: Files) -> None:
    """A few bytes of gzip can be gigabytes."""
    url = files.has("/cat.png", Reply(200, b"\x1f\x8bpacked", {"Content-Encoding": "gzip"}))
    assert await PictureFetcher(files.url).fetch(url) == b"\x1f\x8bpacked"
    assert files.headers[0]["Accept-Encoding"] == "identity"
