"""Test mails and recipients on the pages."""

from __future__ import annotations

import csv
import io

import pytest

from tests.integration.mailout_pages.conftest import Named
from tests.support.dashboard import Visitor
from tests.support.factories import Arrange


async def test_a_test_goes_to_whom_is_named(person: Visitor, arrange: Arrange) -> None:
    await arrange.subscribers(1)
    mailout = await arrange.mailout("draft")
    page = f"/mailouts/{mailout}/test"
    assert "team@example.com</textarea>" in (await person.get(page)).text  # TEST_EMAILS
    answer = await person.post(page, to="ann@example.com, bob@example.com;\r\nann@example.com")
    assert answer.headers["location"].endswith("?notice=sent")
    html = (await person.get(f"{page}?notice=sent")).text
    assert "The test is on its way" in html
    assert "unchanged since" in html
    tested = await arrange.one("select array_agg(email order by email) from send_logs")
    assert tested == ["ann@example.com", "bob@example.com"]
    await arrange.sql.execute("update mailouts set subject = 'Other' where id = %s", [mailout])
    assert "changed since" in (await person.get(page)).text
    assert "changed since" in (await person.get(f"/mailouts/{mailout}")).text


@pytest.mark.short
async def test_a_wrong_address_is_named_and_nothing_is_sent(
    person: Visitor, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft")
    page = f"/mailouts/{mailout}/test"
    for typed, said in (
        ("ann@example.com nonsense", "“nonsense” is not a usable address"),
        (" \r\n", "at least one address"),
        ("\n".join(f"a{n}@example.com" for n in range(21)), "At most 20 addresses"),
    ):
        answer = await person.post(page, to=typed)
        assert answer.status_code == 422
        assert said in answer.text
        assert typed.strip() in answer.text
    broken = await arrange.mailout("draft", subject="{{ nome }}")
    answer = await person.post(f"/mailouts/{broken}/test", to="ann@example.com")
    assert answer.status_code == 409
    assert "nome" in answer.text
    assert await arrange.one("select count(*) from send_logs") == 0


async def test_recipients_are_found_by_what_became_of_them(
    visitor: Visitor, arrange: Arrange, named: Named
) -> None:
    mailout = await named()
    page = f"/mailouts/{mailout}/recipients"
    html = (await visitor.get(page)).text
    for text in ("Ann Hill", "ann@example.com", "bob@example.com", "There is no such address."):
        assert text in html
    html = (await visitor.get(f"{page}?status=bounced")).text
    assert "bob@example.com" in html
    assert "ann@example.com" not in html
    html = (await visitor.get(f"{page}?q=ANN@")).text
    assert "ann@example.com" in html
    assert "bob@example.com" not in html
    assert "Nobody with" in (await visitor.get(f"{page}?q=carl")).text
    answer = await visitor.get(f"/mailouts/{mailout}/statement.csv")
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["email"]: row["status"] for row in rows} == {
        "ann@example.com": "delivered", "bob@example.com": "bounced",
    }  # fmt: skip
    strange = await Visitor(visitor.service).get(f"/mailouts/{mailout}/statement.csv")
    assert strange.status_code == 303  # to sign in


async def test_a_long_list_of_recipients_has_pages(visitor: Visitor, arrange: Arrange) -> None:
    mailout = await arrange.mailout("sent", started_at="2026-01-01", recipients=60)
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status) select %s, "
        "gen_random_uuid(), 'r' || n || '@example.com', 'sent' from generate_series(1, 60) n",
        [mailout],
    )
    page = f"/mailouts/{mailout}/recipients"
    first = (await visitor.get(page)).text
    assert first.count('class="who"') == 50
    further = first.split('class="button quiet" href="/dashboard')[-1].split('"')[0]
    second = (await visitor.get(further.replace("&amp;", "&"))).text
    assert second.count('class="who"') == 10


async def test_subjects_are_shown_as_readers_see_them(visitor: Visitor, arrange: Arrange) -> None:
    await arrange.subscriber(name="Zoë <b>")
    mailout = await arrange.mailout("draft", subject="{{ name }}, {{ 1 | plus: 1 }} dates")
    for path in ("", f"/mailouts/{mailout}", f"/mailouts/{mailout}/test"):
        html = (await visitor.get(path)).text
        assert "Zoë &lt;b&gt;, 2 dates" in html
        assert "{{ name }}" not in html
