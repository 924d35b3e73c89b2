"""The form: nobody learns from its answer who is on the list, and nobody is flooded by it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.domain.access import OWNER
from app.main import create_app
from app.services.signup.sign_up import CLIENT_LIMIT
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.signup import (
    ANN,
    ask,
    pass_time,
    person,
    status,
)


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
    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize(
        ("fields", "field", "words"),
        [
            ({"email": ""}, "email", "Write your email address"),
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

    @pytest.mark.few_variants(3)
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
    async def test_a_server_with_a_credential_speaks_for_many(
        self, front: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.services.signup.sign_up.CLIENT_LIMIT", 1)
        key = await front.services.keys.create("site", ["read"], OWNER)
        bearer = {"Authorization": f"Bearer {key['key']}"}
        form = {"email": ANN, "page": "https://shop.example/a?b"}
        for headers in (BEARER, bearer, bearer):
            answer = await front.http.post("/subscribe", json=form, headers=headers)
            assert answer.status_code == 202
        page = await arrange.one("select consent->>'page' from subscribers")
        assert page == "https://shop.example/a"
        wrong = await front.http.post("/subscribe", json=form, headers={"X-Auth-Token": "no"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "unauthorized")
        answers = [(await front.http.post("/subscribe", json=form)) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [202, 429]
        assert int(answers[1].headers["retry-after"]) == answers[1].json()["retry_after"]

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

        app = create_app(front.services)

        async def asks(client: str, address: str = "some@example.com") -> httpx.Response:
            transport = httpx.ASGITransport(app, client=(client, 1))
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
