"""Asks block lists in DNS for addresses; each is believed only while its test entries are right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.domain.dns.questions import Question
from app.domain.standing.blocklists import (
    TEST_CLEAN,
    TEST_LISTED,
    Listing,
    asked_name,
    read,
    reason,
    shown_zone,
    works,
)
from app.ports import Dns

AT_ONCE = 10
"""Questions to a list."""
MOST_ADDRESSES = 200


async def look_up(ips: Iterable[str], zones: Sequence[str], dns: Dns) -> list[Listing]:
    """Each address in each list. Raises nothing: DNS that doesn't answer is `unknown`."""
    asked = list(dict.fromkeys(ips))[:MOST_ADDRESSES]
    found = await asyncio.gather(*(_in_zone(asked, zone, dns) for zone in zones))
    return [listing for of_zone in found for listing in of_zone]


async def _in_zone(ips: Sequence[str], zone: str, dns: Dns) -> list[Listing]:
    shown = shown_zone(zone)
    tests = [await dns.ask(Question(asked_name(ip, zone), "A")) for ip in (TEST_LISTED, TEST_CLEAN)]
    if (why := works(*tests)) is not None:
        return [Listing(ip, shown, "unknown", why=why) for ip in ips]
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(ip: str) -> Listing:
        async with turns:
            return replace(await _ask(ip, zone, dns), ip=ip, zone=shown)

    return list(await asyncio.gather(*map(one, ips)))


async def _ask(ip: str, zone: str, dns: Dns) -> Listing:
    try:
        name = asked_name(ip, zone)
    except ValueError:
        return Listing("", "", "unknown", why="it is no address")
    found = read(await dns.ask(Question(name, "A")))
    if found.state != "listed":
        return found
    words = await dns.ask(Question(name, "TXT"))
    return replace(found, why=reason(words.records))
