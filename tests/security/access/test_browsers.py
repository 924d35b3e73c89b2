"""What other sites can have a visitor's browser do here, and what is left of a session."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import pytest

from app.api.dashboard.access import Page
from app.api.dashboard.session import COOKIE
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.server import SandboxServer
from tests.security.fortress import BEARER, SECRET, Fortress, fortress_at
from tests.support.dashboard import form_token
from tests.support.databases import DatabaseServer
from tests.support.routes import ROUTES
from tests.support.service import client
from tests.support.wide import wide

POSTS = sorted(
    {route.url for route in ROUTES if isinstance(route.declared, Page) and route.method == "POST"}
)
IMPORT = "/dashboard/subscribers/import"
ORIGINS = [
    "null",
    "https://evil.test",
    "http://localhost",
    "file://",
    "https://localhost:8000.evil.test",
]


@dataclass
class Session:
    """Somebody signed in. origin: as the browser sends it from our own pages."""

    http: httpx.AsyncClient
    origin: str
    token: str

    @property
    def cookie(self) -> str:
        return self.http.cookies[COOKIE]

    async def post(self, path: str, token: str | None = None, **headers: str) -> httpx.Response:
        return await self.http.post(
            path,
            data={"form_token": self.token if token is None else token},
            headers={"Origin": self.origin} | headers,
        )


async def sign_in(fortress: Fortress) -> Session:
    http = client(fortress.http.base_url, timeout=30)
    origin = str(fortress.http.base_url).rstrip("/")
    answer = await http.post(
        "/dashboard/login", data={"secret": SECRET}, headers={"Origin": origin}
    )
    assert answer.status_code == 303
    return Session(http, origin, form_token((await http.get("/dashboard/account")).text))


@pytest.fixture
async def session(fortress: Fortress) -> AsyncIterator[Session]:
    signed_in = await sign_in(fortress)
    yield signed_in
    await signed_in.http.aclose()


async def test_49_no_other_origin_may_read(fortress: Fortress, session: Session) -> None:
    """No answer allows one, whatever is asked, with a cookie or without."""
    async with fortress.untouched():
        for origin in ORIGINS:
            asks = {
                "Origin": origin, "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization",
                "Access-Control-Request-Private-Network": "true",
            }  # fmt: skip
            for path in ("/mailouts", "/send-mailout", "/dashboard", "/health", "/openapi.json"):
                for method in ("OPTIONS", "GET"):
                    got = await session.http.request(method, path, headers=asks)
                    allows = [n for n in got.headers if n.startswith("access-control-")]
                    assert allows == [], (path, method, origin)
                    assert "evil.test" not in got.text


HOSTS = [
    "evil.test", "evil.test:80", "localhost:8000@evil.test", "localhost:8000.evil.test", "[::1]",
    '"><script>alert(1)</script>', "evil.test/x", "127.0.0.1#evil.test", "",
]  # fmt: skip


@pytest.mark.parametrize("host", wide(HOSTS))
async def test_49_no_link_is_made_of_the_host_header(fortress: Fortress, host: str) -> None:
    mailout = await fortress.arrange.mailout("draft", body_html="<p>Hi</p>")
    await fortress.arrange.subscriber()
    async with fortress.untouched({"job_queue"}):
        named = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Proto": "gopher",
                 "Forwarded": f'host="{host}"', "X-Original-URL": "/dashboard",
                 "X-Rewrite-URL": "/dashboard"}  # fmt: skip
        for method, path in (
            ("GET", "/subscribe"), ("GET", "/dashboard/login"), ("GET", "/dashboard"),
            ("GET", "/openapi.json"), ("GET", "/unsubscribe?token=x"), ("GET", "/nowhere"),
            ("POST", f"/mailouts/{mailout}/preview"),
        ):  # fmt: skip
            got = await fortress.http.request(method, path, headers=BEARER | named)
            told = got.text + str(got.headers.get("location", ""))
            assert got.status_code < 500
            assert "evil.test" not in told, (path, host)
            assert "alert(1)" not in told
            assert "gopher" not in told
            if path.endswith("/preview"):
                assert fortress.settings.app_base_url in told


async def test_50_each_form_of_the_dashboard_has_to_be_its_own(
    fortress: Fortress, session: Session
) -> None:
    """Every POST: of strangers, other sites, other sessions, and as another kind of body."""
    other = await sign_in(fortress)
    assert len(POSTS) > 50
    async with fortress.untouched():
        for place, path in enumerate(POSTS):
            if path == "/dashboard/login":
                continue
            stranger = await fortress.http.post(path, headers={"Origin": session.origin})
            assert stranger.status_code == 303, path
            assert stranger.headers["location"].startswith("/dashboard/login")
            tries = [
                await session.post(path, Origin=ORIGINS[place % len(ORIGINS)]),
                await session.post(path, token=[other.token, "", "x"][place % 3]),
                await session.post(
                    path, **{"Sec-Fetch-Site": ["cross-site", "same-site"][place % 2]}
                ),
            ]
            refused = {403, 422} if path == IMPORT else {403}  # 422: this one takes a file alone
            assert {answer.status_code for answer in tries} <= refused, (path, tries)
        for token in (other.token, ""):
            file = await session.http.post(
                IMPORT,
                data={"form_token": token},
                files={"file": ("list.csv", b"email\na@example.com\n", "text/csv")},
                headers={"Origin": session.origin},
            )
            assert file.status_code == 403
        no_origin = await session.http.post("/dashboard/logout", data={"form_token": session.token})
        assert no_origin.status_code == 403
    await other.http.aclose()


async def test_50_a_cookie_opens_no_api(fortress: Fortress, session: Session) -> None:
    """So JSON posted as text/plain by another site's form is a stranger's."""
    body = b'{"subject": "x"}'
    async with fortress.untouched():
        for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded", ""):
            for path in ("/mailouts", "/send-mailout", "/keys", "/subscribers"):
                answer = await session.http.post(
                    path, content=body, headers={"Content-Type": kind, "Origin": session.origin}
                )
                assert answer.status_code == 401, (path, kind)
        form = urlencode({"form_token": session.token}).encode()
        for kind in ("text/plain", "multipart/form-data; boundary=x"):
            answer = await session.http.post(
                "/dashboard/logout", content=form, headers={"Content-Type": kind, "Origin": "null"}
            )
            assert answer.status_code == 403


async def test_50_no_page_can_be_framed_and_no_script_of_others_runs(
    fortress: Fortress, session: Session
) -> None:
    pages = [
        route.url for route in ROUTES if isinstance(route.declared, Page) and route.method == "GET"
    ]
    assert len(pages) > 40
    for path in ["/unsubscribe", "/subscribe", "/confirm?token=x", *pages]:
        got = await session.http.get(path)
        policy = got.headers.get("content-security-policy", "")
        if got.status_code == 303 or not got.headers["content-type"].startswith("text/html"):
            continue
        assert got.status_code < 500, path
        assert re.search(r"frame-ancestors '(none|self)'", policy), (path, policy)
        assert "unsafe-eval" not in policy
        assert not re.search(r"script-src[^;]*unsafe-inline", policy), path
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "referrer-policy" in got.headers


async def test_50_the_cookie_is_for_this_site_and_no_script(
    fortress: Fortress,
) -> None:
    login = {"secret": SECRET}
    origin = {"Origin": str(fortress.http.base_url).rstrip("/")}
    set_cookie = (await fortress.http.post("/dashboard/login", data=login, headers=origin)).headers[
        "set-cookie"
    ]
    fortress.http.cookies.clear()
    attributes = {part.strip().partition("=")[0].lower() for part in set_cookie.split(";")[1:]}
    assert {"httponly", "samesite", "path", "max-age"} <= attributes
    assert "samesite=strict" in set_cookie.lower()
    assert "path=/dashboard" in set_cookie.lower()
    assert "domain" not in attributes


async def test_51_a_session_is_over_when_somebody_signs_out(fortress: Fortress) -> None:
    """Every copy of its cookie, and its forms."""
    leaving = await sign_in(fortress)
    copy = {"Cookie": f"{COOKIE}={leaving.cookie}"}
    assert (await fortress.http.get("/dashboard/account", headers=copy)).status_code == 200
    out = await leaving.post("/dashboard/logout")
    assert "max-age=0" in out.headers["set-cookie"].lower()
    async with fortress.untouched():
        again = await fortress.http.get("/dashboard/account", headers=copy)
        assert again.status_code == 303
        posted = await fortress.http.post(
            "/dashboard/keys", data={"form_token": leaving.token, "name": "x", "scope": "manage"},
            headers=copy | {"Origin": leaving.origin},
        )  # fmt: skip
        assert posted.status_code == 303
        assert posted.headers["location"].startswith("/dashboard/login")
    await leaving.http.aclose()


async def test_51_a_cookie_that_isnt_quite_one_is_none(
    fortress: Fortress, session: Session
) -> None:
    cookie = session.cookie
    identity, expires, signature = cookie.split(".")
    later = str(int(expires) + 10**6)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(signature[-1])
    bad = [
        f"{identity}.{later}.{signature}", f"{'0' * 32}.{expires}.{signature}",
        f"{identity}.{expires}.",
        f"{identity}.{expires}", cookie[:-1], cookie + "=", cookie + "A", cookie.upper(), "",
        f"{identity}.{expires}.{session.token}", session.token, SECRET, "null", "." * 100,
        *(cookie[:-1] + letters[last ^ bit] for bit in (1, 2, 3, 32)), "x" * 4_000,
    ]  # fmt: skip
    async with fortress.untouched():
        for value in bad:
            got = await fortress.http.get(
                "/dashboard/account", headers={"Cookie": f"{COOKIE}={value}"}
            )
            assert got.status_code == 303, value


async def test_51_no_session_is_taken_over_from_before(fortress: Fortress) -> None:
    """Fixation: whatever cookie came with the form, the one that is set is new."""
    planted = (await sign_in(fortress)).cookie
    origin = str(fortress.http.base_url).rstrip("/")
    made = set()
    for cookie in (planted, planted, "chosen-by-somebody-else", f"{'0' * 32}.9999999999.x"):
        answer = await fortress.http.post(
            "/dashboard/login", data={"secret": SECRET},
            headers={"Origin": origin, "Cookie": f"{COOKIE}={cookie}"},
        )  # fmt: skip
        made.add(answer.headers["set-cookie"].partition(";")[0].partition("=")[2])
        fortress.http.cookies.clear()
    assert len(made) == 4
    assert planted not in made


async def test_51_sessions_end_with_the_secret_that_opened_them(
    postgres_server: DatabaseServer, sandbox: SandboxServer, providers: ProvidersServer
) -> None:
    """And only those: the other secret of a rotation goes on."""
    new = "Wq3vT9xLm2Zk8RbYc5Hd7Jf1Ns6Pg4Ua"
    cookies = {}
    with postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        both = {"EXECUTOR_SHARED_SECRET": f"{new}, {SECRET}"}
        async with fortress_at(dsn, sandbox.url, providers, **both) as rotating:
            origin = {"Origin": str(rotating.http.base_url).rstrip("/")}
            for secret in (SECRET, new):
                answer = await rotating.http.post(
                    "/dashboard/login", data={"secret": secret}, headers=origin
                )
                cookies[secret] = answer.headers["set-cookie"].partition(";")[0]
                rotating.http.cookies.clear()
            rotating.services.sessions._secrets = (new,)  # as after the next start
            for secret, status in ((SECRET, 303), (new, 200)):
                got = await rotating.http.get(
                    "/dashboard/account", headers={"Cookie": cookies[secret]}
                )
                assert got.status_code == status
