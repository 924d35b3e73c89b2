"""Twilio SendGrid's v3 API in SES's place (docs/fallback.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal
from urllib.parse import urlencode

from pydantic import SecretStr

from app.adapters.providers.asking import CALL_SECONDS, Asking
from app.domain.content.render import Compiled
from app.domain.dns.judging.fallback import ProviderDomain
from app.domain.providers.answers import REFUSED_WITH_OTHERS, Reply, sendgrid_answers
from app.domain.providers.checks import sendgrid_finding
from app.domain.providers.records import SENDGRID, sendgrid_domain
from app.domain.providers.sendgrid_mail import SendGridWriting, bulk_body, single_body
from app.domain.reports.findings import Finding
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import BulkEntry, Envelope, Mail

MAX_CALLS = 4
"""For one `send_bulk`. Who is still refused for others then waits for another batch."""


class SendGridSender:
    """Nothing is raised: every way a call ends is an answer."""

    name: Literal["sendgrid"] = "sendgrid"

    def __init__(
        self,
        key: SecretStr,
        api_url: str,
        *,
        max_connections: int,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._key = key
        self._api = f"{api_url}/v3"
        self._asking = Asking(max_connections=max_connections, call_seconds=call_seconds)

    def close(self) -> None:
        self._asking.close()

    def writing(self, compiled: Compiled, envelope: Envelope) -> SendGridWriting:
        return SendGridWriting(compiled, envelope)

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        """An answer per entry, in order. head, entries: of the mailout's `writing`.

        One call; where SendGrid refuses it and names who is at fault, another for the others, whom
        it certainly didn't accept.
        """
        answers: dict[int, Answer] = {}
        asked = list(range(len(entries)))
        for _ in range(MAX_CALLS):
            body = bulk_body(head, [entries[index] for index in asked])
            answers.update(zip(asked, self._send(body, len(asked), fence), strict=True))
            innocent = [i for i in asked if answers[i].code == REFUSED_WITH_OTHERS]
            if not innocent:
                break
            asked = innocent
        return [answers[index] for index in range(len(entries))]

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        [answer] = self._send(single_body(compiled, envelope, mail), 1, fence)
        return answer

    def check(self) -> Finding:
        return sendgrid_finding(self._asking.get(f"{self._api}/scopes", self._authorization()))

    def records_for(self, domains: Sequence[str]) -> ProviderDomain:
        """Raises Unavailable."""
        for domain in domains:
            url = f"{self._api}/whitelabel/domains?{urlencode({'domain': domain})}"
            found = sendgrid_domain(self._asking.get(url, self._authorization()), domain)
            if found is not None:
                return found
        return replace(SENDGRID, known=False)

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key.get_secret_value()}"}

    def _send(self, body: bytes, people: int, fence: Fence) -> list[Answer]:
        headers = self._authorization() | {"Content-Type": "application/json"}
        said = self._asking.post(fence, f"{self._api}/mail/send", body, headers)
        return sendgrid_answers(said, people) if isinstance(said, Reply) else [said] * people
