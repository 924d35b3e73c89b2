"""Choosing who gets a mailout, on its page."""

from __future__ import annotations

from uuid import UUID

from tests.support.dashboard import Visitor
from tests.support.factories import Arrange

VIENNA = {"audience-field-0": "tag", "audience-op-0": "is", "audience-was-0": "tag"}


async def audience(arrange: Arrange, mailout: UUID) -> object:
    return await arrange.one("select audience from mailouts where id = %s", mailout)


async def test_an_audience_is_chosen_counted_and_kept(visitor: Visitor, arrange: Arrange) -> None:
    await arrange.subscriber(tags=["vienna"])
    await arrange.subscriber(tags=["graz"])
    mailout = await arrange.mailout("draft")
    page = f"/mailouts/{mailout}/audience"
    assert "<b>2</b> people would get it" in (await visitor.get(page)).text
    chosen = VIENNA | {"audience-value-0": "vienna"}
    answer = await visitor.post(page, version="1", **chosen, **{"audience-do": "count"})
    assert answer.status_code == 200
    assert "<b>1</b> person would get it" in answer.text
    assert await audience(arrange, mailout) is None  # looking saves nothing
    answer = await visitor.post(page, version="1", **chosen, next="test")
    assert answer.headers["location"].endswith("/test?notice=saved")
    assert await audience(arrange, mailout) == {"tags": ["vienna"]}
    answer = await visitor.post(page, version="2")
    assert answer.headers["location"].endswith("/audience?notice=saved")
    assert await audience(arrange, mailout) is None


async def test_what_is_wrong_or_late_is_kept_on_the_page(
    visitor: Visitor, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft", audience={"tags": ["theirs"]})
    page = f"/mailouts/{mailout}/audience"
    answer = await visitor.post(page, version="1", **VIENNA, **{"audience-value-0": " "})
    assert answer.status_code == 422
    assert "choose a tag" in answer.text
    mine = VIENNA | {"audience-value-0": "mine"}
    answer = await visitor.post(page, version="0", **mine)
    assert answer.status_code == 412
    assert "tag “theirs”" in answer.text
    assert 'value="mine"' in answer.text
    assert 'name="version" value="1"' in answer.text  # so that saving again keeps mine
    assert await audience(arrange, mailout) == {"tags": ["theirs"]}
    await arrange.sql.execute("update mailouts set status = 'sending' where id = %s", [mailout])
    answer = await visitor.post(page, version="1", **mine)
    assert answer.headers["location"].endswith("notice=late")
