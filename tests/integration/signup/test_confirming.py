"""Nobody is on the list without a click from their own mailbox."""

from __future__ import annotations

import asyncio
from urllib.parse import quote
from uuid import uuid4

import pytest

from app.domain.timed_tokens import Mistake, ResubscribeTokens, SignupTokens
from app.domain.tokens import UnsubscribeTokens
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import UNSUBSCRIBE_SECRET, Service
from tests.support.signup import (
    ANN,
    TEXT,
    ask,
    asked,
    confirm_link,
    confirmation_mail,
    link_in,
    pass_time,
    person,
    status,
)

TOUCHED = "touched@example.com"


async def test_the_whole_way_from_the_form_to_the_next_mailout(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    page = await service.http.get("/subscribe")
    assert page.status_code == 200
    assert TEXT in page.text
    assert "<script" not in page.text
    assert "action=&#34;http://localhost:8000/subscribe&#34;" in page.text  # the form to paste

    asked = await service.http.post(
        "/subscribe",
        data={"email": " Ann@Example.com ", "name": "Ann  Lee", "tag": "news", "leave_empty": ""},
        headers={
            "Referer": "https://shop.example/about?visitor=7#x",
            "Origin": "https://shop.example",
        },
    )
    assert asked.status_code == 200
    assert "Ann@Example.com" in asked.text
    found = await person(arrange)
    assert found
    assert (found["status"], found["name"], found["tags"]) == ("pending", "Ann Lee", ["news"])

    before = await arrange.mailout(subject="Before")
    mail = await confirmation_mail(sandbox, ANN)
    assert mail["subject"] == "Please confirm: emails from Example Org"
    assert mail["from"] == "Example Org <news@example.com>"
    for part in ("html", "text"):
        assert TEXT in mail[part]
        assert "1 Street, Town" in mail[part]
        assert "Ann Lee" not in mail[part]  # nothing that a stranger typed
    assert not any(h["name"].lower() == "list-unsubscribe" for h in mail["headers"])
    assert mail["tags"] == {"amazonsender_notice": "sign-up"}
    link = link_in(mail)

    for method in ("HEAD", "GET", "GET"):  # a scanner looks
        looked = await service.http.request(method, link)
        assert looked.status_code == 200
        assert looked.headers["referrer-policy"] == "no-referrer"
    assert "<form" in looked.text
    assert await status(arrange) == "pending"
    refused = await service.send(before)
    assert refused.json()["code"] == "audience_empty"

    confirmed = await service.http.post(link)
    assert "You are on the list" in confirmed.text
    found = await person(arrange)
    assert found
    assert found["status"] == "active"
    consent = found["consent"]
    assert consent.pop("at") > consent.pop("asked_at")
    assert consent == {"source": "sign-up", "page": "https://shop.example/about", "text": TEXT}
    by = await arrange.sql.execute(
        "select by, after->>'status' as status from subscriber_changes order by id"
    )
    assert [tuple(row.values()) async for row in by] == [("sign-up", None), ("sign-up", "active")]

    assert (await service.send(before)).status_code == 202
    await confirmation_mail(sandbox, ANN, 2)


class TestConfirming:
    @pytest.mark.few_variants(1)
    @pytest.mark.parametrize("was", ["unsubscribed", "bounced", "complained", "active"])
    async def test_whoever_left_comes_back_by_their_own_word(
        self, front: Service, arrange: Arrange, was: str
    ) -> None:
        """What a stranger typed into the form changes nothing that is known."""
        ann = await arrange.subscriber(
            ANN, status=was, name="Ann", tags=["old"], bounce_type="Permanent"
        )
        await ask(front.http, ANN, name="Mallory", tag="news")
        assert await status(arrange) == was
        await front.http.post(await confirm_link(arrange))
        found = await person(arrange)
        assert found
        assert found["id"] == ann
        assert (found["status"], found["name"], found["bounce_type"]) == ("active", "Ann", None)
        assert found["tags"] == ["old", "news"]
        assert found["consent"]["source"] == "sign-up"
        reason = await arrange.one("select reason from subscriber_changes order by id desc limit 1")
        assert (was in reason) is (was != "active")

    async def test_erased_people_come_back_only_by_confirming(
        self, front: Service, arrange: Arrange
    ) -> None:
        await arrange.sql.execute(
            "insert into erased (address_hash) values (erased_hash(%s))", [ANN]
        )
        await ask(front.http, ANN)
        assert await status(arrange) is None
        assert await arrange.one("select is_erased(%s)", ANN)
        await front.http.post(await confirm_link(arrange))
        assert await status(arrange) == "active"
        assert not await arrange.one("select is_erased(%s)", ANN)

    async def test_two_forms_and_the_later_one_counts(
        self, front: Service, arrange: Arrange
    ) -> None:
        """A stranger's form, unconfirmed, leaves no name and no tag on who confirms their own."""
        await ask(front.http, ANN, name="Mallory", tag="events")
        await pass_time(arrange, "11 minutes")
        await ask(front.http, ANN, name="Ann", tag="news")
        await front.http.post(await confirm_link(arrange))
        found = await person(arrange)
        assert found
        assert (found["name"], found["tags"]) == ("Ann", ["news"])

    async def test_what_an_import_said_meanwhile_is_kept(
        self, front: Service, arrange: Arrange
    ) -> None:
        await ask(front.http, ANN, name="Mallory", tag="news")
        await arrange.sql.execute("update subscribers set name = 'Ann', tags = tags || '{vip}'")
        await front.http.post(await confirm_link(arrange))
        found = await person(arrange)
        assert found
        assert (found["status"], found["name"], found["tags"]) == ("active", "Ann", ["news", "vip"])

    async def test_has_its_effect_once(self, front: Service, arrange: Arrange) -> None:
        await ask(front.http, ANN)
        link = await confirm_link(arrange)
        answers = await asyncio.gather(*(front.http.post(link) for _ in range(4)))
        assert all("You are on the list" in answer.text for answer in answers)
        assert (
            await arrange.one(
                "select count(*) from subscriber_changes where after->>'status' = 'active'"
            )
            == 1
        )
        assert "You are on the list" in (await front.http.get(link)).text
        await arrange.sql.execute("update subscribers set status = 'unsubscribed'")
        for method in ("GET", "POST"):
            again = await front.http.request(method, link)
            assert "This link was used before" in again.text
        assert await status(arrange) == "unsubscribed"
        await arrange.sql.execute("delete from subscribers")
        assert "This link was used before" in (await front.http.post(link)).text

    async def test_bad_tokens_get_one_and_the_same_page(
        self, front: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await ask(front.http, ANN)
        link = await confirm_link(arrange)
        signup = await arrange.one("select id from signups")
        with monkeypatch.context() as patch:
            patch.setattr("itsdangerous.timed.time.time", lambda: 1_000_000_000)
            old = SignupTokens([UNSUBSCRIBE_SECRET]).sign(signup)
        bad = [
            "", "x", "é", "%00", "%ff", "a" * 5_000, link[15:-1], f"{link[15:]}x", old,
            SignupTokens(["s" * 40]).sign(signup),
            SignupTokens([UNSUBSCRIBE_SECRET]).sign(uuid4()),
            UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(signup, None),
            ResubscribeTokens([UNSUBSCRIBE_SECRET]).sign(Mistake(signup, 1)),
        ]  # fmt: skip
        pages = [
            await front.http.request(
                method, f"/confirm?token={token if '%' in token else quote(token)}"
            )
            for method in ("GET", "POST")
            for token in bad
        ]
        assert {p.status_code for p in pages} == {400}
        assert len({p.text for p in pages}) == 1
        assert await status(arrange) == "pending"
        # A token for one thing is good for nothing else.
        confirming = link.split("=")[1]
        assert (await front.http.post(f"/unsubscribe?token={confirming}")).status_code == 400
        assert (await front.http.post(f"/resubscribe?token={confirming}")).status_code == 400
        await pass_time(arrange, "7 days 1 minute")
        assert (await front.http.get(link)).status_code == 400
        assert (await front.http.post(link)).status_code == 400
        assert await status(arrange) == "pending"


async def test_who_never_confirms_is_forgotten_after_a_week(store: Store, arrange: Arrange) -> None:
    """With all that was kept; whoever is on the list by other means stays."""

    other = await arrange.subscriber("imported@example.com", status="pending")
    await arrange.subscriber("left@example.com", status="unsubscribed")
    for address in (ANN, "imported@example.com", "left@example.com", "again@example.com", TOUCHED):
        await asked(store, address)
    # An import that came later knows more of this one than the form did.
    await arrange.sql.execute("update subscribers set tags = '{vip}' where email = %s", [TOUCHED])
    await pass_time(arrange, "6 days 23 hours")
    await asked(store, "again@example.com")
    await store.keep_house()
    assert await arrange.one("select count(*) from signups") == 6
    await pass_time(arrange, "61 minutes")
    await arrange.sql.execute("update signup_clients set hour = hour - interval '3 hours'")
    await store.keep_house()
    left = await arrange.sql.execute("select email, status from subscribers order by email")
    assert [tuple(row.values()) async for row in left] == [
        ("again@example.com", "pending"),
        ("imported@example.com", "pending"),
        ("left@example.com", "unsubscribed"),
        (TOUCHED, "pending"),
    ]
    assert await arrange.one("select count(*) from signups") == 1
    assert await arrange.one("select count(*) from signup_clients") == 0
    kept = await arrange.sql.execute("select distinct subscriber_id from subscriber_changes")
    assert len([row async for row in kept]) == 4
    assert (
        await arrange.one(
            "select count(*) from subscriber_changes where before::text like '%%ann@%%'"
        )
        == 0
    )
    assert other
