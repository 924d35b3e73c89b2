"""Endpoints are strangers: they may hang, never end, or lead into our own network."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.domain.access import OWNER
from app.domain.hooks.deliveries import judge_answer
from app.errors import HookNotActive, HookNotFound, HookRefused
from app.services.hooks.hooks import Hooks
from app.services.hooks.poster import RESOLVING, Poster
from app.settings import Settings
from app.store import Store
from tests.hooks.conftest import Handler, Receiver, served, silence
from tests.support.certificates import self_signed, server_context
from tests.support.hooks import a_delivery
from tests.support.local_server import Reply
from tests.support.service import settings_for

SOON = 0.4
"""How long these endpoints may take, in seconds."""


def resolving(
    *addresses: list[str],
) -> tuple[Callable[[str, int], Awaitable[list[str]]], list[str]]:
    """A resolver that gives one answer after the other, the last again and again; and what it was
    asked for."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return addresses[min(len(asked), len(addresses)) - 1]

    return resolve, asked


async def headers_without_end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-More: and more\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def a_body_without_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.01)


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"220 mail.example.com ESMTP\r\n")
    writer.close()
    await writer.wait_closed()


async def closes(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("handler", "status", "words"),
    [
        (silence, None, "did not answer within"),
        (headers_without_end, None, ""),
        (a_body_without_end, 200, ""),
        (no_http, None, "does not answer properly"),
        (closes, None, "does not answer properly"),
    ],
)
async def test_each_way_of_not_answering_has_an_end(
    handler: Handler, status: int | None, words: str
) -> None:
    async with (
        served(handler) as port,
        Poster(allow_private=True, answer_seconds=SOON) as poster,
    ):
        answer = await poster.post(a_delivery(f"http://127.0.0.1:{port}/"))
    assert answer.status == status
    assert words in answer.problem


async def test_a_large_answer_is_cut_off(receiver: Receiver) -> None:
    receiver.answer = lambda _: Reply(200, b"x" * 10_000_000)
    async with Poster(allow_private=True) as poster:
        answer = await poster.post(a_delivery(receiver.hook_url))
    assert answer.status == 200


async def test_nothing_is_followed(receiver: Receiver) -> None:
    """The address of a cloud's credentials isn't asked, and the failure says what happened."""
    receiver.answer = lambda _: Reply(302, b"", {"Location": "http://169.254.169.254/latest/"})
    async with Poster(allow_private=True) as poster:
        result = judge_answer(await poster.post(a_delivery(receiver.hook_url)), 0, 0.0)
    assert len(receiver.received) == 1
    assert result.outcome == "retry"
    assert "302, a redirect: none is followed" in (result.error or "")


async def test_a_name_that_leads_elsewhere_the_second_time_gains_nothing(
    receiver: Receiver, direct_store: Store, settings: Settings
) -> None:
    """DNS rebinding: made while its name led to the internet, and led home afterwards."""
    port = receiver.url.rpartition(":")[2]
    url = f"https://rebinding.example:{port}/hook"
    resolve, asked = resolving(["93.184.216.34"], ["127.0.0.1"])
    await Hooks(direct_store, settings, resolve).create(url, ["subscriber.created"], OWNER)
    async with Poster(allow_private=False, resolve=resolve) as poster:
        answer = await poster.post(a_delivery(url))
    assert answer.status is None
    assert "Nothing was sent: it leads to a private address" in answer.problem
    assert asked == ["rebinding.example"] * 2
    assert receiver.received == []


async def test_a_name_whose_lookup_hangs_keeps_no_other_endpoint(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait for it: a lookup can't be given up, and there are few threads for it."""
    look_up, is_over = socket.getaddrinfo, threading.Event()

    def hang(host: str, *args: Any, **more: Any) -> Any:
        if host == "hangs.example":
            is_over.wait()
            raise OSError("no such name")
        return look_up(host, *args, **more)

    monkeypatch.setattr("socket.getaddrinfo", hang)
    async with Poster(allow_private=True, answer_seconds=5.0) as poster:
        hanging = [
            asyncio.create_task(poster.post(a_delivery("https://hangs.example/")))
            for _ in range(2 * RESOLVING)
        ]
        await asyncio.sleep(0)  # they have asked
        answer = await poster.post(a_delivery(receiver.hook_url))
        is_over.set()
        assert (answer.status, answer.problem) == (204, "")
        for one in await asyncio.gather(*hanging):
            assert "its name has no address" in one.problem


@pytest.mark.parametrize(
    "addresses",
    [
        ["93.184.216.34", "169.254.1.1"],  # one of them is enough
        ["::ffff:169.254.169.254"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:a9fe:a9fe::1"],
        ["fd00:ec2::254"],
        ["0.0.0.0"],
        [],
    ],
)
@pytest.mark.parametrize("allow_private", [True, False])
async def test_no_forbidden_address_is_connected_to(
    addresses: list[str], allow_private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, _ = resolving(addresses)
    monkeypatch.setattr("app.services.hooks.poster.asked", None)
    async with Poster(allow_private=allow_private, resolve=resolve) as poster:
        answer = await poster.post(a_delivery("https://hook.example/"))
    assert answer.problem.startswith("Nothing was sent: ")


async def test_http_goes_to_private_addresses_alone() -> None:
    resolve, _ = resolving(["93.184.216.34"])
    async with Poster(allow_private=True, resolve=resolve) as poster:
        answer = await poster.post(a_delivery("http://n8n:5678/webhook"))
    assert "use https" in answer.problem


async def test_only_a_certificate_for_its_name_is_trusted(tmp_path: Path) -> None:
    """Of the name in the address, though the connection goes to a number."""
    file = self_signed(tmp_path, "hook.example")
    context = server_context(file)
    trust = ssl.create_default_context(cafile=file)
    resolve, _ = resolving(["127.0.0.1"])
    hosts: list[bytes] = []

    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        hosts.extend(line for line in head.split(b"\r\n") if line.lower().startswith(b"host:"))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with served(takes, context) as port:
        async with Poster(allow_private=True, resolve=resolve, trust=trust) as poster:
            good = await poster.post(a_delivery(f"https://hook.example:{port}/"))
            other = await poster.post(a_delivery(f"https://other.example:{port}/"))
        async with Poster(allow_private=True, resolve=resolve) as poster:
            stranger = await poster.post(a_delivery(f"https://hook.example:{port}/"))
    assert good.status == 204
    assert hosts == [f"Host: hook.example:{port}".encode()]
    for answer in (other, stranger):
        assert answer.status is None
        assert "has no valid certificate" in answer.problem


async def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Receiver() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with Poster(allow_private=True) as poster:
            await poster.post(a_delivery(receiver.hook_url))
        assert (len(receiver.received), proxy.received) == (1, [])


@pytest.fixture
def settings(dsn: str) -> Settings:
    return settings_for(dsn, None)


async def test_making_a_hook_refuses_what_would_never_be_delivered(
    direct_store: Store, settings: Settings
) -> None:
    """Each refusal names the field, and nothing is made."""
    resolve, _ = resolving(["10.1.2.3"])
    hooks = Hooks(direct_store, settings, resolve)
    for url, words in {
        "http://example.com/": "use https",
        "https://intranet.example/": "HOOKS_ALLOW_PRIVATE",
        "https://localhost./": "HOOKS_ALLOW_PRIVATE",
        "https://127.0.0.1/": "HOOKS_ALLOW_PRIVATE",
    }.items():
        with pytest.raises(HookRefused, match=words) as refused:
            await hooks.create(url, ["mailout.finished"], OWNER)
        assert refused.value.extra["field"] == "url"
    with pytest.raises(HookRefused, match=r"there is no event 'mailout\.exploded'") as refused:
        await hooks.create("https://example.com/", ["mailout.exploded"], OWNER)
    assert refused.value.extra["field"] == "events"
    with pytest.raises(HookRefused, match="name at least one"):
        await hooks.create("https://example.com/", [], OWNER)
    assert await hooks.list_all() == []


async def test_a_hook_is_made_changed_switched_and_deleted(
    direct_store: Store, dsn: str, receiver: Receiver
) -> None:
    """The secret is shown once; the audit log has neither it nor the path."""
    hooks = Hooks(direct_store, settings_for(dsn, None, HOOKS_ALLOW_PRIVATE="true"))
    made = await hooks.create(
        receiver.hook_url, ["recipient.bounced", "mailout.finished"], OWNER, source="n8n"
    )
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["mailout.finished", "recipient.bounced"]
    hook = (await hooks.list_all())[0]["id"]
    assert made["secret"] not in str(await hooks.list_all())
    rotated = await hooks.rotate(hook, OWNER)
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"]
    changed = await hooks.change(hook, {"events": ["mailout.failed"], "description": "x"}, OWNER)
    assert (changed["events"], changed["description"]) == (["mailout.failed"], "x")
    with pytest.raises(HookRefused):
        await hooks.change(hook, {"url": "ftp://x"}, OWNER)
    assert (await hooks.disable(hook, OWNER))["state"] == "disabled"
    with pytest.raises(HookNotActive):
        await hooks.replay(hook, OWNER)
    assert (await hooks.enable(hook, OWNER))["reason"] is None
    await hooks.send_test(hook)
    [test] = await hooks.deliveries(hook)
    assert (test["type"], test["data"]["test"]) == ("mailout.failed", True)
    assert await hooks.replay(hook, OWNER) == 0
    await hooks.delete(hook, OWNER)
    for call in (hooks.show(hook), hooks.rotate(hook, OWNER), hooks.delete(hook, OWNER)):
        with pytest.raises(HookNotFound):
            await call
    audit = await direct_store.list_audit(50)
    assert {row["action"] for row in audit} == {
        "hook.create", "hook.rotate", "hook.change", "hook.disable", "hook.enable", "hook.delete",
    }  # fmt: skip
    for secret in (made["secret"], rotated["secret"], "s3cret-path"):
        assert secret not in str(audit)
