"""The made-up streams once more, by way of the database: what is folded there and judged by the
work process is what the rules said of each stream alone."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from uuid import UUID

from app.store import Store
from tests.engagement.streams import judged, streams
from tests.support.engagement import happened, judge_all, mailed, tracked_mailout
from tests.support.factories import Arrange


def document(stream: dict[str, Any]) -> str:
    body = "".join(f'<p><a href="{url}">Story</a></p>' for url in stream["body"])
    footer = "".join(f'<a href="{url}">Imprint</a>' for url in stream["footer"])
    return f"{body}<footer>{footer}</footer>"


async def test_the_streams_are_judged_the_same_by_way_of_the_database(
    direct_store: Store, arrange: Arrange
) -> None:
    mailouts: dict[str, UUID] = {}
    names: dict[int, str] = {}
    events = []
    for stream in streams():
        html = document(stream)
        if html not in mailouts:
            mailouts[html] = await tracked_mailout(arrange, body_html=html)
        mail = await mailed(arrange, mailouts[html])
        names[mail.log] = stream["name"]
        sent_at = datetime.fromisoformat(stream["events"][0]["mail"]["timestamp"])
        await arrange.sql.execute(
            "update send_logs set sent_at = %s where id = %s", [sent_at, mail.log]
        )
        tags = {
            "mailout_id": [str(mail.mailout)],
            "send_log_id": [str(mail.log)],
            "attempt": [str(mail.attempt)],
        }
        events += [each | {"mail": each["mail"] | {"tags": tags}} for each in stream["events"]]
    await happened(direct_store, *reversed(events))
    for _ in mailouts:  # each round reads the links of one document
        await judge_all(direct_store)
    rows = await arrange.sql.execute(
        "select send_log_id, kind, network, agent, class, reason from engagement_signals"
    )
    stored = Counter(
        (names[r["send_log_id"]], r["kind"], r["network"], r["agent"], r["class"], r["reason"])
        for r in await rows.fetchall()
    )
    assert stored == Counter(
        (
            *(each.stream, each.signal.kind, each.signal.network, each.signal.agent),
            *(each.verdict.class_, each.verdict.reason),
        )
        for each in judged()
    )
