"""Do a mail's links lead somewhere? Asked only on demand: each is a request to a stranger."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from app.domain.reports.findings import Finding
from app.domain.reports.words import plural
from app.services.checks.web import Web, WebAnswer

MAX_LINKS = 50
AT_ONCE = 5
ALL_SECONDS = 60.0
# Answers of sites that refuse programs; people may get the page all the same.
_REFUSES_PROGRAMS = frozenset({401, 403, 405, 406, 429, 999})

_UNCHECKED = WebAnswer(None, "could not be checked in time")


async def check_links(links: Sequence[str], web: Web) -> list[Finding]:
    """A warning for each that doesn't work. links: of the web, each once."""
    asked = list(links)[:MAX_LINKS]
    answers = await _ask_all(asked, web)
    findings = [
        finding
        for link, answer in zip(asked, answers, strict=True)
        if (finding := _finding(link, answer)) is not None
    ]
    good = len(asked) - len(findings)
    if good:
        findings.append(Finding("ok", f"{plural(good, 'link')} answered."))
    if len(links) > len(asked):
        findings.append(
            Finding(
                "warn",
                f"Only the first {MAX_LINKS} of {len(links)} links were checked.",
                "look at the others yourself; fewer links also help against spam filters.",
            )
        )
    return findings


async def _ask_all(links: Sequence[str], web: Web) -> list[WebAnswer]:
    turns = asyncio.Semaphore(AT_ONCE)
    deadline = time.monotonic() + ALL_SECONDS

    async def ask(link: str) -> WebAnswer:
        async with turns:
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    return await web.ask(link)
            except TimeoutError:
                return _UNCHECKED

    return await asyncio.gather(*map(ask, links))


def _finding(link: str, answer: WebAnswer) -> Finding | None:
    if answer.status is None:
        return Finding("warn", f"The link {link} {answer.problem}.", "correct it, or take it out.")
    if answer.status in _REFUSES_PROGRAMS:
        return Finding(
            "warn",
            f"The link {link} answers {answer.status} to a program.",
            "open it in a browser to see whether it works for people.",
        )
    if answer.status >= 400:
        what = f"The link {link} is dead: it answers {answer.status}."
        return Finding("warn", what, "correct it, or take it out.")
    return None
