"""Lists of mailouts and of a mailout's recipients, and the closing statement over HTTP."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import uuid4

import pytest

from app.api.mailouts import lists
from app.services.lists import statement
from tests.integration.mailouts.conftest import Mailouts


async def pages(mailouts: Mailouts, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list."""
    found = []
    cursor: dict[str, str] = {}
    while True:
        page = (await mailouts.ask("GET", path, params=query | cursor)).json()
        found.append(page["items"])
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_mailouts_are_found_by_state_subject_and_day(mailouts: Mailouts) -> None:
    for n, status in enumerate(("draft", "ready", "sent", "sent", "draft")):
        await mailouts.arrange.mailout(
            status, subject=f"Letter {n} of 50%_", created_at=f"2026-05-0{n + 1}T12:00:00Z"
        )

    async def numbers(**query: Any) -> list[int]:
        found = await pages(mailouts, "", limit=2, **query)
        assert all(len(page) == 2 for page in found[:-1])
        return [int(row["subject"][7]) for page in found for row in page]

    assert await numbers() == [4, 3, 2, 1, 0]
    assert await numbers(status="sent") == [3, 2]
    assert await numbers(status=["ready", "sent"]) == [3, 2, 1]
    assert await numbers(q="LETTER 3") == [3]
    assert await numbers(q="%_") == [4, 3, 2, 1, 0]
    assert await numbers(q="r_2") == []
    assert await numbers(since="2026-05-04") == [4, 3]
    assert await numbers(until="2026-05-03T12:00:00Z") == [1, 0]
    assert await numbers(since="2026-05-02", until="2026-05-05", status="sent", q="of") == [3, 2]
    for wrong in ({"status": "gone"}, {"q": ""}, {"q": "a\0"}, {"since": "soon"}, {"limit": 0},
                  {"cursor": "x"}, {"until": "0001-01-01T00:00+14:00"}):  # fmt: skip
        refused = await mailouts.ask("GET", "", 422, params=wrong)
        assert next(iter(wrong)) in refused.json()["detail"]


async def test_what_is_added_meanwhile_moves_nothing(mailouts: Mailouts) -> None:
    made = [await mailouts.made(subject=f"{n}") for n in range(4)]
    first = (await mailouts.ask("GET", "", params={"limit": 2})).json()
    await mailouts.made(subject="new")
    await mailouts.arrange.mailout(subject="old", created_at="2020-01-01")
    rest = {"limit": 10, "cursor": first["next_cursor"]}
    second = (await mailouts.ask("GET", "", params=rest)).json()
    shown = [row["id"] for row in first["items"] + second["items"][:2]]
    assert shown == made[::-1]


async def test_subjects_are_shown_as_somebody_gets_them(mailouts: Mailouts) -> None:
    """By the code that sends; the list has no body, which may be large."""
    await mailouts.arrange.subscriber("ann@example.com", name="Ann", fields={"city": "Bergen"})
    mailouts.service.services.subjects._sampled_at = None
    for subject, shown in (
        ("Plain & simple", "Plain & simple"),
        ("{{ name }} in {{ fields.city | upcase }}", "Ann in BERGEN"),
        ("{% if fields.plan %}Pro{% else %}Free{% endif %} news", "Free news"),
        ("{{ fields.none | default: 'Friends' }}", "Friends"),
        ("Broken {{ nmae", "Broken {{ nmae"),
    ):
        mailout = await mailouts.made(subject=subject)
        [row] = (await mailouts.ask("GET", "", params={"limit": 1})).json()["items"]
        assert (row["id"], row["subject"], row["subject_shown"]) == (mailout, subject, shown)
        assert "body_html" not in row
    huge = await mailouts.arrange.mailout(subject="{{ name }}" * 100_000)
    [row] = (await mailouts.ask("GET", "", params={"limit": 1})).json()["items"]
    assert (row["id"], len(row["subject_shown"])) == (str(huge), 501)


LEDGER: tuple[dict[str, Any], ...] = (
    {"email": "ann@example.com", "status": "delivered"},
    {"email": "bob@example.com", "status": "bounced", "bounce_type": "Permanent",
     "bounce_subtype": "NoEmail", "error_message": "550 unknown"},
    {"email": "=cmd|' /C calc'!A1@example.org", "status": "failed", "error_code": "REJECTED",
     "error_message": "=HYPERLINK(1)"},
    {"email": "dan@example.com", "status": "bounced", "bounce_type": "Transient"},
    {"email": "eve@example.com", "status": "queued"},
)  # fmt: skip


async def ledger(mailouts: Mailouts) -> str:
    """A mailout with recipients of each kind, of whom some are subscribers still, and a test."""
    mailout = await mailouts.arrange.mailout("sent")
    for row in LEDGER:
        person = uuid4()
        if row["email"] == "bob@example.com":
            person = await mailouts.arrange.subscriber(row["email"], name="Bob")
        await mailouts.arrange._insert(
            "send_logs", {"mailout_id": mailout, "subscriber_id": person, **row}
        )
    await mailouts.arrange._insert(
        "send_logs", {"mailout_id": mailout, "email": "test@example.com", "is_test": True}
    )
    other = {"mailout_id": await mailouts.arrange.mailout(), "subscriber_id": uuid4()}
    await mailouts.arrange._insert("send_logs", other | LEDGER[0])
    return str(mailout)


async def test_recipients_by_state_and_address(
    mailouts: Mailouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/{await ledger(mailouts)}/recipients"

    async def emails(**query: Any) -> list[str]:
        found = await pages(mailouts, path, **query)
        return sorted(row["email"].partition("@")[0][:3] for page in found for row in page)

    for reach in (20_000, 2, 1):  # how many rows are looked at for a page changes nothing
        monkeypatch.setattr(lists, "RECIPIENTS_REACH", reach)
        for limit in (1, 2, 50):
            assert await emails(limit=limit) == ["=cm", "ann", "bob", "dan", "eve"]
            assert await emails(limit=limit, status="bounced") == ["bob", "dan"]
            assert await emails(limit=limit, status=["bounced", "queued"]) == ["bob", "dan", "eve"]
            assert await emails(limit=limit, status="complained") == []
            assert await emails(limit=limit, q=" BOB@Example.com") == ["bob"]
            assert await emails(limit=limit, q="bob@example.com", status="sent") == []
            assert await emails(limit=limit, q="dan@example.com") == ["dan"]
            assert await emails(limit=limit, q="example.org") == ["=cm"]
            assert await emails(limit=limit, q="nobody@example.com") == []
    [[bob]] = await pages(mailouts, path, q="bob@example.com")
    assert (bob["name"], bob["status"]) == ("Bob", "bounced")
    assert bob["reason"] == "There is no such address. 550 unknown"
    await mailouts.ask("GET", f"/{uuid4()}/recipients", 404)
    for wrong in ({"status": "gone"}, {"q": "\0"}, {"cursor": "x"}, {"limit": 201}):
        refused = await mailouts.ask("GET", path, 422, params=wrong)
        assert next(iter(wrong)) in refused.json()["detail"]


async def test_the_statement_is_streamed_and_runs_no_formula(
    mailouts: Mailouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "PAGE", 2)
    mailout = await ledger(mailouts)
    answer = await mailouts.ask("GET", f"/{mailout}/statement.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'filename="mailout-{mailout}.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sorted(row["status"] for row in rows) == sorted(row["status"] for row in LEDGER)
    assert not any(cell[:1] in {"=", "+", "-", "@"} for row in rows for cell in row.values())
    [odd] = [row for row in rows if row["status"] == "failed"]
    assert odd["email"] == "'=cmd|' /C calc'!A1@example.org"
    await mailouts.ask("GET", f"/{uuid4()}/statement.csv", 404)
