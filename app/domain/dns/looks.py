"""What was found of one record, for people, with the record that should be there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from app.domain.dns.questions import Answer
from app.domain.dns.sender import Record
from app.domain.dns.tags import shown
from app.domain.reports.findings import Finding

LookState = Literal["there", "wrong", "missing", "unknown", "none"]

FOUND_CHARS, MOST_FOUND = 600, 5
"""Of a record that is shown, and how many are."""


@dataclass(frozen=True)
class Look(Finding):
    """code: which record this is about, the same from one check to the next. state: `none`: it is
    about no single record. publish: what is to be there. found: what is. routes: which ways of our
    mail it concerns (SES regions, SendGrid, Mailgun); empty: all."""

    code: str = ""
    state: LookState = "none"
    publish: Record | None = None
    found: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()

    @classmethod
    def from_stored(cls, row: Mapping[str, Any]) -> Self:
        publish = row["publish"]
        return cls(
            row["level"],
            row["what"],
            row["remedy"],
            row["code"],
            row["state"],
            Record(**publish) if publish else None,
            tuple(row["found"]),
            tuple(row.get("routes", ())),
        )

    def to_stored(self) -> dict[str, Any]:
        return asdict(self) | {"found": list(self.found), "routes": list(self.routes)}

    @property
    def plain(self) -> Finding:
        """With its routes before it and the record in its remedy, for those who show no table."""
        what = f"{listed(self.routes)}: {self.what}" if self.routes else self.what
        if self.publish is None or self.level == "ok":
            return Finding(self.level, what, self.remedy)
        return Finding(self.level, what, f"{self.remedy.removesuffix('.')}: {self.publish}.")


def listed(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def as_found(records: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(shown(one, FOUND_CHARS) for one in records[:MOST_FOUND])


def not_told(code: str, about: str, answer: Answer | str) -> Look:
    """DNS didn't say: nothing is known, which is not the same as nothing being there. answer: why;
    empty: other looks say so."""
    why = answer if isinstance(answer, str) else answer.why
    return Look(
        "warn",
        f"Whether {about} can't be told now{': ' if why else ''}{why}.",
        "look again later; where that stays, ask who runs the name servers of the domain."
        if why
        else "see above what is not known, and why.",
        code,
        "unknown",
    )
