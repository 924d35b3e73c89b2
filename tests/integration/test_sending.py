"""From POST /send-mailout to SES's door, on a real database and the sandbox."""

from __future__ import annotations

import threading
from textwrap import dedent
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.sandbox.server import SandboxServer
from app.services.sending.deliver import Deliver, Delivery
from app.services.sending.prepare import Prepared
from app.store import Store
from tests.support.factories import Arrange, start
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually


async def finished(service: Service, mailout: UUID, *statuses: str) -> dict[str, Any]:
    wanted = statuses or ("sent", "failed")
    return await eventually(
        lambda: service.show(mailout), until=lambda shown: shown["status"] in wanted
    )


async def test_everybody_gets_their_own_mail_once(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(120)
    await arrange.subscriber("ann+letters@bücher.example", name='Ann "A", née Ærø <x>')
    mailout = await arrange.mailout(
        subject="Für {{ name }}",
        body_html="<p>Hi {{ name }}, {{ fields.city | default: 'you' }}</p>",
    )
    answer = await service.send(mailout)
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted["mailout_id"] == str(mailout)
    assert accepted["status"] == "sending"
    assert accepted["recipients"] == 121
    assert answer.headers["location"] == f"/mailouts/{mailout}"
    shown = await finished(service, mailout)
    assert shown["status"] == "sent"
    assert shown["counts"]["sent"] == 121
    accepted = sandbox.accepted()
    assert len(accepted) == 121
    assert len({a["to"] for a in accepted}) == 121
    # Bulk calls of at most 50.
    assert sandbox.stats()["requests"]["SendBulkEmail"] <= 4
    [ann] = sandbox.mails("ann+letters")
    mail = sandbox.mail(ann["message_id"])
    assert ann["to"] == ["ann+letters@xn--bcher-kva.example"]
    assert mail["subject"] == 'Für Ann "A", née Ærø <x>'
    assert "Ann &#34;A&#34;, née Ærø &lt;x&gt;" in mail["html"]
    assert 'Ann "A", née Ærø <x>' in mail["text"]


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("mode", ["bulk", "single", "auto"])
async def test_what_every_mail_carries(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, mode: str
) -> None:
    """Footer, unsubscribe link and header pair, List-Id, tags, both parts: in each mode."""
    await arrange.subscriber("ann@example.com", name="Ann")
    mailout = await arrange.mailout(preheader="A peek", from_name="Komma, GmbH")
    async with in_process(settings_for(dsn, sandbox.url, SES_SEND_MODE=mode)) as service:
        await service.send(mailout)
        await finished(service, mailout)
    [sent] = sandbox.mails()
    mail = sandbox.mail(sent["message_id"])
    headers = {h["name"].lower(): h["value"] for h in mail["headers"]}
    link = headers["list-unsubscribe"].strip("<>")
    assert link.startswith("http://localhost:8000/unsubscribe?token=")
    assert headers["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert headers["list-id"] == "<news.example.com>"
    assert headers["from"].startswith('"Komma, GmbH"')
    for part in (mail["html"], mail["text"]):
        assert "Example Org" in part
        assert "1 Street, Town" in part
        assert link in part
    assert "ses:no-track" in mail["html"]
    assert "A peek" in mail["html"]
    row = await arrange.one("select id from send_logs")
    attempt = await arrange.one("select attempt_id from send_logs")
    tags = mail["tags"]
    as_dict = tags if isinstance(tags, dict) else {t["Name"]: t["Value"] for t in tags}
    assert as_dict["mailout_id"] == str(mailout)
    assert as_dict["send_log_id"] == str(row)
    assert as_dict["attempt"] == str(attempt)
    operation = "SendEmail" if mode == "single" else "SendBulkEmail"
    assert sandbox.stats()["requests"][operation] == 1


async def test_an_address_that_ses_would_refuse_fails_alone_with_a_reason(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(3)
    await arrange.unusable_subscriber("two@example.com, three@example.com")
    await arrange.unusable_subscriber("ünïcode@example.com")
    mailout = await arrange.mailout()
    await service.send(mailout)
    shown = await finished(service, mailout)
    assert (shown["counts"]["sent"], shown["counts"]["failed"]) == (3, 2)
    reasons = await arrange.sql.execute(
        "select error_code, error_message from send_logs where status = 'failed'"
    )
    async for row in reasons:
        assert row["error_code"] == "invalid_address"
        assert row["error_message"]


async def test_mails_go_to_the_canonical_address_and_show_what_was_written(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """On the wire there is one form of a mailbox; its owner reads the address as they gave it."""
    await arrange.subscriber("Ann\u200b@Exämple.de")
    mailout = await arrange.mailout(body_html="<p>To {{ email }}</p>")
    await service.send(mailout)
    await finished(service, mailout)
    [mail] = sandbox.mails("ann@")
    assert mail["to"] == ["ann@xn--exmple-cua.de"]
    assert "To Ann\u200b@Exämple.de" in sandbox.mail(mail["message_id"])["html"]


async def test_mixed_entry_results_are_handled_one_by_one(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """Transient failures are tried again, refusals are final; nobody twice, nobody lost."""
    await arrange.subscribers(100)
    mailout = await arrange.mailout()
    statuses = ["TRANSIENT_FAILURE", "MESSAGE_REJECTED"]
    mixed = {"entry_failure": {"probability": 0.3, "statuses": statuses}}
    # The first calls only: of the last few who are tried again, chance may refuse all alike, and
    # then the mailout pauses.
    sandbox.faults(next=[mixed, mixed], seed=7)
    await service.send(mailout)
    shown = await finished(service, mailout)
    counts = shown["counts"]
    assert counts["sent"] + counts["failed"] == 100
    assert counts["failed"] > 0
    assert len(sandbox.accepted()) == counts["sent"]
    assert sandbox.stats()["duplicates"] == 0


async def test_a_lost_answer_is_unknown_and_never_sent_again(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """SES accepted and the connection broke: exactly one request, recorded as unknown."""
    await arrange.subscribers(20)
    mailout = await arrange.mailout()
    sandbox.faults(next=["accept_then_drop"])
    await service.send(mailout)
    shown = await finished(service, mailout)
    assert shown["counts"]["unknown"] == 20
    assert "unknown" in shown["status_reason"]
    assert sandbox.stats()["requests"]["SendBulkEmail"] == 1
    assert sandbox.stats()["duplicates"] == 0


async def test_a_throttled_call_is_repeated_without_counting(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(10)
    mailout = await arrange.mailout()
    sandbox.faults(next=["throttle"])
    await service.send(mailout)
    shown = await finished(service, mailout)
    assert shown["counts"]["sent"] == 10
    assert await arrange.one("select max(attempts) from send_logs") == 1


async def test_a_suspended_account_pauses_the_mailout_and_loses_nobody(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(10)
    mailout = await arrange.mailout()
    sandbox.faults(account_suspended=True)
    await service.send(mailout)
    shown = await finished(service, mailout, "paused")
    assert "account" in shown["status_reason"]
    # The account's state may be known before the call under way is answered.
    await eventually(lambda: arrange.counts(mailout), until=lambda rows: rows == {"queued": 10})


async def test_each_reader_gets_what_the_template_means_for_them(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """Imported numbers, escaped links and the subject in the body, as SES pastes them."""
    for name, points in (("Ann", "150"), ("Bob", " 9 "), (None, "")):
        address = f"{name or 'nobody'}+news@example.com".lower()
        await arrange.subscriber(address, name=name, fields={"points": points})
    body = """
        **{{ mailout.subject }},**{% if fields.points > 100 %}gold{% else %}silver{% endif %}
        [shop](https://shop.example/?u=%7B%7B%20email%20%7D%7D)"""
    mailout = await arrange.mailout(
        subject="News for {{ name | default: 'you' }}", body_html=None, body_markdown=dedent(body)
    )
    await service.send(mailout)
    await finished(service, mailout)
    got = {m["to"][0].partition("+")[0]: sandbox.mail(m["message_id"]) for m in sandbox.mails()}
    for who, name, metal in (("ann", "Ann", "gold"), ("bob", "Bob", "silver"),
                             ("nobody", "you", "silver")):  # fmt: skip
        assert got[who]["subject"] == f"News for {name}"
        assert f"<strong>News for {name},</strong>{metal}" in got[who]["html"]
        link = f"https://shop.example/?u={who}%2Bnews%40example.com"
        assert f'href="{link}"' in got[who]["html"]
        assert got[who]["text"].startswith(f"News for {name},{metal} shop ({link})\n")


async def test_nobody_is_claimed_before_the_content_is_ready(
    dsn: str, direct_store: Store, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """Who is claimed has taken tokens: all of them would leave in the second when it is ready."""
    await arrange.subscribers(30)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)

    async def waits() -> Any:
        return await arrange.one(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
            "and query like '%%snapshot_content%%'"
        )

    async with await psycopg.AsyncConnection.connect(dsn) as holder:
        await holder.execute("lock table mailout_snapshots")
        async with in_process(settings_for(dsn, sandbox.url)) as service:
            await eventually(waits, until=bool)
            assert await arrange.counts(mailout) == {"queued": 30}
            await holder.commit()
            shown = await finished(service, mailout)
    assert shown["counts"]["sent"] == 30


async def test_mails_that_take_long_to_make_leave_other_mailouts_their_places(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await arrange.subscribers(20)
    slow, quick = await arrange.mailout(), await arrange.mailout()
    deliver, over = Deliver.__call__, threading.Event()

    def held(self: Deliver, prepared: Prepared, *others: Any) -> Delivery:
        if prepared.mailout_id == slow:
            over.wait(60)
        return deliver(self, prepared, *others)

    monkeypatch.setattr(Deliver, "__call__", held)
    for mailout in (slow, quick):
        await start(direct_store, mailout)
    settings = settings_for(dsn, sandbox.url, BATCH_SIZE="1")
    try:
        async with in_process(settings) as service:
            assert (await finished(service, quick))["counts"]["sent"] == 20
            over.set()
            assert (await finished(service, slow))["counts"]["sent"] == 20
    finally:
        over.set()
