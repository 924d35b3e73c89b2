"""What the rules look at, and what they answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.domain.engagement.reasons import Reason

Kind = Literal["open", "click"]
Place = Literal["body", "footer"]
Class = Literal["human", "machine", "unknown"]

BEST_FIRST: tuple[Class, ...] = ("human", "unknown", "machine")
"""A person counts once per kind, by the best that was judged of them."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the mail, as `mailout_links` has it."""

    id: int
    """The same for each place of the document that leads there."""
    place: Place | None = None
    """None: it isn't in the document, or the document's links aren't known."""
    position: int | None = None
    """Among the document's links, from 0."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What one recipient did with one link, or with the picture that counts opens, seen from one
    network with one kind of program within ten minutes: a row of `engagement_signals`."""

    kind: Kind
    first_at: datetime
    """Aware; as SES says."""
    last_at: datetime
    """Aware; the same as `first_at` for what happened once."""
    link: Link | None = None
    """None for opens."""
    network: str = ""
    """As `networks.network_of` answers."""
    agent: str = ""
    """As `agents.agent_of` answers."""
    events: int = 1
    """How many SES told of, 1 or more."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One recipient's mail."""

    sent_at: datetime | None = None
    """When SES took it; aware."""
    delivered_at: datetime | None = None
    """When the recipient's mail server took it, as SES says; None: not known."""
    body_links: int | None = None
    """How many different tracked links the body holds; None: not known."""
    footer_links: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one signal proves."""

    class_: Class
    """human: somebody read. machine: a program did it, and no person is seen in it. unknown: either
    may be."""
    reason: Reason
    """The rule that decided; `reasons.words` has its words."""
