"""Would SES let us send, and as whom? A finding each, with its remedy.

Sources: the SES developer guide's pages "Verified identities" and "Request production access".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from app.domain.reports.findings import Finding
from app.domain.sending.batches import Account
from app.errors import Unavailable
from app.ports import SesAccount
from app.services.checks.amazon.events import check_events
from app.services.checks.asking import Outside, ask, remedy_for
from app.settings import Settings


async def check_ses(
    settings: Settings, outside: Outside, *, tracking: bool | None = None
) -> list[Finding]:
    """Checks the account, the sender's address and the way of the events to us.

    tracking: as of `check_events`.
    """
    if settings.aws_region is None:
        return []  # that is a finding already
    try:
        ses = await asyncio.to_thread(outside.ses, settings)
        account = await ask(ses.get_account)
    except Unavailable as exc:
        return [Finding("fail", exc.detail, remedy_for(exc.detail))]
    return [
        *check_account(settings, account),
        *await _check_sender(settings, ses),
        *await check_events(settings, ses, outside, account=account, tracking=tracking),
    ]


def check_account(settings: Settings, account: Account) -> Iterator[Finding]:
    """What SES says of the account: whether it may send, to whom, and how much."""
    yield Finding("ok", f"SES answers in {settings.aws_region}.")
    if account.enforcement_status == "SHUTDOWN":
        yield Finding(
            "fail",
            "Amazon has shut down sending for this account.",
            "answer the case in the AWS Support Center.",
        )
    elif not account.sending_enabled:
        yield Finding(
            "fail",
            "Sending is switched off for this account.",
            "switch it on in the SES console, or see the case in the AWS Support Center.",
        )
    elif account.enforcement_status != "HEALTHY":
        yield Finding(
            "warn",
            f"Amazon has this account under review ({account.enforcement_status}).",
            "see the case in the AWS Support Center before you send.",
        )
    if not account.production_access:
        yield Finding(
            "warn",
            "The account is in the SES sandbox: only verified addresses get mail.",
            "request production access in the SES console.",
        )
    yield from _check_quota(settings, account)


def _check_quota(settings: Settings, account: Account) -> Iterator[Finding]:
    rate, own = account.max_send_rate, settings.rate_limit_per_sec
    if rate <= 0:
        yield Finding("fail", "SES gives this account no sending rate.", "ask AWS for one.")
    elif own is not None and own > rate:
        yield Finding(
            "warn",
            f"RATE_LIMIT_PER_SEC is {own:g}, but SES allows {rate:g} a second, which holds.",
            f"set it to {rate:g} or less, or ask AWS for more.",
        )
    if account.quota_left < 1:
        yield Finding(
            "warn",
            f"All {account.max_24h_send:,.0f} mails of these 24 hours are used up.",
            "mailouts wait until SES takes mail again; ask AWS for a larger quota.",
        )
    elif rate > 0:
        quota = (
            "without a daily limit"
            if account.max_24h_send < 0
            else f"{account.quota_left:,.0f} of {account.max_24h_send:,.0f} left in these 24 hours"
        )
        yield Finding("ok", f"SES takes {rate:g} mails a second, {quota}.")


async def _check_sender(settings: Settings, ses: SesAccount) -> list[Finding]:
    """Whether SES lets us send as SES_FROM_EMAIL: by the address, its domain or one above it."""
    address = settings.ses_from_email
    if address is None:
        return []  # that is a finding already
    labels = address.rpartition("@")[2].split(".")
    domains = [".".join(labels[start:]) for start in range(len(labels) - 1)]
    known = verified = False
    findings: list[Finding] = []
    for name in (address, *domains):
        try:
            identity = await ask(ses.identity, name)
        except Unavailable as exc:
            return [
                Finding(
                    "warn",
                    f"Whether {address} is verified can't be checked: {exc.detail}",
                    remedy_for(exc.detail),
                )
            ]
        if identity is None:
            continue
        if not known:  # the nearest is the one whose settings hold
            findings += _check_default_set(settings, name, identity)
        known = True
        if not identity.get("VerifiedForSendingStatus"):
            continue
        verified = True
        if identity.get("DkimAttributes", {}).get("Status") == "SUCCESS":
            done = Finding("ok", f"SES has verified {name} for {address}, with DKIM.")
            return [*findings, done]
    if verified:
        return [
            *findings,
            Finding("ok", f"SES has verified {address}."),
            Finding(
                "warn",
                f"Mails of {address} get no DKIM signature, so many end as spam.",
                f"verify the domain {domains[0]} in the SES console and add its DNS records.",
            ),
        ]
    if known:
        return [
            Finding(
                "fail",
                f"SES has not verified {address} yet.",
                "add the DNS records that the SES console shows, or open the link in AWS's mail.",
            )
        ]
    return [
        Finding(
            "fail",
            f"SES does not know {address} or its domain in {settings.aws_region}.",
            'add the domain in the SES console under "Identities", in this region.',
        )
    ]


def _check_default_set(
    settings: Settings, name: str, identity: dict[str, Any]
) -> Iterator[Finding]:
    """Mails of ours, such as that which asks to confirm a sign-up, name no configuration set: SES
    then takes the one of the identity. Source: SES developer guide, "Assigning a default
    configuration set"."""
    default = identity.get("ConfigurationSetName")
    if default and default == settings.ses_tracking_configuration_set:
        yield Finding(
            "warn",
            f"{default} is the default configuration set of {name}, so mails that ask to confirm a "
            "sign-up, and those to OWNER_EMAIL, are tracked.",
            "take it away from the identity in the SES console, or give it another one.",
        )
