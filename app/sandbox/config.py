"""What one sandbox is told when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import orjson

from app.sandbox.notion.config import NotionConfig

DEFAULT_PUBLIC_URL = "http://127.0.0.1:8025"


@dataclass(frozen=True, kw_only=True)
class SandboxConfig:
    """Rates are recipients per second, times are seconds, shares and probabilities 0 to 1.

    max_24h_send: recipients in any 24 hours; -1 is unlimited.
    verified: addresses and domains that may send (and receive, without `production_access`);
        empty: every one.
    event_endpoint: where signed SNS messages are posted, for example
        `http://127.0.0.1:8000/ses-events`; None: no events.
    event_format: `event` is event publishing, `feedback` the older `notificationType` format.
    event_delay: least and most time between two events of a mail.
    event_retries, event_retry_delay: how often a post that met a 5xx answer, a timeout or no
        connection is repeated, and the first and the longest wait between two tries.
    tracking_sets: configuration sets, besides those, whose event destination takes opens and
        clicks, so that SES changes their mails to see them.
    default_set: of every identity, for mails that name none; None: they have none.
    bounce_share, complaint_share: of ordinary addresses, chosen by a hash of the address.
    readers: shares of ordinary addresses by kind (tracking/readers.py), for mails of such sets.
    reader_seconds: least and most time after the delivery until a person opens a mail.
    keep: how many mails stay viewable; the accept log keeps a line for every recipient.
    accept_log: a file for that log; it is appended to, never truncated.
    public_url: this sandbox's address in messages; None: the address it listens on.
    regions: further ones, each with an SES and a topic of its own, on a port of its own. Until told
        otherwise each is as this one, whose region is that of `topic_arn`.
    sns_url: the address of SNS in messages, which is one for all regions; None: `public_url`.
    seed: of every random choice, so that a run can be repeated.
    notion: a stand-in for Notion at the same address; None: none. slack, sendgrid, mailgun: whether
        there is one for them.
    provider_events: the service whose `/sendgrid-events` and `/mailgun-events` get their webhooks,
        for example `http://127.0.0.1:8000`; None: nobody.
    credentials: secret by access key; when given, signatures are verified. Empty: any will do.
    """

    max_send_rate: float = 14.0
    max_24h_send: float = 50_000
    verified: frozenset[str] = frozenset()
    production_access: bool = True
    configuration_sets: frozenset[str] = frozenset({"sandbox"})
    tracking_sets: frozenset[str] = frozenset({"sandbox-tracking"})
    topic_arn: str = "arn:aws:sns:us-east-1:123456789012:amazonsender"
    signature_version: Literal["1", "2"] = "1"
    event_endpoint: str | None = None
    event_format: Literal["event", "feedback"] = "event"
    event_delay: tuple[float, float] = (0.05, 0.5)
    event_connections: int = 20
    event_timeout: float = 15.0
    event_retries: int = 60
    event_retry_delay: tuple[float, float] = (0.1, 2.0)
    bounce_share: float = 0.0
    complaint_share: float = 0.0
    default_set: str | None = None
    readers: Mapping[str, float] = field(default_factory=dict)
    reader_seconds: tuple[float, float] = (30.0, 600.0)
    keep: int = 5000
    accept_log: Path | None = None
    public_url: str | None = None
    regions: tuple[str, ...] = ()
    sns_url: str | None = None
    seed: int = 0
    notion: NotionConfig | None = None
    slack: bool = False
    sendgrid: bool = False
    mailgun: bool = False
    provider_events: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """The public address without a slash at its end."""
        return (self.public_url or DEFAULT_PUBLIC_URL).rstrip("/")

    @property
    def region(self) -> str:
        return self.topic_arn.split(":")[3]

    @property
    def account_id(self) -> str:
        return self.topic_arn.split(":")[4]

    @property
    def sns_base_url(self) -> str:
        """SNS's public address without a slash at its end."""
        return (self.sns_url or self.base_url).rstrip("/")

    def in_region(self, name: str, url: str) -> Self:
        """The same in another region, at `url`: SES, and a topic there."""
        parts = self.topic_arn.split(":")
        parts[3] = name
        return replace(
            self,
            topic_arn=":".join(parts),
            public_url=url,
            sns_url=self.sns_base_url,
            regions=(),
            notion=None,
            slack=False,
            sendgrid=False,
            mailgun=False,
        )

    def to_json(self) -> str:
        """All settings as a JSON object, for a sandbox in a process of its own."""
        return orjson.dumps(asdict(self), default=_jsonable).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The settings `to_json` wrote. Raises TypeError for an unknown name."""
        values: dict[str, Any] = orjson.loads(text)
        for name in ("verified", "configuration_sets", "tracking_sets"):
            if name in values:
                values[name] = frozenset(values[name])
        for name in ("event_delay", "event_retry_delay", "reader_seconds", "regions"):
            if name in values:
                values[name] = tuple(values[name])
        if values.get("notion") is not None:
            notion = values["notion"]
            values["notion"] = NotionConfig(
                **notion | {"retry_delay": tuple(notion["retry_delay"])}
            )
        if values.get("accept_log") is not None:
            values["accept_log"] = Path(values["accept_log"])
        return cls(**values)


def _jsonable(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
