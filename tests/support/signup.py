"""Signing up as a person does it: send the form, open the mail, press its button."""

from __future__ import annotations

import re
from typing import Any

import httpx

from app.domain.timed_tokens import SignupTokens
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import UNSUBSCRIBE_SECRET
from tests.support.waiting import eventually

ANN = "ann@example.com"
TEXT = "Yes, send me the letter."

_LINK = re.compile(r"^https?://\S+/confirm\?token=(\S+)$", re.MULTILINE)


async def ask(http: httpx.AsyncClient, email: str, **fields: Any) -> httpx.Response:
    return await http.post("/subscribe", data={"email": email, **fields})


async def confirmation_mail(sandbox: SandboxServer, address: str, count: int = 1) -> dict[str, Any]:
    """The newest mail to the address, once there are `count`."""

    async def look() -> list[dict[str, Any]]:
        return sandbox.mails(address)

    mails = await eventually(look, until=lambda found: len(found) >= count)
    assert len(mails) == count
    return sandbox.mail(mails[0]["message_id"])


def link_in(mail: dict[str, Any]) -> str:
    """The path and token of its link."""
    [token] = _LINK.findall(mail["text"].replace("\r\n", "\n"))
    assert f"/confirm?token={token}" in mail["html"]
    return f"/confirm?token={token}"


async def link_to(sandbox: SandboxServer, address: str, count: int = 1) -> str:
    return link_in(await confirmation_mail(sandbox, address, count))


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
