"""What a genuine message of SNS tells: an event of SES, or something about the subscription."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from app.domain.ses.events import parse_ses_event, to_row
from app.domain.ses.sns_message import (
    SUBSCRIPTION_CONFIRMATION,
    UNSUBSCRIBE_CONFIRMATION,
    SnsMessage,
)
from app.ports import SnsConfirmer
from app.services.watching.record_events import RecordEvents

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TakeMessage:
    """The one way of all messages, posted or out of a queue."""

    record_events: RecordEvents
    confirmer: SnsConfirmer

    async def __call__(self, message: SnsMessage) -> dict[str, bool]:
        """message: verified. Returns when its event is committed, and says whether there was one.

        Raises MalformedSnsMessage, MalformedEvent, ConfirmationRefused; Unavailable when it should
        come again.
        """
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
