"""Opens and clicks of a mailout that is watched arrive, are kept, and move nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.factories import Arrange
from tests.support.service import TOPIC, Service
from tests.support.sns import SnsSigner

PAYLOADS = Path(__file__).parents[2] / "payloads" / "ses"
SIGNER = SnsSigner()


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("state", ["sent", "delivered", "bounced", "failed"])
async def test_they_are_kept_and_move_nobody(front: Service, arrange: Arrange, state: str) -> None:
    """Whatever is known of the mail by then, however often, and whatever they lack."""
    mailout = await arrange.mailout("sending", tracking=True)
    attempt = uuid4()
    log = await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, attempt_id, message_id) "
        "values (%s, %s, 'ann@example.net', %s, %s, 'm1') returning id",
        [mailout, uuid4(), state, attempt],
    )
    row = await log.fetchone()
    assert row is not None

    async def post(event: dict[str, Any]) -> None:
        for _ in range(2):  # the same message, as SNS repeats it
            answer = await front.http.post(
                "/ses-events", json=SIGNER.notification(event, TopicArn=TOPIC, MessageId=_id(event))
            )
            assert answer.status_code == 200, answer.text

    before = await front.show(mailout)
    for name in ("open", "click"):
        event = json.loads((PAYLOADS / f"{name}.json").read_text())
        event["mail"]["messageId"] = "m1"
        event["mail"]["tags"] |= {
            "mailout_id": [str(mailout)], "send_log_id": [str(row["id"])],
            "attempt": [str(attempt)],
        }  # fmt: skip
        await post(event)
        await post({**event, name: {}})
    after = await front.show(mailout)
    assert after["counts"] == before["counts"]
    assert after["counts"][state] == 1
    kept = "select count(*) from ses_events where mailout_id = %s and type in ('open', 'click')"
    assert await arrange.one(kept, mailout) == 4


def _id(event: dict[str, Any]) -> str:
    return str(UUID(int=abs(hash(json.dumps(event))) % 2**128))
