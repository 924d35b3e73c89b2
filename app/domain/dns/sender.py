"""How SES signs a sender's mail, and under which envelope it leaves: from GetEmailIdentity. Pure.

Sources: SES developer guide, "Authenticating email with DKIM", "Using a custom MAIL FROM domain";
API reference, DkimAttributes and MailFromAttributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.domain.addresses import InvalidAddress, ascii_address
from app.domain.dns.names import parents, spelt
from app.domain.dns.spf_walk import SES

Identity = Mapping[str, Any]

_DEFAULT_ZONE = f"dkim.{SES}"
_FIRST_REGION = "us-east-1"
"""The one whose envelope domain has no region in it."""


@dataclass(frozen=True)
class Record:
    """One that is to be published."""

    name: str
    kind: Literal["TXT", "MX", "CNAME"]
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} with the value `{self.value}`"


@dataclass(frozen=True)
class Signing:
    """Of the domain whose key signs. selectors: their names, without the domain. zone: to which
    their CNAMEs lead; None: the key is the customer's own (BYODKIM). by_ses: SES's own word."""

    domain: str
    selectors: tuple[str, ...]
    zone: str | None
    enabled: bool
    by_ses: str

    def code(self, selector: str) -> str:
        """Of the look at that key."""
        return f"dkim:{self.key_name(selector)}"

    def record(self, selector: str) -> Record | None:
        """None: the customer has the key, and we don't know it."""
        if self.zone is None:
            return None
        return Record(self.key_name(selector), "CNAME", f"{selector}.{self.zone}")

    def key_name(self, selector: str) -> str:
        return f"{selector}._domainkey.{self.domain}"


@dataclass(frozen=True)
class MailFrom:
    """A MAIL FROM domain of one's own. rejects: without its MX record SES takes no mail; otherwise
    mail leaves under Amazon's domain then."""

    domain: str
    region: str
    rejects: bool
    by_ses: str

    @property
    def mx_code(self) -> str:
        """Of the look at that record: each region wants another at the same name."""
        return f"mx:{self.domain}:{self.region}"

    @property
    def mx(self) -> Record:
        return Record(self.domain, "MX", f"10 feedback-smtp.{self.region}.{SES}")

    @property
    def spf(self) -> Record:
        return Record(self.domain, "TXT", f"v=spf1 include:{SES} ~all")


@dataclass(frozen=True)
class Sender:
    """domain: of the From address. asked: whether SES said anything of it; if not, signing and
    mail_from are None although there may be some."""

    domain: str
    region: str
    asked: bool = True
    signing: Signing | None = None
    mail_from: MailFrom | None = None

    @property
    def default_envelope(self) -> str:
        """The envelope's domain without one of one's own."""
        return SES if self.region == _FIRST_REGION else f"{self.region}.{SES}"


def domain_of(address: str) -> str:
    """In ASCII, small letters. Raises InvalidAddress."""
    domain = spelt(ascii_address(address).rpartition("@")[2])
    if "." not in domain:
        raise InvalidAddress(f"{domain} is no public domain")
    return domain


def identities_of(address: str) -> list[str]:
    """The identities of SES that may speak for `address`, from the nearest on."""
    return [ascii_address(address), *parents(domain_of(address))]


def sender_of(
    address: str, region: str, identities: Mapping[str, Identity | None] | None
) -> Sender:
    """identities: what SES says of each of `identities_of(address)`, None where it has none;
    None: it couldn't be asked."""
    domain = domain_of(address)
    if identities is None:
        return Sender(domain, region, asked=False)
    known = [
        (name, found)
        for name in identities_of(address)
        if (found := identities.get(name)) is not None
    ]
    return Sender(
        domain,
        region,
        signing=_signing(known),
        mail_from=_mail_from(known, region),
    )


def _signing(known: list[tuple[str, Identity]]) -> Signing | None:
    """An address signs by the keys of its domain, whose names its own answer repeats."""
    found = [
        _read_signing(name, attributes)
        for name, identity in known
        if "@" not in name
        and isinstance(attributes := identity.get("DkimAttributes"), Mapping)
        and attributes.get("Tokens")
    ]
    working = [one for one in found if one.enabled and one.by_ses == "SUCCESS"]
    return next(iter([*working, *found]), None)


def _read_signing(name: str, attributes: Mapping[str, Any]) -> Signing:
    own = attributes.get("SigningAttributesOrigin") == "EXTERNAL"
    zone = spelt(str(attributes.get("SigningHostedZone") or _DEFAULT_ZONE))
    return Signing(
        spelt(name),
        tuple(spelt(str(token)) for token in attributes["Tokens"]),
        None if own else zone,
        bool(attributes.get("SigningEnabled", True)),
        str(attributes.get("Status", "")),
    )


def _mail_from(known: list[tuple[str, Identity]], region: str) -> MailFrom | None:
    for _, identity in known:
        attributes = identity.get("MailFromAttributes")
        if isinstance(attributes, Mapping) and attributes.get("MailFromDomain"):
            return MailFrom(
                spelt(str(attributes["MailFromDomain"])),
                region,
                attributes.get("BehaviorOnMxFailure") == "REJECT_MESSAGE",
                str(attributes.get("MailFromDomainStatus", "")),
            )
    return None
