"""What one person opened and clicked: a range, with every reason, never more than is known."""

from __future__ import annotations

import html
from typing import Any
from uuid import UUID

from app.domain.engagement.reasons import WORDS
from app.domain.readership.told import seen_words
from app.services.readership.person import person_engagement
from app.store import Store
from tests.engagement.conftest import Readership
from tests.support.factories import Arrange

ANN = "ann@example.com"
REASON = next(iter(WORDS))


async def got(
    arrange: Arrange,
    person: UUID,
    *signals: tuple[str, str | None, str],
    tracking: bool = True,
    status: str = "delivered",
) -> UUID:
    """A mail they got. signals: (open or click, class, reason), of which the first is the best."""
    mailout = await arrange.mailout(
        "sent", subject="June", tracking=tracking, started_at="2026-06-01"
    )
    row = await arrange.one(
        "insert into send_logs (mailout_id, subscriber_id, email, status, sent_at) "
        "values (%s, %s, %s, %s, '2026-06-01T10:00Z') returning id",
        mailout, person, ANN, status,
    )  # fmt: skip
    best: dict[str, Any] = {}
    for n, (kind, class_, reason) in enumerate(signals):
        best.setdefault(kind, class_)
        await arrange.sql.execute(
            "insert into engagement_signals (send_log_id, mailout_id, kind, network, slot, "
            "first_at, last_at, events, class, reason, rules) "
            "values (%s, %s, %s, %s, '2026-06-01T10:00Z', "
            "'2026-06-01T11:00Z', '2026-06-02T11:00Z', 2, %s, %s, 1)",
            [row, mailout, kind, str(n), class_, reason],
        )
    if signals:
        await arrange.sql.execute(
            "insert into engagement_recipients (send_log_id, mailout_id, subscriber_id, "
            "open_class, click_class, opened_at, due_at) "
            "values (%s, %s, %s, %s, %s, '2026-06-01T11:00Z', %s)",
            [
                row, mailout, person, best.get("open"), best.get("click"),
                None if all(one[1] for one in signals) else "2026-06-01",
            ],
        )  # fmt: skip
    return mailout


async def test_mails_are_counted_by_the_best_that_was_seen(store: Store, arrange: Arrange) -> None:
    ann = await arrange.subscriber(ANN)
    await got(arrange, ann, ("open", "human", "open"), ("open", "machine", "protection"))
    await got(arrange, ann, ("open", "unknown", REASON), ("click", "machine", "protection"))
    await got(arrange, ann, ("open", None, ""))
    await got(arrange, ann)
    await got(arrange, ann, tracking=False)
    await got(arrange, ann, status="bounced")
    found = await person_engagement(store, ann, 3)
    assert (found["mails"], found["tracked"], found["waiting"]) == (5, 4, 1)
    assert found["opens"] == {"human": 1, "unknown": 1, "machine": 0}
    assert found["clicks"] == {"human": 0, "unknown": 0, "machine": 1}
    assert (found["range"]["opens"]["low"], found["range"]["opens"]["high"]) == (1, 2)
    assert found["range"]["opens"]["low_rate"] is None  # under five tracked mails
    assert found["last_human_at"].startswith("2026-06-02T11:00")
    assert found["first_human_at"].startswith("2026-06-01T11:00")
    assert len(found["items"]) == 3
    assert seen_words(found) == (
        "opened 1 to 2, clicked 0, last seen 2026-06-02 11:00:00, of 4 tracked mails"
    )


async def test_a_history_folds_opens_and_clicks(store: Store, arrange: Arrange) -> None:
    ann = await arrange.subscriber(ANN)
    for n in range(3):
        await got(arrange, ann, *[("open", "machine", "protection")] * 20)
        assert len(await store.subscriber_history(ann, 100)) == 2 * (n + 1) + 1
    mailout = await got(arrange, ann)  # events of before there were verdicts
    await arrange.sql.execute(
        "insert into ses_events (sns_message_id, type, mailout_id, send_log_id, payload, "
        "occurred_at) select gen_random_uuid()::text, 'click', mailout_id, id, "
        '\'{"click": {"link": "https://example.com"}}\', now() from send_logs, '
        "generate_series(1, 5) where mailout_id = %s",
        [mailout],
    )
    newest = (await store.subscriber_history(ann, 100))[0]
    assert (newest["kind"], newest["detail"]["type"], newest["detail"]["times"]) == (
        "event", "click", 5,
    )  # fmt: skip
    assert newest["detail"]["links"] == ["https://example.com"]


async def test_it_stands_with_the_subscriber_and_on_their_page(readership: Readership) -> None:
    ann = await readership.arrange.subscriber(ANN)
    page = f"/subscribers/{ann}"
    assert "They got no mail yet" in (await readership.visitor.get(page)).text
    await got(readership.arrange, ann, tracking=False)
    assert "No mail that they got was tracked" in (await readership.visitor.get(page)).text
    mailout = await got(readership.arrange, ann, ("open", "unknown", REASON))
    whole = await readership.json(f"/subscribers/{ANN}/engagement?limit=1")
    assert whole["opens"] == {"human": 0, "unknown": 1, "machine": 0}
    [mail] = whole["items"]
    assert mail["mailout_id"] == str(mailout)
    [signal] = mail["signals"]
    assert signal["because"] == WORDS[REASON]
    await readership.json("/subscribers/nobody@example.com/engagement", 404)
    text = html.unescape((await readership.visitor.get(page)).text)
    assert "0 for certain, 1 perhaps" in text
    assert "opened by a person or a machine" in text
    assert "No person was seen" in text
    assert "Opened, 2 times: a person or a machine" in text
    assert f"/dashboard/mailouts/{mailout}/recipients/{ann}/why" in text


async def test_their_own_data_have_every_signal_and_verdict(readership: Readership) -> None:
    ann = await readership.arrange.subscriber(ANN)
    await got(readership.arrange, ann, ("open", "unknown", REASON))
    exported = await readership.json(f"/subscribers/{ANN}/export")
    [mail] = exported["engagement"]
    assert mail["opened"] == "unknown"
    assert mail["signals"][0]["reason"] == REASON
