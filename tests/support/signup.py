"""Signing up as a person does it: send the form, open the mail, press its button."""

from __future__ import annotations

import re
from typing import Any

import httpx

from app.sandbox.server import SandboxServer
from tests.support.waiting import eventually

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
