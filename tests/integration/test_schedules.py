"""Schedules over HTTP, with real senders, and with senders that die at the wrong moment."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from app.sandbox.server import SandboxServer
from app.store import Store
from tests.integration.test_sending import finished
from tests.support.factories import Arrange, start
from tests.support.reads import reader
from tests.support.schedules import HOUR, in_hours, passes, schedule
from tests.support.service import BEARER, Service, command, environment, in_process, settings_for
from tests.support.waiting import eventually

SUNDAY = 6


async def ask(service: Service, mailout: UUID, **body: Any) -> httpx.Response:
    return await service.http.post(f"/mailouts/{mailout}/schedule", json=body, headers=BEARER)


async def take_back(service: Service, mailout: UUID) -> httpx.Response:
    return await service.http.delete(f"/mailouts/{mailout}/schedule", headers=BEARER)


async def test_a_schedule_is_made_repeated_and_taken_back(front: Service, arrange: Arrange) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    wish = {"at": in_hours(50), "zone": "europe/berlin"}
    made = (await ask(front, mailout, **wish)).json()
    assert (made["status"], made["recipients"], made["skipped"]) == ("scheduled", 3, 0)
    assert made["schedule"] == wish | {"zone": "Europe/Berlin"}
    [wave] = made["waves"]
    assert (wave["at"], wave["zones"], wave["recipients"], wave["done"]) == (
        made["scheduled_at"], ["Europe/Berlin"], 3, 0,
    )  # fmt: skip
    again = await ask(front, mailout, **wish)
    assert (again.status_code, again.json()["waves"]) == (200, made["waves"])
    other = await ask(front, mailout, at=in_hours(60))
    assert (other.status_code, other.json()["code"]) == (409, "transition_not_allowed")
    started = await front.send(mailout)
    assert (started.status_code, started.json()["mailout_status"]) == (409, "scheduled")
    shown = await front.show(mailout)
    assert (shown["waves"], shown["schedule"]) == (made["waves"], made["schedule"])
    read = await front.http.get(f"/mailouts/{mailout}", headers=BEARER)
    headers = BEARER | {"If-Match": read.headers["etag"]}
    address = f"/mailouts/{mailout}"
    edited = await front.http.patch(address, json={"subject": "Later"}, headers=headers)
    assert edited.status_code == 409

    for _ in range(2):  # a repeat changes nothing
        back = await take_back(front, mailout)
        assert (back.status_code, back.json()["status"]) == (200, "ready")
    shown = await front.show(mailout)
    assert (shown["waves"], shown["scheduled_at"]) == ([], None)
    audit = (await front.http.get("/audit", headers=BEARER)).json()["items"]
    assert [entry["action"] for entry in audit] == ["mailout.unschedule", "mailout.schedule"]


async def test_each_recipients_own_time_is_planned(front: Service, arrange: Arrange) -> None:
    for zone in ("Asia/Tokyo", "Asia/Tokyo", "America/New_York", None, "Middle/Earth"):
        await arrange.subscriber(timezone=zone)
    mailout = await arrange.mailout()
    wish = {"zone": "recipient", "fallback": "UTC", "passed": "next_day"}
    made = (await ask(front, mailout, at=in_hours(40), **wish)).json()
    assert [(w["zones"], w["recipients"], w["unknown"]) for w in made["waves"]] == [
        (["Asia/Tokyo"], 2, 0), ([], 2, 2), (["America/New_York"], 1, 0),
    ]  # fmt: skip
    assert made["scheduled_at"] == made["waves"][0]["at"]


class TestRefused:
    """Nothing is changed then, and the answer names the field and the remedy."""

    @pytest.mark.few_variants(3)
    @pytest.mark.parametrize(
        ("body", "field", "words"),
        [
            ({"at": "2020-01-01T09:00"}, "at", "has passed"),
            ({"at": "2020-01-01T09:00", "zone": "recipient"}, "at", "has passed"),
            ({"at": in_hours(24 * 400)}, "at", "more than a year"),
            ({"at": "2027-02-30T09:00"}, "at", "2026-12-01T09:00"),
            ({"at": "2027-02-03T09:00+01:00"}, "at", "without an offset"),
            ({"at": in_hours(9), "zone": "Mars/Phobos"}, "zone", "no time zone"),
            ({"at": in_hours(9), "zone": "recipient", "fallback": "Berlin"}, "fallback",
             "Did you mean Europe/Berlin?"),
            ({"at": in_hours(9), "zone": "UTC", "passed": "skip"}, "passed", "recipient"),
            ({"at": in_hours(9), "zone": "UTC", "passed": "never"}, None, "passed"),
            ({}, None, "at"),
            ({"at": in_hours(9), "when": "now"}, None, "when"),
        ],
    )  # fmt: skip
    async def test_what_cannot_be(
        self, front: Service, arrange: Arrange, body: dict[str, str], field: str | None, words: str
    ) -> None:
        await arrange.subscriber()
        mailout = await arrange.mailout()
        answer = await ask(front, mailout, **body)
        assert answer.status_code == 422
        assert words in answer.text
        assert field is None or answer.json()["field"] == field
        assert (await front.show(mailout))["status"] == "ready"

    async def test_what_could_not_be_started(self, front: Service, arrange: Arrange) -> None:
        nobody = await ask(front, await arrange.mailout(), at=in_hours(9))
        assert (nobody.status_code, nobody.json()["code"]) == (409, "audience_empty")
        await arrange.subscriber()
        draft = await ask(front, await arrange.mailout("draft"), at=in_hours(9))
        assert (draft.status_code, draft.json()["code"]) == (409, "mailout_not_ready")
        broken = await ask(front, await arrange.mailout(body_html="{{ nme }}"), at=in_hours(9))
        assert (broken.status_code, broken.json()["code"]) == (409, "template_invalid")
        unknown = await ask(front, UUID(int=1), at=in_hours(9))
        assert unknown.status_code == 404
        canary = psycopg.types.json.Jsonb({"share": 0.1, "wait": "5m"})
        mailout = await arrange.mailout(canary=canary)
        own_time = await ask(front, mailout, at=in_hours(9), zone="recipient")
        assert own_time.status_code == 422 and "canary" in own_time.text
        sent = await arrange.mailout("sent")
        assert (await take_back(front, sent)).status_code == 409
        assert (await take_back(front, UUID(int=1))).status_code == 404


@pytest.mark.short
async def test_two_services_send_it_once(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """One mailout for all at once and one in waves, with two senders that wait for the hour."""
    for zone in ("Asia/Tokyo", "Europe/Berlin", None):
        await arrange.subscriber(timezone=zone)
    at_once, waves = [await arrange.mailout(subject=s) for s in ("At once", "In waves")]
    settings = settings_for(dsn, sandbox.url)
    async with in_process(settings) as service, in_process(settings):
        assert (await ask(service, at_once, at=in_hours(5), zone="UTC")).status_code == 200
        wish = {"zone": "recipient", "fallback": "UTC"}
        assert (await ask(service, waves, at=in_hours(30), **wish)).status_code == 200
        await passes(arrange, 5 * HOUR)
        await finished(service, at_once)
        await passes(arrange, timedelta(hours=16, minutes=1))  # in Tokyo it is time

        async def mailed(wave: int) -> bool:
            shown = await service.show(waves)
            return len(shown["waves"]) == 3 and bool(shown["waves"][wave]["done"])

        await eventually(lambda: mailed(0), until=bool)
        shown = await service.show(waves)
        assert (shown["status"], shown["counts"]["queued"]) == ("sending", 2)
        await passes(arrange, 8 * HOUR)
        await eventually(lambda: mailed(1), until=bool)
        await passes(arrange, HOUR)
        await finished(service, waves)
    assert Counter(mail["subject"] for mail in sandbox.mails()) == {"At once": 3, "In waves": 3}


async def test_a_rehearsing_service_schedules_and_starts_nothing(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
) -> None:
    await arrange.subscriber()
    mailout, due = await arrange.mailout(), await arrange.mailout()
    await schedule(direct_store, due, {"at": in_hours(1)})
    await passes(arrange, HOUR)
    assert (await direct_store.start_due_mailouts(start=False))["started"] is None
    async with in_process(settings_for(dsn, sandbox.url, DRY_RUN_SEND="true")) as service:
        answer = await ask(service, mailout, at=in_hours(9))
        assert (answer.status_code, answer.json()["dry_run"]) == (202, True)
        report = answer.headers["location"]

        async def rehearsed() -> bool:
            shown = await service.http.get(report, headers=BEARER)
            return bool(shown.json().get("state") == "done")

        await eventually(rehearsed, until=bool)
        assert (await service.show(mailout))["status"] == "ready"
        assert (await service.show(due))["status"] == "scheduled"
    assert sandbox.mails() == []


async def test_a_sender_that_dies_at_the_start_leaves_it_to_others(
    dsn: str, direct_store: Store, arrange: Arrange
) -> None:
    """Killed before the start is committed, nothing has started; right after it, others queue."""
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await schedule(direct_store, mailout, {"at": in_hours(1)})
    await passes(arrange, HOUR)
    async with await psycopg.AsyncConnection.connect(dsn) as doomed:
        begun = await (await doomed.execute("select start_due_mailouts()")).fetchone()
        assert begun is not None and begun[0]["started"] == str(mailout)
        # Meanwhile another one finds nothing to do, and doesn't wait.
        assert (await direct_store.start_due_mailouts())["started"] is None
        await arrange.sql.execute("select pg_terminate_backend(%s)", [doomed.info.backend_pid])
        await doomed.close()

    async def started() -> bool:
        return bool((await direct_store.start_due_mailouts())["started"])

    await eventually(started, until=bool)  # once the dead one's locks are gone
    assert (await direct_store.start_due_mailouts())["started"] is None
    work = await direct_store.sender_work()
    assert work.queueing == (mailout,)
    assert await direct_store.queue_recipients(mailout, 1_000) == (1, True)


async def test_nobody_reads_past_those_who_wait(
    dsn: str, direct_store: Store, arrange: Arrange
) -> None:
    """While thousands wait for a later wave, a claim costs what it claims, and an ordinary mailout
    beside them reads no more than ever."""
    await arrange.sql.execute(
        "insert into subscribers (email, timezone, created_at) "
        "select 'r' || n || '@example.com', case when n <= 40 then 'Asia/Tokyo' else 'UTC' end, "
        "now() - interval '1 day' from generate_series(1, 4000) n"
    )
    waves = await arrange.mailout()
    await schedule(direct_store, waves, {"at": in_hours(30), "zone": "recipient"})
    await passes(arrange, timedelta(hours=21, minutes=1))
    await direct_store.start_due_mailouts()
    while not (await direct_store.queue_recipients(waves, 5_000))[1]:
        pass
    ordinary = await arrange.mailout()
    await start(direct_store, ordinary)
    sender = str(UUID(int=7))
    await direct_store.heartbeat(
        UUID(sender), region="us-east-1", label="x", lease_seconds=600, rate_limit=1e6
    )
    await arrange.sql.execute("update send_rates set rate = 1000000")
    arguments: dict[str, Any] = {
        "p_executor": sender, "p_region": "us-east-1", "p_limit": 50, "p_test": False,
        "p_bounce_rate": 1, "p_complaint_rate": 1,
    }  # fmt: skip
    async with reader(dsn) as connection:
        read = {}
        for number, (name, mailout) in enumerate(
            [("a wave", waves), ("nothing due", waves), ("ordinary", ordinary)]
        ):
            answer, rows = await connection.call(
                "claim_recipients", p_mailout=str(mailout), p_after=0,
                p_attempts=[str(UUID(int=100 + number))], **arguments,
            )  # fmt: skip
            read[name] = rows
            if name == "nothing due":
                assert answer == {"reason": "ahead"}
            else:
                assert len(answer["ids"]) == (40 if name == "a wave" else 50)
        for name, arguments in (
            ("start_due_mailouts", {}), ("sender_work", {}), ("show_mailout", {"p_mailout": waves}),
            ("mailout_waves", {"p_mailout": waves}), ("finish_mailout", {"p_mailout": waves}),
        ):  # fmt: skip
            arguments = {key: str(value) for key, value in arguments.items()}
            _, read[name] = await connection.call(name, **arguments)
    assert read.pop("mailout_waves") < 3_000  # six hundred zones
    assert {name: rows for name, rows in read.items() if rows > 250} == {}


@pytest.mark.short
async def test_the_commands(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, tmp_path: Path
) -> None:
    for zone in ("Asia/Tokyo", "UTC", "Atlantis"):
        await arrange.subscriber(timezone=zone)
    mailout = await arrange.mailout()

    def run(name: str, *arguments: str, expect: int = 0) -> str:
        variables = environment(dsn, sandbox.url, TIMEZONE="Europe/Vienna")
        done = command(tmp_path, variables, "mailouts", name, str(mailout), *arguments)
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr

    refused = run("schedule", "--at", in_hours(9), "--zone", "Wien", expect=1)
    assert "zone: Wien is no time zone" in refused
    made = run("schedule", "--at", in_hours(40), "--zone", "recipient", "--fallback", "utc")
    assert "is scheduled for 3 recipients" in made
    assert "1  Asia/Tokyo" in made and "2  UTC" in made
    assert "1 of them have no zone that is known" in made
    assert "is ready, without a schedule" in run("unschedule")
    day, zone = next_spring()
    made = run("schedule", "--at", f"{day}T02:30", "--zone", zone)
    assert f"02:30 doesn't exist on {day} in {zone}: it goes at 03:00." in made


def next_spring() -> tuple[date, str]:
    """The next day on which an hour is left out, and where: north or south."""
    day = datetime.now(UTC).date() + timedelta(days=2)
    while True:
        if day.weekday() == SUNDAY and day.month == 3 and day.day >= 25:
            return day, "Europe/Vienna"
        if day.weekday() == SUNDAY and day.month == 10 and day.day <= 7:
            return day, "Australia/Sydney"
        day += timedelta(days=1)
