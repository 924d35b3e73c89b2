"""What comes in about subscribers: the fields of a person, and whom an act on many is about."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from app.api.http.deps import Services, Text, without_nul
from app.domain import people
from app.domain.addresses import InvalidAddress, typed_address
from app.domain.audience.rule import AudienceRule
from app.domain.given.bodies import StrictBody
from app.domain.people import Change, Filter
from app.domain.states import SubscriberStatus
from app.errors import InvalidRequest


def _stripped(text: str) -> str:
    if not text.isprintable():
        raise ValueError("use letters, digits, signs and spaces")
    return text


_Line = Annotated[Text, StringConstraints(strip_whitespace=True), AfterValidator(_stripped)]
Name = Annotated[_Line, StringConstraints(max_length=people.MAX_NAME_CHARS)]
Tag = Annotated[_Line, StringConstraints(min_length=1, max_length=people.MAX_TAG_CHARS)]
Tags = Annotated[list[Tag], Field(max_length=people.MAX_TAGS)]
FieldName = Annotated[_Line, StringConstraints(min_length=1, max_length=100)]
FieldText = Annotated[Text, StringConstraints(max_length=people.MAX_FIELD_CHARS)]


def _without_halves(text: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError("half of a surrogate pair can't stand here")


def _storable(value: object) -> object:
    """Says in one sentence what none of the types below could say, and what JSON can't keep."""
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError("use a text, a number, true, false or null")
    if isinstance(value, str):
        if len(value) > people.MAX_FIELD_CHARS:
            raise ValueError(f"use at most {people.MAX_FIELD_CHARS:,} characters")
        _without_halves(without_nul(value))
    elif isinstance(value, int | float) and not people.fits_json(value):
        raise ValueError("this number is too large: write it as a text")
    return value


FieldValue = Annotated[str | bool | int | float | None, BeforeValidator(_storable)]
Fields = Annotated[dict[FieldName, FieldValue], Field(max_length=people.MAX_FIELDS)]
Reason = Annotated[_Line, StringConstraints(min_length=1, max_length=people.MAX_REASON_CHARS)]
Settable = Literal["active", "unsubscribed", "bounced", "complained"]
"""`pending` is for those who signed up and haven't confirmed."""


def _address(text: str) -> str:
    try:
        typed_address(text)
    except InvalidAddress as exc:
        raise ValueError(str(exc)) from exc
    return text.strip()


def _time_zone(name: str) -> str:
    if not people.is_time_zone(name):
        raise ValueError("use a name such as Europe/Berlin")
    return name


Email = Annotated[Text, StringConstraints(max_length=320), AfterValidator(_address)]
TimeZone = Annotated[Text, StringConstraints(max_length=100), AfterValidator(_time_zone)]
Search = Annotated[_Line, StringConstraints(max_length=320)]


class NewSubscriber(StrictBody):
    """consent: when, where and to what the person agreed, as you know it; kept as it is."""

    email: Email
    name: Name | None = None
    status: Settable = "active"
    tags: Tags = Field(default_factory=list)
    fields: Fields = Field(default_factory=dict)
    timezone: TimeZone | None = None
    consent: dict[FieldName, FieldText | None] | None = None


class Override(StrictBody):
    """reason: kept in the history; needed for a status. asked: they asked for mail themselves, if
    the reason doesn't say so. force: lift a complaint or a permanent bounce."""

    reason: Reason | None = None
    asked: bool = False
    force: bool = False

    @property
    def has_asked(self) -> bool:
        return self.asked or people.says_they_asked(self.reason)


class ChangedSubscriber(Override):
    """Only what is there is changed. fields: those given; null removes one."""

    email: Email | None = None
    name: Name | None = None
    status: Settable | None = None
    tags: Tags | None = None
    add_tags: Tags | None = None
    remove_tags: Tags | None = None
    fields: Fields | None = None
    timezone: TimeZone | None = None

    def change(self) -> Change:
        """Raises InvalidRequest."""
        given = self.model_dump(exclude_unset=True, exclude={"reason", "asked", "force"})
        if not given:
            raise InvalidRequest("body: name what is to be changed.")
        never_null = ("email", "status", "tags", "add_tags", "remove_tags", "fields")
        if missing := next((key for key in never_null if given.get(key, 0) is None), None):
            raise InvalidRequest(f"{missing}: null is nothing it can be; leave it out.")
        if "status" in given and self.reason is None:
            raise InvalidRequest("reason: say why the status is changed.")
        return cast(Change, given)


_RULES = {"all", "any", "not", "segment", "field", "op"}


class Audience(StrictBody):
    """Whom: as in the list's filters (tags: any of them; {}: everybody), or the rule of an audience
    as a mailout has it, also beside a filter as `rule`."""

    rule: AudienceRule = None
    status: SubscriberStatus | None = None
    tags: Tags | None = None
    q: Search | None = None
    fields: Annotated[dict[FieldName, FieldText], Field(max_length=20)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_rule(cls, given: object) -> object:
        if isinstance(given, dict) and given.keys() & _RULES:
            return {"rule": given}
        return given

    async def filter(self, services: Services) -> Filter:
        """Raises InvalidRequest for a segment that there isn't."""
        given = self.model_dump(exclude_none=True)
        if self.rule:
            given["rule"] = await services.segments.resolved(self.rule)
        return cast(Filter, {key: value for key, value in given.items() if value})


class ManyBody(Override):
    """audience: whom. expected: how many they are; else nobody is changed."""

    audience: Audience
    expected: Annotated[int, Field(ge=0)]


class StatusOfMany(ManyBody):
    status: Settable
    reason: Reason


class TagsOfMany(ManyBody):
    add: Tags = Field(default_factory=list)
    remove: Tags = Field(default_factory=list)
