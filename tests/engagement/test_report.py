"""The report of one mailout: people per class, told as ranges."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.api.readership.shown import OF_MAILOUT
from app.cli.mailouts.engagement import _lines
from app.domain.engagement.providers import provider_of
from app.domain.engagement.report import Sample, by_provider, margin, span
from app.domain.engagement.words import people_range, share_range
from app.services.drafts.subjects import Subjects
from app.services.engagement import files, reports
from app.services.engagement.reports import EngagementReports
from app.store import Store
from tests.engagement.conftest import Readership
from tests.support.factories import Arrange
from tests.support.judged import STARTED, Tracked, tracked
from tests.support.service import command, environment

SPRING, SALE, LEAVE = (
    "https://example.com/spring",
    "https://example.com/sale",
    "https://x.example/u",
)


async def letter(arrange: Arrange) -> Tracked:
    """Sent to ten, of whom eight got it; six did something."""
    mailout = await tracked(arrange)
    for position, (url, place) in enumerate([(SPRING, "body"), (SALE, "body"), (LEAVE, "footer")]):
        await mailout.link(url, position, place)
    await mailout.link("https://example.com/=elsewhere")
    await mailout.reader(
        "ann@gmail.com", opened="human", clicked=[(SPRING, "human"), (SALE, "machine")],
        tags=["vienna"], events=3,
    )  # fmt: skip
    await mailout.reader("bob@googlemail.com", opened="human", after=timedelta(hours=3))
    await mailout.reader(
        "cem@icloud.com", opened="unknown", tags=["vienna"], reasons={"unknown": "apple_relay"}
    )
    await mailout.reader(
        "dan@corp.example", opened="machine", after=timedelta(0),
        clicked=[(SPRING, "machine"), (SALE, "machine")], reasons={"machine": "protection"},
    )  # fmt: skip
    await mailout.reader(
        "eva@corp.example", opened="unknown", clicked=[(SPRING, "unknown")],
        after=timedelta(days=4, hours=1),
    )  # fmt: skip
    await mailout.reader("fay@gmx.de", waits=True)
    for name in ("gil", "hal"):
        await mailout.reader(f"{name}@gmail.com")
    await mailout.reader("ida@gmail.com", status="bounced")
    await mailout.reader("jon@gmail.com", status="failed")
    return mailout


def report_of(store: Store) -> EngagementReports:
    return EngagementReports(store, Subjects(store))


async def test_people_are_counted_once_by_class(store: Store, arrange: Arrange) -> None:
    report = await report_of(store)((await letter(arrange)).id)
    assert report["tracking"] is True
    assert report["tracked"] == 8  # neither the bounced nor the failed one
    assert report["opens"] == {"human": 2, "machine": 1, "unknown": 2}
    assert report["clicks"] == {"human": 1, "machine": 1, "unknown": 1}
    assert report["readers"] == {"human": 2, "machine": 1, "unknown": 2}
    assert report["waiting"] == 1
    assert report["range"]["opens"] == {
        "low": 2, "high": 4, "low_rate": 0.25, "high_rate": 0.5,
    }  # fmt: skip
    assert report["no_rate"] is None and report["partial"] is False
    assert report["rules"]["judged"] == [{"rules": 1, "people": 5}]


async def test_links_stand_in_the_order_of_the_document_clicked_or_not(
    store: Store, arrange: Arrange
) -> None:
    report = await report_of(store)((await letter(arrange)).id)
    assert [
        (one["url"], one["place"], one["human"], one["machine"], one["unknown"], one["events"])
        for one in report["links"]
    ] == [
        (SPRING, "body", 1, 1, 1, 5),
        (SALE, "body", 0, 2, 0, 4),
        (LEAVE, "footer", 0, 0, 0, 0),
        ("https://example.com/=elsewhere", None, 0, 0, 0, 0),
    ]


async def test_it_tells_when_why_and_whose_mailboxes(store: Store, arrange: Arrange) -> None:
    report = await report_of(store)((await letter(arrange)).id)
    assert report["over_time"]["start"] == "2026-11-20T09:00:00+00:00"
    assert [
        (one["at"][8:13], one["step"], one["class"], one["people"], one["events"])
        for one in report["over_time"]["points"]
        if one["kind"] == "open"
    ] == [
        ("20T09", "hour", "machine", 1, 1),
        ("20T10", "hour", "human", 1, 3),
        ("20T10", "hour", "unknown", 1, 1),
        ("20T12", "hour", "human", 1, 1),
        ("24T09", "day", "unknown", 1, 1),
    ]
    found = {
        (one["kind"], one["class"], one["reason"]): (one["people"], one["events"], one["words"])
        for one in report["reasons"]
    }
    people, events, words = found["click", "machine", "protection"]
    assert (people, events) == (1, 2)
    assert "Microsoft" in words
    assert found["open", "unknown", "apple_relay"][0] == 1
    # What is too rare for a rate is told together.
    assert [
        (one["provider"], one["tracked"], one["opens"]["human"]) for one in report["providers"]
    ] == [("Other", 8, 2)]
    assert [(one["tag"], one["tracked"], one["range"]["opens"]) for one in report["tags"]] == [
        ("vienna", 2, {"low": 1, "high": 2, "low_rate": None, "high_rate": None})
    ]


async def test_it_is_compared_with_tracked_mailouts_before_it(
    store: Store, arrange: Arrange
) -> None:
    before = await tracked(arrange, subject="October", started_at=STARTED - timedelta(days=30))
    for n in range(5):
        await before.reader(f"oct{n}@example.com", opened="human" if n < 2 else None)
    await tracked(arrange, subject="Untracked", tracking=False, started_at=STARTED - timedelta(1))
    await tracked(arrange, subject="Later", started_at=STARTED + timedelta(1))
    report = await report_of(store)((await letter(arrange)).id)
    assert [
        (one["subject"], one["tracked"], one["range"]["opens"]) for one in report["earlier"]
    ] == [("October", 5, {"low": 2, "high": 2, "low_rate": 0.4, "high_rate": 0.4})]


async def test_a_segment_is_told_apart(store: Store, arrange: Arrange) -> None:
    mailout = await letter(arrange)
    segment = UUID(
        (await store.save_segment(None, "Vienna", {"tags": ["vienna"]}, "me"))["segment"]["id"]
    )
    found = (await report_of(store)(mailout.id, segment))["segment"]
    assert (found["name"], found["tracked"], found["estimated"]) == ("Vienna", 2, False)
    assert found["opens"] == {"human": 1, "machine": 0, "unknown": 1}
    nobody = UUID((await store.save_segment(None, "None", {"tags": ["no"]}, "me"))["segment"]["id"])
    assert (await report_of(store)(mailout.id, nobody))["segment"]["tracked"] == 0


async def long_letter(arrange: Arrange, readers: int = 60) -> Tracked:
    mailout = await tracked(arrange)
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status) "
        "select %s, gen_random_uuid(), n || '@gmail.com', 'delivered' "
        "from generate_series(1, %s) n",
        [mailout.id, readers],
    )
    return mailout


async def test_a_long_ledger_is_broken_down_by_a_sample(
    store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups are told as large as they are in the whole, and how exactly."""
    monkeypatch.setattr(reports, "SAMPLE", 20)
    monkeypatch.setattr(reports, "SLICE", 10)
    mailout = await long_letter(arrange)
    report = await report_of(store)(mailout.id)
    assert (report["estimated"], report["looked_at"]) == (True, 20)
    assert report["within"] == margin(20, 60)
    [gmail] = report["providers"]
    assert (gmail["provider"], gmail["tracked"]) == ("Gmail", 60)


async def test_who_is_in_a_hurry_gets_the_first_slice_and_then_the_sample(
    store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "SAMPLE", 40)
    monkeypatch.setattr(reports, "SLICE", 10)
    mailout, find = await long_letter(arrange), report_of(store)
    quick = await find(mailout.id, quick=True)
    assert (quick["more"], quick["estimated"], quick["looked_at"]) == (True, True, 10)
    patient = await find(mailout.id)
    assert "more" not in patient
    assert (patient["looked_at"], patient["within"] < quick["within"]) == (40, True)
    again = await find(mailout.id, quick=True)
    assert (again["more"], again["looked_at"]) == (False, 40)
    await find.close()


async def test_everybody_may_be_looked_at_in_slices(
    store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "SLICE", 25)
    report = await report_of(store)((await long_letter(arrange)).id)
    assert (report["estimated"], report["looked_at"], report["within"]) == (False, 60, None)
    assert report["providers"][0]["tracked"] == 60


async def test_slices_add_up_to_what_one_look_finds(store: Store, arrange: Arrange) -> None:
    """Whatever is asked of people, in whatever ranges of ids they are."""
    mailout = await letter(arrange)
    rules: list[dict[str, Any]] = [
        {"tags": ["vienna"]},
        {"field": "received", "op": "is", "value": "any", "days": 3000},
        {"all": [{"field": "opened", "op": "is", "value": str(mailout.id)},
                 {"field": "clicked", "op": "is_not", "value": str(mailout.id)}]},
    ]  # fmt: skip
    asked: list[tuple[str, UUID | None]] = [("domain", None), ("tag", None)]
    for n, rule in enumerate(rules):
        saved = await store.save_segment(None, f"Segment {n}", rule, "me")
        asked.append(("segment", UUID(saved["segment"]["id"])))
    found = {}
    for by, segment in asked:
        whole = await arrange.one(
            "select engagement_groups(%s, %s, 2, 50000, %s)", mailout.id, by, segment
        )
        sample, after = Sample(), UUID(int=0)
        while True:
            part = await store.engagement_groups_slice(mailout.id, by, after, 3, segment=segment)
            sample.add(part)
            if part["last"] is None:
                break
            after = UUID(part["last"])
        assert sample.told(2, whole=True) == whole
        found[by, segment] = sum(group["tracked"] for group in whole["groups"])
    assert [*found.values()] == [8, 2, 2, 8, 2]


async def test_who_opened_it_got_it_whatever_was_reported(store: Store, arrange: Arrange) -> None:
    """And of other mailouts nobody counts."""
    mailout = await tracked(arrange)
    await mailout.reader("ann@example.com", opened="human", status="sent")
    await letter(arrange)
    report = await report_of(store)(mailout.id)
    assert (report["tracked"], report["opens"]["human"]) == (1, 1)
    assert report["range"]["opens"]["low_rate"] is None
    assert "Fewer than 5" in report["no_rate"]


# HTTP


async def test_json_has_the_shape_of_the_contract(readership: Readership) -> None:
    mailout = await letter(readership.arrange)
    found = await readership.json(f"/mailouts/{mailout.id}/engagement")
    assert set(OF_MAILOUT) <= set(found)  # the example of /openapi.json
    assert set(OF_MAILOUT["links"][0]) <= set(found["links"][0])
    assert set(found["opens"]) == set(found["clicks"]) == {"human", "machine", "unknown"}
    assert {"url", "human", "machine", "unknown"} <= set(found["links"][0])
    path = f"/mailouts/{mailout.id}/engagement"
    assert (await readership.json(f"/mailouts/{uuid4()}/engagement", 404))["code"] == (
        "mailout_not_found"
    )
    for query in (f"segment={uuid4()}", "segment=vienna", "segmnet=x"):
        assert (await readership.json(f"{path}?{query}", 422))["code"] == "invalid_request", query
    assert (await readership.service.http.get(path)).status_code == 401


@pytest.mark.parametrize("status", ["draft", "sent"])
async def test_what_is_not_tracked_has_zeros(readership: Readership, status: str) -> None:
    started = None if status == "draft" else STARTED
    mailout = await tracked(readership.arrange, status, tracking=False, started_at=started)
    if status == "sent":
        await mailout.reader("ann@example.com")
    found = await readership.json(f"/mailouts/{mailout.id}/engagement")
    assert found["tracking"] is False and found["tracked"] == 0
    assert found["opens"] == found["clicks"] == {"human": 0, "machine": 0, "unknown": 0}
    assert found["links"] == [] and found["range"]["opens"]["low_rate"] is None


async def test_a_draft_to_be_tracked_and_one_being_sent(readership: Readership) -> None:
    draft = await tracked(readership.arrange, "draft", started_at=None)
    found = await readership.json(f"/mailouts/{draft.id}/engagement")
    assert (found["tracking"], found["over_time"], found["partial"]) == (True, None, False)
    sending = await tracked(readership.arrange, "sending")
    assert (await readership.json(f"/mailouts/{sending.id}/engagement"))["partial"] is True


async def test_files_have_every_figure_and_recipient_and_run_no_formula(
    readership: Readership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PAGE", 3)
    mailout = await letter(readership.arrange)
    await mailout.link("=cmd|' /C calc'!A0")
    await mailout.reader("=1+1@example.com", opened="human")
    path = f"/mailouts/{mailout.id}/engagement"
    figures = _rows((await readership.ask(f"{path}.csv")).text)
    assert figures[0] == {
        "what": "opens", "url": "", "class": "human", "people": "3", "events": "5",
    }  # fmt: skip
    sale = [row for row in figures if row["url"] == SALE]
    assert [(row["class"], row["people"]) for row in sale] == [
        ("human", "0"), ("unknown", "0"), ("machine", "2"),
    ]  # fmt: skip
    assert any(row["url"].startswith("'=cmd") for row in figures)

    answer = await readership.ask(f"{path}/recipients.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    people = {row["email"]: row for row in _rows(answer.text)}
    assert len(people) == 11
    assert people["ann@gmail.com"] == {
        "email": "ann@gmail.com", "status": "delivered", "opened": "human",
        "opened_at": people["ann@gmail.com"]["opened_at"], "clicked": "human",
        "clicked_at": people["ann@gmail.com"]["clicked_at"],
    }  # fmt: skip
    assert people["ann@gmail.com"]["opened_at"].startswith("2026-11-20T10:30:00")
    assert people["gil@gmail.com"]["opened"] == people["fay@gmx.de"]["opened"] == ""
    assert "'=1+1@example.com" in people
    for name in ("engagement.csv", "engagement/recipients.csv"):
        await readership.ask(f"/mailouts/{uuid4()}/{name}", 404)


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_the_command_tells_ranges(store: Store, arrange: Arrange) -> None:
    lines = list(_lines(await report_of(store)((await letter(arrange)).id)))
    assert lines[1] == "opens:    between 2 and 4 people (25 to 50 %), and 1 machine"
    assert any(line.endswith(f" 1–2  {SPRING}") for line in lines)
    plain = await tracked(arrange, tracking=False)
    assert "aren't tracked" in next(_lines(await report_of(store)(plain.id)))


@pytest.mark.short
async def test_the_command_writes_what_each_recipient_did(
    arrange: Arrange, dsn: str, tmp_path: Path
) -> None:
    mailout, file = await letter(arrange), tmp_path / "people.csv"
    arguments = ("mailouts", "engagement", str(mailout.id), "--csv", str(file))
    done = await asyncio.to_thread(command, tmp_path, environment(dsn, None), *arguments)
    assert done.returncode == 0, done.stderr
    people = {row["email"]: row for row in _rows(file.read_text("utf-8"))}
    assert (len(people), people["ann@gmail.com"]["opened"]) == (10, "human")


# Words


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("gmail.com", "Gmail"),
        ("hotmail.co.uk", "Outlook.com"),
        ("live.nl", "Outlook.com"),
        ("live.example.org", None),
        ("yahoo.com.br", "Yahoo and AOL"),
        ("gmx.at", "GMX and WEB.DE"),
        ("proton.me", "Proton"),
        ("mygmail.com", None),
        ("", None),
    ],
)
def test_providers_are_known_by_their_domains(domain: str, provider: str | None) -> None:
    assert provider_of(domain) == provider


def test_domains_of_one_provider_are_one_row_and_rare_ones_too() -> None:
    def row(name: str, tracked: int) -> dict[str, Any]:
        people = {"human": tracked, "machine": 0, "unknown": 0}
        return {"name": name, "tracked": tracked, "opens": people, "clicks": people}

    found = by_provider(
        [row("gmail.com", 9), row("corp.example", 6), row("rare.example", 4),
         row("googlemail.com", 1), row("", 2)]
    )  # fmt: skip
    assert [(one["provider"], one["tracked"]) for one in found] == [
        ("Gmail", 10), ("corp.example", 6), ("Other", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("human", "unknown", "tracked", "people", "share"),
    [
        (312, 228, 1204, "between 312 and 540 people", "26 to 45 %"),
        (0, 7, 100, "at most 7 people", "0 to 7 %"),
        (1, 0, 4, "1 person", None),
        (0, 0, 90, "nobody", "0 %"),
        (1, 0, 100_000, "1 person", "<0.1 %"),
        (999, 0, 1_000, "999 people", "99 %"),
    ],
)
def test_a_range_in_words(
    human: int, unknown: int, tracked: int, people: str, share: str | None
) -> None:
    found = span({"human": human, "unknown": unknown, "machine": 3}, tracked)
    assert people_range(found) == people
    assert share_range(found) == share
