"""The segments' pages, as a browser without script uses them."""

from __future__ import annotations

import re

import pytest

from app.services.audience import segments
from tests.support.dashboard import Visitor
from tests.support.factories import Arrange


async def test_a_segment_is_made_changed_and_deleted_without_script(
    visitor: Visitor, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com", tags=["news"], fields={"plan": "pro"})
    await arrange.subscriber("bob@example.com", tags=["news"], status="bounced")
    assert "No segments yet" in (await visitor.get("/segments")).text
    first = (await visitor.get("/segments/new")).text
    assert 'value="fields.plan"' in first
    line = {"audience-field-0": "tag", "audience-was-0": "tag", "audience-op-0": "is",
            "audience-value-0": "news", "name": "Readers"}  # fmt: skip
    more = (await visitor.post("/segments/new", **line, **{"audience-do": "add"})).text
    assert "audience-field-1" in more
    assert 'value="Readers"' in more
    wrong = await visitor.post("/segments/new", **line | {"audience-value-0": ""})
    assert wrong.status_code == 422
    assert "Line 1: choose a tag." in wrong.text
    assert (await visitor.post("/segments/new", **line | {"name": " "})).status_code == 422
    assert "everybody needs no segment" in (await visitor.post("/segments/new", name="x")).text

    saved = await visitor.post("/segments/new", **line)
    assert saved.headers["location"] == "/dashboard/segments?notice=saved"
    listed = (await visitor.get("/segments?notice=saved")).text
    assert "Saved." in listed
    assert "Tag “news”" in listed
    found = re.search(r"/dashboard(/segments/[0-9a-f-]{36})", listed)
    assert found is not None
    path = found[1]
    shown = (await visitor.get(path)).text
    assert re.search(r"<b>1</b>\s+person\s+would get it", shown)
    assert "a•••@e•••.com" in shown
    assert "bounced" in shown
    taken = await visitor.post("/segments/new", **line | {"name": "readers"})
    assert taken.status_code == 409

    users = {"audience-field-0": "segment", "audience-was-0": "segment", "audience-op-0": "is_not",
             "audience-value-0": path.removeprefix("/segments/"), "name": "Others"}  # fmt: skip
    await visitor.post("/segments/new", **users)
    assert "is used" in (await visitor.get(f"{path}/delete")).text
    refused = await visitor.post(f"{path}/delete")
    assert refused.status_code == 409
    assert "“Others”" in refused.text
    people = (await visitor.get(f"/subscribers?segment={path.removeprefix('/segments/')}")).text
    assert "ann@example.com" in people
    assert "bob@example.com" in people
    assert "In the segment “Readers”" in people
    assert (await visitor.get("/subscribers?segment=x")).status_code == 422

    circle = await visitor.post(path, **users | {"name": "Readers", "audience-op-0": "is"})
    assert circle.status_code == 409
    assert "leads back to itself" in circle.text
    changed = await visitor.post(path, **line | {"audience-op-0": "is_not"})
    assert changed.status_code == 303
    assert "Nobody has" not in (await visitor.get(path)).text
    for name in ("Others", "Readers"):
        listed = (await visitor.get("/segments")).text
        found = re.search(rf"/dashboard(/segments/[0-9a-f-]{{36}})\">{name}<", listed)
        assert found is not None
        gone = await visitor.post(f"{found[1]}/delete")
        assert gone.headers["location"].endswith("notice=deleted")
    assert (await visitor.get(path)).status_code == 404


async def test_the_script_asks_for_the_builder_alone(visitor: Visitor, arrange: Arrange) -> None:
    await arrange.subscriber("ann@example.com", tags=["news"])
    line = {"audience-field-0": "tag", "audience-was-0": "tag", "audience-op-0": "is"}
    answer = await visitor.post("/audience", **line, **{"audience-value-0": "news"})
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "data-audience-reach" in answer.text
    assert re.search(r"<b>1</b>\s+person\s+would get it", answer.text)
    unfinished = await visitor.post("/audience", **line)
    assert "Line 1: choose a tag." in unfinished.text


async def test_of_a_long_list_the_script_gets_an_estimate_and_then_the_number(
    visitor: Visitor, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without script a button counts."""
    monkeypatch.setattr(segments, "QUICK", 100)
    await arrange.subscribers(500)
    line = {"audience-field-0": "name", "audience-was-0": "name", "audience-op-0": "contains"}
    nobody = {**line, "audience-value-0": "nobody"}
    first = await visitor.post("/audience", **nobody)
    assert re.search(r"<b>between 0 and \d+</b>\s+people\s+would get it", first.text)
    assert "data-audience-more" in first.text
    then = await visitor.post("/audience", **nobody, **{"audience-all": "1"})
    assert re.search(r"<b>0</b>\s+people\s+would get it", then.text)
    assert "data-audience-more" not in then.text
    most = await visitor.post("/audience", **line, **{"audience-value-0": "reader"})
    assert "<b>about 500</b>" in most.text or "<b>between" in most.text
    form = {"name": "x", **nobody}
    other = await visitor.post("/segments/new", **form, **{"audience-do": "remove-1"})
    assert "between 0 and" in other.text
    pressed = await visitor.post("/segments/new", **form, **{"audience-do": "count"})
    assert re.search(r"<b>0</b>\s+people\s+would get it", pressed.text)
