"""Files that are uploaded: as a body, as a form, damaged, endless, and under any name."""

from __future__ import annotations

import pytest

from tests.security.fortress import BEARER, Fortress

END = b"--b--\r\n"


def _form(*parts: tuple[bytes, bytes], end: bytes = END) -> bytes:
    return b"".join(b"--b\r\n" + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + end


def _file(name: bytes, content: bytes = b"email\na@example.com\n") -> tuple[bytes, bytes]:
    return b'Content-Disposition: form-data; name="file"; filename="%s"' % name, content


def _field(name: bytes, value: bytes = b"x") -> tuple[bytes, bytes]:
    return b'Content-Disposition: form-data; name="%s"' % name, value


DAMAGED = {
    "no end": _form(_file(b"a.csv"), end=b""),
    "no boundary in it": b"email\na@example.com\n",
    "nothing": b"",
    "the end alone": END,
    "no file": _form(_field(b"x")),
    "a long preamble": b"x" * 500_000 + _form(_file(b"a.csv")),
    "a long head": _form((b"X: " + b"x" * 500_000, b"y")),
    "a long field": _form(_field(b"x", b"y" * 500_000), _file(b"a.csv")),
    "10,000 fields": _form(*[_field(b"x")] * 10_000, _file(b"a.csv")),
    "an empty file": _form(_file(b"a.csv", b"")),
}


@pytest.mark.few_variants(3)
@pytest.mark.parametrize("kind", DAMAGED)
async def test_a_damaged_form_leaves_nothing(fortress: Fortress, kind: str) -> None:
    async with fortress.untouched(but={"imports"}):
        answer = await fortress.http.post(
            "/subscribers/import",
            content=DAMAGED[kind],
            headers={**BEARER, "Content-Type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code in {400, 413, 422}, answer.text
    left = await fortress.http.get("/imports", headers=BEARER)
    assert left.json()["items"] == []


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data", "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/form-data; boundary=\"(a+)+$\"", "multipart/form-data; boundary=b; boundary=c",
        "multipart/mixed; boundary=b", "application/json", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary*=utf-8''%F0%9F%92%A9", "; ; ;", "x" * 5_000,
    ],
)  # fmt: skip
async def test_a_type_that_makes_no_sense_is_refused_or_no_form(
    fortress: Fortress, kind: str
) -> None:
    answer = await fortress.http.post(
        "/subscribers/import?dry_run=true",
        content=_form(_file(b"a.csv")),
        headers={**BEARER, "Content-Type": kind},
    )
    assert answer.status_code < 500, answer.text


NAMES = {
    b"../../etc/passwd": "passwd",
    b"C:\\temp\\people.csv": "people.csv",
    b"a\x00b.csv": "ab.csv",
    b"/": "",
    b"x" * 4_096: "x" * 200,
    "\u202egpj.csv".encode(): "gpj.csv",
    b"<script>.csv": "<script>.csv",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:24])
async def test_a_name_is_a_word_and_nothing_else(fortress: Fortress, name: bytes) -> None:
    answer = await fortress.http.post(
        "/subscribers/import?dry_run=true",
        content=_form(_file(name)),
        headers={**BEARER, "Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code == 202, answer.text
    assert (answer.json()["file_name"] or "") == NAMES[name]
    shown = await fortress.http.get(answer.headers["location"], headers=BEARER)
    assert shown.status_code == 200


@pytest.mark.parametrize(
    "query",
    ["mode=replace", "dry_run=maybe", "map=x", "map=:", "map=email:", "map=x:no-such", "tag=",
     "tag=" + "x" * 2_000, "tag=%00", "map=%00:email", "map=a:field:%00", "tag=%ed%a0%80"],
)  # fmt: skip
async def test_options_that_make_no_sense_are_refused(fortress: Fortress, query: str) -> None:
    answer = await fortress.http.post(
        f"/subscribers/import?{query}", content=b"email\na@example.com\n",
        headers={**BEARER, "Content-Type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code < 500, answer.text


async def test_an_announced_gigabyte_is_refused_before_it_comes(fortress: Fortress) -> None:
    async with fortress.untouched():
        head = (
            f"POST /subscribers/import HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
            f"Authorization: {BEARER['Authorization']}\r\nContent-Length: 2000000001\r\n\r\n"
        )
        assert b" 413 " in (await fortress.raw(head.encode())).split(b"\r\n")[0]
