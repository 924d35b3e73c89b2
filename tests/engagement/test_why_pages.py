"""The same over HTTP, on a page and on the command line."""

from __future__ import annotations

import html
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.engagement.conftest import Readership
from tests.support.factories import all_sent, claim, living_sender, start
from tests.support.service import command, environment

ANN = "ann@example.com"


async def mailed(readership: Readership) -> tuple[UUID, UUID]:
    """A mailout whose rule asks much, and the subscriber who got it."""
    store, arrange = readership.service.services.store, readership.arrange
    ann = await arrange.subscriber(ANN, name="<b>Ann</b>", tags=["news"], fields={"plan": "<i>"})
    await arrange.subscriber("bob@example.com")
    rule = {"all": [{"tags": ["news"]}, {"field": "fields.plan", "op": "is", "value": "<i>"}]}
    mailout = await arrange.mailout(subject="June <news>", audience=rule)
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    await store.record_results(batch.attempt_id, all_sent(batch))
    return mailout, ann


async def test_over_http_it_is_found_by_the_address(readership: Readership) -> None:
    mailout, ann = await mailed(readership)
    why = await readership.json(f"/mailouts/{mailout}/recipients/ANN@example.com/why")
    assert (why["got"], why["person"]["id"]) == (True, str(ann))
    missed = await readership.json(f"/mailouts/{mailout}/recipients/bob@example.com/why")
    assert (missed["got"], missed["code"]) == (False, "not_in_audience")
    gone = await readership.json(f"/mailouts/{mailout}/recipients/x@example.com/why", 404)
    assert (gone["code"], gone["reason"]) == ("subscriber_not_found", "nobody")
    other = await readership.json(f"/mailouts/{uuid4()}/recipients/{ANN}/why", 404)
    assert other["code"] == "mailout_not_found"
    await readership.ask(f"/mailouts/{mailout}/recipients/{ANN}/why?x=1", 422)
    stranger = await readership.service.http.get(f"/mailouts/{mailout}/recipients/{ANN}/why")
    assert stranger.status_code == 401


async def test_the_page_is_linked_where_people_look_for_it(readership: Readership) -> None:
    mailout, ann = await mailed(readership)
    path = f"/mailouts/{mailout}/recipients/{ann}/why"
    for page in (f"/mailouts/{mailout}/recipients", f"/subscribers/{ann}"):
        assert f'href="/dashboard{path}"' in (await readership.visitor.get(page)).text, page
    shown = await readership.visitor.get(path)
    assert shown.status_code == 200
    assert "<b>Ann" not in shown.text
    assert "<i>" not in shown.text
    text = html.unescape(shown.text)
    for words in (
        "June <news>", "All of these", "Tag “news”", "Added in the database", "message-",
        "Opens and clicks of this mailout are not tracked", "Not known: none was recorded",
    ):  # fmt: skip
        assert words in text, words
    # Whoever has no place in it is asked for by the address.
    missed = await readership.visitor.get(
        f"/mailouts/{mailout}/recipients/why?email=bob@example.com"
    )
    assert missed.status_code == 303
    told = await readership.visitor.get(missed.headers["location"].removeprefix("/dashboard"))
    assert "the rule didn't fit them" in html.unescape(told.text)
    nobody = await readership.visitor.get(f"/mailouts/{mailout}/recipients/why?email=x@example.com")
    assert nobody.status_code == 404
    await readership.service.services.store.erase_subscriber(ANN, "owner")
    erased = await readership.visitor.get(path)
    assert erased.status_code == 200
    assert "Ann" not in erased.text
    assert "ann@" not in erased.text


@pytest.mark.short
async def test_on_the_command_line_it_is_told_in_lines(
    readership: Readership, tmp_path: Path
) -> None:
    mailout, _ = await mailed(readership)
    variables = environment(readership.dsn, None)
    done = command(tmp_path, variables, "why", str(mailout), "ANN@example.com")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Got it: They were active, and the rule of its")
    assert "audience:    tag “news” and plan is “<i>”" in lines
    assert any("tag “news”: now yes, then yes (has: “news”)" in line for line in lines)
    assert any(line.startswith("claim:") and "us-east-1" in line for line in lines)
    unknown = command(tmp_path, variables, "why", str(mailout), "x@example.com")
    assert unknown.returncode == 1
    assert "look for another spelling" in unknown.stderr
    assert '"got": true' in command(tmp_path, variables, "why", str(mailout), ANN, "--json").stdout
