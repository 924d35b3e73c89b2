"""A rehearsal of the whole audience: nothing is sent, nothing changes, everything is told."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.sandbox.server import SandboxServer
from app.services.rendering.rehearse import rehearse as really_rehearse
from app.services.starting import dry_run
from app.services.starting.dry_run import daily_parts
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account
from tests.support.service import (
    BEARER,
    Service,
    command,
    environment,
    in_process,
    settings_for,
)
from tests.support.waiting import eventually


async def report(
    service: Service, mailout: UUID, *states: str, seconds: float = 20
) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        answer = await service.http.get(f"/mailouts/{mailout}/dry-run", headers=BEARER)
        found: dict[str, Any] = answer.json()
        return found

    wanted = states or ("done",)
    return await eventually(look, until=lambda r: r.get("state") in wanted, seconds=seconds)


async def rehearse(service: Service, mailout: UUID) -> dict[str, Any]:
    answer = await service.send(mailout, dry_run=True)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/mailouts/{mailout}/dry-run"
    return await report(service, mailout)


async def test_everybody_is_accounted_for_and_nothing_is_sent(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(1_100)  # more than two pages
    await arrange.unusable_subscriber("bad address")
    for status in ("unsubscribed", "bounced", "complained"):
        await arrange.subscriber(status=status)
    mailout = await arrange.mailout(subject="Hi {{ name }}")
    done = await rehearse(service, mailout)
    assert (done["audience"], done["recipients"]) == (1_104, 1_100)
    assert done["skipped"] == {
        "unsubscribed": 1,
        "bounced": 1,
        "complained": 1,
        "invalid_address": 1,
    }
    assert [each["email"] for each in done["problems"]] == ["bad address"]
    assert len(done["samples"]) == 3
    assert done["samples"][0]["subject"].startswith("Hi Reader ")
    assert "1 Street, Town" in done["samples"][0]["text"]
    assert (await service.show(mailout))["status"] == "ready"
    assert await arrange.one("select count(*) from send_logs") == 0
    assert sandbox.accepted() == []
    # The rehearsal changed nothing: the show can go on.
    assert (await service.send(mailout)).status_code == 202


async def test_what_the_template_shows_and_somebody_lacks_is_a_problem(
    service: Service, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com", name="Ann", fields={"city": "Rome"})
    await arrange.subscriber("bob@example.com", name="Bob")
    await arrange.subscriber("eve@example.com", name="")
    mailout = await arrange.mailout(
        subject="{{ name }}", body_html="<p>{{ fields.city }} {{ fields.nick | default: 'x' }}</p>"
    )
    done = await rehearse(service, mailout)
    assert done["recipients"] == 3
    assert {each["email"]: each["problem"] for each in done["problems"]} == {
        "bob@example.com": "Missing and shown as nothing: fields.city. Give a default.",
        "eve@example.com": "Missing and shown as nothing: fields.city, name. Give a default.",
    }
    assert done["problem_kinds"] == {"fields.city is missing": 2, "name is missing": 1}
    assert done["problems_total"] == 2


async def test_problems_are_listed_up_to_a_bound_and_counted_beyond(
    service: Service, arrange: Arrange
) -> None:
    await arrange.subscribers(130)
    mailout = await arrange.mailout(body_html="<p>{{ fields.city }}</p>")
    done = await rehearse(service, mailout)
    assert len(done["problems"]) == 100
    assert done["problems_total"] == 130
    assert done["problem_kinds"] == {"fields.city is missing": 130}


async def test_data_that_the_template_stumbles_over_are_a_problem(
    service: Service, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com", fields={"n": 0})
    await arrange.subscriber("bob@example.com", fields={"n": 2})
    mailout = await arrange.mailout(body_html="<p>{{ 6 | divided_by: fields.n }}</p>")
    done = await rehearse(service, mailout)
    assert (done["recipients"], done["skipped"]) == (1, {"render_error": 1})
    assert done["problems"][0]["email"] == "ann@example.com"


async def test_sizes_tell_whom_gmail_would_clip(service: Service, arrange: Arrange) -> None:
    await arrange.subscriber("long@example.com", fields={"story": "é" * 51_000})
    await arrange.subscriber("short@example.com", fields={"story": "é"})
    mailout = await arrange.mailout(body_html="<p>{{ fields.story }}</p>")
    sizes = (await rehearse(service, mailout))["sizes"]
    assert sizes["over_gmail_clip"] == 1
    assert 102_000 < sizes["largest_html_bytes"] < 106_000
    assert sizes["largest_message_bytes"] > 204_000


async def test_quota_duration_and_cost(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
) -> None:
    """A new account: 200 a day, one a second at nine tenths."""
    await arrange.subscribers(500)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url, RATE_LIMIT_PER_SEC=None)
    async with in_process(settings) as service:
        # What the sender itself asks at its start comes first.
        await eventually(lambda: arrange.one("select account from send_rates"), until=bool)
        account = an_account(max_send_rate=1, max_24h_send=200, sent_last_24h=50)
        await direct_store.record_account(REGION, account)
        done = await rehearse(service, mailout)
    assert (done["quota"], done["daily_quota"], done["rate"]) == (150, 200, 0.9)
    assert done["parts"] == [150, 200, 150]
    assert done["days"] == 3
    assert done["seconds"] == pytest.approx(2 * 86_400 + 150 / 0.9, abs=1)
    assert done["cost"] == {"amount": 0.05, "currency": "USD", "per_1000": 0.1}


async def test_an_account_nobody_asked_is_not_guessed(
    direct_store: Store, arrange: Arrange
) -> None:
    assert await direct_store.send_outlook([REGION], None, 500) == {}
    await direct_store.record_account(REGION, an_account(max_24h_send=200, sent_last_24h=200))
    full = await direct_store.send_outlook([REGION], 10, 100)
    assert (full["quota_left"], full["days"], full["seconds"]) == (0, 1, 86_400 + 10)
    await arrange.sql.execute("update send_rates set account_checked_at = now() - interval '2 d'")
    assert await direct_store.send_outlook([REGION], 10, 100) == {"rate": 10, "seconds": 10}


def test_parts_of_days() -> None:
    assert daily_parts(500, 150, 200) == [150, 200, 150]
    assert daily_parts(500, 0, 200) == [200, 200, 100]
    assert daily_parts(500, 900, 1_000) == [500]
    assert daily_parts(500, None, None) == [500]
    assert daily_parts(0, 10, 10) == []
    assert len(daily_parts(1_000_000, 1, 1)) == 10


@pytest.mark.short
async def test_a_mailout_of_any_state_may_be_rehearsed(service: Service, arrange: Arrange) -> None:
    for status in ("draft", "sent"):
        mailout = await arrange.mailout(status)
        assert (await rehearse(service, mailout))["state"] == "done"
        assert (await service.show(mailout))["status"] == status


async def test_what_cannot_be_rehearsed_is_refused_like_a_send(
    service: Service, arrange: Arrange
) -> None:
    assert (await service.send(uuid4(), dry_run=True)).status_code == 404
    broken = await arrange.mailout(subject="{{ nope }}")
    assert (await service.send(broken, dry_run=True)).json()["code"] == "template_invalid"
    never = await service.http.get(f"/mailouts/{broken}/dry-run", headers=BEARER)
    assert never.status_code == 404


async def test_every_request_becomes_a_dry_run_when_the_setting_says_so(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """In our form, as a test, and in Notion's."""
    await arrange.subscribers(2)
    page = uuid4()
    mailout = await arrange.mailout(notion_page_id=page.hex)
    notion = {"source": {"type": "automation", "event_id": "e"}, "data": {"id": str(page)}}
    async with in_process(settings_for(dsn, sandbox.url, DRY_RUN_SEND="true")) as service:
        answers = [
            await service.send(mailout),
            await service.send(mailout, test=True),
            await service.http.post("/send-mailout", json=notion, headers=BEARER),
        ]
        for answer in answers:
            assert answer.status_code == 202
            assert answer.json()["dry_run"] is True
            assert answer.headers["location"].endswith("/dry-run")
        await report(service, mailout)
        assert (await service.show(mailout))["status"] == "ready"
    assert sandbox.accepted() == []


class HeldStore(Store):
    """Its second page of an audience comes when it is let go."""

    held: asyncio.Event

    async def audience_slice(
        self, mailout_id: UUID, after: UUID, limit: int
    ) -> tuple[list[dict[str, Any]], UUID | None]:
        if after != UUID(int=0):
            await self.held.wait()
        return await super().audience_slice(mailout_id, after, limit)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Dry runs stop after their first page of ten until it is set."""
    event = asyncio.Event()
    HeldStore.held = event
    monkeypatch.setattr("app.working.Store", HeldStore)
    monkeypatch.setattr(dry_run, "PAGE", 10)
    monkeypatch.setattr(dry_run, "SAVE_SECONDS", -1.0)
    return event


async def test_progress_is_shown_meanwhile_by_any_process(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, held: asyncio.Event
) -> None:
    """One process takes the request, one does the work, and either shows it."""
    await arrange.subscribers(25)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url)
    async with (
        in_process(settings, with_sender=False) as web,
        in_process(settings) as work,
    ):
        await web.send(mailout, dry_run=True)

        async def look() -> dict[str, Any]:
            return await report(web, mailout, "running", "done")

        halfway = await eventually(look, until=lambda r: r.get("rendered"))
        assert (halfway["state"], halfway["recipients"], halfway["rendered"]) == ("running", 25, 10)
        held.set()
        assert (await report(web, mailout))["recipients"] == 25
        assert (await report(work, mailout))["recipients"] == 25


@pytest.mark.short
async def test_a_dry_run_waits_for_a_process_that_does_the_work(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """However long that takes: it isn't called interrupted."""
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url)
    async with in_process(settings, with_sender=False) as web:
        await web.send(mailout, dry_run=True)
        await arrange.sql.execute("update dry_runs set updated_at = now() - interval '2 minutes'")
        assert (await report(web, mailout, "running"))["rendered"] == 0
        async with in_process(settings):
            assert (await report(web, mailout))["recipients"] == 3


async def test_a_run_that_nobody_does_any_more_is_interrupted(
    service: Service, direct_store: Store, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    await direct_store.begin_dry_run(mailout, uuid4(), {"state": "running", "recipients": 9})
    assert (await report(service, mailout, "running"))["recipients"] == 9
    await arrange.sql.execute("update dry_runs set updated_at = now() - interval '2 minutes'")
    gone = await report(service, mailout, "interrupted")
    assert "start it again" in gone["detail"]


@pytest.mark.short
async def test_another_process_takes_over_from_one_that_was_stopped(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, held: asyncio.Event
) -> None:
    await arrange.subscribers(25)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url)
    async with in_process(settings) as stopped:
        await stopped.send(mailout, dry_run=True)
        await eventually(
            lambda: report(stopped, mailout, "running"), until=lambda r: r.get("rendered")
        )
    held.set()
    async with in_process(settings) as next_one:
        assert (await report(next_one, mailout))["recipients"] == 25


@pytest.mark.short
async def test_a_new_run_takes_the_place_of_one_elsewhere(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, held: asyncio.Event
) -> None:
    """The older one ends silently and never overwrites the newer one's report."""
    await arrange.subscribers(25)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout, dry_run=True)
        await arrange.subscriber("late@example.com")
        await service.send(mailout, dry_run=True)
        held.set()
        assert (await report(service, mailout))["recipients"] == 26

        async def open_jobs() -> Any:
            return await arrange.one("select count(*) from jobs where state <> 'done'")

        await eventually(open_jobs, until=lambda n: n == 0)
        assert (await report(service, mailout))["recipients"] == 26


@pytest.mark.short
async def test_requests_are_answered_while_a_dry_run_renders(
    service: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering, answered = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> None:
        rendering.set()
        assert answered.wait(20), "it renders where requests are answered"
        really_rehearse(*arguments)

    monkeypatch.setattr(dry_run, "rehearse", slow)
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    await service.send(mailout, dry_run=True)
    assert await asyncio.to_thread(rendering.wait, 20)
    assert (await service.http.get("/health/live")).status_code == 200
    answered.set()
    assert (await report(service, mailout))["recipients"] == 3


@pytest.mark.short
async def test_the_command_prints_it_for_people(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, tmp_path: Path
) -> None:
    await arrange.subscribers(3)
    await arrange.subscriber("left@example.com", status="unsubscribed")
    mailout = await arrange.mailout(subject="Hi {{ name }}", body_html="<p>{{ fields.city }}</p>")
    variables = environment(dsn, sandbox.url, RATE_LIMIT_PER_SEC="10")
    done = await asyncio.to_thread(command, tmp_path, variables, "send", str(mailout), "--dry-run")
    assert done.returncode == 0, done.stderr
    for words in (
        "Nothing was sent",
        "recipients  3",
        "skipped     1 unsubscribed",
        "about 1 second at 10 a second",
        "no daily limit",
        "about 0.00 USD",
        "3 × fields.city is missing",
        "subject     Hi Reader ",
        "1 Street, Town",
    ):
        assert words in done.stdout, done.stdout
    assert sandbox.accepted() == []
