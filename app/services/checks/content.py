"""What could go wrong with one mailout: its content, its readers, and the time it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from app.domain.content.field_names import under_other_names, variable
from app.domain.content.render import Rendered
from app.domain.mailouts import Mailout
from app.domain.reports.findings import Finding
from app.domain.reports.words import duration, plural
from app.services.checks.mail import too_large_for_gmail
from app.services.rendering import tasks
from app.services.rendering.renderer import Renderer
from app.services.starting.send_warnings import check_tested
from app.settings import Settings
from app.store import Store

SAMPLE = 500
"""Subscribers that are rendered when no dry run of this content has rendered all."""
SLICES = 40
"""How many slices of the list are read at most to find them, each of SAMPLE subscribers."""
MOST_FIELDS = 10_000


DRAFT = Finding(
    "warn",
    "The mailout is a draft: a request to send it is refused.",
    "release it when it is finished: amazonsender mailouts ready.",
)


def check_state(mailout: Mailout) -> Finding:
    """Whether a request to send would be taken."""
    if mailout.status == "ready":
        return Finding("ok", "The mailout is ready: the next request sends it.")
    if mailout.status == "draft":
        return DRAFT
    if mailout.status == "scheduled":
        return Finding("ok", "The mailout is scheduled: it starts by itself at its time.")
    return Finding(
        "fail",
        f"The mailout is {mailout.status}: a request to send it is refused.",
        "make a new mailout, resume a paused one, or resend to those who were missed.",
    )


def check_people(settings: Settings, mailout: Mailout) -> Iterator[Finding]:
    """Whether somebody sees a test mail before it is sent, and is told what became of it."""
    if not settings.test_emails:
        yield Finding(
            "warn",
            "TEST_EMAILS is empty, so nobody can look at a test mail.",
            "set it to your own address.",
        )
    if not settings.owner_email and not settings.uses_slack:
        yield Finding(
            "warn",
            "OWNER_EMAIL is missing: nobody is told when the mailout is sent, paused or failed.",
            "set it to your own address, or have Slack told (docs/slack.md).",
        )
    yield from check_tested(mailout.is_tested)


NOBODY = Finding(
    "fail",
    "Nobody would get it: no active subscriber is in the audience, so it isn't started.",
    "import subscribers, or correct the mailout's audience.",
)


RATE_UNKNOWN = Finding(
    "warn",
    "Rate and daily quota of the SES account aren't known yet, so the time isn't either.",
    "start the service: it asks SES once a minute.",
)


def check_outlook(recipients: int, outlook: dict[str, Any]) -> Iterator[Finding]:
    """Whether there are recipients, and how long it takes. outlook: of `Store.send_outlook`."""
    if not recipients:
        yield NOBODY
        return
    yield Finding("ok", f"{plural(recipients, 'recipient')} would get it.")
    if "seconds" not in outlook or "days" not in outlook:
        yield RATE_UNKNOWN
    elif outlook["days"] > 1:
        yield Finding(
            "warn",
            f"The daily quota doesn't suffice: {outlook['quota_left']:,.0f} of "
            f"{outlook['daily_quota']:,.0f} are left, so it goes out on "
            f"{plural(outlook['days'], 'day')}, in {duration(outlook['seconds'])}.",
            "ask AWS for a larger quota, or send to fewer people by tag.",
        )
    else:
        yield Finding("ok", f"It takes {duration(outlook['seconds'])}, and the quota suffices.")


async def check_readers(
    store: Store, settings: Settings, mailout: Mailout, renderer: Renderer
) -> list[Finding]:
    """Whether the readers' data fit the template, by a dry run of this content or else a sample."""
    earlier = await store.show_dry_run(mailout.id)
    if earlier and earlier.get("content_hash") == mailout.content_hash:
        report, whom = earlier, "of all"
    else:
        page: list[dict[str, Any]] = []
        after: UUID | None = UUID(int=0)
        for _ in range(SLICES):
            if after is not None and len(page) < SAMPLE:
                rows, after = await store.audience_slice(mailout.id, after, SAMPLE)
                page += rows
        report = await renderer(
            tasks.rehearse_some,
            settings,
            mailout.content,
            mailout.id,
            page,
            recipients=len(page),
        )
        whom = f"of the first {len(page):,}" if after is not None else "of all"
    return list(_reader_findings(report, whom))


def _reader_findings(report: dict[str, Any], whom: str) -> Iterator[Finding]:
    rehearse_it = "a dry run names each of them; give a default in the template"
    examples = report.get("problem_examples", {})
    for kind, number in report["problem_kinds"].items():
        people = plural(number, "recipient")
        if kind.endswith(" is missing"):
            name = kind.removesuffix(" is missing")
            yield Finding(
                "warn",
                f"{people} {whom} lack {name}, so the mail shows nothing there.",
                f'{rehearse_it}: {{{{ {name} | default: "…" }}}}.',
            )
        elif kind == "render_error" and not report["recipients"]:
            yield Finding(
                "fail",
                f"Nobody would get the mail: the template fails for {people} {whom}. "
                f"For example: {examples.get(kind, kind)}",
                "correct the template, or their data.",
            )
        else:
            yield Finding(
                "warn",
                f"{people} {whom} would get no mail. For example: {examples.get(kind, kind)}",
                "a dry run names each of them with the reason; correct their data.",
            )
    if not report["problem_kinds"] and report["recipients"]:
        yield Finding("ok", f"The data {whom} recipients fit the template.")
    sizes = report["sizes"]
    if sizes["over_gmail_clip"]:
        yield too_large_for_gmail(sizes["largest_html_bytes"])
    elif report["recipients"]:
        yield Finding("ok", f"{sizes['largest_html_bytes'] / 1000:,.0f} KB of HTML at most.")


async def check_fields(
    store: Store, settings: Settings, mailout: Mailout, renderer: Renderer
) -> list[Finding]:
    """Whether it asks for fields that the list has under another name: with a `default`, all would
    get that, and nobody would notice."""
    there = await store.some_field_names(most=MOST_FIELDS)
    if not there:
        return []
    used = await renderer(tasks.fields_used, settings, mailout.content, mailout.id)
    return [
        Finding(
            "warn",
            f"Nobody of the first 2,000 subscribers has the field “{name}”; there is “{meant}”.",
            f"write {variable(meant)}, if that is meant: capitals count.",
        )
        for name, meant in under_other_names(used, there)
    ]


async def sample_mail(
    store: Store, settings: Settings, mailout: Mailout, renderer: Renderer
) -> Rendered | None:
    """The mail as a sample subscriber would see it, with an unsubscribe link that changes nobody;
    None when the template fails for them."""
    sample = await store.sample_subscriber(mailout.id)
    mail = await renderer(tasks.render_sample, settings, mailout.content, mailout.id, sample)
    return None if mail is None else Rendered(**mail)
