"""What stands in the head of a mail: no line of it, and no address, can be made into several."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.header import decode_header, make_header
from email.parser import HeaderParser
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from app.domain.addresses import InvalidAddress, ascii_address
from app.errors import ConfigurationError
from app.sandbox.server import SandboxServer
from tests.security.fortress import BEARER, Fortress
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually
from tests.support.wide import wide

NO_LINES = {
    **{
        f"U+{ord(char):04X}": f"Bob{char}Bcc: x@evil.test"
        for char in "\r\n\x0b\x0c\x1c\x1d\x1e\x1f\x7f\x85\u2028\u2029\u202d\u202e"
    },
    "CRLF": "Bob\r\nBcc: x@evil.test",
    "encoded": "Bob =?utf-8?q?=0ABcc:x=40evil.test?=",
    "encoded in base64": "=?UTF-8?B?CkJjYzogeEBldmlsLnRlc3Q=?=",
    "of another charset": "=?iso-8859-1*en?Q?=0D=0ABcc:x?= Bob",
}
LINES = pytest.mark.parametrize("line", wide(NO_LINES.values(), 5), ids=NO_LINES)
DRAFT = {"subject": "Hello", "body_html": "<p>Hello"}


async def post(fortress: Fortress, path: str, body: object) -> httpx.Response:
    return await fortress.http.post(path, json=body, headers=BEARER)


@pytest.mark.few_variants(2)
@LINES
async def test_28_no_line_of_a_head_is_taken(fortress: Fortress, line: str) -> None:
    bodies = [
        *(
            ("/mailouts", {**DRAFT, name: line})
            for name in ("subject", "from_name", "preheader", "configuration_set")
        ),
        ("/mailouts", {**DRAFT, "from_email": f"{line}@example.com"}),
        ("/mailouts", {**DRAFT, "reply_to": f"a@example.com{line}"}),
        ("/templates", {"name": uuid4().hex, "subject": line, "body_html": "<p>x"}),
        (
            "/hooks",
            {"url": "https://example.com/", "events": ["mailout.finished"], "description": line},
        ),
    ]  # fmt: skip
    async with fortress.untouched():
        for path, body in bodies:
            answer = await post(fortress, path, body)
            assert answer.status_code == 422, (body, answer.text)
            assert "evil" not in answer.text


async def test_28_nor_what_json_can_say_and_a_mail_cannot(fortress: Fortress) -> None:
    """NUL, and half of a surrogate pair."""
    async with fortress.untouched():
        for part in (b"\\u0000", b"\\ud800"):
            for name in (b"subject", b"from_name", b"preheader", b"reply_to", b"configuration_set"):
                body = b'{"subject": "x", "body_html": "x", "%s": "a%sb"}' % (name, part)
                headers = {**BEARER, "Content-Type": "application/json"}
                answer = await fortress.http.post("/mailouts", content=body, headers=headers)
                assert answer.status_code == 422, answer.text


@pytest.mark.few_variants(1)
@LINES
async def test_28_and_again_when_the_mail_is_built(fortress: Fortress, line: str) -> None:
    """Whoever writes into the database asks nobody."""
    rows = {
        name: await fortress.arrange.mailout(**{name: line}) for name in ("subject", "from_name")
    }
    async with fortress.untouched():
        for name, mailout in rows.items():
            for answer in (
                await post(fortress, "/send-mailout", {"mailout_id": str(mailout)}),
                await post(fortress, f"/mailouts/{mailout}/preview", {}),
            ):
                assert (answer.status_code, answer.json()["code"]) == (409, "template_invalid")
                assert name in answer.json()["detail"]


@pytest.mark.parametrize("name", ["a\nb", "a b", "a\r\nX: y", "ä", "x" * 65])
async def test_28_the_database_takes_no_other_configuration_set_either(
    fortress: Fortress, name: str
) -> None:
    mailout = await fortress.arrange.mailout("draft")
    async with fortress.untouched():
        for statement in (
            "insert into mailouts (subject, configuration_set) values ('x', %s)",
            f"update mailouts set configuration_set = %s where id = '{mailout}'",
        ):
            with pytest.raises(psycopg.errors.CheckViolation, match="configuration_set"):
                await fortress.sql.execute(statement, [name])


async def test_28_a_row_that_has_one_already_goes_on(fortress: Fortress) -> None:
    """It can be paused, cancelled and mended, and isn't sent."""
    sql = fortress.sql
    async with sql.transaction():
        await sql.execute("alter table mailouts disable trigger mailouts_configuration_set_new")
        mailout = await fortress.arrange.mailout(configuration_set="a\nb")
        await sql.execute("alter table mailouts enable trigger mailouts_configuration_set_new")

    refused = await post(fortress, "/send-mailout", {"mailout_id": str(mailout)})
    await sql.execute("update mailouts set status = 'draft' where id = %s", [mailout])
    await sql.execute("update mailouts set configuration_set = 'ab' where id = %s", [mailout])

    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("configuration_set")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_BASE_URL", "https://mail.example.com\r\nBcc: x@evil.test"),
        ("APP_BASE_URL", "https://mail.example.com\n"),
        ("FROM_NAME", "Bob\nBcc: x@evil.test"),
        ("FROM_NAME", "=?utf-8?q?=0ABcc:x?="),
        ("REPLY_TO_EMAIL", "a@example.com\r\nBcc: x@evil.test"),
        ("SES_FROM_EMAIL", "a@example.com, b@example.com"),
        ("SES_CONFIGURATION_SET", "sandbox\n"),
        ("SES_CONFIGURATION_SET_EU_WEST_1", "sandbox\n"),
        ("SIGNUP_SUBJECT", "Confirm\u2028Bcc: x@evil.test"),
        ("SIGNUP_SUBJECT", "=?utf-8?q?=0ABcc:x?="),
        ("OWNER_EMAIL", "a@example.com\nb@example.com"),
        ("TEST_EMAILS", "a@example.com\x0bb@example.com"),
    ],
)
def test_28_nor_do_settings_bring_any(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        settings_for("postgresql://x/y", "http://127.0.0.1:1", SES_REGIONS="us-east-1, eu-west-1",
                     **{name: value})  # fmt: skip


@pytest.fixture(scope="module")
async def sending(
    postgres_server: DatabaseServer, sandbox: SandboxServer
) -> AsyncIterator[tuple[Service, Arrange]]:
    with postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        async with (
            await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, row_factory=psycopg.rows.dict_row
            ) as sql,
            in_process(settings_for(dsn, sandbox.url)) as service,
        ):
            yield service, Arrange(sql)


async def test_28_what_readers_data_bring_stays_in_the_subject(
    sending: tuple[Service, Arrange], sandbox: SandboxServer
) -> None:
    """As the sandbox got it: one subject, no header more, and everybody is mailed."""
    service, arrange = sending
    names = [*NO_LINES.values(), "{{ email }}", "Ann", "=", "?utf-8?q?=0ABcc:x?"]
    for name in names:
        await arrange.subscriber(name=name)
    mailout = await arrange.mailout(subject="={{ name }}= {{ fields.x }}Hello")
    assert (await service.send(mailout)).status_code == 202
    await eventually(lambda: service.show(mailout), until=lambda m: m["status"] == "sent")
    assert await arrange.counts(mailout) == {"sent": len(names)}
    accepted = [each for each in sandbox.accepted() if each["tags"]["mailout_id"] == str(mailout)]
    assert len(accepted) == len(names)
    for each in accepted:
        raw = sandbox.control.get(f"/sandbox/mails/{each['message_id']}").json()["raw"]
        heads = HeaderParser().parsestr(raw)
        (subject,) = heads.get_all("Subject", [])
        read = str(make_header(decode_header(subject)))
        assert "Bcc" not in heads
        assert len(read.splitlines()) == 1
        assert read.startswith(("=", "\uff1d"))
        assert read.endswith("Hello")


ONE_ADDRESS = [
    "a@b.test, c@d.test", "a@b.test;c@d.test", "<a@b.test>; x", "Bob <a@b.test>", '"a b"@x.test',
    '"a"@x.test', "a@[127.0.0.1]", "a@127.0.0.1", "a" * 65 + "@x.test", f"a@{'b' * 63}.{'c' * 63}."
    f"{'d' * 63}.{'e' * 63}.test", "jörg@x.test", "a@x", "a@-x.test", "a@x-.test", "a@x..test",
    "a..b@x.test", ".a@x.test", "a.@x.test", "a@b@x.test", "a\r\nBcc: c@d.test@x.test",
    "a@x.test\x00", "a@x.test\u2028x", "a(b)@x.test", "a@x.test(b)", "@x.test", "a@", "a@x.test>",
    "a@x\u00ad\u200b@y.test", "=?utf-8?q?a=40b?=@x.test", "=?x?q?=41=42=00?=foobar@y.test",
]  # fmt: skip


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("address", ONE_ADDRESS)
async def test_29_one_mailbox_or_none(fortress: Fortress, address: str) -> None:
    """At the API, in an import's row, at sign-up, in a setting and in the database."""
    async with fortress.untouched():
        for path, body in (
            ("/subscribers", {"email": address}),
            ("/mailouts", {**DRAFT, "from_email": address}),
            ("/mailouts", {**DRAFT, "reply_to": address}),
        ):
            answer = await post(fortress, path, body)
            assert answer.status_code == 422, answer.text
        signed_up = await fortress.http.post("/subscribe", data={"email": address})
        assert signed_up.status_code in (400, 422)
        for name in ("SES_FROM_EMAIL", "REPLY_TO_EMAIL", "OWNER_EMAIL"):
            if "\x00" not in address:  # no variable can hold one
                with pytest.raises(ConfigurationError, match=name):
                    settings_for("postgresql://x/y", "http://127.0.0.1:1", **{name: address})
        if "\x00" not in address:
            with pytest.raises(psycopg.errors.CheckViolation):
                await fortress.sql.execute("insert into subscribers (email) values (%s)", [address])


async def test_29_an_import_refuses_those_rows_alone(sending: tuple[Service, Arrange]) -> None:
    service, arrange = sending
    named = "Bob <a@b.test>"  # one mailbox, with a name
    addresses = [each for each in ONE_ADDRESS if "\x00" not in each and each != named]
    rows = [f'"{each.replace(chr(34), 2 * chr(34))}",x' for each in addresses]
    body = "\r\n".join(["email,name", *rows, "fine@x.test,x"]).encode()
    made = await service.http.post(
        "/subscribers/import", content=body, headers={**BEARER, "Content-Type": "text/csv"}
    )
    path = f"/imports/{made.json()['id']}"

    async def state() -> dict[str, Any]:
        found: dict[str, Any] = (await service.http.get(path, headers=BEARER)).json()
        return found

    done = await eventually(state, until=lambda found: found["state"] != "running")
    assert (done["refused"], done["added"]) == (len(addresses), 1), done
    assert await arrange.one("select count(*) from subscribers where email ~ 'x.test'") == 1


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("--x@y.test", "--x@y.test"),
        ("Ann@EXAMPLE.com", "ann@example.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@例え.テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("a+b@x.test", "a+b@x.test"),
        ("o'neil@x.test", "o'neil@x.test"),
    ],
)
async def test_29_a_mailbox_has_one_form_on_the_wire(
    fortress: Fortress, address: str, wire: str
) -> None:
    made = await post(fortress, "/subscribers", {"email": address})
    assert made.status_code == 201, made.text
    kept = await fortress.arrange.one("select address from subscribers where email = %s", address)
    again = await post(fortress, "/subscribers", {"email": wire})
    assert (kept, again.status_code) == (wire, 409)


def test_29_what_it_becomes_is_one_address() -> None:
    for address in ONE_ADDRESS:
        with pytest.raises(InvalidAddress):
            ascii_address(address)
