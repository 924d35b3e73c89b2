"""The audit log in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

ACTS = {
    "mailout.create": "Mailout written",
    "mailout.ready": "Mailout released",
    "mailout.start": "Mailout started",
    "mailout.test": "Test mails sent",
    "mailout.schedule": "Mailout scheduled",
    "mailout.unschedule": "Mailout’s schedule taken back",
    "mailout.pause": "Mailout paused",
    "mailout.resume": "Mailout resumed",
    "mailout.cancel": "Mailout cancelled",
    "mailout.resend": "Mailout sent again to those who were missed",
    "template.create": "Template made",
    "template.update": "Template changed",
    "template.delete": "Template deleted",
    "subscriber.add": "Subscriber added",
    "subscriber.change": "Subscriber changed",
    "subscriber.erase": "Subscriber erased",
    "people.change": "Many subscribers changed",
    "engagement.recompute": "Opens and clicks judged anew",
    "import.start": "Import begun",
    "import.answer": "Import's question answered",
    "import.undo": "Import taken back",
    "job.cancel": "Job cancelled",
    "job.retry": "Job begun again",
    "key.create": "Key made",
    "key.revoke": "Key revoked",
    "hook.create": "Webhook made",
    "hook.renew": "Webhook asked for once more, and given a new secret",
    "hook.change": "Webhook changed",
    "hook.rotate": "Webhook given a new secret",
    "hook.disable": "Webhook switched off",
    "hook.enable": "Webhook switched on",
    "hook.replay": "Webhook's deliveries sent again",
    "hook.delete": "Webhook deleted",
    "fallback.open": "Another provider let to send in SES’s place",
    "fallback.close": "SES alone let to send again",
    "dashboard.sign_in": "Signed in",
    "dashboard.sign_in_refused": "Sign-in refused",
}
KINDS = {
    "mailout": "Mailouts",
    "template": "Templates",
    "subscriber": "Subscribers, one by one",
    "people": "Subscribers, many at once",
    "engagement": "Opens and clicks",
    "import": "Imports",
    "job": "Jobs",
    "key": "Keys",
    "hook": "Webhooks",
    "fallback": "Fallback providers",
    "dashboard": "Sign-ins",
}
"""What an action begins with, and what people call it."""

_CALLERS = {
    "owner": "the shared secret",
    "dashboard": "the dashboard",
    "cli": "the command line",
    "notion": "Notion",
    "stranger": "a stranger",
}


_IN_NOTION = "notion "  # then a person's name: by a command in a comment


def act_words(action: str) -> str:
    """Another part's action in its own words: `subscriber.erase` is “Subscriber: erase”."""
    if action in ACTS:
        return ACTS[action]
    kind, _, act = action.replace("_", " ").partition(".")
    return f"{kind.capitalize()}: {act}" if act else kind.capitalize()


def caller_words(by: str) -> str:
    if by.startswith(_IN_NOTION):
        return f"{by.removeprefix(_IN_NOTION)} in Notion"
    return _CALLERS.get(by, by)


class Change(NamedTuple):
    """before, after: as text; None: there was, or is, no such thing."""

    what: str
    before: str | None
    after: str | None


def changes(before: Any, after: Any) -> Iterator[Change]:
    """What differs, by name, in the order in which it stands there."""
    old, new = _named(before), _named(after)
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            was, became = _text(old.get(name)), _text(new.get(name))
            if was != became:  # an empty list is as good as none
                yield Change(name.replace("_", " ").capitalize(), was, became)


def _named(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"value": value}


def _text(value: Any) -> str | None:
    if value is None or value in ([], {}):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, dict) and not any(isinstance(one, dict) for one in value.values()):
        return "; ".join(f"{name}: {_text(one) or 'nothing'}" for name, one in value.items())
    return orjson.dumps(value).decode()
