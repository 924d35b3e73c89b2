"""What a provider's answer to a question tells about our way to it, as a finding of `doctor`. Pure.

Sources: Twilio's "API Key Permissions" (`GET /v3/scopes`); Mailgun's API reference, "Domains".
"""

from __future__ import annotations

import json
from typing import Any

from app.domain.providers.answers import Reply
from app.domain.reports.findings import Finding
from app.domain.ses.answers import Answer
from app.domain.untrusted import plain


def sendgrid_finding(said: Reply | Answer) -> Finding:
    if isinstance(said, Answer):
        return _away("SendGrid", said)
    scopes = _member(said, "scopes")
    if said.status == 200 and isinstance(scopes, list):
        if "mail.send" in scopes:
            return Finding("ok", "SendGrid takes SENDGRID_API_KEY, and lets it send.")
        return Finding(
            "fail",
            "SendGrid takes SENDGRID_API_KEY, but the key may not send.",
            "give it the permission Mail Send, in SendGrid under Settings, API Keys.",
        )
    if said.status in {401, 403}:
        return Finding(
            "fail",
            "SendGrid refuses SENDGRID_API_KEY.",
            "make another key; for a subuser in the EU set "
            "SENDGRID_API_URL=https://api.eu.sendgrid.com.",
        )
    return _strange("SendGrid", "SENDGRID_API_URL", said)


def mailgun_finding(said: Reply | Answer) -> Finding:
    if isinstance(said, Answer):
        return _away("Mailgun", said)
    domain = _member(said, "domain")
    if said.status == 200 and isinstance(domain, dict):
        state = plain(domain.get("state"), 30)
        if state in {"active", ""}:
            return Finding("ok", "Mailgun takes MAILGUN_API_KEY, and MAILGUN_DOMAIN may send.")
        return Finding(
            "fail",
            f"MAILGUN_DOMAIN may not send: Mailgun calls it {state}.",
            "publish the DNS records that Mailgun shows for it, and have them verified.",
        )
    if said.status in {401, 403}:
        return Finding(
            "warn",
            "Mailgun doesn't say whether MAILGUN_API_KEY may send. That is as it should be for a "
            "sending key of the domain, but a wrong key gets the same answer.",
            "see in Mailgun that the key is there; in the EU set "
            "MAILGUN_API_URL=https://api.eu.mailgun.net.",
        )
    if said.status == 404:
        return Finding(
            "fail",
            "Mailgun doesn't know MAILGUN_DOMAIN.",
            "correct it; for a domain in the EU set MAILGUN_API_URL=https://api.eu.mailgun.net.",
        )
    return _strange("Mailgun", "MAILGUN_API_URL", said)


def _away(name: str, answer: Answer) -> Finding:
    return Finding(
        "warn",
        f"{name} can't be asked: {answer.message}",
        "see that this machine may reach it, and check again in a while.",
    )


def _strange(name: str, setting: str, said: Reply) -> Finding:
    return Finding(
        "warn",
        f"{name} answers with status {said.status}, and not as it should.",
        f"check {setting}, and what stands between this machine and {name}.",
    )


def _member(said: Reply, name: str) -> Any:
    try:
        value = json.loads(said.text)
    except (ValueError, RecursionError):
        return None
    return value.get(name) if isinstance(value, dict) else None
