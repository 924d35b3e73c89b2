"""What the database's functions about one person refuse, as errors."""

from __future__ import annotations

from typing import Any

from app.domain.people import refusal_words
from app.errors import (
    InvalidRequest,
    StatusProtected,
    SubscriberErased,
    SubscriberExists,
    SubscriberNotFound,
)


def accepted(done: dict[str, Any]) -> dict[str, Any]:
    """The subscriber as it is now. done: what `add_subscriber` or `change_subscriber` answered.

    Raises SubscriberNotFound, SubscriberExists, SubscriberErased, StatusProtected, InvalidRequest.
    """
    match done["outcome"]:
        case "not_found":
            raise SubscriberNotFound
        case "exists":
            raise SubscriberExists("Somebody has this address already: change that subscriber.")
        case "erased":
            raise SubscriberErased
        case "invalid":
            raise InvalidRequest(f"email: {done['problem']}")
        case "asked" | "force" as refusal:
            words = refusal_words(refusal, done["subscriber"]["status"])
            raise StatusProtected(words, needs=refusal)
    person: dict[str, Any] = done["subscriber"]
    return person
