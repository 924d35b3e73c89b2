"""Open and Click events.

Source: SES developer guide, "Contents of event data that SES publishes to SNS", Open and Click
objects.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.sandbox.sns.publish import Publisher
from app.sandbox.store import Mail
from app.sandbox.tracking.rewriting import Link


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server sees of who asks."""

    ip: str
    user_agent: str


def publish_open(publisher: Publisher, mail: Mail, by: Seen, *, delay: float = 0.0) -> None:
    details = {"ipAddress": by.ip, "userAgent": by.user_agent}
    publisher.publish("Open", mail, next(iter(mail.fates)), delay=delay, details=details)


def publish_click(
    publisher: Publisher, mail: Mail, link: Link, by: Seen, *, delay: float = 0.0
) -> None:
    details = {
        "ipAddress": by.ip,
        "userAgent": by.user_agent,
        "link": link.url,
        "linkTags": link.tags,
    }
    publisher.publish("Click", mail, next(iter(mail.fates)), delay=delay, details=details)
