"""What a reader gets, before anything is sent: rendered by the very code that sends."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import SecretStr

from app.domain.engagement.link_map import link_map
from app.domain.mailouts import MailoutContent
from app.domain.reports.findings import Finding
from app.domain.writing.drafts import checked
from app.errors import MailoutNotFound, SubscriberNotFound
from app.services.preview.mail import preview_mail
from app.services.rendering.limits import limits_for
from app.services.rendering.renderer import RENDERER, Renderer
from app.settings import Settings
from app.store import Store

Who = Literal["sample", "awkward"]
"""Somebody of the audience: the first that is found, or the one who makes the mail look worst."""

# Columns of a mailout that decide what is sent.
_CONTENT = (
    *("subject", "preheader", "body_html", "body_markdown", "body_text", "template_id"),
    *("from_email", "from_name", "reply_to", "configuration_set", "tracking"),
)
_NOBODY: dict[str, Any] = {"email": "reader@example.com", "name": None, "fields": {}}
_FIELD = re.compile(r"\bfields(?:\.([\w-]+)|\[\s*(?:\"([^\"]*)\"|'([^']*)')\s*\])")
_NAME = re.compile(r"\{[{%][^{}]*\bname\b")
_MOST_FIELDS = 50


@dataclass(frozen=True)
class Preview:
    """Writes nothing."""

    store: Store
    settings: Settings
    renderer: Renderer = RENDERER

    async def __call__(
        self,
        mailout_id: UUID,
        *,
        email: str | None = None,
        who: Who = "sample",
        changes: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """`subject`, `html`, `text`, `headers` as they are on the wire, `from` as people read it,
        `size` of the whole message and `html_size` in bytes, `tags`, `configuration_set`, `reader`,
        and `problems`: findings about this reader's mail.

        email: of the subscriber whose mail it is; None: `who` of the audience. changes: columns
        that aren't saved. Raises MailoutNotFound, SubscriberNotFound, InvalidRequest for columns
        that can't be, TemplateInvalid, NotRendered.
        """
        content = await self._content(mailout_id, changes)
        reader, origin = await self._reader(mailout_id, content, email, who)
        settings, missing = _able(self.settings, content)
        mail = await self.renderer(preview_mail, settings, content, mailout_id, reader)
        mail["problems"] = [*(each.to_row() for each in missing), *mail["problems"]]
        about = {name: reader[name] for name in ("email", "name")}
        return mail | {"reader": about | {"who": origin}}

    async def with_link_map(
        self, mailout_id: UUID, links: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """A sample reader's mail with a badge at each link, and the `places` of the links
        (domain/engagement/link_map.py). links: with their figures. Raises as a call does."""
        mail = await self(mailout_id)
        limits = limits_for(len(mail["html"]))
        return mail | await self.renderer.run(limits, link_map, mail["html"], links)

    async def _content(self, mailout_id: UUID, changes: Mapping[str, Any] | None) -> MailoutContent:
        if changes is None:
            mailout = await self.store.find_mailout(mailout_id)
            if mailout is None:
                raise MailoutNotFound(f"There is no mailout {mailout_id}.")
            return mailout.content
        stored = await self.store.show_mailout(mailout_id)
        columns = checked({name: changes[name] for name in changes})
        kept = {name: stored[name] for name in _CONTENT if name in stored}
        if columns.get("body_html") or columns.get("body_markdown"):
            kept |= {"body_html": None, "body_markdown": None}
        return await self.store.content_of({"id": str(mailout_id), **kept, **columns})

    async def _reader(
        self, mailout_id: UUID, content: MailoutContent, email: str | None, who: Who
    ) -> tuple[dict[str, Any], str]:
        """Somebody, and who that is: `chosen`, `sample`, `awkward` or `nobody`."""
        if email is not None:
            found = await self.store.find_subscriber(email=email)
            if found is None:
                raise SubscriberNotFound("No subscriber has this address.")
            return found, "chosen"
        if who == "awkward":
            found = await self.store.awkward_reader(mailout_id, list(shown_fields(content)))
        else:
            found = await self.store.sample_subscriber(mailout_id)
        return (found, who) if found else (_NOBODY, "nobody")


def shown_fields(content: MailoutContent) -> Iterator[str]:
    """What of a subscriber the texts name: `name`, and names of fields; some at most."""
    texts = "\n".join(_texts(content))
    if _NAME.search(texts):
        yield "name"
    names = dict.fromkeys(match[1] or match[2] or match[3] for match in _FIELD.finditer(texts))
    yield from (f"fields.{name}" for name in list(names)[:_MOST_FIELDS] if name)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, MailoutContent):
        body = value.body_html or value.body_markdown
        value = [value.subject, value.preheader, body, value.body_text, value.sources]
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _able(settings: Settings, content: MailoutContent) -> tuple[Settings, list[Finding]]:
    """Settings with which a mail can be made, and what they lack."""
    update: dict[str, Any] = {}
    missing = []
    if not (content.from_email or settings.ses_from_email):
        update["ses_from_email"] = "sender@example.com"
        missing.append("SES_FROM_EMAIL")
    if not settings.unsubscribe_secrets:
        update["unsubscribe_secret"] = (SecretStr(secrets.token_urlsafe(32)),)
        missing.append("UNSUBSCRIBE_SECRET")
    missing += [
        name
        for name, value in (("ORG_NAME", settings.org_name), ("ORG_ADDRESS", settings.org_address))
        if not value
    ]
    return settings.model_copy(update=update), [
        Finding("fail", f"{name} is not set: nothing can be sent.", "set it and restart.")
        for name in missing
    ]
