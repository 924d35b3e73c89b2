"""Preflight and doctor: does SES track what it should, and nothing else?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.reports.findings import Finding
from app.outside import examine
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.sandbox.ses.sets import OUTCOMES
from app.settings import Settings
from tests.sandbox.support import ses_client, single
from tests.support.factories import Arrange
from tests.support.service import BEARER, in_process, settings_for

TRACKING = "sandbox-tracking"
EVENTS = "http://localhost:8000/ses-events"


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[SandboxServer]:
    """With a subscription, which nobody confirms."""
    config = SandboxConfig(max_send_rate=100_000, max_24h_send=-1, event_endpoint=EVENTS)
    with SandboxServer(config) as server:
        yield server


@pytest.fixture
def sandbox(running_sandbox: SandboxServer) -> SandboxServer:
    running_sandbox.reset()
    return running_sandbox


def about_tracking(findings: list[Finding] | list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Level and text of what speaks of opens, clicks or tracking."""
    rows = [each.to_row() if isinstance(each, Finding) else each for each in findings]
    words = ("track", "opens", "configuration set")
    told = [(row["level"], row["what"]) for row in rows]
    return [(level, what) for level, what in told if any(word in what.lower() for word in words)]


def settings(dsn: str, sandbox: SandboxServer, **changes: str | None) -> Settings:
    tracked = {"SES_TRACKING_CONFIGURATION_SET": TRACKING}
    return settings_for(dsn, sandbox.url, **{**tracked, **changes})


async def told(dsn: str, sandbox: SandboxServer, **changes: str | None) -> str:
    found = await examine(settings(dsn, sandbox, **changes))
    return "\n".join(f"{level} {what}" for level, what in about_tracking(found))


@pytest.mark.short
async def test_doctor_looks_at_both_sets(dsn: str, sandbox: SandboxServer) -> None:
    """The one of tracking sees opens and clicks by https, the other sees none."""
    sandbox.configuration_set(
        TRACKING, custom_redirect_domain="click.example.com", https_policy="REQUIRE"
    )
    good = await told(dsn, sandbox)
    assert "ok The configuration set sandbox publishes every event that we need." in good
    assert "ok The configuration set sandbox-tracking publishes every event that we need." in good
    assert "ok Opens and clicks are seen at https://click.example.com." in good
    assert "warn" not in good

    sandbox.configuration_set(TRACKING, https_policy="REQUIRE_OPEN_ONLY", events=list(OUTCOMES))
    sandbox.configuration_set("sandbox", events=[*OUTCOMES, "CLICK"])
    bad = await told(dsn, sandbox)
    assert "warn The configuration set sandbox-tracking is to track, but does not publish " in bad
    assert "OPEN, CLICK" in bad
    assert "warn The HTTPS policy of the configuration set sandbox-tracking is REQUIRE_O" in bad
    assert "warn The configuration set sandbox has an event destination for clicks, so" in bad

    one = await told(dsn, sandbox, SES_TRACKING_CONFIGURATION_SET="sandbox")
    assert "warn sandbox is SES_CONFIGURATION_SET and SES_TRACKING_CONFIGURATION_SET" in one
    gone = await told(dsn, sandbox, SES_TRACKING_CONFIGURATION_SET="gone")
    assert "fail There is no configuration set gone" in gone


async def test_an_account_that_tracks_by_itself_is_named(dsn: str, sandbox: SandboxServer) -> None:
    """Its manager changes the links of every mail, unless the set says no."""
    sandbox.account(engagement_metrics="DISABLED")
    assert "Virtual Deliverability Manager" not in await told(dsn, sandbox)
    sandbox.account(engagement_metrics="ENABLED")
    assert "warn The Virtual Deliverability Manager of the account" in await told(dsn, sandbox)
    sandbox.configuration_set("sandbox", engagement_metrics="DISABLED")
    assert "Virtual Deliverability Manager" not in await told(dsn, sandbox)
    sandbox.account(engagement_metrics="DISABLED")
    sandbox.configuration_set("sandbox", engagement_metrics="ENABLED")
    found = await told(dsn, sandbox)
    assert "warn The Virtual Deliverability Manager of the configuration set sandbox" in found


async def test_an_identity_that_tracks_what_names_no_set_is_named(dsn: str) -> None:
    """Mails that ask to confirm a sign-up, and those to the owner, name none."""
    with SandboxServer(SandboxConfig(default_set=TRACKING)) as server:
        found = await told(dsn, server)
        sent = ses_client(server.url).send_email(**single())
        assert server.mail(sent["MessageId"])["configuration_set"] == TRACKING
    assert f"warn {TRACKING} is the default configuration set of" in found


async def test_preflight_looks_at_the_set_that_the_mailout_uses(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    sandbox.account(engagement_metrics="ENABLED")
    await arrange.subscribers(1)
    mailouts = {
        "tracked": await arrange.mailout(tracking=True),
        "plain": await arrange.mailout(),
        "own": await arrange.mailout(configuration_set=TRACKING),
    }
    found: dict[str, str] = {}
    async with in_process(settings(dsn, sandbox), with_sender=False) as service:
        for name, mailout in mailouts.items():
            answer = await service.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
            rows = about_tracking(answer.raise_for_status().json()["findings"])
            found[name] = "\n".join(f"{level} {what}" for level, what in rows)
    assert "warn Links in mails of the configuration set sandbox-tracking lead" in found["tracked"]
    assert "Virtual Deliverability" not in found["tracked"]
    assert "set sandbox " not in found["tracked"]
    assert "warn The Virtual Deliverability Manager of the account" in found["plain"]
    assert TRACKING not in found["plain"]
    assert f"warn The configuration set {TRACKING} has an event destination" in found["own"]
