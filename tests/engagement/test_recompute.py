"""When the rules change, verdicts change: from what was kept, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.engagement import rules
from app.domain.engagement.rules import RULES
from app.domain.engagement.signals import Mail, Signal, Verdict
from app.services.engagement.judge_recipients import JudgeRecipients
from app.services.engagement.recompute import recompute
from app.store import Store
from tests.support.engagement import happened, judge_all, mailed, told, tracked_mailout
from tests.support.factories import Arrange
from tests.support.service import command, environment, settings_for


async def run(store: Store, *, everybody: bool = False, after: int = 0) -> tuple[int, int]:
    """How many were looked at and judged anew."""
    judging = JudgeRecipients(store, settings_for("postgresql://nobody@127.0.0.1/none", None))
    done = (0, 0)
    async for step in recompute(store, judging, everybody=everybody, after=after, by="cli"):
        done = (step.looked, step.marked)
    return done


@pytest.fixture
def newer_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """For them every program that isn't ordinary is a person's."""

    def judge(mail: Mail, signals: list[Signal]) -> list[Verdict]:
        return [Verdict("human" if s.agent else "machine", "folded") for s in signals]

    monkeypatch.setattr("app.domain.engagement.recipients.judge", judge)
    for module in ("judge_recipients", "recompute"):
        monkeypatch.setattr(f"app.services.engagement.{module}.RULES", RULES + 1)
    assert rules.RULES == RULES


async def test_newer_rules_judge_what_was_kept(
    store: Store, arrange: Arrange, request: pytest.FixtureRequest
) -> None:
    mailout = await tracked_mailout(arrange)
    ann, bob = await mailed(arrange, mailout), await mailed(arrange, mailout)
    await happened(
        store, told(ann, "Click", 60, agent="curl/8.0"), told(bob, "Open"), told(bob, "Click")
    )
    await judge_all(store)
    # What came is gone; only signals are left.
    await arrange.sql.execute("update ses_events set payload = '{}'")
    verdicts = (
        "select jsonb_agg(jsonb_build_array(click_class, open_class, rules) order by send_log_id) "
        "from engagement_recipients"
    )
    assert await arrange.one(verdicts) == [["machine", None, RULES], ["human", "human", RULES]]
    assert await run(store) == (2, 0)  # nothing is older

    request.getfixturevalue("newer_rules")
    assert await run(store) == (2, 2)
    assert await arrange.one(verdicts) == [
        ["human", None, RULES + 1],
        ["machine", "machine", RULES + 1],
    ]
    kept = "select jsonb_agg(distinct jsonb_build_array(reason, rules)) from engagement_signals"
    assert await arrange.one(kept) == [["folded", RULES + 1]]
    assert await run(store) == (2, 0)
    assert await run(store, everybody=True) == (2, 2)
    assert await run(store, everybody=True, after=ann.log) == (1, 1)
    audited = "select array_agg(distinct by || ' ' || action) from audit_log"
    assert await arrange.one(audited) == ["cli engagement.recompute"]


async def test_what_was_marked_is_judged_by_the_service_if_the_command_ends(
    direct_store: Store, arrange: Arrange
) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange))
    await happened(direct_store, told(mail))
    await judge_all(direct_store)
    await arrange.sql.execute("update engagement_recipients set rules = 0, open_class = null")
    marked = await direct_store.mark_engagement(0, RULES, 10, "cli")
    assert marked == {"after": mail.log, "looked": 1, "marked": 1}
    await judge_all(direct_store)
    assert await arrange.one("select open_class from engagement_recipients") == "human"


@pytest.mark.short
async def test_the_command(dsn: str, direct_store: Store, arrange: Arrange, tmp_path: Path) -> None:
    mailout = await tracked_mailout(arrange)
    await happened(direct_store, *[told(await mailed(arrange, mailout)) for _ in range(2)])
    await judge_all(direct_store)
    await arrange.sql.execute("update engagement_recipients set rules = 0")
    done = command(tmp_path, environment(dsn, None), "engagement", "recompute")
    assert done.returncode == 0, done.stderr
    assert "2 recipients looked at, 2 judged anew" in done.stderr
    assert f"2 judged anew by rules {RULES}." in done.stdout
    assert await arrange.one("select array_agg(rules) from engagement_recipients") == [RULES] * 2
