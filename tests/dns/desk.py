"""A sender's domain as its owner has it: records on the DNS server, and what SES says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.adapters.dns.resolver import DnsResolver
from app.domain.dns.looks import Look
from app.domain.sending.batches import Account
from app.errors import Unavailable
from app.ports import FallbackSender
from app.services.domains.look import DomainLook, look_at
from tests.dns.zones import SES_NETWORKS
from tests.support.dns_server import DnsServer
from tests.support.factories import an_account

DOMAIN, MAIL_FROM, REGION = "example.com", "bounce.example.com", "eu-west-1"
TOKENS = ("aaa", "bbb", "ccc")


@dataclass
class Ses:
    """An account whose identity is in order, unless a test says otherwise."""

    dkim: dict[str, Any] = field(
        default_factory=lambda: {
            "SigningEnabled": True,
            "Status": "SUCCESS",
            "Tokens": list(TOKENS),
            "SigningAttributesOrigin": "AWS_SES",
        }
    )
    mail_from: dict[str, Any] = field(
        default_factory=lambda: {
            "MailFromDomain": MAIL_FROM,
            "MailFromDomainStatus": "SUCCESS",
            "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
        }
    )
    name: str = DOMAIN
    away: bool = False

    def identity(self, name: str) -> dict[str, Any] | None:
        if self.away:
            raise Unavailable("SES can't be asked: AccessDenied")
        if name != self.name:
            return None
        return {
            "VerifiedForSendingStatus": True,
            "DkimAttributes": self.dkim,
            "MailFromAttributes": self.mail_from,
        }

    def get_account(self) -> Account:
        return an_account(max_send_rate=14.0)

    def event_destinations(self, configuration_set: str) -> list[dict[str, Any]] | None:
        return None

    def configuration_set(self, name: str) -> dict[str, Any] | None:
        return None


def amazon(dns: DnsServer, *, key: str, zone: str = "dkim.amazonses.com") -> None:
    """What Amazon publishes: its networks, and the keys of TOKENS."""
    dns.put("amazonses.com", "TXT", SES_NETWORKS)
    for token in TOKENS:
        dns.put(f"{token}.{zone}", "TXT", key)


def in_order(dns: DnsServer, *, key: str) -> None:
    """Amazon's records and the owner's, all of them."""
    amazon(dns, key=key)
    for token in TOKENS:
        dns.put(f"{token}._domainkey.{DOMAIN}", "CNAME", f"{token}.dkim.amazonses.com")
    dns.put(MAIL_FROM, "MX", f"10 feedback-smtp.{REGION}.amazonses.com")
    dns.put(MAIL_FROM, "TXT", "v=spf1 include:amazonses.com ~all")
    dns.put(f"_dmarc.{DOMAIN}", "TXT", "v=DMARC1; p=reject; rua=mailto:d@example.com")
    dns.put(DOMAIN, "MX", "10 mx.example.com")


async def look(
    dns: DnsServer,
    ses: Ses | None = None,
    address: str = f"news@{DOMAIN}",
    *,
    others: Mapping[str, Ses] | None = None,
    providers: Sequence[FallbackSender] = (),
) -> DomainLook:
    """others: further regions."""
    regions = {REGION: ses or Ses()} | dict(others or {})
    return await look_at(address, regions, DnsResolver((dns.address,)), providers)


def by_code(seen: DomainLook) -> dict[str, Look]:
    """By short codes: those of MX, SPF and keys without what the desk has one of."""
    return {short(one.code): one for one in seen.looks}


def short(code: str) -> str:
    code = code.removesuffix(f":{MAIL_FROM}:{REGION}").removesuffix(f":{MAIL_FROM}")
    return code.removesuffix(f"._domainkey.{DOMAIN}")
