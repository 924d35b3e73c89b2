"""SES with a stopwatch: each call is counted and timed, and answered as before. Blocking."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from app.adapters.ses import Fence
from app.domain.batches import Account
from app.domain.mail import BulkEntry, Envelope, Mail
from app.domain.render import Compiled
from app.domain.ses_answers import Answer
from app.errors import Unavailable
from app.metrics import Metrics
from app.services.account import AccountSource
from app.services.deliver import BulkSender


class Ses(BulkSender, AccountSource, Protocol):
    """What the sender and the watch over the account use of SES."""


class MeteredSes:
    def __init__(self, ses: Ses, metrics: Metrics) -> None:
        self._ses = ses
        self._metrics = metrics

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        started = time.monotonic()
        answers = self._ses.send_bulk(head, entries, fence)
        self._metrics.call_ended("SendBulkEmail", answers, time.monotonic() - started)
        return answers

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        started = time.monotonic()
        answer = self._ses.send_single(compiled, envelope, mail, fence)
        self._metrics.call_ended("SendEmail", [answer], time.monotonic() - started)
        return answer

    def get_account(self) -> Account:
        """Raises Unavailable."""
        try:
            account = self._ses.get_account()
        except Unavailable:
            self._metrics.account_asked(answered=False)
            raise
        self._metrics.account_asked(answered=True)
        return account
