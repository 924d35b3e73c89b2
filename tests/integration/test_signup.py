"""Signing up: nobody is on the list without a click from their own mailbox, and nobody learns who
is on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from app.domain.timed_tokens import Mistake, ResubscribeTokens, SignupTokens
from app.domain.tokens import UnsubscribeTokens
from app.main import create_app
from app.sandbox.server import SandboxServer
from app.services.signup.sign_up import CLIENT_LIMIT
from app.store import Store
from tests.support.factories import REGION, Arrange
from tests.support.service import UNSUBSCRIBE_SECRET, Service, in_process, settings_for
from tests.support.signup import ask, confirmation_mail, link_in, link_to
from tests.support.waiting import eventually

ANN = "ann@example.com"
TOUCHED = "touched@example.com"
TEXT = "Yes, send me the letter."


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.signup.subscribe.ANSWER_SECONDS", 0.0)


@pytest.fixture
async def service(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """With sign-ups, and its sender."""
    settings = settings_for(
        dsn, sandbox.url, SIGNUP="true", SIGNUP_TAGS="news, events", SIGNUP_TEXT=TEXT
    )
    async with in_process(settings) as running:
        yield running


@pytest.fixture
async def front(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """With sign-ups, and nobody who sends."""
    settings = settings_for(dsn, sandbox.url, SIGNUP="true", SIGNUP_TAGS="news, events")
    async with in_process(settings, with_sender=False) as running:
        yield running


async def person(arrange: Arrange, email: str = ANN) -> dict[str, Any] | None:
    done = await arrange.sql.execute("select * from subscribers where address = %s", [email])
    return await done.fetchone()


async def status(arrange: Arrange, email: str = ANN) -> Any:
    found = await person(arrange, email)
    return found and found["status"]


async def asked(store: Store, address: str) -> None:
    await store.ask_signup(
        client="192.0.2.1", client_limit=99, address=address, name="N", tags=[], page=None
    )


async def confirm_link(arrange: Arrange, email: str = ANN) -> str:
    """Of the newest sign-up, as its mail would have it."""
    signup = await arrange.one(
        "select id from signups where address = %s order by asked_at desc limit 1", email
    )
    return f"/confirm?token={SignupTokens([UNSUBSCRIBE_SECRET]).sign(signup)}"


async def pass_time(arrange: Arrange, interval: str) -> None:
    await arrange.sql.execute("update signups set asked_at = asked_at - %s::interval", [interval])


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
    assert mail["subject"] == "Please confirm: mails from Example Org"
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


class TestTheAnswer:
    """Nobody learns from it who is on the list."""

    KNOWN = ("active", "pending", "unsubscribed", "bounced", "complained")

    async def test_is_the_same_for_everybody(self, front: Service, arrange: Arrange) -> None:
        for known in self.KNOWN:
            await arrange.subscriber(f"{known}@example.com", status=known, name="As it was")
        await arrange.sql.execute(
            "insert into erased (address_hash) values (erased_hash('erased@example.com'))"
        )
        people = [*self.KNOWN, "erased", "nobody"]
        before = [await person(arrange, f"{known}@example.com") for known in self.KNOWN]
        for email in (f"{one}@example.com" for one in people * 2):  # and when asked again
            form = await ask(front.http, email, name="Mallory")
            json = await front.http.post("/subscribe", json={"email": email})
            assert (form.status_code, json.status_code) == (200, 202)
            assert form.text.replace(email, "?") == (
                await ask(front.http, "x@x.example")
            ).text.replace("x@x.example", "?")
            assert json.json() == {"status": "confirmation_sent"}
            assert set(form.headers) == set((await ask(front.http, "x@x.example")).headers)
            await arrange.sql.execute("delete from signup_clients")
        assert [await person(arrange, f"{known}@example.com") for known in self.KNOWN] == before
        assert await status(arrange, "erased@example.com") is None
        # And everybody gets the same mail.
        assert (
            await arrange.one("select count(*) from signups where due_at <= clock_timestamp()")
            == len(people) + 1
        )

    async def test_waits_a_while(self, front: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that what the database did for whom can't be told by the clock."""
        waited: list[float] = []
        monkeypatch.setattr("app.api.signup.subscribe.ANSWER_SECONDS", 1_000.0)

        async def sleep(seconds: float) -> None:
            waited.append(seconds)

        monkeypatch.setattr("app.api.signup.subscribe.sleep", sleep)
        await ask(front.http, ANN)
        assert 900 < waited[-1] < 1_000


class TestBadForms:
    @pytest.mark.parametrize(
        ("fields", "field", "words"),
        [
            ({"email": ""}, "email", "Write your mail address"),
            ({"email": "ann@localhost"}, "email", "doesn&#39;t look right"),
            ({"email": "a@example.com,b@example.com"}, "email", "more than one"),
            ({"email": ANN, "name": "x" * 101}, "name", "more than 100 characters"),
            ({"email": ANN, "name": "a\0b"}, "name", "character that names don"),
            ({"email": ANN, "tag": "vip"}, "tag", "SIGNUP_TAGS"),
        ],
    )
    async def test_are_shown_again_with_what_is_wrong(
        self, front: Service, arrange: Arrange, fields: dict[str, str], field: str, words: str
    ) -> None:
        answer = await front.http.post("/subscribe", data=fields)
        assert answer.status_code == 422
        assert words in answer.text
        assert "<form" in answer.text
        json = await front.http.post(
            "/subscribe",
            json={k: [v] if k == "tag" else v for k, v in fields.items() if k != "tag"}
            | ({"tags": [fields["tag"]]} if "tag" in fields else {}),
        )
        assert (json.status_code, json.json()["field"]) == (422, field)
        assert await arrange.one("select count(*) from signups") == 0

    async def test_what_is_typed_is_never_markup(self, front: Service) -> None:
        answer = await ask(front.http, '"><script>x', name='"><script>y</script>')
        assert answer.status_code == 422
        assert "<script" not in answer.text

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (b"email=%ff", "application/x-www-form-urlencoded"),
            (b"email=\xff", "application/x-www-form-urlencoded"),
            (b"&".join([b"a=b"] * 60), "application/x-www-form-urlencoded"),
            (b"x", "multipart/form-data; boundary=x"),
            (b"<email/>", "application/xml"),
            (b"[]", "application/json"),
            (b'{"email": 7}', "application/json"),
            (b'{"email": "ann@example.com", "status": "active"}', "application/json"),
            (b'{"email": "ann@example.com", "name": "\\ud800"}', "application/json"),
        ],
    )
    async def test_are_refused_whatever_they_are(
        self, front: Service, content: bytes, kind: str
    ) -> None:
        answer = await front.http.post(
            "/subscribe", content=content, headers={"Content-Type": kind}
        )
        assert answer.status_code == 422, answer.text
        large = await front.http.post(
            "/subscribe", content=b"a" * 10_001, headers={"Content-Type": kind}
        )
        assert large.status_code == 413

    async def test_a_program_that_fills_in_everything_gets_the_usual_answer_and_nothing_more(
        self, front: Service, arrange: Arrange
    ) -> None:
        usual = await ask(front.http, "x@x.example")
        trapped = await ask(front.http, ANN, leave_empty="https://spam.example")
        assert trapped.text.replace(ANN, "?") == usual.text.replace("x@x.example", "?")
        assert await status(arrange) is None


class TestLimits:
    async def test_a_mailbox_cant_be_flooded(self, front: Service, arrange: Arrange) -> None:
        """One mail in ten minutes and three in a day, whoever asks, however it is spelt."""

        async def mails() -> Any:
            for spelling in (ANN, "ANN@example.com", "ann@EXAMPLE.com\u200b"):
                assert (await ask(front.http, spelling)).status_code == 200
            return await arrange.one("select count(*) from signups")

        assert await mails() == 1
        await pass_time(arrange, "9 minutes 50 seconds")
        assert await mails() == 1
        for expected in (2, 3, 3, 3):
            await pass_time(arrange, "11 minutes")
            assert await mails() == expected
        await pass_time(arrange, "23 hours 30 minutes")
        assert await mails() == 4

    async def test_at_once_they_are_one(self, store: Store, arrange: Arrange) -> None:
        """Over any number of processes: the database counts."""
        await asyncio.gather(
            *(
                store.ask_signup(
                    client=f"192.0.2.{n}",
                    client_limit=5,
                    address=ANN,
                    name=None,
                    tags=[],
                    page=None,
                )
                for n in range(8)
            )
        )
        assert await arrange.one("select count(*) from signups") == 1
        assert await arrange.one("select count(*) from subscribers") == 1

    async def test_a_client_asks_so_often_an_hour(self, front: Service, arrange: Arrange) -> None:
        """An IPv4 address, or an IPv6 network of 64 bits."""

        async def asks(client: str, address: str = "some@example.com") -> httpx.Response:
            transport = httpx.ASGITransport(create_app(front.services), client=(client, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as http:
                return await ask(http, address)

        for n in range(CLIENT_LIMIT):
            assert (await asks(f"2001:db8::{n}")).status_code == 200
        refused = await asks("2001:db8::ffff:1", ANN)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 3600
        assert await status(arrange) is None
        assert (await asks("2001:db8:0:1::1")).status_code == 200
        await arrange.sql.execute("update signup_clients set hour = hour - interval '1 hour'")
        assert (await asks("2001:db8::1", ANN)).status_code == 200
        for odd in ("::ffff:192.0.2.1", "fe80::1%eth0", "unix:"):
            assert (await asks(odd)).status_code == 200
        clients = await arrange.sql.execute("select distinct client from signup_clients")
        assert {row["client"] async for row in clients} == {
            "2001:db8::/64",
            "2001:db8:0:1::/64",
            "192.0.2.1",
            "fe80::/64",
            "unknown",
        }


class TestConfirming:
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


class TestTheMail:
    async def test_is_the_owners(self, dsn: str, sandbox: SandboxServer, arrange: Arrange) -> None:
        settings = settings_for(
            dsn,
            sandbox.url,
            SIGNUP="true",
            SIGNUP_TEXT="Ja, ich will <den> Brief.",
            SIGNUP_SUBJECT="Bitte bestätigen {{ x }}",
            SIGNUP_MAIL=r"Hallo!\n\nEin Klick:\n{link}\n\nSie sagen damit: {text}",
            SIGNUP_BUTTON="Bestätigen",
            FROM_NAME="Brief",
            REPLY_TO_EMAIL="reply@example.com",
            SES_SEND_MODE="bulk",
        )
        async with in_process(settings) as service:
            await ask(service.http, ANN)
            mail = await confirmation_mail(sandbox, ANN)
        assert mail["subject"] == "Bitte bestätigen {{ x }}"
        assert mail["from"].startswith("Brief <")
        assert "Reply-To: reply@example.com" in mail["raw"]
        assert "Sie sagen damit: Ja, ich will &lt;den&gt; Brief." in mail["html"]
        assert ">Bestätigen</a>" in mail["html"]
        assert "Sie sagen damit: Ja, ich will <den> Brief." in mail["text"]
        link_in(mail)

    async def test_waits_while_the_account_cant_send_and_shares_its_quota(
        self, direct_store: Store, arrange: Arrange
    ) -> None:
        async def claimed(rate: float | None, **account: Any) -> Any:
            account = {"max_24h_send": 100, "sent_last_24h": 0, "sending_enabled": True} | account
            from psycopg.types.json import Jsonb

            await arrange.sql.execute("delete from send_rates")
            await arrange.sql.execute(
                "insert into send_rates (region, rate, account) values (%s, %s, %s)",
                [REGION, rate, Jsonb(account)],
            )
            return await direct_store.claim_signup_mail(REGION)

        await asked(direct_store, ANN)
        assert await claimed(None) is None
        assert await claimed(0) is None
        assert await claimed(5, sending_enabled=False) is None
        assert await claimed(5, sent_last_24h=100) is None
        mail = await claimed(5, sent_last_24h=99)
        assert mail["to"] == ANN
        assert await arrange.one("select taken_since_check from send_rates") == 1
        assert await direct_store.claim_signup_mail(REGION) is None

    async def test_takes_its_turn_in_the_rate(self, direct_store: Store, arrange: Arrange) -> None:
        """One token of those that mailouts take, too: neither goes without the other's waiting."""
        for address in (ANN, "bob@example.com"):
            await asked(direct_store, address)
        await arrange.sql.execute(
            "insert into send_rates (region, rate, next_token_at) "
            "values (%s, 0.01, now() + interval '50 seconds')",
            [REGION],
        )
        wait = await direct_store.claim_signup_mail(REGION)
        assert wait
        assert 40 < wait["wait"] < 50
        await arrange.sql.execute("update send_rates set next_token_at = now()")
        first = await direct_store.claim_signup_mail(REGION)
        assert first
        assert first["to"] == ANN
        second = await direct_store.claim_signup_mail(REGION)
        assert second
        assert 90 < second["wait"] < 100
        # The clock was set back: nobody waits for the time that was.
        await arrange.sql.execute("update send_rates set next_token_at = now() + interval '1 day'")
        again = await direct_store.claim_signup_mail(REGION)
        assert again
        assert again["to"] == "bob@example.com"

    async def test_a_refusal_that_passes_is_tried_again_and_an_unknown_outcome_is_not(
        self, service: Service, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        async def outcome(expected: str) -> None:
            async def look() -> Any:
                return await arrange.one(
                    "select coalesce(outcome, case when due_at > now() then 'later' end) "
                    "from signups"
                )

            await eventually(look, until=lambda found: found == expected)

        sandbox.faults(next=["throttle"])
        await ask(service.http, ANN)
        await outcome("later")
        sandbox.faults(next=["accept_then_drop"])
        await arrange.sql.execute("update signups set due_at = now()")
        await outcome("unknown")
        assert await service.services.store.claim_signup_mail(REGION) is None
        assert (await service.http.post(await link_to(sandbox, ANN))).status_code == 200
        assert await status(arrange) == "active"

    async def test_a_rehearsal_mails_nobody(
        self, dsn: str, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        """With DRY_RUN_SEND the mail waits."""
        async with in_process(
            settings_for(dsn, sandbox.url, SIGNUP="true", DRY_RUN_SEND="true")
        ) as service:
            await ask(service.http, ANN)
            assert service.services.sender
            assert service.services.sender._confirmation_mail is None
        assert await arrange.one("select claimed_at is null from signups")


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


async def test_without_signup_there_is_nothing(quiet: Service) -> None:
    for method, path in (
        ("GET", "/subscribe"),
        ("POST", "/subscribe"),
        ("GET", "/confirm"),
        ("POST", "/confirm"),
    ):
        assert (await quiet.http.request(method, path)).status_code == 404


async def test_where_nothing_can_be_sent_nobody_is_asked_to_wait_for_a_mail(
    dsn: str, arrange: Arrange
) -> None:
    settings = settings_for(dsn, None, AWS_REGION=None, SIGNUP="true")
    async with in_process(settings, with_sender=False) as service:
        assert (await service.http.get("/subscribe")).status_code == 503
        assert (await ask(service.http, ANN)).status_code == 503
        assert (await service.http.post("/subscribe", json={"email": ANN})).status_code == 503
    assert await status(arrange) is None
