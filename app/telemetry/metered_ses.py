"""Wraps SES: counts and times each call, and passes its answer on unchanged. Blocking."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.domain.content.render import Compiled
from app.domain.sending.batches import Account, Suppressed
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import BulkEntry, Envelope, Mail, Notice
from app.errors import Unavailable
from app.ports import Ses
from app.telemetry.metrics import Metrics


class MeteredSes:
    def __init__(self, ses: Ses, metrics: Metrics, region: str) -> None:
        self._ses = ses
        self._metrics = metrics
        self._region = region

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        started = time.monotonic()
        answers = self._ses.send_bulk(head, entries, fence)
        self._metrics.call_ended(self._region, "SendBulkEmail", answers, time.monotonic() - started)
        return answers

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        started = time.monotonic()
        answer = self._ses.send_single(compiled, envelope, mail, fence)
        self._metrics.call_ended(self._region, "SendEmail", [answer], time.monotonic() - started)
        return answer

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
        started = time.monotonic()
        answer = self._ses.send_notice(
            notice, from_mailbox=from_mailbox, to=to, tags=tags, bulk=bulk, fence=fence
        )
        operation = "SendBulkEmail" if bulk else "SendEmail"
        self._metrics.call_ended(self._region, operation, [answer], time.monotonic() - started)
        return answer

    def get_account(self) -> Account:
        """Raises Unavailable."""
        with self._asking("GetAccount"):
            return self._ses.get_account()

    def suppressed_page(self, token: str | None) -> tuple[list[Suppressed], str | None]:
        """Raises Unavailable."""
        with self._asking("ListSuppressedDestinations"):
            return self._ses.suppressed_page(token)

    @contextmanager
    def _asking(self, operation: str) -> Iterator[None]:
        try:
            yield
        except Unavailable:
            self._metrics.asked(self._region, operation, answered=False)
            raise
        self._metrics.asked(self._region, operation, answered=True)
