"""Everything that could go wrong with a mailout, before it is sent: findings with their remedies.

The same checks for `POST /mailouts/{id}/preflight`, `amazonsender doctor` and the dashboard.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

from app.domain.content.links import web_links
from app.domain.mailouts import Mailout
from app.domain.reports.findings import Finding
from app.errors import MailoutNotFound, TemplateInvalid
from app.services.checks.amazon.regions import check_sending
from app.services.checks.asking import Outside
from app.services.checks.audience import check_audience
from app.services.checks.content import (
    check_fields,
    check_outlook,
    check_people,
    check_readers,
    check_state,
    sample_mail,
)
from app.services.checks.links import check_links
from app.services.checks.mail import check_mail, links_by_author
from app.services.checks.pictures import check_pictures, keeps_pictures
from app.services.checks.public import check_public
from app.services.checks.settings import (
    check_sender,
    check_settings,
    check_signup,
    check_tracking,
    check_unsubscribing,
)
from app.services.pacing.warmups import Warmups
from app.services.providers.check import check_in_place
from app.services.rendering import tasks
from app.services.rendering.renderer import RENDERER
from app.services.starting.start_mailout import StartMailout, not_sent_from
from app.settings import Settings
from app.store import Store


class Preflight:
    def __init__(self, store: Store, settings: Settings, outside: Outside) -> None:
        self._store = store
        self._settings = settings
        self._start = StartMailout(store, settings)
        self._outside = outside
        self._warmups = Warmups(store, settings)

    async def __call__(self, mailout_id: UUID, *, links: bool = False) -> dict[str, Any]:
        """The report: `ok` (nothing that would make sending fail), `findings`, and what sending
        would take. links: ask every link of the mail, too. Sends and changes nothing.

        Raises MailoutNotFound, Unavailable when the database can't be asked.
        """
        mailout = await self._find(mailout_id)
        settings = _as_sent(self._settings, mailout)
        recipients = await self._store.count_audience(mailout_id)
        around, pictures, within, outlook = await asyncio.gather(
            check_around(settings, self._outside, tracking=mailout.content.tracking),
            self.of_pictures(),
            self._check_mailout(settings, mailout, links=links),
            self._outlook(recipients, mailout.region),
        )
        findings = [
            *check_settings(settings),
            *check_tracking(settings, tracking=mailout.content.tracking),
            *check_in_place(settings, tracking=mailout.content.tracking, recipients=recipients),
            *check_unsubscribing(settings),
            *check_signup(settings),
            *around,
            *pictures,
            *within,
            *check_outlook(recipients, outlook),
            *await self._warmups.findings(mailout_id, recipients),
            *await check_audience(self._store, mailout_id),
        ]
        return {
            "mailout_id": str(mailout_id),
            "status": mailout.status,
            "ok": all(finding.level != "fail" for finding in findings),
            "findings": [finding.to_row() for finding in findings],
            "recipients": recipients,
            "links_checked": links,
            **outlook,
        }

    async def of_mailout(self, mailout_id: UUID, *, links: bool = False) -> list[Finding]:
        """The findings about the mailout alone. Raises as above."""
        mailout = await self._find(mailout_id)
        recipients = await self._store.count_audience(mailout_id)
        settings = _as_sent(self._settings, mailout)
        return [
            *await self._check_mailout(settings, mailout, links=links),
            *check_outlook(recipients, await self._outlook(recipients, mailout.region)),
            *await self._warmups.findings(mailout_id, recipients),
            *await check_audience(self._store, mailout_id),
        ]

    async def in_the_way(self) -> list[Finding]:
        """What makes sending fail whatever the mailout: for who runs the service."""
        settings = self._settings
        found = [
            *check_settings(settings),
            *check_unsubscribing(settings),
            *await check_around(settings, self._outside),
            *await self.of_pictures(),
        ]
        return [finding for finding in found if finding.level == "fail"]

    async def of_pictures(self) -> list[Finding]:
        """Whether readers will see the pictures that are kept; nothing where none are."""
        if not keeps_pictures(self._settings):
            return []
        known = await self._store.latest_asset(self._settings.assets_store)
        return await check_pictures(self._settings, self._outside, known)

    async def blocking(self, mailout_id: UUID) -> list[Finding]:
        """Why the mailout couldn't be sent as it is, whatever SES would say; asks the database
        alone. Raises as above."""
        mailout = await self._find(mailout_id)
        settings = _as_sent(self._settings, mailout)
        recipients = await self._store.count_audience(mailout_id)
        findings = [
            *check_sender(settings, tracking=mailout.content.tracking),
            *await self._check_mailout(settings, mailout, links=False),
            *check_outlook(recipients, {}),
        ]
        return [finding for finding in findings if finding.level == "fail"]

    async def _find(self, mailout_id: UUID) -> Mailout:
        mailout = await self._store.find_mailout(mailout_id)
        if mailout is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return mailout

    async def _outlook(self, recipients: int, kept: str | None) -> dict[str, Any]:
        return await self._store.send_outlook(
            self._settings.regions_for(kept), self._settings.rate_limit_per_sec, recipients
        )

    async def _check_mailout(
        self, settings: Settings, mailout: Mailout, *, links: bool
    ) -> list[Finding]:
        findings = [check_state(mailout), *check_people(settings, mailout)]
        if mailout.region is not None and mailout.region not in self._settings.region_names:
            findings.append(Finding("fail", *not_sent_from(mailout.region)))
        try:
            rows = await RENDERER(tasks.check_text, settings, mailout.content)
            findings += [Finding.from_row(row) for row in rows]
            if not (settings.ses_from_email and settings.unsubscribe_secrets):
                # No mail can be made yet, which is a finding already; the template can be checked.
                await RENDERER(tasks.check_draft, settings, mailout.content)
                return findings
            await self._start.check(mailout)
        except TemplateInvalid as exc:
            return [*findings, Finding("fail", exc.detail, "correct it in the mailout.")]
        findings.append(Finding("ok", "Subject and bodies can be rendered."))
        findings += await check_readers(self._store, settings, mailout, RENDERER)
        findings += await check_fields(self._store, settings, mailout, RENDERER)
        mail = await sample_mail(self._store, settings, mailout, RENDERER)
        if mail is None:
            return findings
        found = links_by_author(settings, mailout.content, mail)
        findings += check_mail(mailout.content, mail, found)
        if links:
            async with self._outside.http() as http:
                findings += await check_links(web_links(found), self._outside.web(http))
        return findings


async def check_around(
    settings: Settings, outside: Outside, *, tracking: bool | None = None
) -> list[Finding]:
    """What is outside: SES and SNS, the sender's domain in DNS, and our public address.

    tracking: as of `check_events`.
    """
    sending, public = await asyncio.gather(
        check_sending(settings, outside, tracking=tracking), _check_public(settings, outside)
    )
    return [*sending, *public]


async def _check_public(settings: Settings, outside: Outside) -> list[Finding]:
    async with outside.http() as http:
        return await check_public(settings, http)


def _as_sent(settings: Settings, mailout: Mailout) -> Settings:
    """With the mailout's own sender and configuration set, where it has them."""
    content = mailout.content
    return settings.model_copy(
        update={
            "ses_from_email": content.from_email or settings.ses_from_email,
            "ses_regions": tuple(
                replace(
                    region,
                    configuration_set=region.configuration_set_for(
                        content.configuration_set, tracking=content.tracking
                    ),
                )
                for region in settings.ses_regions
                if mailout.region in (None, region.name)
            ),
        }
    )
