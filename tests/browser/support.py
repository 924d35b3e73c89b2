"""A browser's visits, the looks in which pages are seen, and a witness of what leaves a page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import ConsoleMessage, Error, Page

from app.sandbox.server import SandboxServer

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
"""Both are looked at on one and the same page: no script of ours asks for them."""

# WCAG 2.2, 1.4.10, asks for 320 CSS pixels; the narrowest phones in use have 360.
LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {
        "viewport": {"width": 360, "height": 740},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
}

# The other half of each goes with `make soak SHORT=1`: it is a minute of Chromium in every run.
DESKTOP_OR_PHONE = pytest.mark.parametrize(
    "look", ["desktop", pytest.param("phone", marks=pytest.mark.short)]
)
PHONE_OR_DESKTOP = pytest.mark.parametrize(
    "look", ["phone", pytest.param("desktop", marks=pytest.mark.short)]
)
SCRIPT_OR_NOT = pytest.mark.parametrize(
    "javascript", [True, pytest.param(False, marks=pytest.mark.short)], ids=["script", "no script"]
)

_CHECKS = (Path(__file__).parent / "checks.js").read_text("utf-8")


@dataclass
class Visit:
    """One visitor's tab, with all it asked for and all the browser complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listeners: dict[Any, Callable[[Any], None]] = {
            "request": lambda request: self.requests.append(request.url),
            "pageerror": lambda error: self.complaints.append(str(error)),
            # Violations of the Content-Security-Policy are reported here too.
            "console": self._said,
        }
        for event, listener in self._listeners.items():
            self.page.on(event, listener)

    def _said(self, message: ConsoleMessage) -> None:
        if not message.text.startswith("Autofocus processing was blocked"):
            # That one is about a visitor who was at a field before the page had its own ready.
            self.complaints.append(f"{message.type}: {message.text}")

    async def leave(self) -> bool:
        """Nothing of it is left to the next visitor; false: that can't be."""
        context = self.page.context
        if context.pages != [self.page]:
            return False
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)
        # First, so that the page's script can't ask without cookies and lead the next visitor away.
        await context.set_offline(False)
        await self.page.unroute_all()
        await self._blank()
        await context.clear_cookies()
        await self.page.emulate_media(media="null", color_scheme="light")
        return True

    async def _blank(self) -> None:
        """Leave the page, also one that is loading itself anew at this very moment."""
        try:
            await self.page.goto("about:blank")
        except Error as exc:
            if "interrupted by another navigation" not in exc.message:
                raise
            await self.page.goto("about:blank")

    async def problems(self, *, contrast_alone: bool = False) -> list[str]:
        """What is wrong with the page as it stands, for eyes, fingers and screen readers.

        contrast_alone: where only the colours are others than when it was asked before.
        """
        await self.page.wait_for_selector("body")  # not between two documents
        found: list[str] = await self.page.evaluate(_CHECKS, contrast_alone)
        return found

    def foreign(self, origin: str) -> list[str]:
        """The requests to anywhere but `origin`."""
        return [url for url in self.requests if not url.startswith((f"{origin}/", "about:"))]


@dataclass(frozen=True)
class Site:
    """The service and the sandbox, running."""

    service: str
    sandbox: SandboxServer
    http: httpx.AsyncClient  # of the service


@contextmanager
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another origin: its address, and the paths that somebody asked it for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


AXE = Axe()


async def judge_by_axe(tab: Visit) -> None:
    """By all its rules but that of contrast, which `problems` measures more strictly, in both
    schemes: that one takes as long as loading and judging the page does otherwise. Frames
    haven't axe in them: it would only ask them and wait."""
    if not await tab.page.evaluate("() => 'axe' in window"):
        await tab.page.evaluate(AXE.axe_script)
    # Not by AXE.run, which brings all that was found to be right here, too.
    run = (
        "axe.run({iframes: false, resultTypes: ['violations'], rules: "
        "{'color-contrast': {enabled: false}}})"
        ".then(results => results.violations)"
    )
    found = await tab.page.evaluate(run)
    serious = [
        (one["id"], one["help"], one["nodes"][0]["html"])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ]
    assert serious == [], tab.page.url
