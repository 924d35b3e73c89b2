"""What SES reports about a mail, as the JSON inside an SNS message.

Source: SES developer guide, "Contents of event data that SES publishes to SNS", and, for the
older format, "Notification contents".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.sandbox.config import SandboxConfig
from app.sandbox.ses.mime import wire_headers
from app.sandbox.ses.simulator import Fate
from app.sandbox.store import Mail, iso

REPORTING_MTA = "a8-1.smtp-out.amazonses.com"
MAX_HEADERS_BYTES = 10_240
OBJECT_KEYS = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}
FEEDBACK_KINDS = frozenset({"Bounce", "Complaint", "Delivery"})


def event_payload(
    kind: str,
    mail: Mail,
    recipient: str | None,
    at: float,
    config: SandboxConfig,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    """One event as JSON data. at: unix seconds. details: members that replace the usual ones."""
    feedback = config.event_format == "feedback"
    key = OBJECT_KEYS.get(kind, kind.lower())
    return {
        "notificationType" if feedback else "eventType": kind,
        "mail": _feedback_mail(mail, config) if feedback else _mail(kind, mail, config),
        key: {**_event_object(kind, mail, recipient, at), **details},
    }


def _basics(mail: Mail, config: SandboxConfig) -> dict[str, Any]:
    domain = mail.call.source_address.rpartition("@")[2]
    return {
        "timestamp": iso(mail.time),
        "source": mail.call.source,
        "sourceArn": f"arn:aws:ses:{config.region}:{config.account_id}:identity/{domain}",
        "sendingAccountId": config.account_id,
        "messageId": mail.message_id,
        "destination": list(mail.fates),
    }


def _feedback_mail(mail: Mail, config: SandboxConfig) -> dict[str, Any]:
    return {
        **_basics(mail, config),
        "sourceIp": mail.call.source_ip,
        "callerIdentity": "sandbox",
    }


def _mail(kind: str, mail: Mail, config: SandboxConfig) -> dict[str, Any]:
    described = {**_basics(mail, config), "tags": _tags(kind, mail)}
    if mail.failure:  # there is no message, so there are no headers
        return described
    headers = wire_headers(mail, config.region)
    size = sum(len(name) + len(value) for name, value in headers)
    common = {
        "from": [mail.call.source],
        "to": list(mail.to),
        "messageId": mail.message_id,
        "subject": mail.subject,
    }
    if mail.call.reply_to:
        common["replyTo"] = list(mail.call.reply_to)
    listed = [{"name": name, "value": value} for name, value in headers]
    return {
        **described,
        "headersTruncated": size > MAX_HEADERS_BYTES,
        "headers": listed if size <= MAX_HEADERS_BYTES else listed[:5],
        "commonHeaders": common,
    }


def _tags(kind: str, mail: Mail) -> dict[str, list[str]]:
    tags = {
        "ses:operation": [mail.call.operation],
        "ses:source-ip": [mail.call.source_ip],
        "ses:from-domain": [mail.call.source_address.rpartition("@")[2]],
        "ses:caller-identity": ["sandbox"],
        **{name: [value] for name, value in mail.tags.items()},
    }
    if mail.call.configuration_set:
        tags["ses:configuration-set"] = [mail.call.configuration_set]
    if kind == "Delivery":
        tags["ses:outgoing-ip"] = ["192.0.2.80"]
    return tags


def _event_object(kind: str, mail: Mail, recipient: str | None, at: float) -> dict[str, Any]:
    fate = mail.fates.get(recipient or "")
    match kind:
        case "Send":
            return {}
        case "Delivery":
            return {
                "timestamp": iso(at),
                "processingTimeMillis": max(0, round((at - mail.time) * 1000)),
                "recipients": [recipient],
                "smtpResponse": "250 2.0.0 OK",
                "reportingMTA": REPORTING_MTA,
            }
        case "Bounce":
            return _bounce(mail, recipient, fate, at)
        case "Complaint":
            return _complaint(mail, recipient, fate, at)
        case "Reject":
            return {"reason": "Bad content"}
        case "Rendering Failure":
            return {"templateName": "inline", "errorMessage": mail.failure}
        case "DeliveryDelay":
            return {
                "timestamp": iso(at),
                "delayType": "MailboxFull",
                "expirationTime": iso(at + 14 * 3600),
                "delayedRecipients": [_dsn(recipient, "4.2.2", "smtp; 452 4.2.2 Mailbox full")],
                "reportingMTA": REPORTING_MTA,
            }
        case _:  # Open and Click
            return {
                "timestamp": iso(at),
                "ipAddress": "192.0.2.9",
                "userAgent": "Mozilla/5.0 (sandbox)",
            }


def _dsn(recipient: str | None, status: str, diagnostic: str) -> dict[str, Any]:
    return {"emailAddress": recipient, "status": status, "diagnosticCode": diagnostic}


def _bounce(mail: Mail, recipient: str | None, fate: Fate | None, at: float) -> dict[str, Any]:
    kind, subtype, status, diagnostic = {
        Fate.SUPPRESSED_BOUNCE: (
            "Permanent",
            "OnAccountSuppressionList",
            "5.1.1",
            "Amazon SES did not send the message to this address because it is on the "
            "suppression list for your account.",
        ),
        Fate.OUT_OF_OFFICE: ("Transient", "General", "4.0.0", "smtp; 250 out of the office"),
    }.get(
        fate or Fate.BOUNCED,
        ("Permanent", "General", "5.1.1", "smtp; 550 5.1.1 user unknown"),
    )
    return {
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [{**_dsn(recipient, status, diagnostic), "action": "failed"}],
        "timestamp": iso(at),
        "feedbackId": f"{mail.message_id}-bounce",
        "reportingMTA": f"dns; {REPORTING_MTA}",
    }


def _complaint(mail: Mail, recipient: str | None, fate: Fate | None, at: float) -> dict[str, Any]:
    complaint = {
        "complainedRecipients": [{"emailAddress": recipient}],
        "timestamp": iso(at),
        "feedbackId": f"{mail.message_id}-complaint",
        "complaintSubType": None,
    }
    if fate is Fate.SUPPRESSED_COMPLAINT:
        return {**complaint, "complaintSubType": "OnAccountSuppressionList"}
    return {
        **complaint,
        "userAgent": "AnyCompany Feedback Loop (V0.01)",
        "complaintFeedbackType": "abuse",
        "arrivalDate": iso(mail.time),
    }
