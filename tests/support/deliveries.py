"""Batches delivered to an SES of a few lines, which keeps what it was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from uuid import UUID, uuid4

from app.domain.content.render import Compiled
from app.domain.mailouts import MailoutContent
from app.domain.sending.batches import Batch, Recipient, Result
from app.domain.sending.fence import Fence
from app.domain.sending.lanes import Lane, Mode
from app.domain.ses.answers import Answer, refused_call
from app.domain.ses.mail import BulkEntry, Envelope, Mail
from app.services.sending.deliver import Deliver, Delivery
from app.services.sending.prepare import Prepared, prepare
from tests.support.service import settings_for

FENCE = Fence(60)
SENDER = "news@example.com"
BAD = refused_call("BadRequestException", 400, "Bad.", 2)


@cache
def prepared() -> Prepared:
    content = MailoutContent("Hi", None, "<p>{{ name }}</p>", None, None, SENDER, None, None, None)
    return prepare(settings_for("postgresql://nowhere", None), UUID(int=1), content)


class Ses:
    """refuse: why a bulk call with these ids is refused as a whole. entry: the verdict of one
    recipient of a call that isn't. Keeps the ids of each call."""

    def __init__(
        self,
        refuse: Callable[[list[int]], Answer | None] = lambda ids: None,
        entry: Callable[[int], Answer] = lambda i: Answer("sent", message_id=f"m{i}"),
    ) -> None:
        self._refuse = refuse
        self._entry = entry
        self.bulk: list[list[int]] = []
        self.single: list[int] = []
        self.accepted: Counter[int] = Counter()

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        ids = [entry.send_log_id for entry in entries]
        self.bulk.append(ids)
        refused = self._refuse(ids)
        if refused is not None:
            alone = len(ids) == 1 and refused.halt == "split"
            answer = Answer("failed", refused.code, refused.message) if alone else refused
            return [answer] * len(ids)
        return [self._judge(i) for i in ids]

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        self.single.append(mail.send_log_id)
        return self._judge(mail.send_log_id)

    def _judge(self, send_log_id: int) -> Answer:
        answer = self._entry(send_log_id)
        self.accepted[send_log_id] += answer.outcome == "sent"
        return answer


class Poisoned(Ses):
    def __init__(self, poison: set[int]) -> None:
        self.poison = poison
        super().__init__(
            lambda ids: (
                refused_call("BadRequestException", 400, "Bad.", len(ids))
                if self.poison & set(ids)
                else None
            )
        )


def mail(recipient: Recipient) -> Mail:
    return Mail(recipient.send_log_id, recipient.email, {"h0": "x"}, "https://example.com/u", ())


def deliver(
    ses: Ses,
    count: int = 50,
    *,
    build: Callable[[Recipient], Mail | Result] = mail,
    mode: Mode = "auto",
    lane: Lane = "bulk",
    attempts: int = 1,
    is_test: bool = False,
    of: Prepared | None = None,
) -> Delivery:
    batch = Batch(
        uuid4(),
        UUID(int=1),
        tuple(Recipient(i, f"r{i}@example.com", attempts, None, None, {}) for i in range(count)),
        0.0,
        is_test,
    )
    with ThreadPoolExecutor(4) as singles:
        return Deliver(ses, mode)(of or prepared(), batch, build, lane, FENCE, singles)


class Sequel:
    """Batches of one sender, one after the other. poison: whom SES refuses."""

    def __init__(self, poison: set[int]) -> None:
        self.ses = Poisoned(poison)
        self._deliver = Deliver(self.ses, "auto")
        self.last: Delivery

    def deliver(self, *ids: int, mailout: int = 1) -> Delivery:
        recipients = tuple(Recipient(i, f"r{i}@example.com", 1, None, None, {}) for i in ids)
        batch = Batch(uuid4(), UUID(int=mailout), recipients, 0.0)
        with ThreadPoolExecutor(1) as singles:
            self.last = self._deliver(prepared(), batch, mail, "bulk", FENCE, singles)
        return self.last


def outcomes(delivery: Delivery) -> Counter[str]:
    return Counter(result.outcome for result in delivery.results)
