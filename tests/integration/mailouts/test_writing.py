"""Mailouts over HTTP before they are sent: written, changed, copied, released, deleted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.access import OWNER
from app.errors import Unavailable
from app.services.checks.preflight import Preflight
from tests.integration.mailouts.conftest import Mailouts

EVERYTHING: dict[str, Any] = {
    "subject": "June, {{ name }}",
    "preheader": "What is new",
    "body_markdown": "# Hello",
    "body_text": "Hello",
    "audience": {"tags": ["news"]},
    "from_name": "Ann at Exämple",
    "from_email": "ann@example.com",
    "reply_to": "answers@example.com",
    "configuration_set": "special",
    "canary": {"share": 0.02, "wait": "15m"},
    "tracking": True,
}


async def test_what_is_written_comes_back(mailouts: Mailouts) -> None:
    page = uuid4()
    made = await mailouts.ask("POST", "", 201, EVERYTHING | {"notion_page_id": page.hex})
    mailout = made.json()
    assert made.headers["location"] == f"/mailouts/{mailout['id']}"
    shown = await mailouts.ask("GET", f"/{mailout['id']}")
    assert shown.headers["etag"] == made.headers["etag"]
    assert shown.json() == mailout
    assert mailout | EVERYTHING == mailout
    assert mailout["notion_page_id"] == str(page)
    assert mailout["status"] == "draft"
    assert mailout["counts"]["queued"] == 0
    assert mailout["body_html"] is None


async def test_a_draft_may_be_unfinished(mailouts: Mailouts) -> None:
    """Also one whose template doesn't work yet: writing is not lost for a typo."""
    await mailouts.ask("POST", "", 201, {"subject": "Only an idea"})
    await mailouts.create(body_html="<p>{{ nmae }}</p>")
    await mailouts.create(subject="{% if name %}")


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"subject": None}, "subject"),
    ({"subject": "  "}, "subject: it is empty"),
    ({"subject": "a\nb"}, "U+000A"),
    ({"subject": "a\u2028b"}, "U+2028"),
    ({"subject": "x" * 501}, "subject: it has 501 characters"),
    ({"subject": "x" * 1_000_000}, "subject: it has 1,000,000 characters"),
    ({"preheader": "x" * 501}, "preheader"),
    ({"body_html": "x" * 5_000_001}, "body_html: it is larger than 5 MB"),
    ({"body_html": "a\0"}, "body_html: a NUL"),
    ({"subject": "\ud800"}, "subject: half"),
    ({"body_text": "\udfff"}, "body_text: half"),
    ({"schedule": {"\ud800": "x"}}, "schedule"),
    ({"schedule": {"at": "2999-01-01T09:00", "zone": "\ud800"}}, "schedule.zone: half"),
    ({"canary": {"share": float("nan"), "wait": "1m"}}, "canary"),
    ({"audience": {"all": [{"not": [{"not": {}}]}]}}, "audience"),
    ({"body_markdown": "# Hello"}, "body_html, body_markdown"),
    ({"from_email": "no address"}, "from_email"),
    ({"from_email": "a@example.com, b@example.com"}, "from_email"),
    ({"reply_to": "Ann <a@example.com>"}, "reply_to"),
    ({"from_name": "Ann\r\nBcc: x@example.com"}, "from_name"),
    ({"from_name": "=?utf-8?q?x?="}, "from_name"),
    ({"from_name": "x" * 201}, "from_name"),
    ({"configuration_set": "a b"}, "configuration_set"),
    ({"template_id": "none"}, "template_id"),
    ({"audience": {"tag": ["a"]}}, "audience"),
    ({"audience": {"tags": "a"}}, "audience"),
    ({"audience": {"segment": str(uuid4())}}, "audience: it names a segment"),
    ({"template_id": str(uuid4())}, "template_id: there is no such template"),
    ({"schedule": {"at": "soon"}}, "schedule: at"),
    ({"schedule": {"at": "2999-01-01T09:00", "zone": "Mars/Olympus"}}, "schedule: zone"),
    ({"schedule": {"when": "2999-01-01T09:00"}}, "schedule: when"),
    ({"audience": []}, "audience"),
    ({"canary": {"share": 0.9, "wait": "1m"}}, "canary"),
    ({"canary": {"share": True, "wait": "1m"}}, "canary"),
    ({"tracking": "perhaps"}, "tracking"),
    ({"notion_page_id": "June"}, "notion_page_id"),
    ({"status": "ready"}, "status"),
    ({"colour": "red"}, "colour"),
)


async def test_what_no_mail_can_have_is_refused_by_name(mailouts: Mailouts) -> None:
    """When it is made and when it is changed; nothing is stored."""
    body = {"subject": "June", "body_html": "<p>Hi</p>"}
    made = await mailouts.create()
    path, etag = f"/{made.json()['id']}", made.headers["etag"]
    for wrong, says in REFUSED:
        case = (ascii(wrong)[:100], says)
        refused = await mailouts.ask("POST", "", 422, body | wrong)
        assert says in refused.json()["detail"], case
        assert len(refused.json()["detail"]) < 500, case
        assert await mailouts.arrange.one("select count(*) from mailouts") == 1, case
        again = await mailouts.ask("PATCH", path, 422, wrong, etag=etag)
        assert says in again.json()["detail"], case
        assert (await mailouts.ask("GET", path)).json() == made.json(), case


async def test_a_megabyte_is_taken_and_more_is_refused_cleanly(mailouts: Mailouts) -> None:
    """Also in a language whose letters take two bytes, and as JSON six."""
    letter = "<p>" + "я" * 499_990 + "</p>"
    made = await mailouts.create(body_html=letter)
    assert made.json()["body_html"] == letter
    path = f"/{made.json()['id']}"
    changed = await mailouts.ask(
        "PATCH", path, 200, {"body_html": letter + "!"}, etag=made.headers["etag"]
    )
    assert changed.json()["body_html"] == letter + "!"
    too_much = await mailouts.ask("POST", "", 413, {"subject": "x", "body_html": "x" * 8_000_000})
    assert too_much.json()["code"] == "payload_too_large"


async def test_a_notion_page_has_one_mailout(mailouts: Mailouts) -> None:
    """However the id is written; the refusal names the mailout that has it."""
    page = uuid4()
    first = await mailouts.made(notion_page_id=str(page))
    taken = await mailouts.ask(
        "POST", "", 409, {"subject": "x", "notion_page_id": page.hex.upper()}
    )
    assert (taken.json()["code"], taken.json()["mailout_id"]) == ("notion_page_taken", first)
    assert first in taken.json()["detail"]
    second = await mailouts.create()
    path = f"/{second.json()['id']}"
    again = await mailouts.ask(
        "PATCH", path, 409, {"notion_page_id": page.hex}, etag=second.headers["etag"]
    )
    assert again.json()["mailout_id"] == first
    # Its own page may be written again.
    await mailouts.ask("PATCH", f"/{first}", 200, {"notion_page_id": page.hex}, etag="*")


async def test_an_edit_names_what_it_was_made_of(mailouts: Mailouts) -> None:
    made = await mailouts.create(preheader="old")
    path, first = f"/{made.json()['id']}", made.headers["etag"]
    assert (await mailouts.ask("PATCH", path, 428, {"subject": "x"})).json()["code"] == (
        "precondition_required"
    )
    changed = await mailouts.ask("PATCH", path, 200, {"subject": "July"}, etag=first)
    second = changed.headers["etag"]
    assert second != first
    assert changed.json() | {"subject": "July", "preheader": "old"} == changed.json()
    late = await mailouts.ask("PATCH", path, 412, {"subject": "August"}, etag=first)
    assert late.json()["code"] == "precondition_failed"
    assert (late.headers["etag"], late.json()["etag"]) == (second, second)
    assert (await mailouts.show(made.json()["id"]))["subject"] == "July"
    for form in ("*", "{}", '"x", {}', "W/{}"):
        change, etag = {"preheader": f"by {form}"}, form.format(second)
        second = (await mailouts.ask("PATCH", path, 200, change, etag=etag)).headers["etag"]
    for etag in ("7", '"', "nonsense", '"999999999999999999999"'):
        await mailouts.ask("PATCH", path, 412, {"subject": "x"}, etag=etag)
    # The same again is no change.
    same = await mailouts.ask("PATCH", path, 200, {"subject": "July"}, etag=second)
    assert same.headers["etag"] == second


async def test_null_clears_and_what_is_not_named_stays(mailouts: Mailouts) -> None:
    made = await mailouts.ask("POST", "", 201, EVERYTHING)
    path = f"/{made.json()['id']}"
    cleared = dict.fromkeys(EVERYTHING.keys() - {"subject", "tracking", "body_markdown"})
    changed = await mailouts.ask(
        "PATCH", path, 200, cleared | {"tracking": False}, etag=made.headers["etag"]
    )
    assert changed.json() | cleared == changed.json()
    assert (changed.json()["body_markdown"], changed.json()["tracking"]) == ("# Hello", False)
    # The body that would not be sent is not quietly kept.
    html = {"body_html": "<p>Hi</p>"}
    etag = changed.headers["etag"]
    assert "null for the other" in (await mailouts.ask("PATCH", path, 422, html, etag=etag)).text
    await mailouts.ask("PATCH", path, 200, html | {"body_markdown": None}, etag=etag)


async def test_of_many_who_write_at_once_one_wins_and_nothing_is_lost(mailouts: Mailouts) -> None:
    made = await mailouts.create(preheader="0")
    path = f"/{made.json()['id']}"

    async def write(n: int, etag: str) -> int:
        answer = await mailouts.http.patch(
            f"/mailouts{path}", json={"subject": f"By {n}", "preheader": str(n)},
            headers={"If-Match": etag, "X-Auth-Token": mailouts.secret},
        )  # fmt: skip
        return answer.status_code

    codes = await asyncio.gather(*(write(n, made.headers["etag"]) for n in range(12)))
    assert sorted(codes) == [200, *[412] * 11]
    shown = await mailouts.show(made.json()["id"])
    assert shown["subject"] == f"By {shown['preheader']}"

    async def add(n: int) -> None:
        """Each reads, adds to what is there and tries again when somebody was faster."""
        while True:
            found = await mailouts.ask("GET", path)
            text = f"{found.json()['body_text'] or ''}{chr(97 + n)}"
            answer = await mailouts.http.patch(
                f"/mailouts{path}", json={"body_text": text},
                headers={"If-Match": found.headers["etag"], "X-Auth-Token": mailouts.secret},
            )  # fmt: skip
            if answer.status_code == 200:
                return
            assert answer.status_code == 412

    await asyncio.gather(*map(add, range(8)))
    assert sorted((await mailouts.show(made.json()["id"]))["body_text"]) == list("abcdefgh")


async def test_what_others_change_with_sql_counts_too(mailouts: Mailouts) -> None:
    made = await mailouts.create()
    mailout = made.json()["id"]
    await mailouts.arrange.sql.execute(
        "update mailouts set subject = 'By hand' where id = %s", [mailout]
    )
    await mailouts.ask("PATCH", f"/{mailout}", 412, {"preheader": "x"}, etag=made.headers["etag"])


async def test_only_drafts_and_ready_ones_are_edited(mailouts: Mailouts) -> None:
    for status in ("scheduled", "sending", "paused", "sent", "failed", "cancelled"):
        mailout = await mailouts.arrange.mailout(status)
        refused = await mailouts.ask("PATCH", f"/{mailout}", 409, {"subject": "x"}, etag='"1"')
        assert refused.json()["code"] == "mailout_not_editable"
        assert refused.json()["mailout_status"] == status
    unknown = await mailouts.ask("PATCH", f"/{uuid4()}", 404, {"subject": "x"}, etag='"1"')
    assert unknown.json()["code"] == "mailout_not_found"


async def test_release_and_back(mailouts: Mailouts) -> None:
    await mailouts.arrange.subscriber()
    made = await mailouts.create()
    path = f"/{made.json()['id']}"
    ready = await mailouts.ask("POST", f"{path}/ready")
    assert ready.json()["status"] == "ready"
    again = await mailouts.ask("POST", f"{path}/ready", 409)
    assert (again.json()["code"], again.json()["mailout_status"]) == (
        "transition_not_allowed", "ready",
    )  # fmt: skip
    # Whoever still has the draft before their eyes is told that it may be sent any moment now.
    await mailouts.ask("PATCH", path, 412, {"subject": "x"}, etag=made.headers["etag"])
    draft = await mailouts.ask("POST", f"{path}/unready")
    assert draft.json()["status"] == "draft"
    assert draft.headers["etag"] != ready.headers["etag"]
    await mailouts.ask("POST", f"{path}/unready", 409)
    for verb in ("ready", "unready", "duplicate"):
        await mailouts.ask("POST", f"/{uuid4()}/{verb}", 404)


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"body_html": "<p>\n{{ nmae }}</p>"}, "body_html, line 2: unknown variable"),
        ({"body_html": None}, "no body"),
        ({"subject": "{% if name %}"}, "subject"),
        ({"body_html": "{% for i in (1..2) %}{{ i | divided_by: 0 }}{% endfor %}"}, "body_html"),
        ({"tracking": True}, "SES_TRACKING_CONFIGURATION_SET"),
    ],
)
async def test_what_could_not_be_sent_is_not_released(
    mailouts: Mailouts, columns: dict[str, Any], says: str
) -> None:
    """With findings as the preflight has them."""
    await mailouts.arrange.subscriber()
    mailout = await mailouts.made(**columns)
    refused = (await mailouts.ask("POST", f"/{mailout}/ready", 409)).json()
    assert (refused["code"], refused["mailout_status"]) == ("not_sendable", "draft")
    [finding] = refused["findings"]
    assert (finding["level"], set(finding)) == ("fail", {"level", "what", "remedy"})
    assert says in finding["what"]
    assert finding["remedy"]
    assert (await mailouts.show(mailout))["status"] == "draft"
    preflight = (await mailouts.ask("POST", f"/{mailout}/preflight")).json()
    assert finding in preflight["findings"]


async def test_an_audience_of_nobody_is_not_released(mailouts: Mailouts) -> None:
    await mailouts.arrange.subscriber(status="unsubscribed", tags=["news"])
    mailout = await mailouts.made(audience={"tags": ["news"]})
    refused = (await mailouts.ask("POST", f"/{mailout}/ready", 409)).json()
    assert refused["code"] == "audience_empty"
    assert "Nobody would get it" in refused["findings"][0]["what"]
    broken = await mailouts.made(audience={"tags": ["news"]}, subject="{{ nmae }}")
    refused = (await mailouts.ask("POST", f"/{broken}/ready", 409)).json()
    assert (refused["code"], len(refused["findings"])) == ("not_sendable", 2)


async def test_a_ready_one_that_breaks_goes_back_to_draft(mailouts: Mailouts) -> None:
    """What was written is kept; nothing that can't be sent stays ready."""
    await mailouts.arrange.subscriber(tags=["news"])
    mailout = await mailouts.made()
    path = f"/{mailout}"
    for breaks, says in (
        ({"body_html": "<p>{{ nmae }}</p>"}, "nmae"),
        ({"body_html": "<p>Hi</p>", "audience": {"tags": ["nobody"]}}, "Nobody would get it"),
    ):
        await mailouts.ask("PATCH", path, 200, {"body_html": "x", "audience": None}, etag="*")
        await mailouts.ask("POST", f"{path}/ready")
        fine = await mailouts.ask("PATCH", path, 200, {"audience": {"tags": ["news"]}}, etag="*")
        assert (fine.json()["status"], "findings" in fine.json()) == ("ready", False)
        back = await mailouts.ask("PATCH", path, 200, breaks, etag=fine.headers["etag"])
        assert back.json() | breaks | {"status": "draft"} == back.json()
        assert says in back.json()["findings"][0]["what"]
        assert says in back.json()["status_reason"]
        assert back.headers["etag"] == (await mailouts.ask("GET", path)).headers["etag"]


async def test_a_ready_one_that_cannot_be_checked_is_a_draft_again(
    mailouts: Mailouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as when too many are being rendered; what was written is kept."""
    await mailouts.arrange.subscriber()
    mailout = await mailouts.made()
    await mailouts.ask("POST", f"/{mailout}/ready")

    async def busy(self: Preflight, mailout_id: UUID) -> None:
        raise Unavailable("Too many at once.")

    monkeypatch.setattr(Preflight, "blocking", busy)
    same = await mailouts.ask("PATCH", f"/{mailout}", 200, {"subject": "June"}, etag="*")
    assert same.json()["status"] == "ready"  # nothing to check: nothing changed
    changed = await mailouts.ask("PATCH", f"/{mailout}", 200, {"subject": "July"}, etag="*")
    assert (changed.json()["status"], changed.json()["subject"]) == ("draft", "July")
    assert "Too many at once." in changed.json()["findings"][0]["what"]
    assert (await mailouts.ask("POST", f"/{mailout}/ready", 503)).json()["code"] == "unavailable"


@pytest.mark.short
async def test_a_draft_that_names_its_time_is_scheduled_when_it_is_released(
    mailouts: Mailouts,
) -> None:
    """By whom may send; a time that has passed by then is said, and nothing changes."""
    await mailouts.arrange.subscriber()
    at = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT09:00")
    schedule = {"at": at, "zone": "Europe/Berlin"}
    made = await mailouts.create(schedule=schedule)
    assert (made.json()["schedule"], made.json()["status"]) == (schedule, "draft")
    path = f"/{made.json()['id']}"
    keys = mailouts.service.services.keys
    key = await keys.create(f"writer {uuid4()}", ["manage"], OWNER)
    refused = await mailouts.http.post(
        f"/mailouts{path}/ready", headers={"Authorization": f"Bearer {key['key']}"}
    )
    assert (refused.status_code, refused.json()["scope"]) == (403, "send")
    ready = (await mailouts.ask("POST", f"{path}/ready")).json()
    assert (ready["status"], ready["schedule"]) == ("scheduled", schedule)
    assert len(ready["waves"]) == 1
    await mailouts.ask("DELETE", f"{path}/schedule")
    ready = await mailouts.ask("GET", path)
    assert ready.json()["status"] == "ready"
    etag = ready.headers["etag"]
    await mailouts.ask("PATCH", path, 422, {"schedule": schedule}, etag=etag)

    late = await mailouts.made(schedule=schedule | {"at": "2020-01-01T09:00"})
    refused = await mailouts.ask("POST", f"/{late}/ready", 422)
    assert "at" in refused.json()["detail"]
    assert (await mailouts.show(late))["status"] == "draft"


async def test_a_copy_is_a_new_draft(mailouts: Mailouts) -> None:
    """Of content and audience. The Notion page names the first one alone."""
    made = await mailouts.ask("POST", "", 201, EVERYTHING | {"notion_page_id": str(uuid4())})
    original = made.json()["id"]
    await mailouts.arrange.sql.execute("update mailouts set status = 'sent', sent_at = now()")
    answer = await mailouts.ask("POST", f"/{original}/duplicate", 201)
    copy = answer.json()
    assert answer.headers["location"] == f"/mailouts/{copy['id']}"
    assert copy | EVERYTHING == copy
    assert (copy["status"], copy["notion_page_id"], copy["sent_at"]) == ("draft", None, None)
    await mailouts.ask(
        "PATCH", f"/{copy['id']}", 200, {"subject": "Another"}, etag=answer.headers["etag"]
    )
    assert (await mailouts.show(original))["subject"] == EVERYTHING["subject"]


async def test_only_drafts_are_deleted(mailouts: Mailouts) -> None:
    made = await mailouts.create()
    path = f"/{made.json()['id']}"
    await mailouts.ask("PATCH", path, 200, {"subject": "x"}, etag="*")
    await mailouts.ask("DELETE", path, 412, etag=made.headers["etag"])
    assert (await mailouts.service.send(made.json()["id"], test=True)).status_code == 202
    await mailouts.ask("DELETE", path, 204)
    await mailouts.ask("DELETE", path, 404)
    waiting = "select count(*) from send_logs where status = 'queued'"
    assert await mailouts.arrange.one(waiting) == 0  # no test mail of it leaves any more
    for status in ("ready", "scheduled", "sending", "sent", "cancelled"):
        mailout = await mailouts.arrange.mailout(status)
        refused = (await mailouts.ask("DELETE", f"/{mailout}", 409)).json()
        assert (refused["code"], refused["mailout_status"]) == ("transition_not_allowed", status)
        assert (await mailouts.show(mailout))["status"] == status


async def test_every_act_is_on_record(mailouts: Mailouts) -> None:
    """Who, what and which columns; the text itself stays with the mailout."""
    await mailouts.arrange.subscriber()
    mailout = await mailouts.made(body_html="<p>Secret plans</p>", preheader="x")
    path = f"/{mailout}"
    await mailouts.ask("PATCH", path, 200, {"subject": "July", "preheader": None}, etag="*")
    await mailouts.ask("PATCH", path, 200, {"subject": "July"}, etag="*")  # no change
    await mailouts.ask("POST", f"{path}/ready")
    await mailouts.ask("POST", f"{path}/unready")
    copy = (await mailouts.ask("POST", f"{path}/duplicate", 201)).json()["id"]
    await mailouts.ask("DELETE", path, 204)
    entries = await mailouts.service.services.store.list_audit(20)
    assert {entry["by"] for entry in entries} == {"owner"}
    assert [(entry["action"], entry["target"]) for entry in reversed(entries)] == [
        ("mailout.create", mailout), ("mailout.edit", mailout), ("mailout.ready", mailout),
        ("mailout.unready", mailout), ("mailout.create", copy), ("mailout.delete", mailout),
    ]  # fmt: skip
    edit = entries[-2]
    hashes = {"content_hash": edit["before"]["content_hash"]}
    assert edit["before"] == {"subject": "June", "preheader": "x"} | hashes
    assert edit["after"].keys() == {"subject", "content_hash"}
    assert entries[1]["after"]["copy_of"] == mailout
    assert "Secret plans" not in str(entries)
