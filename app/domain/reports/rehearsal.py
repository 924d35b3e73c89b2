"""What a dry run found out, added up in constant memory. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from app.domain.content.render import Compiled

MAX_PROBLEMS = 100
"""Recipients with a problem that are listed one by one; all are counted."""
MAX_KINDS = 50
"""Kinds of problems that are counted by themselves."""
SAMPLES = 3
SAMPLE_TEXT = 600  # characters

GMAIL_CLIP_BYTES = 102_000
"""Gmail shows about 102 KB of a mail's HTML and hides the rest behind a link, the footer with it.
The figure is experience: Google documents none."""

USD_PER_1000 = 0.10
"""Amazon SES's price per 1,000 mails, without dedicated addresses and further features:
https://aws.amazon.com/ses/pricing/"""


class Rehearsal:
    """Counts of one dry run. A recipient is either skipped or would get a mail, perhaps with a
    problem."""

    def __init__(self) -> None:
        self.recipients = 0
        self.skipped: Counter[str] = Counter()
        self._problems: list[dict[str, str]] = []
        self._problems_total = 0
        self._kinds: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._largest_html = self._largest_message = self._clipped = 0
        self._samples: list[dict[str, str]] = []

    def skip(self, reason: str) -> None:
        """Somebody of the audience who gets no mail: reason is a status or an error's code."""
        self.skipped[reason] += 1

    def mail(
        self, email: str, compiled: Compiled, values: Mapping[str, str], gaps: Collection[str]
    ) -> None:
        """A mail as it would be sent. gaps: variables that it shows and the recipient lacks."""
        self.recipients += 1
        html, message = compiled.sizes(values)
        self._largest_html = max(self._largest_html, html)
        self._largest_message = max(self._largest_message, message)
        self._clipped += html > GMAIL_CLIP_BYTES
        if gaps:
            names = sorted(gaps)
            self.problem(
                email,
                f"Missing and shown as nothing: {', '.join(names)}. Give a default.",
                *(f"{name} is missing" for name in names),
            )
        if len(self._samples) < SAMPLES:
            rendered = compiled.paste(values)
            text = rendered.text[:SAMPLE_TEXT]
            self._samples.append({"email": email, "subject": rendered.subject, "text": text})

    def problem(self, email: str, problem: str, *kinds: str) -> None:
        """A recipient with a problem. kinds: under which it is counted."""
        self._problems_total += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append({"email": email, "problem": problem})
        for kind in kinds:
            known = kind in self._kinds or len(self._kinds) < MAX_KINDS
            self._kinds[kind if known else "other"] += 1
            self._examples.setdefault(kind if known else "other", problem)

    def report(self) -> dict[str, Any]:
        return {
            "audience": self.recipients + self.skipped.total(),
            "recipients": self.recipients,
            "skipped": dict(self.skipped),
            "problems": self._problems,
            "problems_total": self._problems_total,
            "problem_kinds": dict(self._kinds.most_common()),
            "problem_examples": dict(self._examples),
            "sizes": {
                "largest_html_bytes": self._largest_html,
                "largest_message_bytes": self._largest_message,
                "gmail_clip_bytes": GMAIL_CLIP_BYTES,
                "over_gmail_clip": self._clipped,
            },
            "cost": {
                "amount": round(self.recipients * USD_PER_1000 / 1000, 4),
                "currency": "USD",
                "per_1000": USD_PER_1000,
            },
            "samples": self._samples,
        }
