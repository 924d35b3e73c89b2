"""The audience builder: a rule as lines of a form, which works without script.

A page that has it (see the mailout's audience and the segments):
- makes a `Builder` with `Builder.of_rule(stored)`, or of the form it got, `Builder.of_form(form)`;
- shows it by `{% import "audience/builder.html" as audience %}` and, within its own `<form>`,
  `{{ audience.builder(builder, choices, reach, session.form_token) }}`, and has `audience.css` and
  `audience.js` in its head (`{{ audience.head() }}`); choices: `await Choices.load(services)`;
  reach: `await reach(services, builder)`;
- when `builder.pressed` is set, somebody pressed one of the builder's own buttons: shows the page
  again with it (its lines are changed already) and saves nothing;
- else saves `builder.rule()`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.api.http.deps import Services
from app.domain.audience.rule import ENGAGEMENT, parse_rule
from app.domain.given.strict_json import read_strict
from app.errors import InvalidRequest

Form = dict[str, list[str]]
Match = Literal["all", "any"]

MAX_LINES = 20
_TEXT = {"is": "is", "is_not": "is not", "contains": "contains", "starts_with": "begins with"}
_KNOWN = {"exists": "is known", "missing": "is not known"}
_DATES = {
    "before": "is before", "after": "is after", "within_days": "in the last … days",
    "older_than_days": "more than … days ago",
}  # fmt: skip
_NUMBERS = {"gt": "is more than", "lt": "is less than"}
_ACTS = {
    "within_days": "in the last … days", "older_than_days": "not in the last … days",
    "is": "of mailout (id)", "is_not": "not of mailout",
}  # fmt: skip
OPS: dict[str, dict[str, str]] = {
    "tag": {"is": "is", "is_not": "is not"},
    "segment": {"is": "is", "is_not": "is not"},
    "email": _TEXT,
    "name": _TEXT | _KNOWN,
    "timezone": _TEXT | _KNOWN,
    "created_at": _DATES,
    "fields": _TEXT | _KNOWN | _NUMBERS | _DATES,
} | dict.fromkeys(ENGAGEMENT, _ACTS)
"""What a line may ask of each field, in words."""
LABELS = {
    "tag": "Tag", "segment": "Segment", "email": "Address", "name": "Name",
    "timezone": "Time zone", "created_at": "On the list since", "received": "Got a mail",
    "opened": "Opened a mail", "clicked": "Clicked in a mail",
}  # fmt: skip
"""Fields that everybody has; others are `fields.NAME`."""


@dataclass(frozen=True)
class Line:
    field: str = "tag"
    op: str = "is"
    value: str = ""

    @property
    def ops(self) -> dict[str, str]:
        return OPS["fields" if self.field.startswith("fields.") else self.field]

    @property
    def widget(self) -> str:
        """How the value is asked for: tag, segment, days, date, number, text or none."""
        if self.field in {"tag", "segment"}:
            return self.field
        if self.op in _KNOWN:
            return "none"
        if self.op in {"within_days", "older_than_days"}:
            return "days"
        if self.op in {"before", "after"}:
            return "date"
        return "number" if self.op in _NUMBERS else "text"

    def rule(self) -> dict[str, Any]:
        """Raises ValueError, without a place."""
        if self.op not in self.ops:
            raise ValueError("choose what is asked of it")
        found: dict[str, Any]
        if self.field in {"tag", "segment"}:
            if not self.value.strip():
                raise ValueError(f"choose a {self.field}")
            tags = [tag.strip() for tag in self.value.split(",") if tag.strip()]
            found = {"tags": tags} if self.field == "tag" else {"segment": self.value}
            return found if self.op == "is" else {"not": found}
        found = {"field": self.field, "op": self.op}
        if self.op in _KNOWN:
            found |= {"op": "exists"} | ({"value": False} if self.op == "missing" else {})
        elif not self.value.strip():
            raise ValueError("write what is looked for")
        elif self.op in {"within_days", "older_than_days", *_NUMBERS}:
            found["value"] = _as_number(self.value)
        else:
            found["value"] = self.value.strip()
        return found


def _as_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("use a number") from None
    return int(number) if number.is_integer() else number


@dataclass(frozen=True)
class Builder:
    """match: how many of the lines must fit. raw: a rule that lines can't show, as JSON. pressed:
    which of the builder's buttons this form came from."""

    match: Match = "all"
    lines: tuple[Line, ...] = ()
    raw: str = ""
    pressed: str = ""

    @classmethod
    def of_rule(cls, rule: dict[str, Any] | None) -> Builder:
        if not rule:
            return cls()
        key: Match = "any" if "any" in rule else "all"
        lines = [_line_of(part) for part in rule.get(key, [rule])]
        known = [line for line in lines if line is not None]
        if len(known) == len(lines) <= MAX_LINES:
            return cls(key, tuple(known))
        return cls(raw=json.dumps(rule, ensure_ascii=False))

    @classmethod
    def of_form(cls, form: Form) -> Builder:
        """What the form says, after the builder's own button was pressed, if one was."""
        lines = []
        for n in range(MAX_LINES):
            name = _one(form, f"audience-field-{n}")
            if name not in LABELS and not (name.startswith("fields.") and len(name) > 7):
                continue
            op, value = _one(form, f"audience-op-{n}"), _one(form, f"audience-value-{n}")
            if name != _one(form, f"audience-was-{n}"):  # another field was chosen
                value = ""
                op = op if op in Line(name).ops else next(iter(Line(name).ops))
            lines.append(Line(name, op, value))
        found = cls(
            "any" if _one(form, "audience-match") == "any" else "all",
            tuple(lines),
            _one(form, "audience-raw").strip(),
            _one(form, "audience-do"),
        )
        return found._after_button()

    def _after_button(self) -> Builder:
        if self.pressed == "add" and len(self.lines) < MAX_LINES:
            return replace(self, lines=(*self.lines, Line()))
        if self.pressed == "lines":
            return replace(self, raw="")
        kind, _, number = self.pressed.partition("-")
        if kind == "remove" and number.isdecimal():
            kept = [line for n, line in enumerate(self.lines) if n != int(number)]
            return replace(self, lines=tuple(kept))
        return self

    def rule(self) -> dict[str, Any] | None:
        """As it is stored; None: everybody. Raises InvalidRequest, which names the line."""
        if self.raw:
            try:
                return parse_rule(read_strict(self.raw))
            except ValueError as exc:
                raise InvalidRequest(f"The rule: {exc}.") from exc
        parts = []
        for n, line in enumerate(self.lines, 1):
            try:
                parts.append(parse_rule(line.rule()))
            except ValueError as exc:
                words = str(exc).partition(": ")[2] or str(exc)
                raise InvalidRequest(f"Line {n}: {words}.") from exc
        return None if not parts else parts[0] if len(parts) == 1 else {self.match: parts}


def _one(form: Form, name: str) -> str:
    return form.get(name, [""])[0]


def _line_of(rule: dict[str, Any]) -> Line | None:
    """None: a line can't show it."""
    op = "is"
    if "not" in rule:
        rule, op = rule["not"], "is_not"
    if "tags" in rule:
        plain = all("," not in tag and tag == tag.strip() for tag in rule["tags"])
        return Line("tag", op, ", ".join(rule["tags"])) if plain else None
    if "segment" in rule:
        return Line("segment", op, rule["segment"])
    if "field" not in rule or op == "is_not":
        return None
    name, op, value = rule["field"], rule["op"], rule.get("value")
    if name in ENGAGEMENT and value == "any":
        op, value = ("within_days" if op == "is" else "older_than_days"), rule["days"]
    if op == "exists":
        return Line(name, "missing" if value is False else "exists") if name != "tags" else None
    typed_number = isinstance(value, int | float) and op in {"is", "is_not"}
    if name == "tags" or typed_number:  # as a text it would mean something else
        return None
    line = Line(name, op, f"{value:g}" if isinstance(value, int | float) else str(value))
    return line if op in line.ops else None


@dataclass(frozen=True)
class Choices:
    """What the lines offer: segments (id and name), tags in use, the names of people's fields."""

    segments: Sequence[dict[str, Any]] = ()
    tags: Sequence[str] = ()
    fields: Sequence[str] = ()
    labels: dict[str, str] = field(default_factory=lambda: LABELS)

    @classmethod
    async def load(cls, services: Services, *, but: str | None = None) -> Choices:
        """but: the id of a segment that is being edited."""
        overview = await services.store.people_overview(100)
        return cls(
            [s for s in await services.store.list_segments(200) if s["id"] != but],
            [tag["tag"] for tag in overview["tags"]],
            await services.store.some_field_names(),
        )


VAGUE = 0.1
"""Numbers that differ by a larger share are both shown."""


async def reach(services: Services, builder: Builder, *, quick: bool) -> dict[str, Any]:
    """Whom it would reach now, for the page: of `Segments.count`, or the `problem` with it.
    `more`: more people can be looked at, which the page's script then asks for."""
    try:
        found = await services.segments.count(builder.rule(), quick=quick)
    except InvalidRequest as refusal:
        return {"problem": refusal.detail}
    least, most = found["between"] or (found["count"], found["count"])
    return found | {
        "vague": most - least > VAGUE * most,
        "more": quick and found["estimated"],
    }
