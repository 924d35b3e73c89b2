"""Warnings about sending now. None of them prevents it; the answer to the request has them."""

from __future__ import annotations

from app.domain.mailouts import Mailout
from app.domain.reports.findings import Finding
from app.services.checks.settings import check_topics
from app.settings import Settings

NEVER_TESTED = Finding(
    "warn",
    "No test mail of this mailout was ever sent.",
    "send one to TEST_EMAILS and look at it.",
)
CHANGED_SINCE_TEST = Finding(
    "warn",
    "What is sent is not what the last test mail showed: it was edited since.",
    "send another test.",
)
NO_CONFIGURATION_SET = Finding(
    "warn",
    "SES_CONFIGURATION_SET is missing: no deliveries, bounces and complaints will arrive, and "
    "recipients whose outcome is unknown stay so.",
    "make a configuration set with an SNS destination in the SES console, and set it.",
)
NO_TOPICS = Finding(
    "warn",
    "SNS_ALLOWED_TOPIC_ARNS is empty: events are refused, so bounces and complaints aren't seen.",
    "set it to the topic that the configuration set publishes to.",
)


def send_warnings(settings: Settings, mailout: Mailout) -> list[str]:
    """Sentences for the answer to a request to send."""
    findings = check_tested(mailout.is_tested)
    content = mailout.content
    if not settings.configuration_set_for(content.configuration_set, tracking=content.tracking):
        findings.append(NO_CONFIGURATION_SET)
    elif not settings.sns_allowed_topic_arns:
        findings.append(NO_TOPICS)
    else:
        findings += check_topics(settings, mailout.region)
    return [finding.sentences for finding in findings]


def check_tested(current: bool | None) -> list[Finding]:
    """current: whether the last test mail showed what is sent; None: there was none."""
    if current is None:
        return [NEVER_TESTED]
    return [] if current else [CHANGED_SINCE_TEST]
