"""Whose fault it is when recipients are refused: their own, or one that everybody shares. Pure.

The words of a refusal don't tell: SES says "not verified" of a recipient and of the sender alike,
and a template fails on one subscriber's data or on everybody's. Its shape does: what hits every
recipient alike is nobody's own fault. Who is refused while others pass is at fault; who is refused
with nobody passing waits until it is known. A refusal is certain, so waiting costs no second mail.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["own", "shared", "later"]
"""own: these recipients fail. shared: everybody would be refused, so the mailout pauses. later: not
known yet; others go first."""

MAX_ALIKE_BY_CHANCE = 2
"""Up to so many recipients may be refused in the same words, with nobody passing, and each be at
fault for itself. More of them share one fault."""
MIN_DIFFERENT_SHARED = 8
"""From so many recipients on who are refused in different words, with nobody passing, the fault is
taken as shared, too."""
MAX_MAILOUTS = 32
MAX_SUSPECTS = 10_000
"""Remembered per mailout. Beyond it all are forgotten, and judged anew when they come again."""
MAX_REMEMBERED = 20_000
"""Of all mailouts together, some 3 MB. Beyond it the mailouts that nobody was refused of for the
longest time are forgotten, though never the one at hand."""

# Ids of requests and times, where they stand alone: within an address they are a part of it.
_VARYING = re.compile(
    r"(?<![\w@.-])(?:\d{4}-?\d\d-?\d\dt[\d:.]+z?|(?=[a-f-]*\d)[0-9a-f-]{8,})(?![\w@.-])"
)


def alike(code: str | None, words: str | None) -> str:
    """What two refusals for one cause have in common: their code, and their words without ids and
    times. Words that name a recipient are of that recipient's own."""
    return f"{code}: {_VARYING.sub('#', ' '.join((words or '').lower().split()))}"


@dataclass
class _Case:
    """One mailout. Times: seconds on any monotonic clock."""

    passed: bool = False
    suspects: dict[int, float] = field(default_factory=dict)
    """Who was refused, and when, with nobody passing since."""
    streak: int = 0
    """How many failed for what seemed their own sake, with nobody passing since."""
    guilty: set[int] = field(default_factory=set)
    """Suspects after whom others passed."""
    sent_back: set[int] = field(default_factory=set)
    """Suspects who were refused a second time, as after a person resumed the mailout, and wait
    behind the others once more. If they are refused a third time, it pauses again."""

    @property
    def size(self) -> int:
        return len(self.suspects) + len(self.guilty) + len(self.sent_back)


class Blame:
    """Remembers, for each mailout, who was refused and who passed (rows of the ledger)."""

    def __init__(self) -> None:
        self._cases: OrderedDict[object, _Case] = OrderedDict()

    def judge(
        self,
        mailout: object,
        refused: Mapping[int, str],
        passed: Collection[int],
        *,
        began: float,
        now: float,
    ) -> dict[int, Verdict]:
        """The verdict on each of the `refused` of one batch.

        refused: each with what `alike` gives. passed: others of the batch. began: when the batch's
        first call did.
        """
        case = self._case(mailout)
        if passed:
            self._note_passed(case, passed, began)
            return dict.fromkeys(refused, "own")
        verdicts: dict[int, Verdict] = dict.fromkeys(refused.keys() & case.guilty, "own")
        rest = refused.keys() - verdicts.keys()
        if not rest:
            return verdicts
        causes = {refused[recipient] for recipient in rest}
        if len(causes) > 1 and len(rest) + case.streak < MIN_DIFFERENT_SHARED:
            case.streak += len(rest)
            return dict.fromkeys(refused, "own")
        known = rest <= case.suspects.keys()
        case.suspects.update(dict.fromkeys(rest, now))
        verdict = self._judge_alike(case, rest, known=known)
        if len(case.suspects) > MAX_SUSPECTS:
            del self._cases[mailout]
        return verdicts | dict.fromkeys(rest, verdict)

    @staticmethod
    def _judge_alike(case: _Case, rest: Collection[int], *, known: bool) -> Verdict:
        many = len(rest) > 1 or len(case.suspects) > MAX_ALIKE_BY_CHANCE
        if not known:
            if many:
                case.sent_back.clear()
            return "shared" if many else "later"
        if not many:  # refused again, and nobody else was tried in between to compare it with
            return "own" if case.passed else "shared"
        if case.sent_back.issuperset(rest):
            case.sent_back.clear()
            return "shared"
        case.sent_back.update(rest)
        return "later"

    @staticmethod
    def _note_passed(case: _Case, passed: Collection[int], began: float) -> None:
        """Since others pass, whoever was refused before these calls began is at fault. Calls that
        began earlier prove nothing of a later refusal: the account may have been closed between."""
        case.passed = True
        case.streak = 0
        if not case.size:
            return  # nobody was refused, as in nearly all batches
        before = {one for one, at in case.suspects.items() if at < began}
        case.guilty |= before
        case.guilty.difference_update(passed)
        for one in before | set(passed):
            case.suspects.pop(one, None)
            case.sent_back.discard(one)
        if len(case.guilty) > MAX_SUSPECTS:
            case.guilty.clear()

    def _case(self, mailout: object) -> _Case:
        case = self._cases.setdefault(mailout, _Case())
        self._cases.move_to_end(mailout)
        while len(self._cases) > MAX_MAILOUTS or (
            self.remembered > MAX_REMEMBERED and len(self._cases) > 1
        ):
            self._cases.popitem(last=False)
        return case

    @property
    def remembered(self) -> int:
        """Recipients of all mailouts."""
        return sum(case.size for case in self._cases.values())
