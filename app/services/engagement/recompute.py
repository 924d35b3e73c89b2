"""Judges again, by the rules of this version, what older ones judged: from what was kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.domain.engagement.rules import RULES
from app.services.engagement.judge_recipients import JudgeRecipients
from app.store import Store

SLICE = 2_000


@dataclass(frozen=True)
class Progress:
    """looked, marked: recipients so far. after: the last one, from whom it can go on."""

    looked: int
    marked: int
    after: int


async def recompute(
    store: Store, judging: JudgeRecipients, *, everybody: bool, after: int, by: str
) -> AsyncIterator[Progress]:
    """Slice by slice; each is judged before the next is marked, here or by a running service. What
    was marked stays so, whenever this ends.

    everybody: also whom this version's rules have judged. after: with whom an earlier run ended.
    by: for the audit log.
    """
    looked = marked = 0
    asked: str | None = by
    while True:
        done = await store.mark_engagement(after, None if everybody else RULES, SLICE, asked)
        asked = None
        while await judging.judge_slice():
            pass
        if done["after"] is None:
            return
        after = done["after"]
        looked += done["looked"]
        marked += done["marked"]
        yield Progress(looked, marked, after)
