"""Mailgun's v3 API in SES's place (docs/fallback.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from app.adapters.providers.asking import CALL_SECONDS, Asking
from app.domain.content.render import Compiled
from app.domain.dns.judging.fallback import ProviderDomain
from app.domain.providers.answers import Reply, mailgun_answers
from app.domain.providers.checks import mailgun_finding
from app.domain.providers.mailgun_mail import MailgunWriting, form
from app.domain.providers.records import mailgun_domain
from app.domain.reports.findings import Finding
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import BulkEntry, Envelope, Mail


class MailgunSender:
    """Nothing is raised: every way a call ends is an answer."""

    name: Literal["mailgun"] = "mailgun"

    def __init__(
        self,
        key: SecretStr,
        domain: str,
        api_url: str,
        *,
        max_connections: int,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._key = key
        self._name = domain
        self._domain, self._api = quote(domain, safe=""), f"{api_url}/v3"
        self._asking = Asking(max_connections=max_connections, call_seconds=call_seconds)

    def close(self) -> None:
        self._asking.close()

    def writing(self, compiled: Compiled, envelope: Envelope) -> MailgunWriting:
        return MailgunWriting(compiled, envelope)

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        """One call; an answer per entry, in order. head, entries: of the mailout's `writing`."""
        said = self._asking.post(
            fence,
            f"{self._api}/{self._domain}/messages",
            urlencode(form(head, entries)).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
            auth=self._user(),
        )
        people = len(entries)
        return mailgun_answers(said, people) if isinstance(said, Reply) else [said] * people

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        """A batch of one, with variables like any other: only so is the content surely pasted."""
        writing = self.writing(compiled, envelope)
        [answer] = self.send_bulk(writing.head, [writing.entry(mail)], fence)
        return answer

    def check(self) -> Finding:
        return mailgun_finding(
            self._asking.get(f"{self._api}/domains/{self._domain}", {}, auth=self._user())
        )

    def records_for(self, domains: Sequence[str]) -> ProviderDomain:
        """Of MAILGUN_DOMAIN, by which all mail is signed. Raises Unavailable."""
        said = self._asking.get(f"{self._api}/domains/{self._domain}", {}, auth=self._user())
        return mailgun_domain(said, self._name, eu=".eu." in self._api)

    def _user(self) -> tuple[str, str]:
        return "api", self._key.get_secret_value()
