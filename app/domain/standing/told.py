"""What was told of one SES region at one look. Pure data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Literal, Self, TypeVar

from app.domain.sending.batches import Account
from app.domain.standing.blocklists import Listing

T = TypeVar("T")


@dataclass(frozen=True)
class Part(Generic[T]):
    """One thing that was asked for. off: it wasn't asked, since it isn't on or set. unknown: it was
    asked, and no answer came. why: of both, a sentence's end."""

    state: Literal["told", "off", "unknown"]
    items: tuple[T, ...] = ()
    why: str = ""

    @property
    def is_told(self) -> bool:
        return self.state == "told"

    def to_stored(self) -> dict[str, Any]:
        items = [each.to_stored() if hasattr(each, "to_stored") else vars(each)
                 for each in self.items]  # fmt: skip
        return {"state": self.state, "items": items, "why": self.why}

    @classmethod
    def from_stored(cls, row: Mapping[str, Any], item: Callable[[Any], T]) -> Self:
        return cls(row["state"], tuple(item(each) for each in row["items"]), row["why"])


def told(items: Sequence[T]) -> Part[T]:
    return Part("told", tuple(items))


def off(why: str) -> Part[Any]:
    return Part("off", why=why)


def unknown(why: str) -> Part[Any]:
    return Part("unknown", why=why)


Status = Literal["ENABLED", "REINSTATED", "DISABLED", ""]
Impact = Literal["LOW", "HIGH"]


@dataclass(frozen=True)
class Entity:
    """What Amazon keeps a reputation of: an identity, a configuration set or a tenant, by its ARN.
    own, aws: whether it may send, as the customer and as Amazon say; empty: not said. impact: of
    its worst finding; None: there is none."""

    reference: str
    own: Status = ""
    aws: Status = ""
    cause: str = ""
    impact: Impact | None = None

    @property
    def name(self) -> str:
        """Of the resource alone: `identity/example.com`."""
        return self.reference.rsplit(":", 1)[-1]


@dataclass(frozen=True)
class DedicatedIp:
    ip: str
    pool: str
    warmup: str
    percentage: int


@dataclass(frozen=True)
class Advice:
    """A recommendation of the Virtual Deliverability Manager. kind: DKIM, BOUNCE, IP_LISTING, …"""

    resource: str
    kind: str
    text: str
    impact: Impact
    since: str

    @property
    def name(self) -> str:
        return self.resource.rsplit(":", 1)[-1]


@dataclass(frozen=True)
class IspFigures:
    """Of the last VDM_DAYS days, as the Virtual Deliverability Manager counts. isp: its name for a
    mailbox provider; empty: all. opened: None where engagement isn't tracked."""

    isp: str
    sent: int
    delivered: int
    bounced: int
    soft_bounced: int
    complained: int
    opened: int | None = None


@dataclass(frozen=True)
class RegionStanding:
    """account: None: SES gave no answer. listings: of dedicated IPs; of them the zones that can't
    be believed are `unknown`, as is each address in them."""

    region: str
    account: Account | None = None
    account_why: str = ""
    entities: Part[Entity] = field(default_factory=lambda: off("not asked yet"))
    ips: Part[DedicatedIp] = field(default_factory=lambda: off("not asked yet"))
    dnsbl: Part[Listing] = field(default_factory=lambda: off("not asked yet"))
    aws_lists: Part[Listing] = field(default_factory=lambda: off("not asked yet"))
    advice: Part[Advice] = field(default_factory=lambda: off("not asked yet"))
    isps: Part[IspFigures] = field(default_factory=lambda: off("not asked yet"))
    isps_at: str = ""

    def to_stored(self) -> dict[str, Any]:
        parts = ("entities", "ips", "dnsbl", "aws_lists", "advice", "isps")
        return {
            "account": None if self.account is None else asdict(self.account),
            "account_why": self.account_why,
            "isps_at": self.isps_at,
            **{name: getattr(self, name).to_stored() for name in parts},
        }

    @classmethod
    def from_stored(cls, region: str, row: Mapping[str, Any]) -> Self:
        return cls(
            region,
            None if row["account"] is None else Account(**row["account"]),
            row["account_why"],
            Part.from_stored(row["entities"], lambda one: Entity(**one)),
            Part.from_stored(row["ips"], lambda one: DedicatedIp(**one)),
            Part.from_stored(row["dnsbl"], Listing.from_stored),
            Part.from_stored(row["aws_lists"], Listing.from_stored),
            Part.from_stored(row["advice"], lambda one: Advice(**one)),
            Part.from_stored(row["isps"], lambda one: IspFigures(**one)),
            row["isps_at"],
        )


VDM_DAYS = 7
