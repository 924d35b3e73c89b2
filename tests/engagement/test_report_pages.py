"""A mailout's opens and clicks on the dashboard, and its links on the mail itself."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest

from app.domain.engagement.link_map import link_map
from app.services.engagement import reports
from tests.engagement.conftest import Readership
from tests.support.judged import STARTED, Tracked, tracked

SPRING = "https://example.com/spring"
BODY = f"""<p><a href="{SPRING}">Spring</a>
<a href="https://example.com/me?c={{{{ name }}}}">You</a>
<a href='{SPRING}'><img src="https://example.com/x.png"></a> <a href="mailto:me@example.com">Me</a>
<script>alert(1)</script></p>"""


async def letter(readership: Readership, **columns: Any) -> Tracked:
    mailout = await tracked(readership.arrange, body_html=BODY, **columns)
    await mailout.link(SPRING, 0, "body")
    await mailout.link("https://example.com/me?c={{ name }}", 1, "body")
    await readership.arrange.sql.execute(
        "update mailout_links set pattern = 'https://example.com/me?c=%%' where position = 1"
    )
    return mailout


async def read(mailout: Tracked) -> None:
    """Eight got it: one opened it for certain, one perhaps, one clicked without pictures, and a
    machine came."""
    await mailout.reader("ann@gmail.com", opened="human", clicked=[(SPRING, "human")])
    await mailout.reader("cem@icloud.com", opened="unknown", clicked=[(SPRING, "unknown")])
    await mailout.reader("dan@example.org", opened="machine", after=timedelta(days=3))
    await mailout.reader("gus@example.org", clicked=[(SPRING, "human")])
    await mailout.reader("fay@gmx.de", waits=True)
    for n in range(3):
        await mailout.reader(f"r{n}@gmail.com", tags=["vienna"])


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


async def page(readership: Readership, path: str) -> str:
    answer = await readership.visitor.get(path)
    assert answer.status_code == 200, answer.text
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    return words(answer.text)


async def test_it_is_told_as_ranges_in_words_with_a_table_beside_each_drawing(
    readership: Readership,
) -> None:
    before = await letter(readership, subject="October", started_at=STARTED - timedelta(days=30))
    await read(before)
    mailout = await letter(readership)
    await read(mailout)
    path = f"/mailouts/{mailout.id}/engagement"
    shown = await page(readership, path)
    assert "Between 2 and 3 people of 8 read it 25 to 38 %" in shown
    assert "Between 1 and 2 people of 8 opened it 12 to 25 %" in shown
    assert "1 proven 1 possible 1 machine left out" in shown
    assert "1 reader did something that isn’t judged yet" in shown
    assert "The first two days, by the hour" in shown and "By the day" in shown
    assert shown.count("The same as a table") == 2
    assert f"{SPRING} 2–3 0 3" in shown
    assert "October" in shown and "This one" in shown
    html = (await readership.visitor.get(path)).text
    assert html.count('aria-label="Opens over time: 1 proven, 1 possible') == 2
    assert "<style" not in html and 'style="' not in html
    overview = await page(readership, f"/mailouts/{mailout.id}")
    assert (
        "Between 2 and 3 people read it (25 to 38 %), between 2 and 3 people followed" in overview
    )


async def test_few_mails_have_no_rate_and_one_being_sent_is_partial(
    readership: Readership,
) -> None:
    mailout = await letter(readership, status="sending")
    await mailout.reader("ann@gmail.com", opened="human")
    shown = await page(readership, f"/mailouts/{mailout.id}/engagement")
    assert "1 person of 1 opened it" in shown and "opened it 100 %" not in shown
    assert "Fewer than 5 mails were tracked" in shown
    assert "It is still being sent" in shown


async def test_what_is_not_tracked_says_how_to_and_that_readers_are_told(
    readership: Readership,
) -> None:
    sent = await tracked(readership.arrange, tracking=False)
    shown = await page(readership, f"/mailouts/{sent.id}/engagement")
    assert "aren’t tracked" in shown and "SES_TRACKING_CONFIGURATION_SET" in shown
    assert "Tell your readers" in shown
    answer = await readership.visitor.get(f"/mailouts/{sent.id}/engagement/links")
    assert (answer.status_code, answer.headers["location"]) == (
        303, f"/dashboard/mailouts/{sent.id}/engagement",
    )  # fmt: skip
    assert "opened it" not in await page(readership, f"/mailouts/{sent.id}")
    draft = await tracked(readership.arrange, "draft", started_at=None)
    assert "It wasn’t started yet" in await page(readership, f"/mailouts/{draft.id}/engagement")


async def test_a_large_one_is_told_by_a_few_at_once_and_asks_for_more(
    readership: Readership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "SLICE", 4)
    monkeypatch.setattr(reports, "SAMPLE", 6)
    mailout = await letter(readership)
    await read(mailout)
    path = f"/mailouts/{mailout.id}/engagement"
    first = (await readership.visitor.get(path)).text
    assert 'id="live" data-seconds="1"' in first and 'http-equiv="refresh"' in first
    assert "Estimates, from 4 of its mails" in words(first) and "More are being" in words(first)
    await readership.json(path)  # waits for all of the sample
    then = (await readership.visitor.get(path)).text
    assert 'id="live" data-seconds="0"' in then and 'http-equiv="refresh"' not in then
    assert "Estimates, from 8 of its mails" in words(then) and "More are" not in words(then)


async def test_a_segment_is_chosen_by_a_form(readership: Readership) -> None:
    mailout = await letter(readership)
    await read(mailout)
    saved = await readership.service.services.store.save_segment(
        None, f"Vienna {uuid4().hex[:6]}", {"tags": ["vienna"]}, "me"
    )
    name, identity = saved["segment"]["name"], saved["segment"]["id"]
    shown = await page(readership, f"/mailouts/{mailout.id}/engagement?segment={identity}")
    assert f"{name} 3 0" in shown
    for unknown in (uuid4(), "x"):
        await page(readership, f"/mailouts/{mailout.id}/engagement?segment={unknown}")


async def test_files_are_there_for_whoever_signed_in(readership: Readership) -> None:
    mailout = await letter(readership)
    await read(mailout)
    for name in ("engagement.csv", "engagement/recipients.csv"):
        answer = await readership.visitor.get(f"/mailouts/{mailout.id}/{name}")
        assert answer.headers["content-type"].startswith("text/csv"), name
        assert "human" in answer.text


async def test_the_mail_has_a_badge_at_each_link_and_can_do_nothing(
    readership: Readership,
) -> None:
    mailout = await letter(readership)
    await read(mailout)
    answer = await readership.visitor.get(f"/mailouts/{mailout.id}/engagement/links")
    assert answer.status_code == 200, answer.text
    assert "img-src data:;" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert 'sandbox=""' in answer.text
    frame = re.search(r'srcdoc="([^"]*)"', answer.text)
    assert frame is not None
    mail = unescape(frame[1])
    assert badges(mail) == ["1 2–3", "2 0", "1 2–3"]
    shown = words(answer.text.replace(frame[0], ""))
    assert f"{SPRING} 2–3 people; it is there twice, counted together" in shown
    assert "https://example.com/me?c={{ name }} 0 people" in shown


# The badges by themselves


def badges(html: str) -> list[str]:
    return [words(one).replace("\xa0", " ") for one in re.findall(r"<as-badge.*?</as-badge>", html)]


def link(url: str, human: int = 0, unknown: int = 0, **more: Any) -> dict[str, Any]:
    return {"url": url, "human": human, "unknown": unknown, "machine": 0, "events": human,
            "place": "body", "pattern": None, **more}  # fmt: skip


def test_each_link_is_found_however_it_is_spelt() -> None:
    html = (
        "<a HREF='https://Example.com/a?x=1&amp;y=2'>A</a><a href=https://example.com/b>B</a>"
        '<!-- <a href="https://example.com/a">no</a> --><a name="top">C</a>'
        '<a ses:no-track href="https://example.com/unsubscribe">D</a>'
    )
    found = link_map(html, [link("https://example.com/a?x=1&y=2", 3, 4)])
    assert badges(found["html"]) == ["1 3–7", "2 0"]
    assert re.sub(r"<as-badge.*?</as-badge>", "", found["html"]) == html
    assert [place["url"] for place in found["places"]] == [
        "https://example.com/a?x=1&y=2", "https://example.com/b",
    ]  # fmt: skip


def test_a_link_with_holes_is_found_by_the_pattern_with_the_most_text() -> None:
    links = [
        link("https://e.com/{{ a }}", 1, pattern="https://e.com/%"),
        link("https://e.com/100%25_{{ a }}.html", 2, pattern=r"https://e.com/100\%25\_%.html"),
    ]
    html = '<a href="https://e.com/100%25_ann.html">x</a><a href="https://e.com/100%25-ann">y</a>'
    assert badges(link_map(html, links)["html"]) == ["1 2", "2 1"]


@pytest.mark.parametrize(
    "html", ["", "<a", "<a href>", "</a>", '<a href="', "<a href='javascript:x'>x</a>", "<style><a"]
)
def test_what_is_no_link_has_no_badge(html: str) -> None:
    assert link_map(html, []) == {"html": html, "places": []}
