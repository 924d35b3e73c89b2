"""Looks at a sender's domain as a receiver does, with SES's word for which records there have to
be. Bounded in time and in questions, whatever DNS answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from app.domain.dns.judge_dkim import judge_dkim, see_key
from app.domain.dns.judge_dmarc import judge_dmarc, see_dmarc
from app.domain.dns.judge_envelope import judge_envelope, judge_own_spf, see_envelope
from app.domain.dns.looks import Look
from app.domain.dns.questions import Answer, Question, Walk, unknown
from app.domain.dns.sender import Sender, identities_of, sender_of
from app.domain.dns.spf_walk import check_spf
from app.errors import Unavailable
from app.ports import Dns, SesAccount
from app.services.checks.asking import ask

SES_SECONDS = 15.0
"""For all that SES is asked; without its answer DNS is looked at all the same."""
LOOK_SECONDS = 15.0
"""For all questions together; what isn't answered by then is unknown."""
MOST_QUESTIONS = 200
AT_ONCE = 8

T = TypeVar("T")


@dataclass(frozen=True)
class DomainLook:
    """Of one sender. asked: whether SES said which records there have to be."""

    sender: Sender
    looks: tuple[Look, ...]

    @property
    def asked(self) -> bool:
        return self.sender.asked

    @property
    def verdict(self) -> Look:
        return next(look for look in self.looks if look.code == "verdict")


async def look_at(address: str, region: str, ses: SesAccount, dns: Dns) -> DomainLook:
    """Raises InvalidAddress when it has no public domain."""
    sender = sender_of(address, region, await _identities(address, ses))
    asker = Asker(dns)
    signing, mail_from = sender.signing, sender.mail_from
    domains = [sender.domain]
    domains += [signing.domain] if signing else []
    domains += [mail_from.domain] if mail_from else []
    keys, envelope, own_spf, dmarc = await asyncio.gather(
        asyncio.gather(
            *(asker.run(see_key(signing, one)) for one in signing.selectors) if signing else ()
        ),
        _envelope(asker, sender),
        asker.run(check_spf(sender.domain)),
        asker.run(see_dmarc(tuple(domains))),
    )
    dkim = judge_dkim(sender, tuple(keys))
    judged = judge_envelope(sender, envelope)
    own = None if mail_from and mail_from.domain == sender.domain else judge_own_spf(own_spf)
    return DomainLook(
        sender,
        (
            *judge_dmarc(sender, dmarc, dkim, judged),
            *dkim.looks,
            *judged.looks,
            *([own] if own else []),
        ),
    )


async def _envelope(asker: Asker, sender: Sender) -> Any:
    return await asker.run(see_envelope(sender.mail_from)) if sender.mail_from else None


async def _identities(address: str, ses: SesAccount) -> Mapping[str, Any] | None:
    """None: SES can't be asked for one of them, which another check says, with the remedy."""
    found: dict[str, Any] = {}
    try:
        async with asyncio.timeout(SES_SECONDS):
            for name in identities_of(address):
                found[name] = await ask(ses.identity, name)
                if "@" not in name and _signs(found[name]):
                    break  # those above it sign nothing
    except (Unavailable, TimeoutError):
        return None
    return found


def _signs(identity: Mapping[str, Any] | None) -> bool:
    return ((identity or {}).get("DkimAttributes") or {}).get("Status") == "SUCCESS"


class Asker:
    """Runs walks; asks no question twice, few at once, and none too late."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._asked: dict[Question, asyncio.Task[Answer]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)
        self._until = asyncio.get_running_loop().time() + LOOK_SECONDS

    async def run(self, walk: Walk[T]) -> T:
        try:
            question = next(walk)
            while True:
                question = walk.send(await self._answer(question))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _answer(self, question: Question) -> Answer:
        if question not in self._asked:
            if len(self._asked) >= MOST_QUESTIONS:
                return unknown(f"it takes more than {MOST_QUESTIONS} questions to DNS")
            self._asked[question] = asyncio.create_task(self._ask(question))
        return await self._asked[question]

    async def _ask(self, question: Question) -> Answer:
        try:
            async with asyncio.timeout_at(self._until), self._room:
                return await self._dns.ask(question)
        except TimeoutError:
            return unknown(f"DNS didn't answer all within {LOOK_SECONDS:.0f} seconds")
