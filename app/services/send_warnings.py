"""What speaks against sending now, without forbidding it: said in the answer, loudly."""

from __future__ import annotations

from app.adapters.store import Mailout
from app.settings import Settings

NEVER_TESTED = "No test mail of this mailout was ever sent: send one to look at it yourself."
CHANGED_SINCE_TEST = (
    "What is sent is not what the last test mail showed: it was edited since. Send another test."
)
NO_CONFIGURATION_SET = (
    "SES_CONFIGURATION_SET is missing: no deliveries, bounces and complaints will arrive, and "
    "recipients whose outcome is unknown stay so."
)
NO_TOPICS = (
    "SNS_ALLOWED_TOPIC_ARNS is empty: events are refused, so bounces and complaints are not seen."
)


def send_warnings(settings: Settings, mailout: Mailout) -> list[str]:
    """Sentences for the answer to a request to send."""
    current = mailout.tested_hash == mailout.content_hash
    warnings = untested(tested=mailout.tested_hash is not None, current=current)
    if not (mailout.content.configuration_set or settings.ses_configuration_set):
        warnings.append(NO_CONFIGURATION_SET)
    elif not settings.sns_allowed_topic_arns:
        warnings.append(NO_TOPICS)
    return warnings


def untested(*, tested: bool, current: bool) -> list[str]:
    """current: whether the last test mail showed what is sent."""
    if not tested:
        return [NEVER_TESTED]
    return [] if current else [CHANGED_SINCE_TEST]
