"""Where hooks may lead: by the words of an address, and by the network address behind its name."""

from __future__ import annotations

import re
from ipaddress import ip_address

import httpx

from app.domain.networks import is_public, is_reachable_privately

MAX_CHARS = 2000
_ENDS_IN_NUMBER = re.compile(r"(^|\.)(\d+|0[xX][0-9a-fA-F]*)\.?$")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9._])?")
_PORTS = range(1024, 65536)
"""Below them only the ports of the web: others belong to services that aren't."""


class AddressRefused(ValueError):
    """Its words say what is wrong, and what to do."""


def check_address(url: str, *, allow_private: bool) -> httpx.URL:
    """What a hook's address is, as it is connected to. Raises AddressRefused.

    allow_private: HOOKS_ALLOW_PRIVATE.
    """
    if len(url) > MAX_CHARS or not url.isprintable() or url != url.strip():
        raise AddressRefused(f"use at most {MAX_CHARS} characters, without blanks around them.")
    try:
        target = httpx.URL(url)
        host = target.raw_host.decode("ascii")
        _ = target.host  # reading it checks it
    except (httpx.InvalidURL, ValueError):
        raise AddressRefused("it is no address of the web: use https://….") from None
    if target.scheme not in ("https", "http") or not host:
        raise AddressRefused("it is no address of the web: use https://….")
    if target.userinfo:
        raise AddressRefused("leave name and password out: what is sent is signed.")
    if target.fragment:
        raise AddressRefused("leave out what follows the `#`.")
    if target.scheme == "http" and not allow_private:
        raise AddressRefused(
            "use https: what is told is about people. Programs on your own machine or network may"
            " have http where HOOKS_ALLOW_PRIVATE=true is set."
        )
    port = target.port
    if port is not None and port not in _PORTS and port not in (80, 443):
        raise AddressRefused(f"port {port} isn't one of the web.")
    _check_host(host, allow_private=allow_private)
    return target


def _check_host(host: str, *, allow_private: bool) -> None:
    bare = host.rstrip(".").lower()
    try:
        literal = str(ip_address(bare))
    except ValueError:
        literal = ""
    if literal:
        if problem := address_problem(literal, allow_private=allow_private):
            raise AddressRefused(problem)
    elif _NAME.fullmatch(host) is None:
        raise AddressRefused("its host is no name: use letters, digits, dots and hyphens.")
    elif _ENDS_IN_NUMBER.search(host):
        # Programs read 2130706433, 0x7f.1 or 0177.0.0.1 each in their own way.
        raise AddressRefused("write the network address with four plain numbers, or use a name.")
    elif not allow_private and (bare == "localhost" or bare.endswith(".localhost")):
        raise AddressRefused(_PRIVATE)


_PRIVATE = "it leads to a private address. Where that is wanted, set HOOKS_ALLOW_PRIVATE=true."


def address_problem(address: str, *, allow_private: bool, encrypted: bool = True) -> str | None:
    """Why a hook may not be sent to this network address; None: it may.

    encrypted: by https; without it only to private ones.
    """
    if is_public(address):
        return None if encrypted else "use https: its name leads to a public address."
    if not is_reachable_privately(address):
        return "it leads to an address that no hook may have."
    return None if allow_private else _PRIVATE
