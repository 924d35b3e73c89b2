"""What a check found, for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Finding:
    """fail: sending would fail, or every reader would see what can't be meant. warn: it would work,
    but something is missing or unknown.

    what, remedy: sentences for people who know neither AWS nor databases.
    """

    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str = ""

    @property
    def sentences(self) -> str:
        """Both in one text."""
        return f"{self.what} {self.remedy[:1].upper()}{self.remedy[1:]}".rstrip()

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(row["level"], row["what"], row["remedy"])

    def to_row(self) -> dict[str, str]:
        return {"level": self.level, "what": self.what, "remedy": self.remedy}
