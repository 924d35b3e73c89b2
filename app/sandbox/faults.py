"""Failures on command: drawn by chance from a seeded generator, or listed call by call."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0, le=1)]
Kind = Literal[
    "throttle",
    "server_error",
    "drop_before_accept",
    "accept_then_drop",
    "cut_answer",
    "hang",
    "short_results",
    "long_results",
    "reordered_results",
]
EntryStatus = Literal[
    "MESSAGE_REJECTED",
    "MAIL_FROM_DOMAIN_NOT_VERIFIED",
    "CONFIGURATION_SET_NOT_FOUND",
    "TEMPLATE_NOT_FOUND",
    "ACCOUNT_SUSPENDED",
    "ACCOUNT_THROTTLED",
    "ACCOUNT_DAILY_QUOTA_EXCEEDED",
    "INVALID_SENDING_POOL_NAME",
    "ACCOUNT_SENDING_PAUSED",
    "CONFIGURATION_SET_SENDING_PAUSED",
    "INVALID_PARAMETER",
    "TRANSIENT_FAILURE",
    "FAILED",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _from_probability(value: Any) -> Any:
    """A bare number or true stands for an object with that probability."""
    return {"probability": float(value)} if isinstance(value, bool | int | float) else value


class Fault(_Strict):
    """One call fails this way with `probability`."""

    probability: Probability = 1.0


class ServerError(Fault):
    """accept: the mail is accepted although the answer is an error."""

    status: Literal[500, 502, 503, 504] = 500
    accept: bool = False


class Drop(Fault):
    """The connection is closed without an answer; reset: by RST instead of FIN."""

    reset: bool = False


class CutAnswer(Fault):
    """The first `bytes` of the answer's body come, after a Content-Length for all of it."""

    bytes: Annotated[int, Field(ge=0)] = 10


class Hang(Fault):
    """No answer for `seconds`, then the connection is closed; accept: the mail was accepted."""

    seconds: Annotated[float, Field(gt=0)] = 30.0
    accept: bool = True


class EntryFailure(Fault):
    """Each entry of a bulk call is refused by itself with one of `statuses`."""

    statuses: Annotated[list[EntryStatus], Field(min_length=1)] = ["TRANSIENT_FAILURE"]


class Latency(_Strict):
    """Seconds a send call takes; a part of it passes before the mail is accepted."""

    min: Annotated[float, Field(ge=0)] = 0.0
    max: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> Latency:
        if self.min > self.max:
            raise ValueError("min is above max")
        return self


class Faults(_Strict):
    """How send calls fail. A kind of failure is given as a probability or as an object.

    poison: addresses that make SES refuse the whole call (BadRequestException).
    reject, delivery_delay: shares of accepted mails with such an event.
    event_drop, event_duplicate: shares of events that are lost, or posted twice.
    """

    throttle: Annotated[Fault | None, BeforeValidator(_from_probability)] = None
    server_error: Annotated[ServerError | None, BeforeValidator(_from_probability)] = None
    drop_before_accept: Annotated[Drop | None, BeforeValidator(_from_probability)] = None
    accept_then_drop: Annotated[Drop | None, BeforeValidator(_from_probability)] = None
    cut_answer: Annotated[CutAnswer | None, BeforeValidator(_from_probability)] = None
    hang: Annotated[Hang | None, BeforeValidator(_from_probability)] = None
    short_results: Annotated[Fault | None, BeforeValidator(_from_probability)] = None
    long_results: Annotated[Fault | None, BeforeValidator(_from_probability)] = None
    reordered_results: Annotated[Fault | None, BeforeValidator(_from_probability)] = None
    entry_failure: Annotated[EntryFailure | None, BeforeValidator(_from_probability)] = None
    latency: Latency | None = None
    bulk_one_per_second: bool = False
    sending_paused: bool = False
    account_suspended: bool = False
    poison: frozenset[str] = frozenset()
    reject: Probability = 0.0
    delivery_delay: Probability = 0.0
    event_drop: Probability = 0.0
    event_duplicate: Probability = 0.0


def _as_faults(value: Any) -> Any:
    """`"ok"` and `"throttle"` are short for `{}` and `{"throttle": 1}`."""
    if isinstance(value, str):
        return {} if value == "ok" else {value: True}
    return value


class FaultPlan(Faults):
    """The body of `PUT /sandbox/faults`.

    next: what the next send calls meet, one each; they follow the rest of the plan after that.
    """

    seed: int | None = None
    next: list[Annotated[Faults, BeforeValidator(_as_faults)]] = []


@dataclass(frozen=True, slots=True)
class Decision:
    """What one send call meets: at most one failure of the call, and everything else."""

    faults: Faults
    kind: Kind | None
    before_seconds: float  # of latency
    after_seconds: float


class FaultInjector:
    """Decides whether and how each call fails, by the present plan and a seeded generator."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.set(FaultPlan())

    def set(self, plan: FaultPlan) -> None:
        """Follow `plan` from now on, the dice at its seed again."""
        self.plan = plan
        self.dice = random.Random(self._seed if plan.seed is None else plan.seed)  # noqa: S311
        self._next = deque(plan.next)

    def remaining(self) -> FaultPlan:
        """The plan with what is left of `next`."""
        return self.plan.model_copy(update={"next": list(self._next)})

    def decide(self) -> Decision:
        """What the next send call meets; uses up an item of `next`."""
        faults = self._next.popleft() if self._next else self.plan
        latency = faults.latency or Latency()
        seconds = self.dice.uniform(latency.min, latency.max)
        before = seconds * self.dice.random()
        return Decision(faults, self._kind(faults), before, seconds - before)

    def _kind(self, faults: Faults) -> Kind | None:
        kinds: tuple[Kind, ...] = get_args(Kind)
        for kind in kinds:
            fault: Fault | None = getattr(faults, kind)
            if fault and self.hits(fault.probability):
                return kind
        return None

    def hits(self, probability: float) -> bool:
        """Throw the dice; a probability of 0 or 1 needs no throw."""
        return probability >= 1 or (probability > 0 and self.dice.random() < probability)
