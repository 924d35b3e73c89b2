"""The staged service, and where each of its pages is."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.api.http.paging import encode_cursor
from tests.support.factories import Arrange

A_KEY = "select id from api_keys where revoked_at is null order by name limit 1"


@dataclass(frozen=True)
class Staged:
    """The service without a sender, and mailouts and imports in every state (ids by state)."""

    url: str
    dsn: str
    arrange: Arrange
    mailouts: dict[str, UUID]
    imports: dict[str, UUID]
    person: UUID
    schedules: dict[str, UUID]
    template: UUID
    segments: dict[str, str]
    engaged: dict[str, UUID]
    hooks: dict[str, UUID]

    def page(self, state: str, action: str = "") -> str:
        return f"/dashboard/mailouts/{self.mailouts[state]}{action}"


async def pages_of(staged: Staged, subject: str) -> dict[str, str]:
    """Where each page about it is, by the name of its picture."""
    long_ago = encode_cursor("2000-01-01T00:00:00+00:00", str(UUID(int=0)))
    match subject:
        case "mailouts":
            return {
                "login": "/dashboard/login",
                "mailouts": "/dashboard",
                "none": f"/dashboard?cursor={long_ago}",
                "account": "/dashboard/account",
                "fallback": "/dashboard/fallback",
                "fallback-open": "/dashboard/fallback/open",
                "domain": "/dashboard/domain",
                "standing": "/dashboard/standing",
                "warmup": "/dashboard/warmup",
                "warmup-stop": "/dashboard/warmup/eu-west-1/stop",
                "jobs": "/dashboard/jobs",
                "no-jobs": f"/dashboard/jobs?cursor={long_ago}",
                "pause": staged.page("sending", "/pause"),
                "cancel": staged.page("ready", "/cancel"),
                "resend": staged.page("sent", "/resend"),
                **{state: staged.page(state) for state in staged.mailouts},
            }
        case "writing":
            draft = await staged.arrange.mailout(
                "draft",
                subject="{{ name }}, the winter is here",
                body_html=None,
                body_markdown="# Hello {{ name | default: 'friend' }}\n\nIt snowed.",
            )
            faulty = await staged.arrange.mailout(
                "draft", subject="{{ nome }}", audience={"tags": ["nobody has this"]}
            )
            return {
                "new": "/dashboard/mailouts/new",
                "not-found": "/dashboard?q=nothing+like+this",
                **{
                    f"draft{name}".replace("/", "-"): f"/dashboard/mailouts/{draft}{name}"
                    for name in (
                        "",
                        "/edit",
                        "/audience",
                        "/test",
                        "/preview",
                        "/release",
                        "/delete",
                    )
                },
                **{
                    f"faulty{name}".replace("/", "-"): f"/dashboard/mailouts/{faulty}{name}"
                    for name in ("", "/edit", "/release")
                },
                "recipients": staged.page("sent", "/recipients"),
                "recipients-bounced": staged.page("sent", "/recipients?status=bounced"),
                "recipients-none": staged.page("sent", "/recipients?q=nobody"),
            }
        case "schedules":
            return {
                "schedule": staged.page("ready", "/schedule"),
                **{
                    name: f"/dashboard/mailouts/{mailout}"
                    for name, mailout in staged.schedules.items()
                },
            }
        case "engagement":
            busy = f"/dashboard/mailouts/{staged.engaged['busy']}"
            vienna = staged.segments["used"]
            return {
                "engagement-mailout": busy,
                "engagement-links": f"{busy}/engagement/links",
                "engagement-segment": f"{busy}/engagement?segment={vienna}",
                **{
                    f"engagement-{name}": f"/dashboard/mailouts/{mailout}/engagement"
                    for name, mailout in staged.engaged.items()
                    if name != "busy"
                },
            }
        case "access":
            return {
                "keys": "/dashboard/keys",
                "revoke": f"/dashboard/keys/{await staged.arrange.one(A_KEY)}/revoke",
                "audit": "/dashboard/audit",
                "notion": "/dashboard/notion",
                "slack": "/dashboard/slack",
                "no-audit": "/dashboard/audit?by=nobody&action=mailout.pause",
            }
        case "hooks":
            return {
                "hooks": "/dashboard/hooks",
                "hook-write": "/dashboard/hooks/new",
                **{f"hook-{how}": f"/dashboard/hooks/{hook}" for how, hook in staged.hooks.items()},
                **{
                    f"hook-ask-{act}": f"/dashboard/hooks/{staged.hooks['well']}/{act}"
                    for act in ("change", "test", "rotate", "off", "delete")
                },
                "hook-dead": f"/dashboard/hooks/{staged.hooks['well']}?state=dead",
                "hook-none": f"/dashboard/hooks/{staged.hooks['new']}?state=dead",
            }
        case "templates":
            home = f"/dashboard/templates/{staged.template}"
            fault = await staged.arrange.one("select id from templates where name like '%% fault'")
            return {
                "templates": "/dashboard/templates",
                "template-new": "/dashboard/templates/new",
                "template": home,
                "template-fault": f"/dashboard/templates/{fault}",
                "template-version": f"{home}/versions/1",
                "template-delete": f"{home}/delete",
            }
        case "segments":
            return {
                "segments": "/dashboard/segments",
                "segment-new": "/dashboard/segments/new",
                "segment-delete": f"/dashboard/segments/{staged.segments['lines']}/delete",
                "segment-in-use": f"/dashboard/segments/{staged.segments['used']}/delete",
                "segment-people": f"/dashboard/subscribers?segment={staged.segments['used']}",
                "segment-many": f"/dashboard/subscribers/many?segment={staged.segments['used']}",
                **{
                    f"segment-{name}": f"/dashboard/segments/{segment}"
                    for name, segment in staged.segments.items()
                },
            }
        case "imports":
            return {
                "imports": "/dashboard/imports",
                "import-file": "/dashboard/subscribers/import",
                "import-undo": f"/dashboard/imports/{staged.imports['done']}/undo",
                **{
                    f"import-{state}": f"/dashboard/imports/{import_id}"
                    for state, import_id in staged.imports.items()
                },
            }
        case _:
            return {
                "subscribers": "/dashboard/subscribers",
                "subscribers-found": "/dashboard/subscribers?q=ann&tag=newsletter",
                "subscribers-none": "/dashboard/subscribers?q=nobody",
                "subscribers-many": "/dashboard/subscribers/many?tag=vienna",
                "subscriber-add": "/dashboard/subscribers/add",
                "growth": "/dashboard/subscribers/engagement",
                "why": staged.page("sent", f"/recipients/{staged.person}/why"),
                "why-not": staged.page("paused", f"/recipients/{staged.person}/why"),
                **{
                    f"subscriber{name}".replace(
                        "/", "-"
                    ): f"/dashboard/subscribers/{staged.person}{name}"
                    for name in ("", "/edit", "/status", "/erase")
                },
            }
