"""The dashboard's sessions, and how often a secret may be tried."""

from __future__ import annotations

from datetime import datetime

import pytest
from starlette.requests import Request

from app.api.dashboard.session import Sessions, from_own_page

SECRET = "s" * 40
TWELVE_HOURS = 12 * 3600


class Ended:
    """A list in memory."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    async def end_session(self, session: str, expires_at: datetime) -> None:
        assert expires_at.tzinfo is not None
        self.ids.add(session)

    async def session_ended(self, session: str) -> bool:
        return session in self.ids


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_session_lasts_twelve_hours() -> None:
    clock = Clock()
    sessions = Sessions([SECRET], Ended(), now=clock)
    cookie = sessions.sign_in(SECRET)
    clock.now += TWELVE_HOURS - 1
    assert await sessions.find(cookie) is not None
    clock.now += 1
    assert await sessions.find(cookie) is None


async def test_a_session_that_was_ended_is_over_everywhere() -> None:
    ended = Ended()
    one, other = Sessions([SECRET], ended), Sessions([SECRET], ended)
    cookie = one.sign_in(SECRET)
    session = await other.find(cookie)
    assert session is not None
    await one.end(session)
    assert await other.find(cookie) is None
    assert await other.find(other.sign_in(SECRET)) is not None


async def test_cookie_and_form_token_are_of_different_keys() -> None:
    sessions = Sessions([SECRET], Ended())
    cookie = sessions.sign_in(SECRET)
    session = await sessions.find(cookie)
    assert cookie is not None
    assert session is not None
    content, _, signature = cookie.rpartition(".")
    assert session.form_token != signature
    assert session.owns_form(session.form_token)
    assert not session.owns_form(signature)
    assert not session.owns_form("")
    assert await sessions.find(f"{content}.{session.form_token}") is None


@pytest.mark.parametrize("presented", ["", "é" * 40, SECRET + "\0"])
def test_only_the_secret_signs_in(presented: str) -> None:
    assert Sessions([SECRET], Ended()).sign_in(presented) is None


def request(headers: dict[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw})


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"Origin": "https://mail.example.com", "Host": "10.0.0.5:8000"}, True),
        ({"Origin": "http://127.0.0.1:8000", "Host": "127.0.0.1:8000"}, True),
        ({"Origin": "http://mail.example.com", "Host": "10.0.0.5:8000"}, False),
        ({"Origin": "https://mail.example.com.evil.example", "Host": "mail.example.com"}, False),
        ({"Origin": "null", "Host": "mail.example.com"}, False),
        ({"Origin": "https://[mail.example.com", "Host": "[mail.example.com"}, False),
        ({"Host": "mail.example.com"}, False),
        ({"Host": ""}, False),
        ({"Origin": "https://mail.example.com", "Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "https://mail.example.com", "Sec-Fetch-Site": "same-origin"}, True),
    ],
)
def test_where_a_form_may_come_from(headers: dict[str, str], *, own: bool) -> None:
    assert from_own_page(request(headers), "https://mail.example.com") is own
