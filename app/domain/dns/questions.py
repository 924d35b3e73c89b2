"""Questions to DNS and their answers, as values. Pure.

A check that needs DNS is a generator (`Walk`): it yields questions and is sent their answers, so it
can be tried with any answers, and whoever runs it decides how they are got.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, TypeVar

Kind = Literal["TXT", "MX", "A", "AAAA", "CNAME"]
State = Literal["found", "nodata", "nxdomain", "unknown"]

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """name: in ASCII, small letters, without the last dot."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Answer:
    """nodata: the name is there, but has no such record. unknown: DNS didn't say (a timeout, an
    error of a server), which is not `nodata`.

    records: TXT with their strings joined (RFC 7208, section 3.3), MX as `10 host`, others as the
    name or address alone. why: of `unknown`, a sentence's end. end: the name at the end of the
    CNAMEs that were followed; empty: there were none.
    """

    state: State
    records: tuple[str, ...] = ()
    why: str = ""
    end: str = ""

    @property
    def is_void(self) -> bool:
        """Of RFC 7208, section 4.6.4: DNS answered, and nothing is there."""
        return self.state in ("nodata", "nxdomain")


def found(*records: str, end: str = "") -> Answer:
    return Answer("found", records, end=end)


def unknown(why: str) -> Answer:
    return Answer("unknown", why=why)


NODATA, NXDOMAIN = Answer("nodata"), Answer("nxdomain")

Walk = Generator[Question, Answer, T]


def walked(walk: Walk[T], answer: Callable[[Question], Answer]) -> T:
    """Run `walk` to its end with answers that are there at once."""
    try:
        question = next(walk)
        while True:
            question = walk.send(answer(question))
    except StopIteration as stop:
        result: T = stop.value
        return result
