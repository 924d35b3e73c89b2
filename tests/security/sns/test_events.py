"""Genuine messages whose events aren't what they seem."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.security.sns.amazon import Sns, bounce
from tests.support.engagement import told


@pytest.fixture
async def mails(sns: Sns) -> list[Any]:
    """Two, of two mailouts; SES's message ids of both are known."""
    found = [await sns.mail(), await sns.mail()]
    for mail in found:
        await sns.fortress.sql.execute(
            "update send_logs set message_id = %s where id = %s", [f"m-{mail.log}", mail.log]
        )
    return found


async def parked(sns: Sns, *events: dict[str, Any] | str) -> None:
    """Each is kept and counted, and changes the state of nobody; also later, when parked events are
    tried again."""
    before, waiting = await sns.states(), await sns.parked()
    for event in events:
        answer = await sns.post(sns.notification(event))
        assert answer.json() == {"recorded": True}
    await sns.fortress.services.store.apply_parked_events()
    assert await sns.states() == before
    assert await sns.parked() == waiting + len(events)


async def test_17_tags_of_another_mailout_or_of_nobody(sns: Sns, mails: list[Any]) -> None:
    mine, other = mails
    await parked(
        sns,
        bounce(mine, mailout_id=[str(other.mailout)]),
        bounce(mine, mailout_id=[str(uuid4())]),
        bounce(mine, send_log_id=[str(other.log)]),
        bounce(mine, send_log_id=["999999999"]),
        bounce(mine, send_log_id=[str(2**63 - 1)]),
        bounce(mine, attempt=[str(other.attempt)]),
        bounce(mine, attempt=[str(uuid4())]),
    )


async def test_17_tags_and_message_id_that_disagree(sns: Sns, mails: list[Any]) -> None:
    """Also where the row's own message id isn't known yet, or isn't the latest attempt's."""
    mine, other = mails
    event = bounce(mine)
    event["mail"]["messageId"] = f"m-{other.log}"
    unheard = await sns.mail()
    stolen = bounce(unheard)
    stolen["mail"]["messageId"] = f"m-{other.log}"
    earlier = uuid4()
    await sns.fortress.sql.execute(
        "insert into send_batches (attempt_id, mailout_id, send_log_ids, executor_id, region, "
        "token_at) values (%s, %s, %s, %s, 'us-east-1', now())",
        [earlier, mine.mailout, [mine.log], uuid4()],
    )
    late = bounce(mine, attempt=[str(earlier)])
    late["mail"]["messageId"] = f"m-{other.log}"
    await parked(sns, event, stolen, late)
    late["mail"]["messageId"] = "m-of-that-attempt"
    assert (await sns.post(sns.notification(late))).json() == {"recorded": True}
    [state] = [row for row in await sns.states() if row["id"] == mine.log]
    assert state["status"] == "bounced", "an earlier attempt of the same row is no contradiction"


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("tag", ["mailout_id", "send_log_id", "attempt"])
async def test_17_tags_that_are_missing_or_doubled(sns: Sns, mails: list[Any], tag: str) -> None:
    """The message id alone, which is a row's, doesn't decide then."""
    mine, other = mails
    right = bounce(mine)["mail"]["tags"][tag][0]
    wrong = bounce(other)["mail"]["tags"][tag][0]
    values: list[Any] = [
        [right, wrong],
        [wrong, right],
        [right, right],
        [],
        [""],
        [None],
        [[right]],
        ["x"],
        [f"{right} "],
        [f"{right}\n"],
        [f"{right}\0"],
        [f"0{right}"],
        [right + "0" * 20],
    ]
    await parked(sns, bounce(mine, **{tag: None}), *(bounce(mine, **{tag: v}) for v in values))
    only = bounce(mine, **dict.fromkeys(("mailout_id", "send_log_id", "attempt")))
    only["mail"]["tags"][tag] = [right]
    await parked(sns, only)


@pytest.mark.short
async def test_17_members_that_come_twice(sns: Sns, mails: list[Any]) -> None:
    """Two readers could differ on it, so it is refused."""
    mine, other = mails
    text = json.dumps(bounce(mine))
    tags = json.dumps(bounce(mine)["mail"]["tags"])
    right = f'"send_log_id": ["{mine.log}"]'
    assert right in text
    for doubled in (
        text.replace(right, f'{right}, "send_log_id": ["{other.log}"]'),
        text.replace(right, f'"send_log_id": ["{other.log}"], {right}'),
        text.replace(right, f'{right}, "send_log\\u005fid": ["{other.log}"]'),
        text.replace(f'"tags": {tags}', f'"tags": {tags}, "tags": {{}}'),
        text.replace('"messageId"', '"messageId": "x", "messageId"'),
        text[:-1] + ', "eventType": "Open"}',
    ):
        answer = await sns.refused(sns.notification(doubled), 400)
        assert answer.json()["code"] == "malformed_event"


async def test_17_a_tag_of_another_type_is_refused(sns: Sns, mails: list[Any]) -> None:
    mine, _ = mails
    for value in (7, "x", {"a": 1}, True):
        await sns.refused(sns.notification(bounce(mine, send_log_id=value)), 400)
    event = bounce(mine)
    for tags in (7, "x", ["a"]):
        event["mail"]["tags"] = tags
        await sns.refused(sns.notification(event), 400)


async def test_17_without_tags_the_message_id_decides(sns: Sns, mails: list[Any]) -> None:
    """So the older notifications come, and they go on working."""
    mine, other = mails
    event = bounce(mine)
    del event["mail"]["tags"]
    event["notificationType"] = event.pop("eventType")
    assert (await sns.post(sns.notification(event))).json() == {"recorded": True}
    states = {row["id"]: row["status"] for row in await sns.states()}
    assert (states[mine.log], states[other.log]) == ("bounced", "sent")


async def test_18_a_bounce_of_an_address_that_was_never_mailed(sns: Sns) -> None:
    """Its subscriber stays who they were: an address alone decides nothing."""
    person = await sns.fortress.arrange.subscriber("never@example.com")
    mail = await sns.mail()
    found = []
    for kind in ("Bounce", "Complaint", "Subscription"):
        event = bounce(mail, mailout_id=None, send_log_id=None, attempt=None)
        event["eventType"] = kind
        event["complaint"] = {"complainedRecipients": [{"emailAddress": "never@example.com"}]}
        event["bounce"]["bouncedRecipients"] = [{"emailAddress": "never@example.com"}]
        event["subscription"] = {"newTopicPreferences": {"unsubscribeAll": True}}
        event["mail"] |= {"destination": ["never@example.com"], "messageId": f"never-{kind}"}
        found.append(event)
        nobody = json.loads(json.dumps(event))
        del nobody["mail"]["messageId"]
        found.append(nobody)
    await parked(sns, *found)
    status = "select status from subscribers where id = %s"
    assert await sns.fortress.arrange.one(status, person) == "active"


async def test_18_a_bounce_names_others_beside_the_one_that_was_mailed(sns: Sns) -> None:
    """The row of its tags moves; those whose addresses it names don't."""
    person = await sns.fortress.arrange.subscriber("beside@example.com")
    mail = await sns.mail()
    event = bounce(mail)
    event["bounce"]["bouncedRecipients"] = [{"emailAddress": "beside@example.com"}]
    event["mail"]["destination"] = ["beside@example.com"]
    assert (await sns.post(sns.notification(event))).status_code == 200
    status = "select status from subscribers where id = %s"
    assert await sns.fortress.arrange.one(status, person) == "active"
    assert await sns.fortress.arrange.one(status, mail.person) == "bounced"
    assert (await sns.post(sns.notification(told(mail, "Delivery")))).status_code == 200
