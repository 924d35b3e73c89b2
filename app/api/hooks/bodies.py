"""What callers send about webhooks; those of Zapier, Make and n8n by the names that they use."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from app.api.http.deps import without_nul
from app.api.http.paging import moment
from app.domain.given.bodies import StrictBody, Time
from app.domain.given.lines import require_line

URL_NAMES = (
    "url",
    "hookUrl",
    "hook_url",
    "targetUrl",
    "target_url",
    "subscription_url",
    "webhookUrl",
    "webhook_url",
)
"""What `url` is called elsewhere. Zapier's older integrations send `target_url` and, with the same
value, `subscription_url`."""
MAX_EVENTS = 100
MAX_IDS = 1000

Source = Literal["zapier", "make", "n8n"]


def _several(events: Any) -> Any:
    return [events] if isinstance(events, str) else events


EventName = Annotated[str, Field(max_length=100), AfterValidator(without_nul)]
Events = Annotated[
    list[EventName],
    BeforeValidator(_several),
    Field(max_length=MAX_EVENTS),
]
Url = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(without_nul)]
Description = Annotated[str, Field(max_length=500), AfterValidator(require_line)]
Rate = Annotated[float, Field(ge=0.01, le=1000)]


class NewHook(StrictBody):
    """url: where it is sent; also called hookUrl, targetUrl, target_url and the like. events: of
    those that `GET /hooks/samples/{event}` knows; `event`: a single one. rate_per_second: so many
    deliveries at most. source: who asked; known by itself for Zapier and Make."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "url": "https://crm.example.com/in",
                "events": ["recipient.bounced", "subscriber.unsubscribed"],
            }
        },
    )

    url: Url
    events: Events
    description: Description = ""
    rate_per_second: Rate | None = None
    source: Source | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_other_names(cls, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        found = {name: body[name] for name in URL_NAMES if name in body}
        if len({repr(value) for value in found.values()}) > 1:
            raise ValueError(f"{', '.join(found)}: name one address, not several.")
        rest = {name: value for name, value in body.items() if name not in found}
        if found:
            rest["url"] = next(iter(found.values()))
        if "event" in rest and "events" not in rest:
            rest["events"] = rest.pop("event")
        return rest


class HookChange(StrictBody):
    """Only what is there is changed. state: `disabled` stops it, `active` has it tried again at
    once, with what waits."""

    model_config = ConfigDict(json_schema_extra={"example": {"state": "disabled"}})

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    rate_per_second: Rate | None = None
    state: Literal["active", "disabled"] | None = None


class Trial(StrictBody):
    """event: of which an example is sent; the hook's first, if none is named."""

    model_config = ConfigDict(json_schema_extra={"example": {"event": "recipient.bounced"}})

    event: EventName | None = None


class Replay(StrictBody):
    """ids: of deliveries that are over; or since: a day or a moment, for whatever was told since
    then; all dead ones, if neither is named."""

    model_config = ConfigDict(json_schema_extra={"example": {"since": "2026-05-04"}})

    ids: (
        Annotated[
            list[Annotated[int, Field(ge=1, lt=2**63)]], Field(min_length=1, max_length=MAX_IDS)
        ]
        | None
    ) = None
    since: Annotated[Time, AfterValidator(moment)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.ids is not None and self.since is not None:
            raise ValueError("ids, since: name one of both.")
        return self
