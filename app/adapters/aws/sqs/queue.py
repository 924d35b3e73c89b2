"""A queue of Amazon SQS: boto3 in threads of its own, since a call may wait for 20 s. The two calls
that each message causes are prepared (calls.py).

Sources: the SQS developer guide, "Amazon SQS short and long polling", "Amazon SQS visibility
timeout" and "Using dead-letter queues in Amazon SQS"; the API reference.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from botocore.exceptions import ClientError

from app.adapters.aws.prepared_calls import teachable
from app.adapters.aws.ses import aws_client
from app.adapters.aws.sqs.calls import SqsCalls
from app.adapters.aws.sqs.words import is_missing, is_refused, queue_trouble
from app.domain.queues.sqs import dead_letter_arn, queue_region
from app.errors import Unavailable
from app.ports import Burial, Waiting
from app.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

log = structlog.get_logger(__name__)

WAIT_SECONDS = 20
"""How long SQS waits for a message until it answers that there is none; its longest."""
IN_HAND_SECONDS = 120
"""For so long nobody else gets a message: longer than the client waits for an answer (30 s), so
that those of an answer that got lost aren't handed out twice at once."""
HOLD_SECONDS = 11 * 3600.0
"""SQS keeps a message in hand for 12 hours at most."""
BATCH = 10
"""Messages of one call, at most."""
REASON_CHARS = 1_000

T = TypeVar("T")


class SqsQueue:
    """ports.MessageQueue. threads: calls at once."""

    def __init__(
        self,
        settings: Settings,
        url: str,
        *,
        name: str,
        threads: int,
        wait_seconds: int = WAIT_SECONDS,
        in_hand_seconds: int = IN_HAND_SECONDS,
    ) -> None:
        self.name = name
        self.hold_seconds = HOLD_SECONDS
        self._settings, self._url = settings, url
        self._wait_seconds, self._in_hand_seconds = wait_seconds, in_hand_seconds
        self._connections = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"queue-{name}")
        self._lock = threading.Lock()
        self._made: SQSClient | None = None
        self._prepared: SqsCalls | None = None
        self._dead: str | None = None

    async def take(self, most: int) -> list[Waiting]:
        """What comes after the caller was cancelled is given back."""
        abandoned = threading.Event()
        try:
            return await self._run(self._take, min(most, BATCH), abandoned)
        except asyncio.CancelledError:
            abandoned.set()
            raise

    async def done(self, messages: Sequence[Waiting]) -> None:
        await self._run(self._each_batch, self._delete, messages)

    async def keep(self, messages: Sequence[Waiting], seconds: float) -> None:
        await self._run(self._each_batch, self._hide, messages, round(seconds))

    async def give_back(self, messages: Sequence[Waiting], seconds: float = 0.0) -> None:
        await self._run(self._each_batch, self._hide, messages, round(seconds))

    async def bury(self, message: Waiting, burial: Burial) -> bool:
        return await self._run(self._bury, message, burial)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        try:
            working = loop.run_in_executor(self._threads, work, *arguments)
        except RuntimeError as exc:  # the threads are shut down
            raise Unavailable("The queue is closed.") from exc
        try:
            return await working
        except Exception as exc:  # also for answers that make no sense
            raise queue_trouble(exc, self._url) from exc

    def _take(self, most: int, abandoned: threading.Event) -> list[Waiting]:
        taken = [_waiting(message) for message in self._calls().receive(most)]
        if taken and abandoned.is_set():
            self._hide(taken, 0)
            return []
        return taken

    def _each_batch(
        self, call: Callable[..., None], messages: Sequence[Waiting], *arguments: Any
    ) -> None:
        for first in range(0, len(messages), BATCH):
            call(messages[first : first + BATCH], *arguments)

    def _delete(self, messages: Sequence[Waiting]) -> None:
        receipts = [message.handle["ReceiptHandle"] for message in messages]
        self._note("delete", self._calls().delete(receipts))

    def _hide(self, messages: Sequence[Waiting], seconds: int) -> None:
        entries: list[Any] = [
            {
                "Id": str(number),
                "ReceiptHandle": message.handle["ReceiptHandle"],
                "VisibilityTimeout": seconds,
            }
            for number, message in enumerate(messages)
        ]
        answer = self._client().change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self._note("change_visibility", answer.get("Failed", []))

    def _note(self, call: str, failed: Sequence[Any]) -> None:
        """What wasn't done for single messages: they come again, which is harmless."""
        if failed:
            codes = sorted({str(each.get("Code")) for each in failed})
            log.warning("queue_messages_stay", queue=self.name, call=call, codes=codes)

    def _bury(self, message: Waiting, burial: Burial) -> bool:
        if not self._send_dead(message, burial):
            self._hide([message], round(HOLD_SECONDS))
            return False
        self._delete([message])
        return True

    def _send_dead(self, message: Waiting, burial: Burial) -> bool:
        """False: there is no queue for it, or it is too large for that one."""
        try:
            dead = self._dead_letter_queue()
            return dead is not None and self._send(dead, message, burial)
        except ClientError as exc:
            if not is_missing(exc):
                raise
            self._dead = None  # perhaps there will be another one
            return False

    def _send(self, dead: str, message: Waiting, burial: Burial) -> bool:
        # Characters that SQS takes nowhere are in no message either, but perhaps in a reason.
        reason = "".join(c if c.isprintable() else " " for c in burial.reason)[:REASON_CHARS]
        more: dict[str, Any] = {}
        if dead.endswith(".fifo"):
            group = message.handle.get("Attributes", {}).get("MessageGroupId", "amazonsender")
            more = {"MessageGroupId": group, "MessageDeduplicationId": message.id}
        body = message.body.decode(errors="surrogatepass")
        reasons: dict[str, Any] = {
            "amazonsender-code": {"DataType": "String", "StringValue": burial.code},
            "amazonsender-reason": {"DataType": "String", "StringValue": reason},
        }
        # They count to the message's size, of which there may be no more left.
        for attributes in (reasons, {}):
            try:
                self._client().send_message(
                    QueueUrl=dead, MessageBody=body, MessageAttributes=attributes, **more
                )
            except ClientError as exc:
                if not is_refused(exc):
                    raise
            else:
                return True
        return False

    def _dead_letter_queue(self) -> str | None:
        """Its URL: the queue that the redrive policy names."""
        if self._dead is None:
            attributes = self._client().get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["RedrivePolicy"]
            )
            arn = dead_letter_arn(attributes.get("Attributes", {}))
            if arn is not None:
                self._dead = self._url_of(arn)
        return self._dead

    def _url_of(self, arn: str) -> str:
        *_, account, name = arn.split(":")
        answer = self._client().get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
        return answer["QueueUrl"]

    def _calls(self) -> SqsCalls:
        client = self._client()
        with self._lock:
            if self._prepared is None:
                self._prepared = SqsCalls(
                    client,
                    self._url,
                    wait_seconds=self._wait_seconds,
                    in_hand_seconds=self._in_hand_seconds,
                )
            return self._prepared

    def _client(self) -> SQSClient:
        with self._lock:
            if self._made is None:
                self._made = sqs_client(self._settings, self._url, self._connections)
            return self._made


def sqs_client(settings: Settings, url: str, connections: int = 1) -> SQSClient:
    """A client for a queue: its URL names the region."""
    client: SQSClient = aws_client(
        settings,
        "sqs",
        region=queue_region(url) or settings.aws_region,
        max_pool_connections=connections,
    )
    teachable(client)
    return client


def _waiting(message: Any) -> Waiting:
    sent = message.get("Attributes", {}).get("SentTimestamp")
    return Waiting(
        message.get("Body", "").encode(errors="surrogatepass"),
        message.get("MessageId"),
        datetime.fromtimestamp(int(sent) / 1000, UTC) if sent else None,
        message,
    )
