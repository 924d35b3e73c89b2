"""What the services need from the outside, shaped by those who use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from app.domain.content.render import Compiled
from app.domain.dns.judging.fallback import ProviderDomain
from app.domain.dns.questions import Answer as DnsAnswer
from app.domain.dns.questions import Question
from app.domain.providers import Provider
from app.domain.reports.findings import Finding
from app.domain.sending.batches import Account, Suppressed
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import BulkEntry, Envelope, Mail, Notice
from app.domain.ses.sns_message import SnsMessage
from app.domain.slack.message import Message
from app.domain.slack.news import Place
from app.domain.standing.blocklists import Listing
from app.domain.standing.told import Advice, DedicatedIp, Entity
from app.domain.standing.vdm import Query

Listen = Callable[[str], AbstractAsyncContextManager[AsyncIterator[str]]]
"""Opens a connection that hears what is sent to a channel of the database. Raises
DatabaseUnavailable, also while hearing."""


class Database(Protocol):
    """A way to reach PostgreSQL: call one of the functions in `migrations/functions/` by name.

    Every function returns one `jsonb` value, so a direct connection and Supabase's API give the
    very same answer, and neither PostgREST's row limit nor type adaptation comes into it.
    """

    async def call(self, function: str, /, **arguments: Any) -> Any:
        """Run `function` with JSON-able `arguments` in one transaction; give its JSON value back.

        Arguments are str, int, float, bool, None, or dict/list (passed as jsonb); uuids and
        times as ISO strings.
        Raises DatabaseUnavailable when the database can't be reached (whether the call was
        committed is then unknown), DatabaseError when it refused the call (rolled back).
        """
        ...

    async def check_access(self) -> None:
        """Whether somebody is there who lets us in, told better than by a failed call.

        Raises ConfigurationError when we are refused for good, DatabaseUnavailable.
        """
        ...

    async def close(self) -> None:
        """Give connections back; further calls raise DatabaseUnavailable."""
        ...


class BulkSender(Protocol):
    """What delivering needs of SES. Nothing is raised: every way a call ends is an answer."""

    def send_bulk(
        self, head: bytes, entries: Sequence[BulkEntry], fence: Fence
    ) -> list[Answer]: ...

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer: ...


class BulkWriting(Protocol):
    """One mailout in the words of SES or of another provider. head: what every call of it begins
    with."""

    @property
    def head(self) -> bytes: ...

    def entry(self, mail: Mail) -> BulkEntry | None:
        """None: this mail has to go by `send_single`."""
        ...

    def split(self, entries: Iterable[BulkEntry]) -> Iterator[list[BulkEntry]]:
        """Consecutive groups that each fit one call."""
        ...


class FallbackSender(BulkSender, Protocol):
    """SendGrid or Mailgun, behind the port that SES has. Blocking; nothing is raised."""

    @property
    def name(self) -> Provider: ...

    def writing(self, compiled: Compiled, envelope: Envelope) -> BulkWriting:
        """To be made once for a mailout: its `head` and `entry` are what `send_bulk` takes."""
        ...

    def check(self) -> Finding:
        """Whether they would let us in, as far as that can be asked without a mail."""
        ...

    def records_for(self, domains: Sequence[str]) -> ProviderDomain:
        """Which DNS records it asks for, for mail of the first of these domains: of the nearest
        that it has. Raises Unavailable."""
        ...

    def close(self) -> None: ...


class NoticeSender(Protocol):
    def send_notice(
        self,
        notice: Notice,
        *,
        from_mailbox: str,
        to: str,
        tags: tuple[tuple[str, str], ...],
        bulk: bool,
        fence: Fence,
    ) -> Answer:
        """Blocking. Nothing is raised: every way the call ends is an answer."""
        ...


class AccountSource(Protocol):
    def get_account(self) -> Account:
        """Blocking. Raises Unavailable, and SesRefused when that was an answer, too."""
        ...


class SuppressionList(Protocol):
    def suppressed_page(self, token: str | None) -> tuple[list[Suppressed], str | None]:
        """Addresses of SES's list and the token of the next page. Blocking. Raises Unavailable."""
        ...


class Ses(BulkSender, NoticeSender, AccountSource, SuppressionList, Protocol):
    """What the sender and the watches use of SES."""


class SesAccount(Protocol):
    """What is asked of SES. Blocking; each raises Unavailable."""

    def get_account(self) -> Account: ...

    def identity(self, name: str) -> dict[str, Any] | None: ...

    def event_destinations(self, configuration_set: str) -> list[dict[str, Any]] | None: ...

    def configuration_set(self, name: str) -> dict[str, Any] | None: ...


@dataclass(frozen=True)
class Subscription:
    """raw: whether SNS sends bare payloads, without the signature that we ask for."""

    endpoint: str
    confirmed: bool
    raw: bool


class SesClient(Ses, SesAccount, Protocol):
    """One region's."""


class Topics(Protocol):
    """What is asked of SNS. Blocking; raises Unavailable."""

    def subscriptions(self, topic_arn: str, endpoint: str) -> list[Subscription] | None: ...


class SnsVerifier(Protocol):
    """Whether a message is Amazon's, and of a topic that we take."""

    def require_allowed(self, topic_arn: str) -> None:
        """Raises ForbiddenSource."""
        ...

    def knows(self, message: SnsMessage) -> bool:
        """Whether `verify` has all that it needs, and so waits for nothing."""
        ...

    async def verify(self, message: SnsMessage, *, at: datetime | None = None) -> None:
        """at: when it came, for one that waited in a queue since; None: now.

        Raises ForbiddenSource, BadSignature, Unavailable."""
        ...


class SnsConfirmer(Protocol):
    async def confirm(self, message: SnsMessage) -> str:
        """Confirm the subscription that a verified message asks for; give its ARN.

        Raises Unavailable, and ConfirmationRefused when SNS doesn't take the token.
        """
        ...


class Dns(Protocol):
    """A DNS resolver (adapters/dns/)."""

    async def ask(self, question: Question) -> DnsAnswer:
        """For a limited time. Raises nothing: what goes wrong is an answer that is `unknown`."""
        ...


@dataclass(frozen=True)
class Waiting:
    """A message of a queue. id: the same each time that it is handed out; None: it has none.
    sent_at: when the queue took it, by the queue's clock. handle: what the queue knows it by."""

    body: bytes
    id: str | None
    sent_at: datetime | None
    handle: Any


@dataclass(frozen=True)
class Burial:
    """Why a message is not taken: a stable word, and a sentence with the remedy."""

    code: str
    reason: str


class MessageQueue(Protocol):
    """A queue that hands each message out until it hears that it is done with, so perhaps several
    times. All raise Unavailable, in words for the owner of the queue; what was in hand comes again
    then."""

    @property
    def name(self) -> str:
        """As the log and the metrics name it."""
        ...

    @property
    def hold_seconds(self) -> float:
        """How long a message can be kept in hand."""
        ...

    async def take(self, most: int) -> list[Waiting]:
        """At least one and at most `most`; none when nothing came for a while. Nobody else gets
        them meanwhile."""
        ...

    async def done(self, messages: Sequence[Waiting]) -> None:
        """They are never handed out again."""
        ...

    async def keep(self, messages: Sequence[Waiting], seconds: float) -> None:
        """They stay in hand for so long from now."""
        ...

    async def give_back(self, messages: Sequence[Waiting], seconds: float = 0.0) -> None:
        """They wait for whoever comes next, for so long at least or behind the others, where the
        queue can do that."""
        ...

    async def bury(self, message: Waiting, burial: Burial) -> bool:
        """Into the dead-letter queue, with the reason, and out of this one. False: there is none,
        so the message stays and comes again after hours."""
        ...

    async def close(self) -> None:
        """What is still in hand is handed out to others."""
        ...


@dataclass(frozen=True)
class BrokerQueue:
    """A queue of RabbitMQ. waiting: messages; None: there is no such queue. differs: how it is made
    in another way than this program makes it, in the broker's words. is_known: whether the broker
    lets us ask for that. is_stream: so nothing can be taken out of it."""

    name: str
    waiting: int | None
    differs: str | None = None
    is_known: bool = True
    is_stream: bool = False


class Broker(Protocol):
    async def look(self) -> list[BrokerQueue]:
        """The queue and its dead letters, unchanged. Raises Unavailable."""
        ...


class QueueFacts(Protocol):
    """What is asked of SQS. Blocking; each raises Unavailable."""

    def attributes(self, url: str) -> dict[str, str] | None:
        """Of a queue, as GetQueueAttributes names them; None: there is none."""
        ...

    def dead_letters(self, url: str, arn: str) -> dict[str, str] | None:
        """The attributes of the queue that another one's redrive policy names."""
        ...

    def denied(self, url: str) -> list[str]:
        """Permissions that we certainly lack."""
        ...


class Standing(Protocol):
    """What SES tells of the sender's standing in one region (adapters/aws/standing.py). Blocking;
    each raises Unavailable."""

    def get_account(self) -> Account: ...

    def entities(self) -> list[Entity]: ...

    def dedicated_ips(self) -> list[DedicatedIp]: ...

    def has_dashboard(self) -> bool: ...

    def blacklists(self, ips: Sequence[str]) -> list[Listing]: ...

    def advice(self) -> list[Advice]: ...

    def metrics(
        self, queries: Sequence[Query], start: datetime, end: datetime
    ) -> dict[str, int | None]: ...


class PictureSource(Protocol):
    def takes(self, url: str) -> bool:
        """Whether this is one of the places that are asked."""
        ...

    async def fetch(self, url: str) -> bytes:
        """A file of at most MAX_SOURCE_BYTES (domain/assets/sizes.py).

        Raises PictureRefused, PictureExpired when its address has ended, and Unavailable when it
        can't be reached now.
        """
        ...


class PictureShelf(Protocol):
    """Where pictures and PDFs are kept other than in the database. Each method raises Unavailable,
    and ShelfRefused with the remedy."""

    @property
    def place(self) -> str:
        """As ASSETS_STORE has it."""
        ...

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        """Again with the same name, which is the hash of the content, changes nothing."""
        ...

    async def get(self, name: str) -> bytes | None:
        """None: it isn't there."""
        ...

    async def check(self) -> None:
        """Whether it is there and lets us in."""
        ...


class Notion(Protocol):
    """One integration's view of Notion (adapters/notion/client.py). Every method raises NotionAway
    when Notion can't be reached or asks to wait, and NotionRefused when it refuses."""

    async def me(self) -> dict[str, Any]: ...

    async def page(self, page_id: UUID) -> dict[str, Any]: ...

    async def block(self, block_id: UUID) -> dict[str, Any]: ...

    async def children(self, block_id: UUID, most: int | None = None) -> list[dict[str, Any]]: ...

    async def database(self, database_id: UUID) -> dict[str, Any]: ...

    async def data_source(self, data_source_id: UUID) -> dict[str, Any]: ...

    def rows(
        self,
        data_source_id: UUID,
        where: Mapping[str, Any] | None = None,
        sorts: Sequence[Mapping[str, Any]] = (),
    ) -> AsyncIterator[dict[str, Any]]: ...

    async def update_page(self, page_id: UUID, properties: Mapping[str, Any]) -> dict[str, Any]: ...

    async def comments(self, block_id: UUID) -> list[dict[str, Any]]: ...

    async def comment(self, parent: Mapping[str, str], text: str) -> dict[str, Any]: ...

    async def upload(self, filename: str, content_type: str, content: bytes) -> str: ...


class Slack(Protocol):
    """A way into one channel of the owner's Slack (adapters/slack/). Every method raises SlackAway
    when Slack can't be reached or asks to wait, and SlackRefused when it refuses."""

    @property
    def channel(self) -> str | None:
        """A bot's, as SLACK_CHANNEL has it. None: an incoming webhook's, whose messages can't be
        changed or replied to."""
        ...

    async def post(self, message: Message, *, under: Place | None = None) -> Place | None:
        """Where it stands; None where that isn't known. under: as a reply to that one, shown in the
        channel, too."""
        ...

    async def update(self, place: Place, message: Message) -> None:
        """Raises SlackMessageGone, too."""
        ...

    async def check(self) -> str | None:
        """Ask whether we are let in, and tell nobody anything: the names of the bot and of its
        workspace; None: that can't be asked without a message."""
        ...


class NotionBuilder(Notion, Protocol):
    """Also makes what `amazonsender notion init` makes."""

    async def create_page(self, page: Mapping[str, Any]) -> dict[str, Any]: ...

    async def create_database(self, database: Mapping[str, Any]) -> dict[str, Any]: ...

    async def create_view(self, view: Mapping[str, Any]) -> dict[str, Any]: ...

    async def user(self, user_id: UUID) -> dict[str, Any]: ...
