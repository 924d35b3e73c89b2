"""What a genuine message of SNS tells: an event of SES, or something about the subscription."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from app.domain.ses.events import parse_ses_event, to_row
from app.domain.ses.sns_message import (
    MAX_AGE,
    NOTIFICATION,
    SUBSCRIPTION_CONFIRMATION,
    UNSUBSCRIBE_CONFIRMATION,
    MessageTooOld,
    SnsMessage,
)
from app.ports import SnsConfirmer
from app.services.watching.record_events import RecordEvents
from app.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TakeMessage:
    """The one way of all messages, posted or out of a queue."""

    store: Store
    record_events: RecordEvents
    confirmer: SnsConfirmer

    async def __call__(self, message: SnsMessage, *, of_any_age: bool = False) -> dict[str, bool]:
        """message: verified. of_any_age: out of a queue, where it may have waited for long; what is
        posted may be a stranger's repetition of what they once saw. Returns when its event is
        committed, and says whether there was one.

        Raises MalformedSnsMessage, MalformedEvent, MessageTooOld, ConfirmationRefused; Unavailable
        when it should come again.
        """
        if not of_any_age and _is_old(message):
            if message.type == NOTIFICATION and await self.store.is_event_known(message.message_id):
                return {"recorded": True}
            raise MessageTooOld(
                f"It was published more than {MAX_AGE.days} days ago. Put it into the queue of "
                "SES_EVENTS_QUEUE_URL, if it is to count."
            )
        if message.type == SUBSCRIPTION_CONFIRMATION:
            await self.confirmer.confirm(message)
            log.info("subscription_confirmed", topic=message.topic_arn)
            return {"confirmed": True}
        if message.type == UNSUBSCRIBE_CONFIRMATION:
            log.warning(
                "subscription_ended",
                topic=message.topic_arn,
                remedy="subscribe this service to the topic again",
            )
            return {"recorded": False}
        event = parse_ses_event(message.message, published_at=message.published_at)
        if event is None:  # SES's "Successfully validated SNS topic"
            return {"recorded": False}
        await self.record_events(to_row(event, message.message_id))
        return {"recorded": True}


def usual_row(message: SnsMessage, *, of_any_age: bool = False) -> dict[str, Any] | None:
    """What RecordEvents takes, of a verified message that is neither old nor anything but an event;
    None: TakeMessage knows what to do with it. Raises MalformedSnsMessage, MalformedEvent."""
    if message.type != NOTIFICATION or (not of_any_age and _is_old(message)):
        return None
    event = parse_ses_event(message.message, published_at=message.published_at)
    return None if event is None else to_row(event, message.message_id)


def _is_old(message: SnsMessage) -> bool:
    return datetime.now(UTC) - message.published_at > MAX_AGE
