"""Requests that are too large, too deep, too slow or in pieces."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.assets.samples import picture as drawn_picture
from tests.security.fortress import BEARER, SECRET, Fortress
from tests.support.wide import wide

DEEP = b"[" * 100_000 + b"]" * 100_000
DEEP_OBJECTS = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
TEN_MB = 10_000_000
JSON = {"Content-Type": "application/json"}

OPEN = ["/ses-events", "/notion-events", "/sendgrid-events", "/mailgun-events", "/subscribe"]
"""Routes that read the body of anybody."""
KNOWN = ["/send-mailout", "/mailouts", "/subscribers", "/templates", "/segments", "/keys", "/hooks"]
"""Routes that read the body of those who bring a secret."""
ROADS = [*OPEN, *KNOWN, "/unsubscribe?token=x", "/resubscribe", "/confirm", "/dashboard/login"]


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_15_ten_megabytes_are_refused_unread(fortress: Fortress) -> None:
    """By what is announced: nothing of the body has come."""
    async with fortress.untouched():
        for path in ROADS:
            lines = f"X-Auth-Token: {SECRET}", f"Content-Length: {TEN_MB}"
            answer = await fortress.raw(head(path, *lines))
            assert status(answer) in ({413} if path in OPEN + KNOWN else {400, 403}), path
            assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "path", wide(["/ses-events", "/subscribe", "/send-mailout", "/templates"], 1)
)
async def test_15_chunks_that_announce_nothing_come_to_an_end(
    fortress: Fortress, path: str
) -> None:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    async with fortress.untouched():
        reader, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
        writer.write(head(path, f"X-Auth-Token: {SECRET}", "Transfer-Encoding: chunked"))
        answer = b""
        with suppress(ConnectionError):
            for _ in range(TEN_MB // 65_536):
                writer.write(chunk)
                await writer.drain()
        with suppress(ConnectionError):
            answer = await asyncio.wait_for(reader.read(), 20)
        writer.transport.abort()
    assert status(answer) in {0, 413}  # 0: it hung up on us, who still sent


@pytest.mark.parametrize("body", [DEEP, DEEP_OBJECTS], ids=["lists", "objects"])
async def test_15_json_of_100_000_levels_is_malformed(fortress: Fortress, body: bytes) -> None:
    async with fortress.untouched():
        for path in [*OPEN, *KNOWN, "/mailouts/{}/test", "/mailouts/{}/resend"]:
            answer = await fortress.http.post(
                path.format(uuid4()), content=body, headers=JSON if path in OPEN else JSON | BEARER
            )
            assert 400 <= answer.status_code < 500, path
            assert answer.headers["content-type"] == "application/problem+json", path


@pytest.mark.parametrize("encoding", wide(["gzip", "deflate", "br", "gzip, gzip"], 1))
async def test_15_nothing_is_unpacked(fortress: Fortress, encoding: str) -> None:
    """A bomb is the kilobytes that came, and those are no JSON."""
    bomb = gzip.compress(b'{"mailout_id": "' + b"a" * TEN_MB + b'"}')
    assert len(bomb) < 16_000
    headers = JSON | BEARER | {"Content-Encoding": encoding}
    async with fortress.untouched():
        for path in ROADS:
            answer = await fortress.http.post(path, content=bomb, headers=headers)
            assert 400 <= answer.status_code < 500, path


LIES = {
    "more than comes": (head("/send-mailout", "Content-Length: 900"), b"{}"),
    "less than comes": (head("/send-mailout", "Content-Length: 2"), b"{}" + b"x" * 5_000),
    "twice": (head("/send-mailout", "Content-Length: 2", "Content-Length: 3"), b"{}x"),
    "a list": (head("/send-mailout", "Content-Length: 2, 2"), b"{}"),
    "beside chunks": (
        head("/send-mailout", "Content-Length: 2", "Transfer-Encoding: chunked"), b"0\r\n\r\n"
    ),
    "negative": (head("/send-mailout", "Content-Length: -2"), b"{}"),
    "a plus": (head("/send-mailout", "Content-Length: +2"), b"{}"),
    "hexadecimal": (head("/send-mailout", "Content-Length: 0x2"), b"{}"),
    "endless": (head("/send-mailout", "Content-Length: " + "9" * 40), b"{}"),
    "chunks of a negative size": (
        head("/send-mailout", "Transfer-Encoding: chunked"), b"-2\r\n{}\r\n0\r\n\r\n"
    ),
    "chunks of a huge size": (
        head("/send-mailout", "Transfer-Encoding: chunked"), b"f" * 17 + b"\r\n{}"
    ),
    "another coding": (head("/send-mailout", "Transfer-Encoding: gzip, chunked"), b"0\r\n\r\n"),
    "an unknown coding": (head("/send-mailout", "Transfer-Encoding: x"), b"{}"),
}  # fmt: skip


async def test_15_a_lie_about_the_length(fortress: Fortress) -> None:
    """It never makes a second request of the body's rest that somebody else would be answered for,
    and the connection ends."""
    async with fortress.untouched():
        for lie, (opened, body) in LIES.items():
            reader, writer = await asyncio.open_connection("127.0.0.1", fortress.port)
            writer.write(opened + body)
            writer.write_eof()
            answer = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
            assert all(400 <= found < 500 for found in statuses), (lie, answer)
            assert len(statuses) <= 2, lie


async def test_15_a_smuggled_request_is_no_request(fortress: Fortress) -> None:
    """What a proxy takes for a body must not be answered as the next one's request."""
    inner = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    for lines in (
        (f"Content-Length: {len(inner)}", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding: \x0bchunked",),
        ("Content-Length: 0", f"Content-Length: {len(inner)}"),
        (f"Content-Length : {len(inner)}",),
    ):
        answer = await fortress.raw(head("/send-mailout", *lines, "Connection: close") + inner)
        assert b"amazonsender_" not in answer, lines


# 39


def parts(*parts_: bytes, boundary: bytes = b"xyz", end: bytes = b"--\r\n") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts_) + (
        b"--" + boundary + end
    )


FILE = (
    b'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nemail\nann@example.com\n'
)
FIELD = b'Content-Disposition: form-data; name="x"\r\n\r\ny'
MULTIPART = {
    "no boundary": ("multipart/form-data", parts(FILE)),
    "an empty boundary": ('multipart/form-data; boundary=""', parts(FILE)),
    "a long boundary": (f"multipart/form-data; boundary={'b' * 5_000}", parts(FILE)),
    "a boundary like an expression": (
        "multipart/form-data; boundary=" + "(a+)+$", b"--" + b"a" * 200_000 + b"!"
    ),
    "another boundary": ("multipart/form-data; boundary=abc", parts(FILE)),
    "no end": ("multipart/form-data; boundary=xyz", parts(FILE)[:-9]),
    "no end of the headers": (
        "multipart/form-data; boundary=xyz", b"--xyz\r\nContent-Disposition: form-data; name=a"
    ),
    "10,000 parts": ("multipart/form-data; boundary=xyz", parts(*[FIELD] * 10_000)),
    "10,000 parts of nothing": ("multipart/form-data; boundary=xyz", b"--xyz\r\n" * 10_000),
    "a huge header": (
        "multipart/form-data; boundary=xyz", parts(b"X-A: " + b"a" * 900_000 + b"\r\n\r\nb", FILE)
    ),
    "many headers": (
        "multipart/form-data; boundary=xyz", parts(b"X-A: a\r\n" * 100_000 + b"\r\nb", FILE)
    ),
    "a huge preamble": (
        "multipart/form-data; boundary=xyz", b"-" * 900_000 + b"\r\n" + parts(FILE)
    ),
    "a preamble of line ends": (
        "multipart/form-data; boundary=xyz", b"\r\n--xy" * 150_000 + b"\r\n" + parts(FILE)
    ),
    "a huge field": (
        "multipart/form-data; boundary=xyz",
        parts(b'Content-Disposition: form-data; name="mode"\r\n\r\n' + b"a" * 900_000, FILE),
    ),
    "only a field": ("multipart/form-data; boundary=xyz", parts(FIELD)),
    "an odd name": (
        "multipart/form-data; boundary=xyz",
        parts(b"Content-Disposition: form-data; name*0*=nope''%ff; name*1=" + b"a" * 7_000),
    ),
    "parameters without an end": (
        "multipart/form-data; boundary=xyz",
        parts(b'Content-Disposition: form-data; name="' + b"\\" * 7_000 + b"\r\n\r\n"),
    ),
}  # fmt: skip


async def test_39_a_form_that_is_none(fortress: Fortress) -> None:
    """Refused, nothing is imported, and nobody else waits."""
    async with fortress.untouched():
        for name, (content_type, body) in MULTIPART.items():
            begun = time.thread_time()
            answer = await fortress.http.post(
                "/subscribers/import", content=body, headers=BEARER | {"Content-Type": content_type}
            )
            assert time.thread_time() - begun < 1, (
                name
            )  # CPU of this thread: ours and the service's
            assert answer.status_code == 422, name


async def test_39_forms_where_none_is_taken(fortress: Fortress) -> None:
    async with fortress.untouched():
        for path in ("/send-mailout", "/subscribe", "/dashboard/login", "/mailouts", "/ses-events"):
            for name in ("10,000 parts", "a huge header", "no boundary"):
                content_type, body = MULTIPART[name]
                answer = await fortress.http.post(
                    path, content=body, headers=BEARER | {"Content-Type": content_type}
                )
                assert 400 <= answer.status_code < 500, (path, name)


# 40, 41


RANGES = {
    "ten thousand": "bytes=" + "0-," * 10_000,
    "overlapping": "bytes=" + ",".join(f"{n}-" for n in range(1_300)),
    "backwards": "bytes=9-0",
    "huge": f"bytes={'9' * 4_000}-{'9' * 4_000}",
    "of the end": "bytes=-0,-1,-2",
    "no number": "bytes=a-b",
    "another unit": "lines=0-1",
}


@pytest.fixture(scope="module")
async def picture(fortress: Fortress) -> str:
    content = drawn_picture()
    digest = hashlib.sha256(content).hexdigest()
    await fortress.sql.execute(
        "insert into assets (sha256, media_type, extension, width, height, size, content, store) "
        "values (%s, 'image/png', 'png', 80, 40, %s, %s, 'database')",
        [digest, len(content), content],
    )
    return f"/assets/{digest}.png"


@pytest.mark.short
async def test_40_ranges_are_not_looked_at(fortress: Fortress, picture: str) -> None:
    """The whole is answered, or the headers are too large."""
    for path in (picture, "/subscribers/export.csv", "/openapi.json"):
        whole = await fortress.http.get(path, headers=BEARER)
        async with fortress.untouched():
            for name, value in RANGES.items():
                for extra in ({}, {"If-Range": '"x"'}, {"If-None-Match": '"x",' * 5_000}):
                    headers = BEARER | {"Range": value} | extra
                    answer = await fortress.http.get(path, headers=headers)
                    if answer.status_code == 431:
                        continue
                    assert answer.status_code == whole.status_code == 200, (path, name)
                    assert answer.content == whole.content, (path, name)


NAMES = {
    "../../x": "x",
    "..\\..\\x": "x",
    "C:\\x": "x",
    "/etc/passwd": "passwd",
    "a\0b": "ab",
    "n" * 4_096: "n" * 200,
    "..": "..",
    "x\u202egpj.csv": "xgpj.csv",
    "<script>alert(1)</script>": "script",
}


@pytest.mark.parametrize("name", wide(NAMES, 4))
async def test_41_the_name_of_a_file_is_only_shown(
    fortress: Fortress, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written under it, and no answer has it where it would mean something."""
    monkeypatch.chdir(tmp_path)
    disposition = f'form-data; name="file"; filename="{name}"'.encode()
    body = parts(b"Content-Disposition: " + disposition + b"\r\n\r\nemail\nann@example.com\n")
    made = await fortress.http.post(
        "/subscribers/import",
        content=body,
        headers=BEARER | {"Content-Type": "multipart/form-data; boundary=xyz"},
    )
    assert made.status_code == 202, made.text
    shown = await fortress.http.get(f"/imports/{made.json()['id']}", headers=BEARER)
    assert shown.json()["file_name"] == NAMES[name]
    rejected = await fortress.http.get(f"/imports/{made.json()['id']}/rejected.csv", headers=BEARER)
    assert rejected.headers["content-disposition"] == (
        f'attachment; filename="rejected-{made.json()["id"]}.csv"'
    )
    assert list(tmp_path.iterdir()) == []


async def test_41_no_path_leads_out(fortress: Fortress) -> None:
    names = [
        "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/x.png", "a\\b.png", "%00.png",
        f"{'0' * 64}.png%00", f"{'0' * 64}.PNG", "x" * 4_096,
    ]  # fmt: skip
    async with fortress.untouched():
        for name in names:
            asked = f"GET /assets/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert status(await fortress.raw(asked.encode())) == 404, name
