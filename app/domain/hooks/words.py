"""Webhooks in people's words: what each event means, and how a hook does."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

EVENT_WORDS: dict[str, dict[str, tuple[str, str]]] = {
    "Mailouts": {
        "mailout.scheduled": ("scheduled", "it is to go out at a certain time"),
        "mailout.started": ("started", "the first mails are about to leave"),
        "mailout.paused": (
            "paused",
            "by a person, by a limit, or because Amazon refuses; says why",
        ),
        "mailout.resumed": ("resumed", "it goes on"),
        "mailout.finished": ("finished", "everybody is settled; with the figures of its statement"),
        "mailout.failed": ("failed", "everybody was refused"),
        "mailout.cancelled": ("cancelled", "nobody else gets it"),
    },
    "Recipients of a mailout": {
        "recipient.delivered": ("delivered", "one for each mail: many, with a large list"),
        "recipient.bounced": ("bounced", "the mail couldn’t be delivered"),
        "recipient.complained": ("complained", "they reported the mail as spam"),
        "recipient.failed": ("failed", "the mail was refused, and isn’t tried again"),
        "recipient.unsubscribed": ("unsubscribed", "by the link or the button of that mail"),
    },
    "Subscribers": {
        "subscriber.created": ("added", "by a person, an import, the form or a program"),
        "subscriber.updated": ("changed", "name, address, tags, fields, time zone; or confirmed"),
        "subscriber.unsubscribed": ("unsubscribed", "in whatever way"),
        "subscriber.resubscribed": ("came back", "gets mail again"),
        "subscriber.bounced": ("bounced", "the address failed for good, and gets no more mail"),
        "subscriber.complained": ("complained", "gets no more mail"),
        "subscriber.erased": ("erased", "told with the id alone"),
    },
}
"""By subject and event: what happened to it, and what that means."""

_SUBJECTS = {"mailout": "Mailout", "recipient": "Recipient", "subscriber": "Subscriber"}
_BY_EVENT = {event: words for group in EVENT_WORDS.values() for event, words in group.items()}


def event_words(event: str) -> str:
    """`Mailout finished`."""
    subject, _, name = event.partition(".")
    words = _BY_EVENT.get(event, (name, ""))[0]
    return f"{_SUBJECTS.get(subject, subject.capitalize())} {words}"


SOURCES = {"zapier": "Zapier", "make": "Make", "n8n": "n8n"}


def shown_host(url: str) -> str:
    """Host and port of a hook's address; the rest may be a secret."""
    return urlsplit(url).netloc


def source_of(host: str) -> str | None:
    """Whose address it is, where that can be told: n8n's are its owner's."""
    host = host.lower()
    if host == "hooks.zapier.com":
        return "zapier"
    return "make" if host.endswith((".make.com", ".integromat.com")) else None


def delivery_words(delivery: dict[str, Any], *, off: bool = False) -> str:
    """How a delivery went, as one sentence. delivery: as it is listed. off: its webhook is, so that
    what waits isn't tried."""
    if delivery["state"] == "done":
        return f"Delivered: it answered {delivery['status']}."
    tried = delivery["error"] or ""
    if delivery["state"] == "dead":
        return f"Given up after {_tries(delivery['attempts'])}. {tried}".rstrip()
    if off and delivery["state"] == "waiting":
        return f"{tried} It waits until the webhook is switched on again.".lstrip()
    if delivery["attempts"]:
        return f"{tried} It is tried again by itself.".lstrip()
    return "It is under way." if delivery["state"] == "sending" else "It waits for its turn."


def _tries(count: int) -> str:
    return "one try" if count == 1 else f"{count} tries"
