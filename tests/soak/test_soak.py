"""The runs: short in the suite, long with `make soak` (`pytest tests/soak -m soak -s`)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.harness import run
from tests.soak.plan import Plan


async def told(plan: Plan, folder: Path) -> None:
    print(f"\n{plan.name}: seed {plan.seed}")
    verdict = await run(plan, folder)
    print(verdict.table())
    assert verdict.wrong == [], verdict.table()


def fresh_seed() -> int:
    return random.SystemRandom().randrange(10**6)


async def test_kills_short(tmp_path: Path) -> None:
    """kill -9 at random moments: nobody twice, nobody lost."""
    plan = Plan(
        name="kills, short",
        seed=fresh_seed(),
        recipients=1_000,
        kills=6,
        executors=3,
        rate=120,
        lease=2,
        latency=(0.1, 0.5),
        unsubscribes=20,
    )
    await told(Plan.sized(plan), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_kills(tmp_path: Path) -> None:
    plan = Plan(
        name="kills", seed=fresh_seed(), recipients=20_000, kills=200, unsubscribes=200
    )
    await told(Plan.sized(plan), tmp_path)
