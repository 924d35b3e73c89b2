"""Looks at a sender's domain as a receiver does, with SES's word for which records there have to
be. Bounded in time and in questions, whatever DNS answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.domain.dns.judging.dkim import see_key
from app.domain.dns.judging.dmarc import judge_dmarc, judge_proofs, see_dmarc
from app.domain.dns.judging.envelope import judge_own_spf, see_envelope
from app.domain.dns.judging.fallback import ProviderDomain, judge_provider, see_provider
from app.domain.dns.judging.routes import RouteJudged, apart, judge_region, told_by_route
from app.domain.dns.looks import Look
from app.domain.dns.names import parents
from app.domain.dns.questions import Answer, Question, Walk, unknown
from app.domain.dns.sender import Sender, domain_of, identities_of, sender_of
from app.domain.dns.spf_walk import SES, check_spf
from app.domain.providers import NAMES
from app.errors import Unavailable
from app.ports import Dns, FallbackSender, SesAccount
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
    """Of one sender. asked: whether SES and the providers in its place could be asked which records
    there have to be. blind: the resolver knew of nothing at all."""

    looks: tuple[Look, ...]
    asked: bool = True
    blind: bool = False

    @property
    def verdicts(self) -> list[Look]:
        """One for each route."""
        return [look for look in self.looks if look.code.startswith("verdict")]

    @property
    def verdict(self) -> Look:
        """The worst of them."""
        return max(self.verdicts, key=lambda look: ("ok", "warn", "fail").index(look.level))


async def look_at(
    address: str,
    regions: Mapping[str, SesAccount],
    dns: Dns,
    providers: Sequence[FallbackSender] = (),
) -> DomainLook:
    """regions: SES by the region's name, the preferred one first. providers: who sends in its
    place. Raises InvalidAddress when the address has no public domain."""
    domain = domain_of(address)
    identities, theirs = await asyncio.gather(
        asyncio.gather(*(_identities(address, ses) for ses in regions.values())),
        asyncio.gather(*(_theirs(domain, provider) for provider in providers)),
    )
    senders = [
        sender_of(address, region, said) for region, said in zip(regions, identities, strict=True)
    ]
    names = [domain]
    for sender in senders:
        names += [one.domain for one in (sender.signing, sender.mail_from) if one]
    # Which of a provider's names are in DNS is seen first: SendGrid's may be found there alone.
    asker = Asker(dns)
    in_place = await asyncio.gather(*(_in_place(asker, domain, one) for one in theirs))
    names += [proof.domain for route in in_place for proof in route.proofs]
    judged, own_spf, dmarc = await asyncio.gather(
        asyncio.gather(*(_in_region(asker, sender) for sender in senders)),
        asker.run(check_spf(domain)),
        asker.run(see_dmarc(tuple(names))),
    )
    routes = [*apart(judged, senders), *in_place]
    own = None if any(_envelope(one) == domain for one in senders) else judge_own_spf(own_spf)
    return DomainLook(
        (
            *judge_dmarc(domain, dmarc),
            *told_by_route([(route, judge_proofs(domain, dmarc, route)) for route in routes]),
            *([own] if own else []),
        ),
        asked=all(sender.asked for sender in senders) and not any(one.unsaid for one in theirs),
        blind=await asker.is_blind(),
    )


def _envelope(sender: Sender) -> str | None:
    return sender.mail_from.domain if sender.mail_from else None


async def _in_region(asker: Asker, sender: Sender) -> RouteJudged:
    signing, mail_from = sender.signing, sender.mail_from
    walks = [see_key(signing, one) for one in signing.selectors] if signing else []
    keys, envelope = await asyncio.gather(
        asyncio.gather(*map(asker.run, walks)),
        asker.run(see_envelope(mail_from)) if mail_from else _nothing(),
    )
    return judge_region(sender, tuple(keys), envelope)


async def _nothing() -> None:
    return None


async def _in_place(asker: Asker, domain: str, theirs: ProviderDomain) -> RouteJudged:
    return judge_provider(domain, theirs, await asker.run(see_provider(domain, theirs)))


async def _theirs(domain: str, provider: FallbackSender) -> ProviderDomain:
    try:
        async with asyncio.timeout(SES_SECONDS):
            return await asyncio.to_thread(provider.records_for, parents(domain))
    except Unavailable as exc:
        why = exc.detail
    except TimeoutError:
        why = "it doesn't answer"
    return ProviderDomain(NAMES[provider.name], "", unsaid=why)


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

    async def is_blind(self) -> bool:
        """Whether the resolver knows of nothing at all, not even of Amazon."""
        if any(task.result().state == "found" for task in self._asked.values()):
            return False
        return (await self._answer(Question(SES, "TXT"))).state != "found"

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
