"""What every page shows of the service around it: in which zone it tells times, and whether its
mail reaches people at all."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from app.domain.networks import LOCAL_HOSTS
from app.settings import Settings

AMAZON = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".on.aws")
"""How the hosts of AWS's endpoints end, those of a private network (VPC) too."""


@dataclass(frozen=True)
class Rehearsal:
    """Mail that nobody gets. inbox: where the sandbox shows it; None: there is no such page."""

    words: str
    inbox: str | None = None


@dataclass(frozen=True)
class Around:
    zone: ZoneInfo
    rehearsal: Rehearsal | None


AROUND: ContextVar[Around] = ContextVar("around")
"""Of the service whose page is being made: several may run in one process (tests)."""


def around(settings: Settings) -> Around:
    return Around(ZoneInfo(settings.timezone), rehearsal(settings))


def rehearsal(settings: Settings) -> Rehearsal | None:
    """Why no mail reaches anybody; None where it does."""
    if settings.dry_run_send:
        return Rehearsal("DRY_RUN_SEND is on: sending is only rehearsed, and no mail leaves.")
    endpoint = settings.home.endpoint_url
    host = urlsplit(endpoint or "").hostname or ""
    if not host or host.endswith(AMAZON):
        return None
    if host in LOCAL_HOSTS:
        return Rehearsal("Practice: nothing leaves this machine.", endpoint)
    return Rehearsal(f"Mail goes to {host}, not to Amazon SES: nobody may get it.")
