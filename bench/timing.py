"""How long it takes to refuse what is wrong: does the time tell how wrong it is?

`python -m bench.timing`: 20,000 samples of each kind (3,000 of sign-ups), in turn, so that whatever
else the machine does meets all of them alike. A difference of medians says something only when it
is larger than the one between two halves of the same kind, which is shown beside it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import cycle
from pathlib import Path
from uuid import UUID, uuid4

import structlog

from app.api.dashboard.session import Sessions
from app.domain.timed_tokens import SignupTokens
from app.domain.tokens import InvalidToken, UnsubscribeTokens
from app.main import running
from app.services.access.callers import known_caller
from app.services.signup.sign_up import SignUpForm
from bench.parts import database, fill
from tests.support.service import SECRET, UNSUBSCRIBE_SECRET, settings_for

SAMPLES = 20_000
SIGN_UPS = 3_000
"""Each writes to the disk."""
Try = Callable[[], Awaitable[object]]


async def measured(kinds: dict[str, Try], samples: int = SAMPLES) -> dict[str, list[float]]:
    """Microseconds of each try, in a new order each time."""
    found: dict[str, list[float]] = {name: [] for name in kinds}
    order = list(kinds.items())
    for _ in range(samples):
        random.shuffle(order)
        for name, attempt in order:
            began = time.perf_counter_ns()
            await attempt()
            found[name].append((time.perf_counter_ns() - began) / 1000)
    return found


def told(about: str, found: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(times) for name, times in found.items()}
    apart = max(medians.values()) - min(medians.values())
    noise = max(
        abs(statistics.median(times[::2]) - statistics.median(times[1::2]))
        for times in found.values()
    )
    spread = max(
        quartiles[2] - quartiles[0]
        for quartiles in (statistics.quantiles(times) for times in found.values())
    )
    each = ", ".join(f"{name} {median:.2f}" for name, median in medians.items())
    print(f"| {about} | {each} | {apart:.2f} | {noise:.2f} | {spread:.2f} |", flush=True)


def wrong_at(right: str, place: int) -> str:
    place %= len(right)
    other = "A" if right[place] != "A" else "E"
    return right[:place] + other + right[place + 1 :]


def refused(verify: Callable[[str], object], token: str) -> Try:
    async def attempt() -> None:
        try:
            verify(token)
        except InvalidToken:
            return
        raise AssertionError("it was taken")

    return attempt


async def measure(dsn: str) -> None:
    settings = settings_for(dsn, "http://127.0.0.1:9", SIGNUP="true")
    async with running(settings, with_sender=False) as services:

        def presents(secret: str) -> Try:
            return lambda: known_caller([secret], settings, services.keys)

        told(
            "shared secret",
            await measured(
                {
                    "first byte wrong": presents(wrong_at(SECRET, 0)),
                    "last byte wrong": presents(wrong_at(SECRET, -1)),
                }
            ),
        )
        sessions: Sessions = services.sessions

        def signs_in(secret: str) -> Try:
            async def attempt() -> None:
                sessions.sign_in(secret)

            return attempt

        told(
            "shared secret in the dashboard's form",
            await measured(
                {
                    "first byte wrong": signs_in(wrong_at(SECRET, 0)),
                    "last byte wrong": signs_in(wrong_at(SECRET, -1)),
                }
            ),
        )
        links = UnsubscribeTokens([UNSUBSCRIBE_SECRET])
        link = links.sign(uuid4(), uuid4())
        first = link.index(".") + 1
        told(
            "unsubscribe link",
            await measured(
                {
                    "first byte of the signature wrong": refused(
                        links.verify, wrong_at(link, first)
                    ),
                    "last byte wrong": refused(links.verify, wrong_at(link, -1)),
                    "another person": refused(links.verify, wrong_at(link, 5)),
                }
            ),
        )
        confirmations = SignupTokens([UNSUBSCRIBE_SECRET])
        link = confirmations.sign(UUID(int=7))
        first = link.rindex(".") + 1
        told(
            "confirmation link",
            await measured(
                {
                    "first byte of the signature wrong": refused(
                        confirmations.verify, wrong_at(link, first)
                    ),
                    "last byte wrong": refused(confirmations.verify, wrong_at(link, -1)),
                }
            ),
        )
        known = cycle(f"reader{n}@example.com" for n in range(1, SAMPLES + 1))
        unknown = cycle(f"nobody{n}@example.com" for n in range(1, SAMPLES + 1))

        def asks(addresses: cycle[str]) -> Try:
            return lambda: services.sign_up(SignUpForm(next(addresses)), None)

        told(
            "sign-up, before the wait that hides it",
            await measured(
                {"known address": asks(known), "unknown address": asks(unknown)}, SIGN_UPS
            ),
        )


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as folder, database(Path(folder) / "data") as dsn:
        fill(dsn, SAMPLES)
        print(f"{SAMPLES:,} samples of each, medians in microseconds\n")
        print("| what | medians | apart | two halves of one kind | middle half of the samples |")
        print("|---|---|---|---|---|")
        asyncio.run(measure(dsn))


if __name__ == "__main__":
    main()
