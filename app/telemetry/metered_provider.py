"""Wraps SendGrid or Mailgun: counts each call, and passes its answer on. Blocking."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.content.render import Compiled
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import BulkEntry, Envelope, Mail
from app.ports import FallbackSender
from app.telemetry.metrics import Metrics


class MeteredProvider:
    def __init__(self, sender: FallbackSender, metrics: Metrics) -> None:
        self._sender = sender
        self._metrics = metrics

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        answers = self._sender.send_bulk(head, entries, fence)
        self._metrics.provider_called(self._sender.name, answers)
        return answers

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        answer = self._sender.send_single(compiled, envelope, mail, fence)
        self._metrics.provider_called(self._sender.name, [answer])
        return answer
