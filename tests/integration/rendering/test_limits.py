"""Untrusted content is rendered under limits: what exceeds them costs its author an error, and
nobody else anything.

How long a bomb takes is bounded by the limits of the process it is in, not by these tests.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.domain.limits import at_work
from app.domain.mailouts import MailoutContent
from app.environment.secrets import texts_to_hide
from app.errors import TemplateInvalid
from app.services.rendering import tasks
from app.services.rendering.limits import Limits, limits_for
from app.services.rendering.renderer import (
    RENDERER,
    NotRendered,
    Renderer,
    limits_of,
)
from app.services.sending.mail_settings import for_rendering
from tests.support.service import settings_for
from tests.support.waiting import eventually

SETTINGS = for_rendering(settings_for("postgresql://unused", None))
CONTENT = MailoutContent("Hi", None, "<p>Hello</p>", None, None, None, None, None, None)
SMALL = Limits(cpu_seconds=0.5, wall_seconds=60)
"""Enough for a letter, and a test needn't wait for more."""

DOUBLED = "{% assign a = a | append: a %}" * 60
# What each of these would take without limits: minutes to years, or all memory.
BOMBS = {
    "nested loops": "{% for i in (1..1000000000) %}{% for j in (1..1000000000) %}x{% endfor %}"
    "{% endfor %}",
    "loops in loops in loops": "{% for i in (1..99) %}" * 4 + "x" + "{% endfor %}" * 4,
    "text doubled again and again": "{% assign a = 'aaaaaaaa' %}" + DOUBLED + "{{ a }}",
    "each letter replaced by ten": "{{ 'x' " + "| replace: 'x', 'xxxxxxxxxx'" * 12 + " }}",
    "a number multiplied by itself": "{% assign a = 99999999 %}{% for i in (1..1000) %}"
    "{% assign a = a | times: a %}{% endfor %}{{ a }}",
    "a list joined to itself": "{% assign s = 'a,b' | split: ',' %}"
    + "{% assign s = s | concat: s %}" * 40
    + "{{ s | join: 'yyyyyyyy' }}",
    "a large body, many rounds": "{% for i in (1..10000) %}"
    + "{% if name %}{% endif %}" * 500
    + "{% endfor %}",
    "tags never closed behind a comment": "{% comment %}" + "{% " * 20_000,
    "blocks of raw text never closed": "{% raw %}" * 20_000,
}


async def check(body_html: str, limits: Limits | None = None, **others: Any) -> None:
    """others: fields of the content."""
    content = replace(CONTENT, body_html=body_html, **others)
    limits = limits or limits_of(content)
    await RENDERER.run(limits, tasks.check_mailout, SETTINGS, content, UUID(int=1))


@pytest.mark.few_variants(3)
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=list(BOMBS))
async def test_a_bomb_is_refused_naming_the_field(bomb: str) -> None:
    with pytest.raises(TemplateInvalid) as refused:
        await check(f"<p>{bomb}</p>", SMALL)
    assert refused.value.extra["field"] == "body_html"
    assert "body_html" in refused.value.detail


async def test_what_takes_too_long_is_ended_and_told() -> None:
    with pytest.raises(TemplateInvalid) as refused:
        await check("<p>" + "{{ name | upcase }}" * 100_000, SMALL)
    assert refused.value.extra == {"field": "body_html", "limit": "time"}
    assert "0.5 seconds" in refused.value.detail


@pytest.mark.short
async def test_what_takes_too_much_memory_is_ended_and_told() -> None:
    little = Limits(cpu_seconds=20, wall_seconds=60, memory_bytes=10_000_000)
    with pytest.raises(TemplateInvalid, match="memory"):
        await check("<p>" + "many words " * 200_000, little)


async def test_a_bomb_in_any_field_is_named() -> None:
    bomb = "{{ 'x' " + "| replace: 'x', 'xxxxxxxxxx'" * 12 + " }}"
    for field in ("subject", "preheader", "body_text"):
        others: dict[str, Any] = {field: bomb}
        with pytest.raises(TemplateInvalid) as refused:
            await check("<p>Hello", **others)
        assert refused.value.extra["field"] == field


async def test_others_are_served_meanwhile_and_after() -> None:
    bombs = [asyncio.create_task(check(BOMBS["a number multiplied by itself"])) for _ in range(3)]
    await check("<p>Hello {{ name }}</p>")
    for refused in await asyncio.gather(*bombs, return_exceptions=True):
        assert isinstance(refused, TemplateInvalid)
    await check("<p>Hello {{ name }}</p>")


@pytest.mark.short
async def test_a_mail_of_a_megabyte_is_no_bomb() -> None:
    paragraph = f"<p>{'A paragraph of some words. ' * 3}</p>"
    await check("<p>{{ name }}</p>" * 200 + paragraph * 12_000)  # of 20,000 elements (markup.py)


def _secrets_there(*_: Any) -> list[str]:
    return [name for name in os.environ if "SECRET" in name or "KEY" in name]


async def test_the_process_that_renders_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "AKIA")
    renderer = Renderer(__name__)
    try:
        assert await renderer.run(limits_for(0), _secrets_there) == []
    finally:
        renderer.close()


def test_of_the_secrets_only_the_one_that_signs_links_is_given_to_it() -> None:
    settings = settings_for("postgresql://unused", None, UNSUBSCRIBE_OLD_SECRETS="o" * 40)
    given = for_rendering(settings)
    assert given.unsubscribe_secrets == settings.unsubscribe_secrets[:1]
    secrets = texts_to_hide(settings) - set(given.unsubscribe_secrets)
    assert secrets
    assert not any(secret in repr(given) for secret in secrets)


@pytest.mark.short
def test_what_it_imports_is_what_rendering_needs() -> None:
    """A half of a second of the processor, at each start after a quiet minute."""
    script = f"""
import importlib, sys
import app.services.rendering.fork_server
for module in {RENDERER.modules!r}: importlib.import_module(module)
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    there = set(done.stdout.split())
    assert "app.domain.content.render" in there
    assert not there & {
        "app.ports", "app.settings", "app.store", "app.services.rendering.renderer",
        "boto3", "fastapi", "httpx", "psycopg", "pydantic", "rich", "structlog",
    }  # fmt: skip


def _ended_by(number: int) -> None:
    os.kill(os.getpid(), number)


def _end_of_server() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


@pytest.mark.short
async def test_whatever_ends_the_process_is_an_answer() -> None:
    with pytest.raises(NotRendered, match="busy"):
        await RENDERER.run(limits_for(0), _ended_by, signal.SIGALRM)
    with pytest.raises(TemplateInvalid, match="memory"):
        await RENDERER.run(limits_for(0), _ended_by, signal.SIGABRT)


@pytest.mark.short
async def test_a_server_that_ended_is_started_again() -> None:
    renderer = Renderer(__name__)
    try:
        await renderer.run(limits_for(0), _end_of_server)
        assert await renderer.run(limits_for(0), _secrets_there) == []
    finally:
        renderer.close()


def _server_of() -> int:
    return os.getppid()


def _takes(seconds: float) -> int:
    time.sleep(seconds)
    return os.getppid()


@pytest.mark.short
async def test_what_renders_ends_without_work_and_is_started_again_for_the_next() -> None:
    renderer = Renderer(__name__, idle_seconds=0.05)
    try:
        first = await renderer.run(limits_for(0), _server_of)
        await eventually(lambda: asyncio.to_thread(_runs, first), until=lambda runs: not runs)
        assert await renderer.run(limits_for(0), _server_of) != first
    finally:
        renderer.close()


@pytest.mark.short
async def test_what_was_started_ahead_ends_when_nobody_needs_it() -> None:
    renderer = Renderer(__name__, idle_seconds=0.05)
    started, servers = renderer._started, []
    renderer._started = lambda: servers.append(started()) or servers[-1]  # type: ignore[method-assign, func-returns-value]
    renderer.start()

    async def ended() -> bool:
        return bool(servers) and servers[0].process.returncode is not None

    await eventually(ended, until=bool)


@pytest.mark.short
async def test_what_is_being_rendered_is_not_ended_for_being_idle() -> None:
    """Others come and go beside it, each of which begins the wait for the end anew."""
    renderer = Renderer(__name__, idle_seconds=0.02)
    try:
        long = asyncio.create_task(renderer.run(limits_for(0), _takes, 0.5))
        beside = {await renderer.run(limits_for(0), _takes, 0.05) for _ in range(3)}
        assert beside == {await long}
    finally:
        renderer.close()


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _goes_on(note: str) -> None:
    at_work.working_on("subject")  # so that it isn't begun again
    Path(note).touch()
    time.sleep(600)


async def test_nothing_goes_on_when_the_program_is_gone(tmp_path: Path) -> None:
    """Killed, it can end nothing itself: all it leaves is closed connections."""
    renderer = Renderer(__name__)
    note = tmp_path / "begun"
    rendering = asyncio.create_task(renderer.run(Limits(600, 600), _goes_on, str(note)))

    async def begun() -> bool:
        return note.exists()

    await eventually(begun, until=bool)
    server = renderer._server
    assert server is not None
    server.control.close()
    with pytest.raises(NotRendered):  # the other end is open as long as the process is there
        await asyncio.wait_for(rendering, 60)
    renderer.close()


async def test_a_machine_that_lets_none_start_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Limits of a container, for example. Nothing is rendered in this process instead."""

    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("app.services.rendering.spawning.subprocess.Popen", refused)
    renderer = Renderer(__name__)
    with pytest.raises(NotRendered, match="limits for processes and memory"):
        await renderer.run(limits_for(0), _secrets_there)


def test_a_fork_server_whose_program_has_gone_ends_without_a_word() -> None:
    """As at a stop soon after the start: a traceback would stand in the program's log."""
    program, control = socket.socketpair()
    program.close()
    with control:
        number = str(control.fileno())
        done = subprocess.run(
            [sys.executable, "-m", "app.services.rendering.fork_server", number, number, "0"],
            pass_fds=[control.fileno()],
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
