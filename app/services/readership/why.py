"""Why somebody got a mailout, or why not: the facts, with words for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from app.domain.audience.words import in_words
from app.domain.engagement import reasons
from app.domain.readership import why as words
from app.errors import MailoutNotFound, SubscriberNotFound
from app.services.lists.statement import reason
from app.store import Store


async def why_mailed(
    store: Store,
    mailout_id: UUID,
    *,
    email: str | None = None,
    subscriber_id: UUID | None = None,
) -> dict[str, Any]:
    """The facts of why_mailed.sql; and `got` (None: not known, or not decided), `code`, `reason`;
    for the rule `words` and its `conditions`; for each open and click `because`.

    Raises MailoutNotFound; SubscriberNotFound with `reason`, erased or nobody, where no mail of
    theirs is found either.
    """
    facts = await store.why_mailed(mailout_id, email=email, subscriber_id=subscriber_id)
    if facts is None:
        raise MailoutNotFound(f"There is no mailout {mailout_id}.")
    if facts["found"] == "erased" and not facts["mails"]:
        raise SubscriberNotFound(
            "Somebody with this address was erased at their own wish, and nothing of them is kept.",
            reason="erased",
        )
    if facts["found"] == "nobody":
        among = "in this mailout"
        if searched := facts["searched"]:
            among = f"among the first {searched:,} of this mailout"
        raise SubscriberNotFound(
            f"Nobody with this address is on the list or {among}: look for another spelling.",
            reason="nobody",
        )
    return told(facts)


def told(facts: Mapping[str, Any]) -> dict[str, Any]:
    mails, audience = facts["mails"], facts["audience"]
    came = words.outcome(facts, reason(mails[0]) if mails else None)
    explained = audience["explained"]
    return {
        **facts,
        "got": came.got,
        "code": came.code,
        "reason": came.words,
        "audience": {
            **{name: value for name, value in audience.items() if name != "explained"},
            "words": in_words(audience["rule"]),
            "fits": explained["now"] if explained else None,
            "fitted": explained["then"] if explained else None,
            "conditions": [asdict(one) for one in words.conditions(explained)],
        },
        "signals": [
            signal | {"because": reasons.words(signal["reason"]) if signal["reason"] else None}
            for signal in facts["signals"]
        ],
    }
