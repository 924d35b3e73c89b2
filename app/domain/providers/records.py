"""Which DNS records SendGrid and Mailgun ask for, from their answers. Pure.

Sources: SendGrid's API reference, `GET /v3/whitelabel/domains`; Mailgun's, `GET /v3/domains/NAME`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from app.domain.dns.judging.fallback import KEYS, ProviderDomain
from app.domain.dns.names import is_name, spelt
from app.domain.dns.sender import Record
from app.domain.providers.answers import Reply
from app.domain.ses.answers import Answer
from app.errors import Unavailable

SENDGRID = ProviderDomain("SendGrid", "Settings, Sender Authentication")
MAILGUN = ProviderDomain("Mailgun", "Send, Domains, the domain's DNS records")
MAX_VALUE = 2_000
"""Characters of a record: a key of 4,096 bits has 740."""


def sendgrid_domain(said: Reply | Answer, domain: str) -> ProviderDomain | None:
    """The one of `domain`; None: SendGrid has none of that name. Raises Unavailable."""
    rows = _read("SendGrid", said)
    if rows is None:
        return SENDGRID
    if not isinstance(rows, list):
        raise Unavailable("SendGrid's answer can't be read")
    for row in rows:
        if not isinstance(row, dict) or spelt(str(row.get("domain"))) != domain:
            continue
        dns = row.get("dns")
        parts = dns.values() if isinstance(dns, dict) else ()
        records = [
            (part.get("type"), part.get("host"), part.get("data"))
            for part in parts
            if isinstance(part, dict)
        ]
        # A name that is the domain itself is for its other mail: receivers ask for SendGrid's own.
        wanted = [one for one in _records(records) if one.name != domain]
        return _domain(SENDGRID, wanted)
    return None


def mailgun_domain(said: Reply | Answer, domain: str, *, eu: bool) -> ProviderDomain:
    """Of MAILGUN_DOMAIN. Raises Unavailable."""
    zone = "eu.mailgun.org" if eu else "mailgun.org"
    own = Record(spelt(domain), "TXT", f"v=spf1 include:{zone} ~all")
    body = _read("Mailgun", said)
    if body is None:
        return _domain(MAILGUN, [own], keys=False)
    rows = body.get("sending_dns_records") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise Unavailable("Mailgun's answer can't be read")
    records = [
        (row.get("record_type"), row.get("name"), row.get("value"))
        for row in rows
        if isinstance(row, dict)
    ]
    # Others, such as the CNAME of tracked links, prove nothing.
    wanted = [
        one
        for one in _records(records)
        if KEYS in one.name or (one.kind == "TXT" and one.value.lower().startswith("v=spf1"))
    ]
    return _domain(MAILGUN, wanted)


def _read(name: str, said: Reply | Answer) -> Any:
    """None: the key may not ask."""
    if isinstance(said, Answer):
        raise Unavailable(f"{name} can't be asked: {said.message}")
    if said.status in {401, 403}:
        return None
    try:
        body = json.loads(said.text)
    except (ValueError, RecursionError):
        body = None
    if said.status != 200 or body is None:
        raise Unavailable(f"{name} answers with status {said.status}, and not as it should")
    return body


def _records(rows: list[tuple[Any, Any, Any]]) -> Iterator[Record]:
    for kind, name, value in rows:
        kind, name, value = str(kind).upper(), spelt(str(name)), str(value).strip()
        if kind in {"CNAME", "MX", "TXT"} and is_name(name) and 0 < len(value) <= MAX_VALUE:
            if kind != "TXT":
                value = spelt(value)
            if value.isprintable():
                yield Record(name, cast(Any, kind), f"10 {value}" if kind == "MX" else value)


def _domain(about: ProviderDomain, records: list[Record], *, keys: bool = True) -> ProviderDomain:
    return ProviderDomain(
        about.name,
        about.where,
        keys=tuple(one for one in records if KEYS in one.name) if keys else None,
        envelope=tuple(one for one in records if KEYS not in one.name),
    )
