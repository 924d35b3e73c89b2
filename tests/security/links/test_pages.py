"""The pages behind links in mails: whoever looks changes nothing, and nothing leads elsewhere."""

from __future__ import annotations

from urllib.parse import unquote
from uuid import UUID

import pytest

from app.domain.timed_tokens import Mistake, ResubscribeTokens, SignupTokens
from app.domain.tokens import UnsubscribeTokens
from tests.security.fortress import SECRET, Fortress
from tests.support.service import UNSUBSCRIBE_SECRET
from tests.support.wide import wide

TOKENS = UnsubscribeTokens([UNSUBSCRIBE_SECRET])
SCANNERS = [
    {}, {"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}, {"X-Moz": "prefetch"},
    {"User-Agent": "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))"},
    {"User-Agent": "Slackbot-LinkExpanding 1.0"}, {"X-Purpose": "preview"}, {"Range": "bytes=0-9"},
    {"X-HTTP-Method-Override": "POST"}, {"Content-Type": "application/x-www-form-urlencoded"},
]  # fmt: skip


async def link_of(fortress: Fortress, address: str | None = None) -> tuple[str, UUID]:
    someone = await fortress.arrange.subscriber(address)
    return f"/unsubscribe?token={TOKENS.sign(someone, None)}", someone


async def signup_of(fortress: Fortress, address: str = "new@example.com") -> str:
    asked = await fortress.http.post("/subscribe", json={"email": address})
    assert asked.status_code == 202
    found = await fortress.sql.execute("select id from signups order by asked_at desc limit 1")
    return SignupTokens([UNSUBSCRIBE_SECRET]).sign((await found.fetchone() or {})["id"])


async def test_24_looking_changes_nothing(fortress: Fortress) -> None:
    link, _ = await link_of(fortress)
    confirm = f"/confirm?token={await signup_of(fortress)}"
    async with fortress.untouched():
        for address in (link, confirm):
            for headers in SCANNERS:
                shown = await fortress.http.get(address, headers=headers)
                assert shown.status_code == 200
                assert '<form method="post"' in shown.text
                assert "<script" not in shown.text
                assert "http-equiv" not in shown.text
            assert (await fortress.http.head(address)).status_code == 200
            for method in ("OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
                assert (await fortress.http.request(method, address)).status_code == 405, method
            with_body = await fortress.http.request(
                "GET", address, content=b"List-Unsubscribe=One-Click"
            )
            assert with_body.status_code == 200
            for other in (address + "&List-Unsubscribe=One-Click", address + "&_method=POST"):
                assert (await fortress.http.get(other)).status_code == 200
        back = ResubscribeTokens([UNSUBSCRIBE_SECRET]).sign(Mistake(UUID(int=1), 1))
        for method in ("GET", "HEAD", "OPTIONS"):
            tried = await fortress.http.request(method, f"/resubscribe?token={back}")
            assert tried.status_code == 405


@pytest.mark.few_variants(3)
@pytest.mark.parametrize(
    "request_of",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": b""},
        {"content": b"\x00\xff" * 500, "headers": {"Content-Type": "text/plain"}},
        {"data": {"List-Unsubscribe": "One-Click"}, "headers": {"Origin": "https://evil.test"}},
        {"data": {"a": "b"}, "headers": {"Cookie": "x=y", "Sec-Fetch-Site": "cross-site"}},
        {"json": {"List-Unsubscribe": "One-Click"}},
    ],
    ids=["form", "multipart", "button", "junk", "elsewhere", "cookies", "json"],
)
async def test_25_a_post_unsubscribes(fortress: Fortress, request_of: dict[str, object]) -> None:
    """Without a cookie, a form's token or a session; no redirect; the same ten times."""
    link, someone = await link_of(fortress)
    answers = [await fortress.http.post(link, **request_of) for _ in range(10)]  # type: ignore[arg-type]
    assert {answer.status_code for answer in answers} == {200}
    assert not any({"location", "set-cookie"} & answer.headers.keys() for answer in answers)
    changes = await fortress.sql.execute(
        "select (select status from subscribers where id = %(id)s) as status, count(*) as n "
        "from subscriber_changes "
        "where subscriber_id = %(id)s and after->>'status' = 'unsubscribed'",
        {"id": someone},
    )
    assert await changes.fetchone() == {"status": "unsubscribed", "n": 1}


ELSEWHERE = [
    "//evil.test", "https:evil.test", "https://evil.test", "/\\evil.test", "\\\\evil.test",
    "javascript:alert(1)", "/dashboard@evil.test", "/dashboard\\@evil.test", "///evil.test",
    "/dashboard\r\nLocation: https://evil.test", "/\t/evil.test", "/dashboard/../..//evil.test",
    "http://localhost:8000@evil.test", "data:text/html,x", " //evil.test",
    "/dashboardx.evil.test", "/dashboard/\u2028//evil.test", "%2f%2fevil.test",
    "/dashboard/\\evil.test", "\u3002evil.test", "/dashboard/..%2f..%2f%2fevil.test",
    "https:/evil.test", "h\ttps://evil.test", "/dashboard/%2e%2e/%2e%2e//evil.test",
]  # fmt: skip


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("target", wide(ELSEWHERE, 4))
async def test_26_no_redirect_leaves_the_site(fortress: Fortress, target: str) -> None:
    """Signing in is the one place that goes where an address says, and only to the dashboard."""
    origin = {"Origin": str(fortress.http.base_url).rstrip("/")}
    asked = {"next": target}
    answer = await fortress.http.post(
        "/dashboard/login", data={"secret": SECRET, **asked}, headers=origin
    )
    fortress.http.cookies.clear()
    place = answer.headers["location"]
    assert answer.status_code == 303
    assert place.startswith("/dashboard")
    assert "evil.test" not in place or place.startswith("/dashboard/")
    assert "/." not in unquote(place)
    assert not {"\\", "\r", "\n", "\t"} & set(place)
    shown = await fortress.http.get("/dashboard/login", params=asked)
    assert target not in shown.text or target.startswith("/dashboard")
    link, _ = await link_of(fortress)
    async with fortress.untouched():
        for road in ("/unsubscribe", "/confirm", "/subscribe", "/dashboard", "/"):
            for name in ("next", "url", "redirect", "return_to", "r"):
                got = await fortress.http.get(road, params={name: target})
                assert "evil.test" not in got.headers.get("location", ""), road
                assert "evil.test" not in got.text.replace(target, "") or road == "/"
        got = await fortress.http.get(f"{link}&next=//evil.test")
        assert got.status_code == 200
        assert "evil.test" not in got.text


async def test_27_pages_of_links_keep_the_address_and_the_token(
    fortress: Fortress, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masked; out of referrers, caches, search engines and the log."""
    address = "very.secret.person@example.org"
    link, _ = await link_of(fortress, address)
    token = link.partition("=")[2]
    capsys.readouterr()
    pages = [await fortress.http.request(how, link) for how in ("GET", "HEAD", "POST", "POST")]
    pages += [
        await fortress.http.get(link[:-1]),
        await fortress.http.get("/confirm?token=" + token),
        await fortress.http.post("/resubscribe?token=" + token),
        await fortress.http.get("/subscribe"),
    ]
    for shown in pages:
        assert address not in shown.text
        assert "very.secret" not in shown.text
        wanted = {"same-origin"} if shown.request.url.path == "/subscribe" else {"no-referrer"}
        assert {shown.headers["referrer-policy"]} == wanted
        assert shown.headers["cache-control"] == "no-store"
        assert "noindex" in shown.headers["x-robots-tag"]
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert "etag" not in shown.headers
    said = capsys.readouterr()
    assert "request" in said.out + said.err
    for line in (said.out, said.err):
        assert token not in line
        assert token.partition(".")[2] not in line
        assert address not in line
