"""Who is refused often is slowed down; who is right never is (docs/security.md#rate-limits).

The fortress trusts a proxy on this machine, so each test comes from an address of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from app.domain.access import OWNER
from app.domain.clients import refusals
from app.domain.clients.refusals import BUDGETS, Budget
from app.domain.notion.events import signature
from app.domain.timed_tokens import Mistake, ResubscribeTokens, SignupTokens
from app.domain.tokens import UnsubscribeTokens
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.server import SandboxServer
from app.sandbox.sns.signing import new_message_id, signing_identity
from tests.security.fortress import BEARER, NOTION_TOKEN, SECRET, Fortress, fortress_at
from tests.support.databases import DatabaseServer
from tests.support.routes import PROTECTED
from tests.support.service import TOPIC, UNSUBSCRIBE_SECRET, client
from tests.support.waiting import eventually
from tests.support.wide import wide

OTHERS, SECRETS = 10, 5
DELIVERY = Path("tests/payloads/ses/delivery.json").read_text(encoding="utf-8")
WRONG = {"Authorization": "Bearer wrong-0123456789abcdefghijklmnopqrs"}


@pytest.fixture(autouse=True)
def _small_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few requests are a flood; tests/unit/test_refusals.py has the real ones."""
    monkeypatch.setitem(BUDGETS, "other", Budget(OTHERS, 0.01))
    monkeypatch.setitem(BUDGETS, "secret", Budget(SECRETS, 0.01))
    monkeypatch.setattr(refusals, "ALL", Budget(6_000, 10_000))


def by(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address}


Ask = Callable[[], Awaitable[httpx.Response]]


async def limited_after(free: int, ask: Ask, status: int) -> httpx.Response:
    """Ask until the limit; the first answer beyond it."""
    for n in range(free):
        answer = await ask()
        assert answer.status_code == status, (n, answer.text)
        assert "retry-after" not in answer.headers
    answers = await asyncio.gather(*(ask() for _ in range(5)))
    assert {answer.status_code for answer in answers} == {429}
    assert int(answers[0].headers["retry-after"]) >= 1
    return answers[0]


LINKS = [
    ("GET", "/unsubscribe"), ("POST", "/unsubscribe"), ("POST", "/resubscribe"),
    ("GET", "/confirm"), ("POST", "/confirm"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), wide(LINKS))
async def test_22_guessed_links_are_limited_and_right_ones_never(
    fortress: Fortress, method: str, path: str
) -> None:
    """Ids in a row, with a signature that is random. At the limit a reader behind the same address
    still gets what their link is for."""
    here = by(f"198.51.100.{LINKS.index((method, path))}")
    shapes = {
        "/unsubscribe": lambda key, n: UnsubscribeTokens([key]).sign(UUID(int=n), UUID(int=7)),
        "/resubscribe": lambda key, n: ResubscribeTokens([key]).sign(Mistake(UUID(int=n), 1)),
        "/confirm": lambda key, n: SignupTokens([key]).sign(UUID(int=n)),
    }
    guesses = iter(range(1_000))
    bodies = set()

    async def guess() -> httpx.Response:
        token = shapes[path](f"guess-{uuid4()}-{uuid4()}", next(guesses))
        answer = await fortress.http.request(method, path, params={"token": token}, headers=here)
        if answer.status_code == 400:
            bodies.add(answer.content)
        return answer

    async with fortress.untouched():
        refused = await limited_after(OTHERS, guess, 400)
    assert len(bodies) == 1
    assert refused.headers["content-type"].startswith("text/html")
    assert "referrer-policy" in refused.headers
    subscriber = await fortress.arrange.subscriber()
    token = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(subscriber, None)
    for _ in range(OTHERS + 5):
        right = await fortress.http.post("/unsubscribe", params={"token": token}, headers=here)
        assert right.status_code == 200
    assert (
        await fortress.arrange.one("select status from subscribers where id = %s", subscriber)
        == "unsubscribed"
    )


async def test_48_wrong_secrets_share_a_limit_over_all_routes(fortress: Fortress) -> None:
    """Whatever the route; a right secret or key is let in meanwhile, and its own mistakes don't
    count."""
    here = by("198.51.100.20")
    key = await fortress.services.keys.create("flooded", ["read"], OWNER)
    found: Counter[int] = Counter()
    async with fortress.untouched():
        for route in PROTECTED[::4]:
            answer = await fortress.http.request(route.method, route.url, headers=here | WRONG)
            found[answer.status_code] += 1
            assert answer.status_code in {401, 429}
            assert (answer.status_code == 429) == ("retry-after" in answer.headers)
        assert found[401] == SECRETS
        for more in (
            {"json": {"auth_token": "wrong-secret-0123456789abcdefghi"}},
            {"headers": here | {"X-Auth-Token": "as_" + "x" * 43}, "json": {}},
            {"headers": here | {"Authorization": f"Bearer {SECRET[:-1]}"}, "json": {}},
        ):
            answer = await fortress.http.post("/send-mailout", **{"headers": here} | more)  # type: ignore[arg-type]
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    for right in (BEARER, {"X-Auth-Token": key["key"]}):
        for _ in range(OTHERS + SECRETS):
            answer = await fortress.http.get(f"/mailouts/{uuid4()}", headers=here | right)
            assert answer.status_code == 404
    in_body = {"auth_token": SECRET, "mailout_id": str(uuid4())}
    answer = await fortress.http.post("/send-mailout", json=in_body, headers=here)
    assert answer.status_code == 404


async def test_48_requests_without_a_secret_are_limited(fortress: Fortress) -> None:
    here = by("198.51.100.21")
    refused = await limited_after(
        OTHERS, lambda: fortress.http.post(f"/mailouts/{uuid4()}/test", headers=here), 401
    )
    assert refused.headers["content-type"] == "application/problem+json"
    for path in ("/health", "/health/live", "/metrics", "/dashboard/login"):
        assert (await fortress.http.get(path, headers=here)).status_code == 200


async def test_48_wrong_sign_ins_lock_nobody_out(fortress: Fortress) -> None:
    here = by("198.51.100.22") | {"Origin": f"http://127.0.0.1:{fortress.port}"}

    async def sign_in(secret: str) -> httpx.Response:
        return await fortress.http.post("/dashboard/login", data={"secret": secret}, headers=here)

    async with fortress.untouched(but={"audit_log"}):
        await limited_after(5, lambda: sign_in(f"wrong {uuid4()}"), 401)
    noted = await fortress.arrange.one(
        "select sum((after->>'tries')::int) from audit_log where action = 'sign_in.refused'"
    )
    assert noted in {None, 5}
    assert (await sign_in(SECRET)).status_code == 303


async def test_48_guessed_cookies_are_limited(fortress: Fortress) -> None:
    here = by("198.51.100.23")

    async def guess() -> httpx.Response:
        cookie = f"amazonsender_dashboard={uuid4().hex}.9999999999.{'A' * 43}"
        return await fortress.http.get("/dashboard", headers=here | {"Cookie": cookie})

    async with fortress.untouched():
        limited = await limited_after(SECRETS, guess, 303)
    assert 'href="/dashboard/login"' in limited.text, "whose cookie is just old may sign in"


async def test_48_webhooks_that_strangers_have_verified_are_limited(fortress: Fortress) -> None:
    """Nobody can tell Notion's from theirs, and each is written down. Signed events go on."""
    here = by("198.51.100.24")

    async def verify() -> httpx.Response:
        asking = {"verification_token": f"secret_{uuid4().hex}"}
        return await fortress.http.post("/notion-events", json=asking, headers=here)

    await limited_after(OTHERS, verify, 200)
    async with fortress.untouched():
        assert (await verify()).status_code == 429
    event = json.dumps({"type": "user.created", "id": str(uuid4())}).encode()
    signed = {"X-Notion-Signature": signature(NOTION_TOKEN, event)}
    answer = await fortress.http.post("/notion-events", content=event, headers=here | signed)
    assert answer.status_code == 200, answer.text


JUNK: list[tuple[str, str, dict[str, Any], int]] = [
    ("POST", "/ses-events", {"content": b"[" * 1_000}, 400),
    ("POST", "/ses-events", {"content": b"{}", "headers": {"X-Amz-Sns-Topic-Arn": "arn:x"}}, 403),
    ("POST", "/notion-events", {"json": {"type": "page.created"}}, 401),
    ("POST", "/sendgrid-events", {"json": []}, 403),
    ("POST", "/mailgun-events", {"json": {}}, 406),
    ("POST", "/subscribe", {"data": {"email": "nobody"}}, 422),
    ("GET", "/.env", {}, 404),
    ("PUT", "/health", {}, 405),
]


@pytest.mark.parametrize(("method", "path", "request_", "status"), wide(JUNK))
async def test_48_junk_is_limited_everywhere(
    fortress: Fortress, method: str, path: str, request_: dict[str, Any], status: int
) -> None:
    here = by(f"2001:db8:0:{JUNK.index((method, path, request_, status))}::1")
    headers = here | request_.get("headers", {})

    async def ask() -> httpx.Response:
        return await fortress.http.request(method, path, **{**request_, "headers": headers})

    async with fortress.untouched():
        await limited_after(OTHERS, ask, status)


def genuine(fortress: Fortress, event: object) -> dict[str, str]:
    identity, sns = signing_identity(), fortress.settings.sns_endpoint("us-east-1")
    message = {
        "Type": "Notification",
        "MessageId": new_message_id(),
        "TopicArn": TOPIC,
        "Message": json.dumps(event),
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": "2",
    }
    return message | {
        "Signature": identity.sign(message),
        "SigningCertURL": f"{sns}{identity.certificate_path}",
    }


async def test_48_a_flood_of_genuine_events_is_never_limited(fortress: Fortress) -> None:
    """Not either when strangers make Amazon itself bring us theirs, from the same addresses."""
    here = by("203.0.113.50")
    await limited_after(
        OTHERS, lambda: fortress.http.post("/ses-events", content=b"{}", headers=here), 400
    )
    headers = here | {
        "X-Amz-Sns-Message-Type": "Notification", "X-Amz-Sns-Topic-Arn": TOPIC,
    }  # fmt: skip
    event = json.loads(DELIVERY)
    flood = [genuine(fortress, event) for _ in range(2 * OTHERS)]
    answers = await asyncio.gather(
        *(fortress.http.post("/ses-events", json=message, headers=headers) for message in flood)
    )
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    # What is genuine and still no event isn't counted either.
    for _ in range(OTHERS + 2):
        answer = await fortress.http.post(
            "/ses-events", json=genuine(fortress, {"eventType": 7}), headers=by("203.0.113.51")
        )
        assert answer.status_code == 400


FORWARDED = [
    ["203.0.113.9"],
    ["198.51.100.1, 203.0.113.9"],
    ["junk, 203.0.113.9"],
    ["127.0.0.1, 203.0.113.9"],
    ["203.0.113.9, 127.0.0.1"],
    ["203.0.113.9:4711"],
    [", ".join(f"10.0.0.{n}" for n in range(100)) + ", 203.0.113.9"],
    ["198.51.100.1", "203.0.113.9"],
    ["198.51.100.1\t,\t203.0.113.9"],
    ["::1, ::ffff:203.0.113.9"],
]


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("forwarded", "same"),
    [
        (FORWARDED, True),
        ([[f"2001:db8:9:9:{n:x}::1"] for n in range(10)], True),
        ([[f"[2001:db8:9:8::{n:x}]:{4711 + n}"] for n in range(10)], True),
        ([[f"junk {n}"] for n in range(10)], True),
        ([[f"203.0.113.10, 1.2.3.{n}"] for n in range(10)], False),
        ([[f"2001:db8:7:{n:x}::1"] for n in range(10)], False),
    ],
    ids=["one address", "an IPv6 network", "with ports", "junk", "addresses", "IPv6 networks"],
)
async def test_48_the_proxy_alone_says_who_the_client_is(
    fortress: Fortress, forwarded: list[list[str]], same: bool
) -> None:
    origin = ("Origin", f"http://127.0.0.1:{fortress.port}")
    found = []
    for values in forwarded:
        headers = [origin, *(("X-Forwarded-For", value) for value in values)]
        answer = await fortress.http.post(
            "/dashboard/login", data={"secret": "wrong"}, headers=headers
        )
        found.append(answer.status_code)
    assert found == ([401] * 5 + [429] * (len(forwarded) - 5) if same else [401] * len(forwarded))


@pytest.fixture(scope="module")
async def untrusted(
    postgres_server: DatabaseServer, sandbox: SandboxServer, providers: ProvidersServer
) -> AsyncIterator[Fortress]:
    """Its proxy has another address than FORWARDED_ALLOW_IPS names."""
    with postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        async with fortress_at(
            dsn, sandbox.url, providers, FORWARDED_ALLOW_IPS="172.18.0.0/16, ::1"
        ) as running:
            yield running


async def test_48_nobody_else_is_believed_and_nobody_locked_out(untrusted: Fortress) -> None:
    """All come from one address then. The owner gets in all the same, and the log says what is
    missing: once."""
    origin = {"Origin": f"http://127.0.0.1:{untrusted.port}"}
    with capture_logs() as logs:
        found: Counter[int] = Counter()
        for n in range(15):
            answer = await untrusted.http.post(
                "/dashboard/login",
                data={"secret": "wrong"},
                headers=origin | by(f"198.51.100.{n}, 172.18.0.5"),
            )
            found[answer.status_code] += 1
        assert found == {401: 5, 429: 10}
        for n in range(SECRETS + 5):
            await untrusted.http.get("/mailouts", headers=WRONG | by(f"198.51.100.{n}"))
    answer = await untrusted.http.get("/mailouts", headers=WRONG | by("192.0.2.77"))
    assert answer.status_code == 429
    told = [line for line in logs if line["event"] == "forwarded_for_not_believed"]
    assert [line["proxy"] for line in told] == ["127.0.0.1"]
    assert "FORWARDED_ALLOW_IPS" in told[0]["remedy"]
    right = await untrusted.http.post("/dashboard/login", data={"secret": SECRET}, headers=origin)
    assert right.status_code == 303
    assert (await untrusted.http.get("/mailouts", headers=BEARER)).status_code == 200


async def test_48_where_every_proxy_is_trusted_the_nearest_one_counts(
    postgres_server: DatabaseServer, sandbox: SandboxServer, providers: ProvidersServer
) -> None:
    """FORWARDED_ALLOW_IPS=*: what stands further left anybody can write."""
    with postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        async with (
            fortress_at(dsn, sandbox.url, providers, FORWARDED_ALLOW_IPS="*") as all_trusted,
            client(f"http://127.0.0.1:{all_trusted.port}") as http,
        ):
            headers = {"Origin": f"http://127.0.0.1:{all_trusted.port}"}
            found = []
            for n in range(8):
                spoofed = by(f"198.51.100.{n}, 203.0.113.9")
                answer = await http.post(
                    "/dashboard/login", data={"secret": "wrong"}, headers=headers | spoofed
                )
                found.append(answer.status_code)
    assert found == [401] * 5 + [429] * 3


async def test_48_large_bodies_that_do_not_end_keep_no_event_out(
    fortress: Fortress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are small; what is large has to come again until there is room."""
    monkeypatch.setitem(BUDGETS, "other", Budget(1_000, 10))  # it is asked until there is no room
    monkeypatch.setattr("app.api.http.body_limit.STRANGERS_BYTES", 100_000)
    opening = b"POST /ses-events HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"
    held = [await asyncio.open_connection("127.0.0.1", fortress.port) for _ in range(3)]
    for _, writer in held:
        writer.write(opening + b" " * 90_000)
        await writer.drain()

    async def large() -> httpx.Response:
        return await fortress.http.post(
            "/ses-events", content=b" " * 50_000, headers=by("203.0.113.60")
        )

    refused = await eventually(large, until=lambda answer: answer.status_code == 503)
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    event = genuine(fortress, json.loads(DELIVERY))
    answer = await fortress.http.post("/ses-events", json=event, headers=by("203.0.113.61"))
    assert answer.status_code == 200
    owners = await fortress.http.get(f"/mailouts/{uuid4()}", headers=BEARER)
    assert owners.status_code == 404
    for _, writer in held:
        writer.transport.abort()
