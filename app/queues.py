"""What a process that does the work takes out of queues: wiring."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from app.adapters.aws.ses import sns_client
from app.adapters.aws.sns import SnsConfirmer, SnsVerifier
from app.adapters.aws.sqs.queue import SqsQueue
from app.domain.queues.sqs import queue_place
from app.ports import MessageQueue
from app.running.loops import Loops
from app.services.access.keys import Keys
from app.services.notion.rows.asking import AskRow
from app.services.queues.events import RECEIVERS, TakeEvents
from app.services.queues.hands import Hands
from app.services.queues.requests import AT_ONCE, TakeRequests
from app.services.sending.pausing import Guards, guard_limits
from app.services.starting.dry_run import DryRuns
from app.services.starting.orders import CarryOut
from app.services.starting.start_mailout import StartMailout, nobody_to_wake
from app.services.watching.record_events import RecordEvents
from app.services.watching.take_message import TakeMessage
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics

CLOSE_SECONDS = 5.0
"""For what is in hand at a stop."""


@dataclass(frozen=True)
class QueueWork:
    takers: Sequence[TakeRequests | TakeEvents]

    def start(self, loops: Loops) -> None:
        for taker in self.takers:
            taker.start(loops)

    def stop(self) -> None:
        for taker in self.takers:
            taker.stop()

    async def close(self) -> None:
        await asyncio.gather(*(taker.close(CLOSE_SECONDS) for taker in self.takers))


@asynccontextmanager
async def queue_work(store: Store, settings: Settings, meters: Metrics) -> AsyncIterator[QueueWork]:
    """Nothing for queues that aren't set."""
    takers: list[TakeRequests | TakeEvents] = [
        take_requests(store, settings, Hands(queue, meters)) for queue in request_queues(settings)
    ]
    async with AsyncExitStack() as stack:
        if queues := events_queues(settings):
            # A client takes 2 MB, most of it for the certificates of authorities.
            client = httpx.AsyncClient(follow_redirects=False)
            http = await stack.enter_async_context(client)
            take = takes_events(store, settings, meters, http)
            takers += [take(Hands(queue, meters)) for queue in queues]
        yield QueueWork(takers)


def request_queues(settings: Settings) -> list[MessageQueue]:
    queues: list[MessageQueue] = []
    if settings.rabbitmq_url is not None:
        # Imported here because most installations don't need it.
        from app.adapters.rabbitmq.queue import RabbitQueue

        queues.append(RabbitQueue(settings.rabbitmq_url, settings.rabbitmq_queue, at_once=AT_ONCE))
    if settings.sqs_queue_url:
        queues.append(SqsQueue(settings, settings.sqs_queue_url, name="sqs", threads=2 + AT_ONCE))
    return queues


def events_queues(settings: Settings) -> list[SqsQueue]:
    urls = settings.ses_events_queue_url
    several = len(urls) > 1
    return [
        SqsQueue(
            settings,
            url,
            name=f"ses_events {queue_place(url)}" if several else "ses_events",
            threads=2 * RECEIVERS,  # beside the calls for messages, as many to delete them
        )
        for url in urls
    ]


def take_requests(store: Store, settings: Settings, hands: Hands) -> TakeRequests:
    start = StartMailout(store, settings)
    carry_out = CarryOut(
        settings,
        start,
        DryRuns(store, settings, start),
        AskRow(store, settings, nobody_to_wake),
    )
    return TakeRequests(hands, settings, Keys(store), carry_out)


def takes_events(
    store: Store, settings: Settings, meters: Metrics, http: httpx.AsyncClient
) -> Callable[[Hands], TakeEvents]:
    """Out of any of the queues: they share what is known of certificates and how many are fetched,
    and the commits."""
    verifier = SnsVerifier(
        allowed_topic_arns=frozenset(settings.sns_allowed_topic_arns),
        sandbox_endpoint=settings.sns_endpoint,
        http=http,
    )
    record = RecordEvents(store, Guards(store, guard_limits(settings)), meters)
    take = TakeMessage(store, record, SnsConfirmer(partial(sns_client, settings)))
    return lambda hands: TakeEvents(hands, verifier, take, meters)
