"""The rule of an audience as data: whom a mailout, a segment or a list is for. Pure.

`migrations/functions/audience/compile.sql` turns a rule into a condition of SQL, docs/audiences.md
says what each one means. Null and `{}` are everybody.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from app.domain.people import MAX_TAG_CHARS, MAX_TAGS, fits_json

MAX_DEPTH = 8
MAX_CONDITIONS = 100
MAX_VALUE_CHARS = 1_000
MAX_FIELD_NAME_CHARS = 100
MAX_DAYS = 3_660

TEXT_OPS = ("is", "is_not", "contains", "starts_with", "exists")
DATE_OPS = ("before", "after", "within_days", "older_than_days")
ENGAGEMENT = ("received", "opened", "clicked")
ENGAGEMENT_OPS = ("is", "is_not", "within_days", "older_than_days")
OPS: dict[str, tuple[str, ...]] = {
    "tags": TEXT_OPS,
    "email": TEXT_OPS,
    "name": TEXT_OPS,
    "timezone": TEXT_OPS,
    "created_at": ("is", "is_not", *DATE_OPS, "exists"),
    "fields": (*TEXT_OPS, "gt", "lt", *DATE_OPS),
} | dict.fromkeys(ENGAGEMENT, ENGAGEMENT_OPS)
"""What may be asked of each field; `fields`: of every `fields.NAME`."""

Op = Literal[
    "is", "is_not", "contains", "starts_with", "exists", "gt", "lt", "before", "after",
    "within_days", "older_than_days",
]  # fmt: skip
_DAY = re.compile(r"[12]\d{3}-\d\d-\d\d")
_INSTANT = re.compile(
    r"[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[-+]\d\d:?\d\d)?", re.ASCII
)
_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(\.[0-9]{1,30})?")


def _text(text: str) -> str:
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("a NUL or half of a surrogate pair can't stand here")
    return text


def _scalar(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if not isinstance(value, str):
        raise ValueError("use a text, a number, true or false")  # noqa: TRY004  for pydantic
    if len(value) > MAX_VALUE_CHARS:
        raise ValueError(f"use at most {MAX_VALUE_CHARS:,} characters")
    return _text(value)


Text = Annotated[str, AfterValidator(_text)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    def canonical(self) -> dict[str, Any]:
        """As it is stored."""
        return self.model_dump(by_alias=True)


class Tagged(_Part):
    """Has any of these tags."""

    tags: Annotated[
        list[Annotated[Text, Field(min_length=1, max_length=MAX_TAG_CHARS)]],
        Field(min_length=1, max_length=MAX_TAGS),
    ]


class InSegment(_Part):
    segment: Annotated[UUID, Field(strict=False)]

    def canonical(self) -> dict[str, Any]:
        return {"segment": str(self.segment)}


class All(_Part):
    all: Annotated[list[Rule], Field(min_length=1)]

    def canonical(self) -> dict[str, Any]:
        return {"all": [part.canonical() for part in self.all]}


class AnyOf(_Part):
    any: Annotated[list[Rule], Field(min_length=1)]

    def canonical(self) -> dict[str, Any]:
        return {"any": [part.canonical() for part in self.any]}


class Not(_Part):
    not_: Annotated[Rule, Field(alias="not")]

    def canonical(self) -> dict[str, Any]:
        return {"not": self.not_.canonical()}


class Condition(_Part):
    """One question about a person. days: with `"any"` mailout."""

    field: Annotated[Text, Field(min_length=1, max_length=MAX_FIELD_NAME_CHARS + 7)]
    op: Op
    value: Annotated[str | bool | int | float | None, PlainValidator(_scalar)] = None
    days: Annotated[str | bool | int | float | None, PlainValidator(_scalar)] = None

    @property
    def kind(self) -> str:
        """The field, or `fields` for one of people's own."""
        return "fields" if self.field.startswith("fields.") else self.field

    @model_validator(mode="after")
    def _fits(self) -> Condition:
        known = ", ".join(name for name in OPS if name != "fields")
        if self.kind not in OPS or self.field == "fields.":
            raise ValueError(f"field: use {known}, or fields.NAME")
        if self.op not in OPS[self.kind]:
            raise ValueError(f"op: of {self.field} ask {', '.join(OPS[self.kind])}")
        if self.kind in ENGAGEMENT:
            self._check_engagement()
            return self
        if self.days is not None:
            raise ValueError(f"days: only with {', '.join(ENGAGEMENT)}")
        if isinstance(self.value, int | float) and not fits_json(self.value):
            raise ValueError("value: this number is too large")
        if self.op == "exists":
            if not (self.value is None or isinstance(self.value, bool)):
                raise ValueError("value: use true or false")
        elif self.op in {"within_days", "older_than_days"}:
            _check_days("value", self.value, 10 * MAX_DAYS)
        elif self.op in {"before", "after"} or self.kind == "created_at":
            _check_instant(self.value)
        elif self.op in {"gt", "lt"}:
            if _number(self.value) is None:
                raise ValueError("value: use a number; for dates, ask before or after")
        elif self.value is None or self.value == "":
            raise ValueError("value: say what is looked for; for none at all, ask exists: false")
        elif self.kind != "fields" and not isinstance(self.value, str):
            raise ValueError("value: use a text")
        return self

    def _check_engagement(self) -> None:
        """Raises ValueError."""
        if self.op in {"within_days", "older_than_days"}:
            days = self.value if self.value != "any" else self.days
            _check_days("days" if self.value == "any" else "value", days, MAX_DAYS)
            if self.value != "any" and self.days is not None:
                raise ValueError('days: only where the value is "any"')
        elif self.value == "any":
            _check_days("days", self.days, MAX_DAYS)
        elif self.days is not None:
            raise ValueError('days: only where the value is "any"')
        elif not isinstance(self.value, str) or not _is_uuid(self.value):
            raise ValueError('value: use a mailout\'s id, or "any" with `days`')

    def canonical(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"field": self.field, "op": self.op}
        if self.kind in ENGAGEMENT:
            if self.op in {"within_days", "older_than_days"}:
                rule["op"] = "is" if self.op == "within_days" else "is_not"
                days = self.days if self.value == "any" else self.value
                return rule | {"value": "any", "days": days}
            if self.value == "any":
                return rule | {"value": "any", "days": self.days}
            return rule | {"value": str(UUID(str(self.value)))}
        if self.op == "exists":
            return rule if self.value in {None, True} else rule | {"value": False}
        if self.op in {"gt", "lt"}:
            return rule | {"value": _number(self.value)}
        return rule | {"value": self.value}


def _check_days(where: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{where}: use a number of days, at most {most:,}")


def _check_instant(value: object) -> None:
    if isinstance(value, str) and (_DAY.fullmatch(value) or _INSTANT.fullmatch(value)):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return
    raise ValueError(
        "value: use a day such as 2026-05-31, or 2026-05-31T18:00 with or without +02:00"
    )


def _number(value: object) -> int | float | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        number = float(value)
        value = int(value) if number.is_integer() and "." not in value else number
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) and fits_json(value) else None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _kind(value: object) -> str | None:
    """Which of the parts a rule is, by its keys."""
    if isinstance(value, dict):
        for key in ("tags", "all", "any", "not", "segment", "field", "op"):
            if key in value:
                return "<field>" if key == "op" else f"<{key}>"
    return None


_NO_RULE = "write one of tags, all, any, not, segment, or a condition with field, op and value"

Rule = Annotated[
    Annotated[Tagged, Tag("<tags>")]
    | Annotated[All, Tag("<all>")]
    | Annotated[AnyOf, Tag("<any>")]
    | Annotated[Not, Tag("<not>")]
    | Annotated[InSegment, Tag("<segment>")]
    | Annotated[Condition, Tag("<field>")],
    Discriminator(_kind, custom_error_type="no_rule", custom_error_message=_NO_RULE),
]
for model in (All, AnyOf, Not):
    model.model_rebuild()
_RULE: TypeAdapter[_Part] = TypeAdapter(Rule)

_WORDS = {
    "missing": "is missing",
    "too_short": "name at least one",
    "extra_forbidden": "nothing of this name can stand here",
    "uuid_parsing": "use the id of a segment",
    "uuid_type": "use the id of a segment",
    "string_too_short": "write something",
    "literal_error": f"use {', '.join(get_args(Op))}",
    "list_type": "use a list",
    "string_type": "use a text",
}


def parse_rule(value: object) -> dict[str, Any] | None:
    """A rule as it is stored; None: everybody.

    Raises ValueError, which names the place within the rule and the remedy.
    """
    if value is None or value == {}:
        return None
    _check_size(value)
    try:
        return _RULE.validate_python(value).canonical()
    except ValidationError as exc:
        raise ValueError("; ".join(_in_words(exc))) from exc


def _in_words(errors: ValidationError) -> Iterator[str]:
    for error in errors.errors()[:5]:
        place = [str(part) for part in error["loc"] if not str(part).startswith("<")]
        said = error["msg"].removeprefix("Value error, ")
        key, _, rest = said.partition(": ")
        if key in {"field", "op", "value", "days"} and rest:
            place, said = [*place, key], rest
        said = _WORDS.get(error["type"], said)
        where = ".".join(place)
        yield f"{where}: {said}" if where else said


def _check_size(value: object) -> None:
    """Before anything recurses. Raises ValueError."""
    waiting, conditions = [(value, 1)], 0
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(
                f"rules may stand in each other {MAX_DEPTH} deep; make a segment of some"
            )
        if not isinstance(part, dict):
            continue
        inner = [part["not"]] if "not" in part else []
        for key in ("all", "any"):
            if isinstance(part.get(key), list):
                inner += part[key]
        conditions += not inner
        if conditions > MAX_CONDITIONS or len(waiting) + len(inner) > 4 * MAX_CONDITIONS:
            raise ValueError(f"at most {MAX_CONDITIONS} conditions; make a segment of some")
        waiting += [(one, depth + 1) for one in inner]


AudienceRule = Annotated[
    dict[str, Any] | None,
    PlainValidator(parse_rule),
    WithJsonSchema(
        {
            "anyOf": [{"type": "object"}, {"type": "null"}],
            "description": "null: every active subscriber; else a rule, see docs/audiences.md",
        }
    ),
]
"""For the body of a request: checked, and as it is stored."""


def segments_in(rule: dict[str, Any] | None) -> set[str]:
    """The ids of the segments that a checked rule names."""
    return {part["segment"] for part in parts(rule) if "segment" in part}


def parts(rule: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The rule and all within it."""
    if rule is not None:
        yield rule
        for inner in [*rule.get("all", []), *rule.get("any", []), rule.get("not")]:
            yield from parts(inner)
