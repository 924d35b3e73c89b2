"""SPF records as receivers read them: RFC 7208, sections 4.5 to 7 and 12. Pure.

A record with one error anywhere is worth nothing: the whole domain gets `permerror`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from app.domain.dns.names import MAX_NAME, spelt
from app.domain.dns.tags import shown

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Qualifier = Literal["pass", "fail", "softfail", "neutral"]

_VERSION = "v=spf1"
_QUALIFIERS: dict[str, Qualifier] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MECHANISM = re.compile(r"([+~?-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?=[:/]|$)(.*)", re.I)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_MACRO = re.compile(r"%\{([SLODIPVHslodipvh])(\d*)([rR]?)([.\-+,/_=]*)\}|%%|%_|%-")
_MACRO_END = re.compile(r"(\}|%%|%_|%-)$")
_CIDR_END = re.compile(r"(?:/(0|[1-9]\d{0,2}))?(?://(0|[1-9]\d{0,2}))?\Z")
_TOP_LABEL = re.compile(r"(?!\d+$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


class SpfError(ValueError):
    """The record can't be read. Its text ends a sentence: `“ipv4:…” is no mechanism`."""


@dataclass(frozen=True)
class Mechanism:
    """domain: as written, with macros; None: the domain of the record. network: of ip4 and ip6."""

    qualifier: Qualifier
    name: str
    domain: str | None = None
    network: Network | None = None


@dataclass(frozen=True)
class Spf:
    record: str
    mechanisms: tuple[Mechanism, ...]
    redirect: str | None = None


def spf_records(texts: Iterable[str]) -> list[str]:
    """Those of a domain's TXT records that are SPF: section 4.5. `v=spf10 …` is none."""
    return [
        text
        for text in texts
        if text.lower() == _VERSION or text.lower().startswith(f"{_VERSION} ")
    ]


def read_spf(record: str) -> Spf:
    """Raises SpfError."""
    if not record.isascii():
        raise SpfError("it holds characters that aren't ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, str] = {}
    for term in record[len(_VERSION) :].split(" "):
        if not term:
            continue
        if not term.isprintable():
            raise SpfError(f"“{shown(term)}” holds a tab or another control character")
        if match := _MECHANISM.fullmatch(term):
            sign, name, rest = match.groups()
            mechanisms.append(_mechanism(term, _QUALIFIERS[sign or "+"], name.lower(), rest))
        elif modifier := _MODIFIER.fullmatch(term):
            name, value = modifier[1].lower(), modifier[2]
            if name in ("redirect", "exp"):
                if name in modifiers:
                    raise SpfError(f"{name}= stands there twice")
                _check_domain(term, value)
                modifiers[name] = value
            elif _without_macros(value) is None:
                raise SpfError(f"“{shown(term)}” holds a macro that isn't one")
        else:
            raise SpfError(f"“{shown(term)}” is no mechanism")
    return Spf(record, tuple(mechanisms), modifiers.get("redirect"))


def _mechanism(term: str, qualifier: Qualifier, name: str, rest: str) -> Mechanism:
    if name == "all":
        if rest:
            raise SpfError(f"“{shown(term)}” has something after all")
        return Mechanism(qualifier, name)
    if name in ("ip4", "ip6"):
        return Mechanism(qualifier, name, network=_network(term, name, rest))
    if name in ("include", "exists"):
        if not rest.startswith(":"):
            raise SpfError(f"“{shown(term)}” names no domain")
        return Mechanism(qualifier, name, _check_domain(term, rest[1:]))
    if name == "ptr":
        if rest and not rest.startswith(":"):
            raise SpfError(f"“{shown(term)}” can't be read")
        return Mechanism(qualifier, name, _check_domain(term, rest[1:]) if rest else None)
    return Mechanism(qualifier, name, _with_cidr(term, rest))


def _with_cidr(term: str, rest: str) -> str | None:
    """The domain of `a` or `mx`, whose prefix lengths are checked."""
    # The lengths are what stands at the end: a name may hold slashes.
    match = _CIDR_END.search(rest)
    assert match is not None  # it may be empty
    domain = rest[: match.start()]
    if int(match[1] or 0) > 32 or int(match[2] or 0) > 128:
        raise SpfError(f"“{shown(term)}” has a prefix length that isn't one")
    if not domain:
        return None
    if not domain.startswith(":"):
        raise SpfError(f"“{shown(term)}” can't be read")
    return _check_domain(term, domain[1:])


def _network(term: str, name: str, rest: str) -> Network:
    version = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    address, slash, length = rest[1:].partition("/")
    plain = bool(length) and length.isdigit() and (length == "0" or length[0] != "0")
    if not rest.startswith(":") or not address or (slash and not plain) or "%" in address:
        raise SpfError(f"“{shown(term)}” is no network")
    try:
        return version(rest[1:], strict=False)
    except ValueError:
        raise SpfError(f"“{shown(term)}” is no network") from None


def _check_domain(term: str, spec: str) -> str:
    """Section 7.1: ends in a macro or in a top label, which holds a letter."""
    plain = _without_macros(spec)
    if plain is None:
        raise SpfError(f"“{shown(term)}” holds a macro that isn't one")
    _, dot, top = spec.removesuffix(".").rpartition(".")
    if not _MACRO_END.search(spec) and not (dot and _TOP_LABEL.fullmatch(top)):
        raise SpfError(f"“{shown(term)}” names no domain")
    return spec


def _without_macros(spec: str) -> str | None:
    """None: a percent sign is left that starts no macro, or something that can't be printed."""
    plain = _MACRO.sub("", spec)
    return None if "%" in plain or not plain.isprintable() or " " in plain else plain


def expanded(spec: str | None, domain: str) -> str | None:
    """The name that a receiver asks for; None: it differs from mail to mail (by the client's
    address, say). domain: of the record. Section 7.3."""
    if spec is None:
        return domain

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return {"%%": "%", "%_": " ", "%-": "%20"}[match[0]]
        letter, digits, reverse, delimiters = match[1].lower(), match[2], match[3], match[4]
        if letter not in "d":
            raise _DependsOnMail
        parts = re.split(f"[{re.escape(delimiters or '.')}]", domain)
        if reverse:
            parts.reverse()
        if digits:
            parts = parts[-max(1, int(digits[:4])) :]
        return ".".join(parts)

    try:
        name = spelt(_MACRO.sub(value, spec))
    except _DependsOnMail:
        return None
    while len(name) > MAX_NAME and "." in name:
        name = name.partition(".")[2]
    return name


class _DependsOnMail(Exception):
    pass
