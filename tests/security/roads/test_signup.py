"""Sign-ups: whoever fills in the form, only the mailbox itself puts anybody on the list."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from app.domain.timed_tokens import SignupTokens
from app.domain.tokens import UnsubscribeTokens
from tests.security.fortress import Fortress
from tests.support.service import UNSUBSCRIBE_SECRET

XSS = '"><script>alert(1)</script>'


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.signup.subscribe.ANSWER_SECONDS", 0.0)
    monkeypatch.setattr("app.services.signup.sign_up.CLIENT_LIMIT", 10_000)


async def one(fortress: Fortress, query: str, *values: object) -> dict[str, Any]:
    done = await fortress.sql.execute(query.encode(), values)
    return await done.fetchone() or {}


async def asked(fortress: Fortress, email: str, **more: str) -> str:
    """The token that was mailed."""
    answer = await fortress.http.post("/subscribe", data={"email": email, **more})
    assert answer.status_code == 200
    row = await one(fortress, "select id from signups where address = %s", email)
    return SignupTokens([UNSUBSCRIBE_SECRET]).sign(row["id"])


@pytest.mark.few_variants(4)
@pytest.mark.parametrize(
    "email",
    [
        "a@example.com\r\nBcc: x@evil.test", "a@example.com\nSubject: y",
        "a@example.com, b@example.com",
        "a@example.com;b@example.com", "<a@example.com>, <b@example.com>", "a@example.com%0aBcc:x",
        "a@example.com\0", '"a b"@example.com', "a@[127.0.0.1]", "a@localhost", "@example.com", "a",
        f"{XSS}@example.com", "a" * 65 + "@example.com", "a@" + "b" * 260 + ".com", "",
    ],
)  # fmt: skip
async def test_an_address_is_one_mailbox(fortress: Fortress, email: str) -> None:
    async with fortress.untouched():
        for body in ({"data": {"email": email}}, {"json": {"email": email}}):
            answer = await fortress.http.post("/subscribe", **body)  # type: ignore[arg-type]
            assert answer.status_code == 422, answer.text
            assert "<script" not in answer.text


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Bob\r\nBcc: x@evil.test", "Bob Bcc: x@evil.test"), ("Bob\n\nBody", "Bob Body"),
        ("Bob\u2028x", "Bob x"), ("Bob\x0b\x0c\x1cx", "Bob x"), (XSS, XSS),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
        ("Bob\0x", None), ("Bob\x1b[31m", None), ("x" * 101, None), ("Bob\x7f", None),
    ],
)  # fmt: skip
async def test_a_name_is_one_line_or_refused(
    fortress: Fortress, name: str, kept: str | None
) -> None:
    email = f"n{abs(hash(name))}@example.com"
    answer = await fortress.http.post("/subscribe", data={"email": email, "name": name})
    assert answer.status_code == (422 if kept is None else 200)
    assert "<script" not in answer.text
    row = await one(fortress, "select name from signups where address = %s", email)
    assert row == ({} if kept is None else {"name": kept})


async def test_a_form_says_nothing_of_others_and_changes_nobody(fortress: Fortress) -> None:
    """Known or not, left or complained: one answer, and nothing of them changes."""
    people = [f"{was}@example.net" for was in ("active", "unsubscribed", "bounced", "complained")]
    for email in people:
        await fortress.arrange.subscriber(email, status=email.partition("@")[0])
    of_them = "select json_agg(s order by address) as rows from subscribers s where email = any(%s)"
    before = await one(fortress, of_them, people)
    answers = []
    for email in (*people, "nobody@example.net"):
        told = await fortress.http.post("/subscribe", json={"email": email, "name": "Mallory"})
        answers.append((told.status_code, told.text))
        shown = await fortress.http.post("/subscribe", data={"email": email})
        answers.append((shown.status_code, shown.text.replace(email, "?")))
    assert len(set(answers)) == 2
    assert await one(fortress, of_them, people) == before


async def test_a_mailbox_is_not_bombed(fortress: Fortress) -> None:
    """One mail is waiting, however often and in whatever spelling it is asked for."""
    for spelling in ("target@example.com", "TARGET@Example.COM", " target@example.com ") * 5:
        told = await fortress.http.post("/subscribe", json={"email": spelling})
        assert told.status_code == 202
    row = await one(
        fortress, "select count(*) as n from signups where address = %s", "target@example.com"
    )
    assert row["n"] == 1


async def test_a_confirmation_works_once(fortress: Fortress) -> None:
    """Pressed again after leaving, it doesn't bring anybody back."""
    email = "once@example.com"
    token = await asked(fortress, email)
    assert (await fortress.http.post("/confirm", params={"token": token})).status_code == 200
    row = await one(fortress, "select id, status from subscribers where address = %s", email)
    assert row["status"] == "active"
    leave = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(row["id"], None)
    assert (await fortress.http.post("/unsubscribe", params={"token": leave})).status_code == 200
    async with fortress.untouched():
        for _ in range(3):
            await fortress.http.post("/confirm", params={"token": token})
            await fortress.http.get("/confirm", params={"token": token})
            for other in ("/unsubscribe", "/resubscribe"):
                got = await fortress.http.post(other, params={"token": token})
                assert got.status_code == 400
    row = await one(fortress, "select status from subscribers where address = %s", email)
    assert row["status"] == "unsubscribed"


async def test_what_came_with_a_form_is_never_a_way_elsewhere(fortress: Fortress) -> None:
    more = {"next": "//evil.test", "redirect": "https://evil.test", "status": "active", "id": "1",
            "page": "javascript:alert(1)"}  # fmt: skip
    token = await asked(fortress, "plain@example.com", name=XSS, **more)
    row = await one(fortress, "select page, name from signups where address = 'plain@example.com'")
    assert row["page"] is None
    for method in ("GET", "POST"):
        shown = await fortress.http.request(method, "/confirm", params={"token": token, **more})
        assert shown.status_code == 200
        assert "evil.test" not in shown.text
        assert "<script" not in shown.text
        assert "location" not in shown.headers
    for referrer in (
        "javascript:alert(1)",
        "https://evil.test/?secret=1#x",
        "https://u:p@evil.test/",
    ):
        await fortress.http.post(
            "/subscribe",
            data={"email": f"r{len(referrer)}@example.com"},
            headers={"Referer": referrer},
        )
        row = await one(
            fortress, "select page from signups where address = %s", f"r{len(referrer)}@example.com"
        )
        assert row["page"] in (None, "https://evil.test/")


async def test_a_tag_has_to_be_one_that_is_offered(fortress: Fortress) -> None:
    async with fortress.untouched():
        for tag in ("admin", "vip", XSS, "a\0b"):
            form = await fortress.http.post(
                "/subscribe", data={"email": "t@example.com", "tag": tag}
            )
            assert form.status_code == 422
            assert "<script" not in form.text
            assert (await fortress.http.get("/subscribe", params={"tag": tag})).status_code == 200


async def test_what_a_proxy_in_front_asks_for_is_no_credential_of_ours(fortress: Fortress) -> None:
    """Browsers send `Basic` with every request to a site behind such a proxy."""
    email = f"{uuid4().hex}@example.com"
    basic = {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}
    told = await fortress.http.post("/subscribe", data={"email": email}, headers=basic)
    assert told.status_code == 200
    assert await one(fortress, "select 1 from signups where address = %s", email)
    async with fortress.untouched():
        for wrong in ({"Authorization": "Bearer wrong"}, {"X-Auth-Token": "wrong"}):
            told = await fortress.http.post("/subscribe", data={"email": email}, headers=wrong)
            assert told.status_code == 401
