"""Examples of deliveries, for those who set up an automation: with the keys of the real ones, the
list's own fields and mailouts, and made-up people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from app.domain.hooks.events import SAMPLES

PEOPLE = (("Maria", "maria@example.com"), ("Ben", "ben@example.com"), ("Yuki", "yuki@example.com"))
_AT = datetime(2026, 5, 4, 9, 4, 41, tzinfo=UTC)
_BY_TYPE: dict[str, Any] = {"number": 7, "boolean": True, "array": ["example"], "object": {}}
"""For a field of this JSON type; else it is a text."""


def examples(event: str, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Newest first, each with an `id` that stays. facts: as hook_sample_facts answers: `mailouts`
    (`id`, `subject`, `recipients`), `fields` (the JSON type of each by name), `tags`. Raises
    KeyError for an unknown event."""
    found = []
    for number, (name, email) in enumerate(PEOPLE):
        data = SAMPLES[event] | _of_person(event, name, email, facts)
        if facts["mailouts"]:
            data |= _of_mailout(event, facts["mailouts"][number % len(facts["mailouts"])])
        elif number and event.startswith("mailout."):
            break  # the very same once more
        found.append(
            {
                "id": f"evt_{uuid5(NAMESPACE_URL, f'example:{event}:{number}').hex}",
                "type": event,
                "timestamp": (_AT - number * timedelta(hours=7)).isoformat(timespec="microseconds"),
                "data": data,
            }
        )
    return found


def _of_person(event: str, name: str, email: str, facts: dict[str, Any]) -> dict[str, Any]:
    about = SAMPLES[event]
    person: dict[str, Any] = {"name": name, "email": email}
    if facts["fields"]:
        person["fields"] = {
            field: _BY_TYPE.get(kind, "example") for field, kind in facts["fields"].items()
        }
    if facts["tags"]:
        person["tags"] = facts["tags"]
    for key in ("id", "subscriber_id"):
        if not event.startswith("mailout.") and key in about:
            person[key] = _another(about[key], name)
    return {key: value for key, value in person.items() if key in about}


def _another(identity: Any, name: str) -> Any:
    """An id of the same kind."""
    number = uuid5(NAMESPACE_URL, f"example:{name}")
    return number.int % 100_000 if isinstance(identity, int) else str(number)


def _of_mailout(event: str, mailout: dict[str, Any]) -> dict[str, Any]:
    if event.startswith("mailout."):
        return {"id": mailout["id"], "subject": mailout["subject"]}
    if event.startswith("recipient."):
        return {"mailout_id": mailout["id"], "mailout_subject": mailout["subject"]}
    return {}
