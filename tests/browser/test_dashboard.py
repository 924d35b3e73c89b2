"""The dashboard in Debian's Chromium: seen, steered, by keyboard, on a phone and in the dark."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Route, expect

from app.adapters.database.postgres import PostgresDatabase
from app.services.imports.run_import import RunImport, import_kinds
from app.services.jobs.runner import JobRunner
from app.store import Store
from app.store.jobs import JobStore
from tests.browser.conftest import OpenVisit
from tests.browser.places import Staged, pages_of
from tests.browser.stage_engagement import to_many
from tests.browser.stage_segments import count_slowly, hurry, put_together
from tests.browser.support import (
    DESKTOP_OR_PHONE,
    LOOKS,
    SCRIPT_OR_NOT,
    Visit,
    judge_by_axe,
)
from tests.support.service import SECRET, client

pytestmark = pytest.mark.browser

PICTURES = os.environ.get("PYTEST_DASHBOARD_PICTURES")
"""A folder: a screenshot of every page in every look goes there, for people to look at."""


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


async def judge(tab: Visit, staged: Staged, *, axe: bool = True) -> None:
    """Nothing is wrong for eyes, fingers, screen readers and our own policy."""
    where = tab.page.url
    assert await tab.problems() == [], where
    if axe:
        await judge_by_axe(tab)
    assert tab.complaints == [], where
    assert tab.foreign(staged.url) == [], where


SUBJECTS = (
    "mailouts", "writing", "schedules", "access", "imports", "people", "templates", "segments",
    "engagement", "hooks",
)  # fmt: skip
IN_EVERY_RUN = {("desktop", subject, "first") for subject in SUBJECTS}
"""The rest goes with `make soak SHORT=1`: it is another minute of Chromium."""
ANY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\?.*")


@pytest.mark.parametrize(
    ("look", "subject", "states"),
    [
        pytest.param(*case, marks=[] if case in IN_EVERY_RUN else pytest.mark.short)
        for case in itertools.product(LOOKS, SUBJECTS, ("first", "others"))
    ],
)
async def test_every_page_is_good_in_every_look(
    staged: Staged, signed_in: Any, look: str, subject: str, states: str
) -> None:
    """states: the first of the pages that one template makes, or the others. axe looks at each page
    once: in every run, if it comes there, else on the phone."""
    tab = await signed_in(**LOOKS[look])
    kinds: set[str] = set()
    axe = (("desktop", subject, states) in IN_EVERY_RUN) == (look == "desktop")
    for name, path in (await pages_of(staged, subject)).items():
        kind = ANY_ID.sub("", path)
        first = kind not in kinds
        kinds.add(kind)
        if first != (states == "first"):
            continue
        await tab.page.goto(path)
        await judge(tab, staged, axe=axe)
        await picture(tab.page, f"{name}-{look}-light")
        if look == "desktop" or PICTURES:  # the phone's colours are the desktop's
            await tab.page.emulate_media(color_scheme="dark")
            assert await tab.problems(contrast_alone=True) == [], tab.page.url
            await picture(tab.page, f"{name}-{look}-dark")
            await tab.page.emulate_media(color_scheme="light")


@DESKTOP_OR_PHONE
async def test_the_check_before_sending_is_good_too(
    staged: Staged, signed_in: Any, look: str
) -> None:
    tab = await signed_in(staged.page("ready"), **LOOKS[look])
    await tab.page.get_by_role("button", name="Check it before sending").click()
    await expect(tab.page.get_by_role("heading", name="mailout").first).to_be_visible()
    await judge(tab, staged)
    await picture(tab.page, f"preflight-{look}")


@pytest.mark.short
async def test_a_record_is_copied_by_keyboard_and_stays_open(
    staged: Staged, signed_in: Any
) -> None:
    tab = await signed_in("/dashboard/domain", **LOOKS["desktop"])
    page = tab.page
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.locator("#guide > summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The public directory of the internet")).to_be_visible()
    button = page.get_by_role("button", name="Copy the value").first
    await button.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#spoken")).to_have_text("Copied")
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(".dkim.amazonses.com")
    folded = page.get_by_role("heading", name="münze.example")
    await folded.click()
    await expect(page.get_by_text("Receivers can tell that mail is yours.").last).to_be_visible()
    await judge(tab, staged)


@pytest.mark.short
async def test_figures_over_time_are_a_table_too(staged: Staged, signed_in: Any) -> None:
    tab = await signed_in(staged.page("sent"), **LOOKS["phone"])
    await tab.page.click("summary")
    rows = tab.page.locator("#figures tbody tr")
    assert 10 < await rows.count() <= 48
    cells = await tab.page.locator("#figures tbody td:nth-child(3)").all_inner_texts()
    assert sum(int(cell.replace(",", "")) for cell in cells) == 11_420
    await judge(tab, staged)


async def test_signing_in_takes_a_keyboard_alone(staged: Staged, visit: OpenVisit) -> None:
    tab = await visit(base_url=staged.url)
    page = tab.page
    await page.goto(staged.page("paused"))
    await expect(page.locator("#secret")).to_be_focused()
    await page.keyboard.type("not the secret")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("That is not the shared secret.")
    assert any("401" in line for line in tab.complaints)  # the answer's status, nothing else
    assert len(tab.complaints) == 1
    await expect(page.locator("#secret")).to_be_focused()
    await page.keyboard.type(SECRET)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{staged.page('paused')}")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Mailouts").last).to_be_focused()


async def test_what_happens_shows_without_reloading(staged: Staged, signed_in: Any) -> None:
    """Figures and buttons change; what one has opened and where one is stays."""
    mailout = await staged.arrange.mailout("ready", subject="Watched")
    tab = await signed_in(f"/dashboard/mailouts/{mailout}")
    page = tab.page
    await page.evaluate("window.sameDocument = true")
    await page.focus("#action-cancel")
    await staged.arrange.sql.execute(
        "update mailouts set status = 'sending', started_at = now(), recipients = 10 where id = %s",
        [mailout],
    )
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator(".pill")).to_have_text("Sending")
    await expect(page.locator("#action-cancel")).to_be_focused()
    await expect(page.get_by_role("status")).to_have_text("Mailout sending, 0 percent done")
    await expect(page.get_by_text("Nothing was accepted or reported yet.")).to_be_visible()
    await staged.arrange.sql.execute("select add_event_counts(%s, 'delivery', now(), 5)", [mailout])
    await page.click("#figures summary")
    await staged.arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status) "
        "select %s, gen_random_uuid(), 'x@example.com', 'delivered' from generate_series(1, 5)",
        [mailout],
    )
    await expect(page.locator(".tiles dd").first).to_contain_text("50 %")
    await expect(page.get_by_role("status")).to_have_text("Mailout sending, 50 percent done")
    assert await page.locator("#figures").get_attribute("open") is not None
    assert await page.evaluate("window.sameDocument")
    assert tab.complaints == []


@pytest.mark.short
async def test_a_lost_connection_is_said(staged: Staged, signed_in: Any) -> None:
    tab = await signed_in(staged.page("sending"))
    await expect(tab.page.locator("#lost")).to_be_hidden()
    await tab.page.context.set_offline(True)
    await expect(tab.page.locator("#lost")).to_be_visible()
    await expect(tab.page.locator(".pill")).to_have_text("Sending")
    await tab.page.context.set_offline(False)
    await expect(tab.page.locator("#lost")).to_be_hidden()


@SCRIPT_OR_NOT
async def test_a_mailout_is_paused_and_resumed(
    staged: Staged, signed_in: Any, *, javascript: bool
) -> None:
    """Each after a question with the figures of now; without a script, too."""
    mailout = await staged.arrange.mailout("sending", subject="Steered", recipients=4_321)
    await staged.arrange.sql.execute(
        "update mailouts set started_at = now() where id = %s", [mailout]
    )
    tab = await signed_in(f"/dashboard/mailouts/{mailout}", java_script_enabled=javascript)
    page = tab.page
    for button, question, state in (
        ("Pause", "Pause this mailout?", "Paused"),
        ("Resume", "Resume this mailout?", "Sending"),
    ):
        await page.get_by_role("link", name=button).click()
        await expect(page.get_by_role("heading", name=question)).to_be_visible()
        await expect(page.get_by_text("4,321").first).to_be_visible()
        await page.get_by_role("button", name=button).click()
        await expect(page.locator(".pill")).to_have_text(state)
        await expect(page.locator(".banner.good")).to_be_visible()
    assert tab.complaints == []


@pytest.mark.short
@SCRIPT_OR_NOT
async def test_a_key_is_made_used_and_revoked(
    staged: Staged, signed_in: Any, *, javascript: bool
) -> None:
    """Shown this once; and the audit log tells of it."""
    name = f"Zapier {javascript}"
    tab = await signed_in("/dashboard/keys", java_script_enabled=javascript, **LOOKS["phone"])
    page = tab.page
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.get_by_role("alert")).to_have_text("Choose what the key may do.")
    await expect(page.get_by_label("Name")).to_have_value(name)
    assert [line for line in tab.complaints if "422" not in line] == []  # the answer's status
    tab.complaints.clear()
    await page.get_by_label("read:").check()
    await page.get_by_role("button", name="Make the key").click()
    key = (await page.get_by_label("The key").inner_text()).strip()
    assert key.startswith("as_")
    if javascript:
        await judge(tab, staged)
    await picture(page, f"key-made-{javascript}")

    async with client(staged.url) as http:

        async def with_it() -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return (await http.get("/mailouts", headers=headers)).status_code

        assert await with_it() == 200
        await page.goto("/dashboard/keys")
        assert key not in await page.content()
        await page.get_by_role("listitem").filter(has_text=name).get_by_text("Revoke").click()
        await expect(page.get_by_role("heading", name=f"Revoke “{name}”?")).to_be_visible()
        await page.get_by_role("button", name="Revoke").click()
        await expect(page.locator(".banner.good")).to_contain_text("Revoked.")
        assert await with_it() == 401

    await page.get_by_role("link", name="Audit log").click()
    await page.get_by_label("To what").fill(name)
    await page.get_by_label("What", exact=True).select_option("Keys")
    await page.get_by_role("button", name="Filter").click()
    found = page.locator(".acts h2")
    await expect(found).to_have_text(["Key revoked", "Key made"])
    assert key not in await page.content()
    assert tab.complaints == []


@SCRIPT_OR_NOT
async def test_a_file_is_imported_in_three_steps(
    staged: Staged, signed_in: Any, *, javascript: bool
) -> None:
    """Its question is answered, what would happen is seen, then it is done. A job does each."""
    database = PostgresDatabase(staged.dsn)
    runner = JobRunner(JobStore(database), import_kinds(RunImport(Store(database))))
    tab = await signed_in("/dashboard/imports", java_script_enabled=javascript)
    page = tab.page

    async def job_done() -> None:
        """By the work process, while the page looks on."""
        import_id = urlsplit(page.url).path.rpartition("/")[2]
        job = await staged.arrange.one("select job_id from imports where id = %s", import_id)
        assert await runner.do(job)

    await page.get_by_role("link", name="Import a file").click()
    await page.get_by_label("Tags for everybody").fill("autumn")
    email = f"with-{'a' if javascript else 'no'}-script@example.com"
    content = f"Email,Newsletter\n{email},yes\nnobody,no\n".encode()
    await page.get_by_label("File", exact=True).set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": content}
    )
    await page.get_by_role("button", name="Upload and check").click()
    await expect(page.get_by_role("heading", name="Checking the file")).to_be_visible()
    await job_done()
    await expect(page.get_by_role("heading", name="One question")).to_be_visible()
    await page.get_by_label("Newsletter").select_option("Yes: gets mail; no or blank: has left")
    await page.get_by_role("button", name="Go on").click()
    await job_done()
    await expect(page.get_by_role("rowheader", name=email)).to_be_visible()
    if javascript:
        await judge(tab, staged)
    await page.get_by_role("button", name="Import 1 person").click()
    await job_done()
    await expect(page.get_by_role("heading", name="What it did")).to_be_visible()
    assert await staged.arrange.one("select tags from subscribers where email = %s", email) == [
        "autumn"
    ]
    await page.get_by_role("link", name="Take it back").click()
    await page.get_by_role("button", name="Take it back").click()
    await job_done()
    await expect(page.get_by_role("heading", name="It was taken back")).to_be_visible()
    assert tab.complaints == []
    await database.close()


@pytest.mark.short
async def test_without_a_script_the_page_reloads_itself(staged: Staged, signed_in: Any) -> None:
    tab = await signed_in("/dashboard", java_script_enabled=False)
    loaded = len([url for url in tab.requests if url.endswith("/dashboard")])
    await tab.page.wait_for_event("request", lambda request: request.is_navigation_request())
    assert len([url for url in tab.requests if url.endswith("/dashboard")]) > loaded


@pytest.mark.short
async def test_signing_out_closes_other_tabs_too(staged: Staged, signed_in: Any) -> None:
    tab = await signed_in(staged.page("sending"))
    other = await tab.page.context.new_page()
    await other.goto(f"{staged.url}/dashboard/account")
    await other.get_by_role("button", name="Sign out").click()
    await other.wait_for_url("**/dashboard/login")
    await tab.page.wait_for_url("**/dashboard/login?next=*")
    await other.go_back()
    await expect(other.get_by_label("Shared secret")).to_be_visible()


async def test_a_foreign_page_can_neither_frame_nor_press(
    staged: Staged, signed_in: Any, other_origin: tuple[str, list[str]]
) -> None:
    """Not even one of the same site (another port), to which the browser sends the cookie."""
    origin, _ = other_origin
    tab = await signed_in()
    mailout = staged.mailouts["sending"]
    page = await tab.page.context.new_page()
    await page.route(
        f"{origin}/trap",
        lambda route: route.fulfill(
            content_type="text/html",
            body=f"<iframe src='{staged.url}/dashboard'></iframe>"
            f"<form method=post action='{staged.url}/dashboard/mailouts/{mailout}/cancel'>"
            "<button>Win</button></form>",
        ),
    )
    await page.goto(f"{origin}/trap")
    assert "Mailouts" not in await page.frames[1].content()
    await page.click("button")
    await expect(page.get_by_role("heading")).to_have_text("This form can't be taken")
    status = "select status from mailouts where id = %s"
    assert await staged.arrange.one(status, mailout) == "sending"


async def test_people_are_found_changed_and_changed_in_numbers(
    staged: Staged, signed_in: Any
) -> None:
    """As somebody who sees the pages for the first time, and without a script."""
    tab = await signed_in("/dashboard/subscribers", java_script_enabled=False)
    page = tab.page
    person = await staged.arrange.subscriber("zoe@zoo.example", name="Zoë Zoo", tags=["zoo"])
    await staged.arrange.subscriber("yan@zoo.example", name="Yan Zoo", tags=["zoo"])
    await page.get_by_label("Address, domain or name begins with").fill("zoe")
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name="Zoë Zoo").click()
    await page.get_by_role("link", name="Change status").click()
    await page.get_by_label("Unsubscribed").check()
    await page.get_by_label("Reason").fill("She wrote.")
    await page.get_by_role("button", name="Change the status").click()
    await expect(page.get_by_text("The status is changed.")).to_be_visible()
    await page.get_by_role("link", name="Change status").click()
    await page.get_by_label("Active").check()
    await page.get_by_label("Reason").fill("Mistake.")
    await page.get_by_role("button", name="Change the status").click()
    await expect(page.get_by_role("alert")).to_contain_text("asked for it themselves")
    assert any("409" in line for line in tab.complaints)  # the answer's status, nothing else
    assert len(tab.complaints) == 1
    await page.goto("/dashboard/subscribers?tag=zoo")
    await page.get_by_role("link", name="Change all of these").click()
    await expect(page.get_by_label("New status")).to_be_hidden()
    await page.get_by_label("Change the status").check()
    await expect(page.get_by_label("Tags, to add")).to_be_hidden()
    await page.get_by_label("Add tags").check()
    await page.get_by_label("Tags, to add").fill("animals")
    await page.get_by_role("button", name="Change 2 people").click()
    await expect(page.get_by_text("2 people changed.")).to_be_visible()
    tags = await staged.arrange.one("select tags from subscribers where id = %s", person)
    assert tags == ["zoo", "animals"]


@pytest.mark.short
@DESKTOP_OR_PHONE
async def test_a_time_is_chosen_and_taken_back(staged: Staged, signed_in: Any, look: str) -> None:
    """Each at their own time: what comes of it is shown before it is done."""
    mailout = await staged.arrange.mailout(subject="Good morning")
    tab = await signed_in(f"/dashboard/mailouts/{mailout}/release", **LOOKS[look])
    page = tab.page
    await page.click("#later")
    await page.fill("#date", (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%d"))
    await page.get_by_label("Everybody’s own clock").check()
    await page.fill("#fallback", "Berlin")
    await page.click("#look")
    await expect(page.get_by_role("alert")).to_contain_text("Did you mean Europe/Berlin?")
    assert "422" in tab.complaints.pop()
    await judge(tab, staged, axe=look == "desktop")
    await page.fill("#fallback", "Europe/Berlin")
    await page.click("#look")
    await expect(page.locator("#outcome h2")).to_contain_text("people")
    await judge(tab, staged, axe=look == "desktop")
    await picture(page, f"schedule-shown-{look}")
    await page.click("#do-schedule")
    await expect(page.get_by_text("It is scheduled, and starts by itself.")).to_be_visible()
    await page.click("#do-unschedule")
    await expect(page.get_by_text("It is off its schedule")).to_be_visible()
    await staged.arrange.sql.execute("delete from mailouts where id = %s", [mailout])


@pytest.mark.short
@SCRIPT_OR_NOT
async def test_a_template_is_seen_before_it_is_saved(
    staged: Staged, signed_in: Any, *, javascript: bool
) -> None:
    """At a phone's width and in the dark, too; and its frame runs nothing."""
    tab = await signed_in("/dashboard/templates/new", java_script_enabled=javascript)
    page = tab.page
    await page.get_by_role("button", name="Begin with this").nth(1).click()
    frame = page.frame_locator("iframe[name=preview]")
    await expect(frame.get_by_text("The Harbour Digest")).to_be_visible()
    text = await page.input_value("#body")
    text = text.replace("The Harbour Digest", "My own digest<script>document.write(1)</script>")
    await page.fill("#body", text)
    await page.get_by_role("button", name="Show it").click()
    await expect(frame.get_by_text("My own digest")).to_have_text("My own digest")
    await page.get_by_text("Phone", exact=True).click()
    width = await page.locator("iframe[name=preview]").evaluate("one => one.clientWidth")
    assert width == 390
    await page.get_by_role("button", name="Dark").click()
    sheet = frame.locator(".sheet")
    await expect(sheet).to_have_css("background-color", "rgb(23, 30, 29)")
    await page.get_by_role("button", name="Save version 2").click()
    await expect(page.get_by_role("status").first).to_contain_text("Saved.")
    # The frame's policy says so in the console, wherever it refuses the script.
    assert all("sandboxed" in line or "Security Policy" in line for line in tab.complaints)


@SCRIPT_OR_NOT
async def test_an_audience_is_put_together(
    staged: Staged, signed_in: Any, *, javascript: bool
) -> None:
    """With script the count follows what is typed; without, a button counts."""
    tab = await signed_in("/dashboard/segments/new", java_script_enabled=javascript)
    await put_together(tab.page, staged.arrange, f"Press {javascript}", counts=not javascript)
    assert tab.complaints == []


@pytest.mark.short
async def test_an_audience_is_put_together_in_a_hurry(staged: Staged, signed_in: Any) -> None:
    """What is pressed and typed before the page has an answer isn't lost."""
    tab = await signed_in("/dashboard/segments/new")
    await hurry(tab.page)
    assert tab.complaints == []


async def test_a_long_list_is_counted_after_an_estimate(staged: Staged, signed_in: Any) -> None:
    tab = await signed_in("/dashboard/segments/new")
    named = await staged.arrange.one(
        "select count(*) from subscribers where status = 'active' and address is not null "
        "and name ilike '%%a%%'"
    )
    await count_slowly(tab.page, named)


@DESKTOP_OR_PHONE
async def test_the_groups_of_a_large_mailout_are_counted_while_it_is_read(
    staged: Staged, signed_in: Any, look: str
) -> None:
    """Nobody loses their place, and then nothing is asked any more."""
    mailout = await to_many(staged.arrange, datetime.now(UTC) - timedelta(days=1))
    path = f"/dashboard/mailouts/{mailout}/engagement"
    tab = await signed_in(path, **LOOKS[look])
    page, counted, asked = tab.page, asyncio.Event(), 0

    async def hold(route: Route) -> None:
        nonlocal asked
        asked += 1
        await counted.wait()
        await route.continue_()

    await page.route(f"**{path}", hold)
    providers = page.locator("section[aria-labelledby=providers]")
    await expect(providers).to_contain_text("Estimates, from 5,000 of its mails")
    await expect(providers).to_contain_text("More are being counted")
    await judge(tab, staged)
    await picture(page, f"engagement-counting-{look}")
    await page.focus("#figures")
    counted.set()
    await expect(providers).not_to_contain_text("Estimates")
    await expect(page.locator("#figures")).to_be_focused()
    await expect(page.get_by_role("status")).to_have_text("The groups are counted")
    await judge(tab, staged, axe=False)
    await asyncio.sleep(2.5)
    assert asked == 1


@pytest.mark.short
@SCRIPT_OR_NOT
async def test_a_webhook_is_added_by_keyboard_and_its_secret_seen_once(
    staged: Staged, signed_in: Any, javascript: bool
) -> None:
    tab = await signed_in(
        "/dashboard/hooks/new", java_script_enabled=javascript, **LOOKS["desktop"]
    )
    page = tab.page
    await page.focus("#url")
    await page.keyboard.type("http://example.com/x")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Use https")
    await expect(page.locator("#url")).to_have_value("http://example.com/x")
    await expect(page.get_by_role("checkbox", name="scheduled")).to_be_checked()
    await page.fill("#url", "https://hook.example.com/hook")
    await page.keyboard.press("Enter")
    secret = page.get_by_label("The secret")
    await expect(secret).to_contain_text("whsec_")
    shown = await secret.inner_text()
    if javascript:
        tab.complaints.clear()  # of the answer's status, before
        await judge(tab, staged)
        await picture(page, "hook-secret")
    await page.get_by_role("link", name="Go on, and try it").click()
    await expect(page.get_by_role("heading", name="hook.example.com")).to_be_visible()
    assert shown not in await page.content()
    await page.get_by_role("link", name="Delete…").click()
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("status").first).to_contain_text("Deleted.")
