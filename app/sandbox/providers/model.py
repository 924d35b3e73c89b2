"""Mails, answers, faults and webhooks of a stand-in."""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Ending = Literal["", "drop", "reset", "hang", "cut"]

MOST_KEPT = 5_000


@dataclass(frozen=True)
class Answer:
    """ending: how the connection ends in place of the answer; `cut`: in its midst."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = ""

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, orjson.dumps(value), {"Content-Type": "application/json", **named})


@dataclass
class Fault:
    """accept: the call is accepted all the same. status, body, headers: in place of the answer;
    status 0: none at all, but `ending`. times: None: until `heal`."""

    status: int = 500
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = ""
    accept: bool = False
    times: int | None = None


@dataclass(frozen=True)
class ReceivedMail:
    """What one person got. headers: those that the sender gave."""

    to: str
    sender: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]
    variables: Mapping[str, str]
    """Custom arguments or user variables, which its events carry."""
    message_id: str
    number: int


@dataclass
class Post:
    """A webhook request. Its body and signature are made when it is first posted."""

    events: list[dict[str, Any]]
    attempts: int = 0
    answers: list[int] = field(default_factory=list)
    signed: tuple[dict[str, str], bytes] | None = None


class StandIn(ABC):
    """The part that both have: one lock, the mails, and how it fails on command."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.told: Callable[[ReceivedMail], None] = lambda _mail: None  # of each that is accepted
        self._reset()

    def _reset(self) -> None:
        self.mails: deque[ReceivedMail] = deque(maxlen=MOST_KEPT)
        self.events: deque[dict[str, Any]] = deque()
        self.asked = 0
        self.fault: Fault | None = None
        self.number = 0

    def reset(self) -> None:
        with self._lock:
            self._reset()

    def keep(self, mail: ReceivedMail) -> None:
        """It is accepted. Raises what `told` raises."""
        self.told(mail)
        self.mails.append(mail)

    # -- what a test or a person looks at

    def only(self, to: str) -> ReceivedMail:
        [found] = self.mails_to(to)
        return found

    def mails_to(self, to: str) -> list[ReceivedMail]:
        with self._lock:
            return [mail for mail in self.mails if mail.to == to]

    # -- faults

    def fail(self, **fault: Any) -> None:
        """See Fault."""
        with self._lock:
            self.fault = Fault(**fault)

    def heal(self) -> None:
        with self._lock:
            self.fault = None

    def answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """What a request gets."""
        named = {name.lower(): value for name, value in headers.items()}
        with self._lock:
            self.asked += 1
            fault = self._next_fault()
            if fault is None:
                return self._answer(path, body, named)
            given = self._answer(path, body, named) if fault.accept else Answer()
            if fault.status:
                return Answer(fault.status, fault.body, fault.headers, fault.ending)
            return Answer(given.status, given.body, given.headers, fault.ending)

    def _next_fault(self) -> Fault | None:
        fault = self.fault
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self.fault = None
        return fault

    @abstractmethod
    def _answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """What it says where nothing fails. headers: by their names in small letters."""

    # -- webhooks

    def pending(self, *, shuffle: int | None = None) -> list[Post]:
        """The requests that post what has happened since the last time. shuffle: a seed, for events
        in another order than they happened."""
        with self._lock:
            events = list(self.events)
            self.events.clear()
        if shuffle is not None:
            random.Random(shuffle).shuffle(events)  # noqa: S311 - repeatable on purpose
        return self._posts(events)

    @abstractmethod
    def _posts(self, events: list[dict[str, Any]]) -> list[Post]:
        """The requests that tell these events."""

    @abstractmethod
    def signed(self, post: Post) -> tuple[dict[str, str], bytes]:
        """Headers and body of a request's next try."""

    @abstractmethod
    def repeats(self, status: int) -> bool:
        """Whether a request is posted again after this answer; 0: there was none."""
