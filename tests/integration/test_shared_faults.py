"""What everybody is refused for is nobody's own fault: the mailout pauses with SES's words and the
remedy, nobody fails, few calls are made, and it goes on when the cause is gone."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.domain.content.render import Compiled, RenderError
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.local_server import Reply
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.strangers import StrangeSes, accepted
from tests.support.waiting import eventually

READERS = 30
NOT_VERIFIED = "Email address is not verified."
FAILED_CHECK = f"{NOT_VERIFIED} The following identities failed the check in region US-EAST-1: "


class MoodySes(StrangeSes):
    """Refuses every call that `refuses` says, until it is mended."""

    def __init__(self, reply: Reply, refuses: frozenset[str] | None = None) -> None:
        self.reply, self.refuses, self.mended = reply, refuses, False
        super().__init__(self._send)

    def _send(self, to: list[str]) -> Reply:
        at_fault = self.refuses is None or self.refuses & set(to)
        return self.reply if at_fault and not self.mended else accepted(to)


async def stopped(service: Service, mailout: UUID) -> dict[str, Any]:
    """The mailout once it is no longer being sent, and nothing is on its way."""
    return await eventually(
        lambda: service.show(mailout),
        until=lambda s: s["status"] != "sending" and not s["counts"]["sending"],
    )


def counts(shown: dict[str, Any]) -> dict[str, int]:
    return {status: n for status, n in shown["counts"].items() if n}


EACH_MODE = pytest.mark.parametrize("mode", ["bulk", "single"])


REFUSALS = [
    Reply.error("MessageRejected", NOT_VERIFIED),
    Reply.error("MessageRejected", FAILED_CHECK + "Example News <news@example.com>"),
    Reply.error("MessageRejected", FAILED_CHECK + '"News, Example" <news@example.com>'),
    Reply.error("MessageRejected", FAILED_CHECK + "=?utf-8?q?N=C3=A4?= <news@example.com>"),
    Reply.error(
        "MessageRejected", FAILED_CHECK + "arn:aws:ses:us-east-1:123456789012:identity/news"
    ),
    Reply.error("MessageRejected", "Sending paused for this account."),
    Reply.error("ConfigurationSetDoesNotExistException", "There is no set <x>."),
    Reply.error("SomethingNewException", "Nobody knows these words."),
    Reply.error("BadRequestException", "Illegal header name."),
    Reply(404, b"<html><title>404 Not Found</title></html>", {"Content-Type": "text/html"}),
]


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("mode", "refusal"),
    [
        *(("bulk", refusal) for refusal in REFUSALS),
        ("single", REFUSALS[0]),
        *(pytest.param("single", refusal, marks=pytest.mark.short) for refusal in REFUSALS[1:]),
    ],
    ids=lambda one: one if isinstance(one, str) else one.body[-30:-3].decode(),
)
async def test_whatever_the_words(
    dsn: str, arrange: Arrange, monkeypatch: pytest.MonkeyPatch, mode: str, refusal: Reply
) -> None:
    monkeypatch.setattr("app.services.sending.account.RETRY_SECONDS", 0.1)
    monkeypatch.setattr("app.services.sending.deliver.LATER_SECONDS", 0.1)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    with MoodySes(refusal) as ses:
        async with in_process(settings_for(dsn, ses.url, SES_SEND_MODE=mode)) as service:
            await service.send(mailout)
            shown = await stopped(service, mailout)
            assert (shown["status"], counts(shown)) == ("paused", {"queued": READERS})
            words = refusal.body.decode().partition('"message":"')[2][:12] or "404 Not Found"
            assert words in shown["status_reason"]
            calls = len(ses.calls)
            rounds = await arrange.one("select count(*) from send_batches")
            assert calls <= rounds * (12 if mode == "bulk" else 4 * 8)
            assert await arrange.one("select max(attempts) from send_logs") == 0

            ses.mended = True
            monkeypatch.setattr("app.services.sending.account.REFRESH_SECONDS", 0.0)
            if await arrange.one("select pause_code from mailouts") == "held":
                await service.http.post(f"/mailouts/{mailout}/resume", headers=BEARER)
            done = await eventually(
                lambda: service.show(mailout), until=lambda s: s["status"] == "sent"
            )
    assert counts(done) == {"sent": READERS}


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("readers", [1, 2, 5])
@pytest.mark.parametrize("size", ["1", "50"])
async def test_however_few_they_are(
    dsn: str, arrange: Arrange, monkeypatch: pytest.MonkeyPatch, readers: int, size: str
) -> None:
    monkeypatch.setattr("app.services.sending.deliver.LATER_SECONDS", 0.1)
    await arrange.subscribers(readers)
    mailout = await arrange.mailout()
    with MoodySes(Reply.error("MessageRejected", "No.")) as ses:
        async with in_process(settings_for(dsn, ses.url, BATCH_SIZE=size)) as service:
            await service.send(mailout)
            shown = await stopped(service, mailout)
    assert (shown["status"], counts(shown)) == ("paused", {"queued": readers})


@pytest.mark.few_variants(2)
@EACH_MODE
@pytest.mark.parametrize("size", ["1", "50"])
async def test_a_bad_address_beside_good_ones_fails_alone(
    dsn: str, arrange: Arrange, monkeypatch: pytest.MonkeyPatch, mode: str, size: str
) -> None:
    """Also where each batch is of one: who is refused waits until others were tried."""
    monkeypatch.setattr("app.services.sending.deliver.LATER_SECONDS", 0.1)
    await arrange.subscribers(8)
    mailout = await arrange.mailout()
    bad = frozenset({"reader1@example.com", "reader8@example.com"})
    with MoodySes(Reply.error("BadRequestException", "Illegal address."), bad) as ses:
        settings = settings_for(dsn, ses.url, SES_SEND_MODE=mode, BATCH_SIZE=size)
        async with in_process(settings) as service:
            await service.send(mailout)
            shown = await stopped(service, mailout)
    assert (shown["status"], counts(shown)) == ("sent", {"sent": 6, "failed": 2})
    done = await arrange.sql.execute("select email from send_logs where status = 'failed'")
    assert {row["email"] async for row in done} == bad


@pytest.mark.few_variants(1)
@EACH_MODE
async def test_the_innocent_of_a_split_call_get_their_mail(
    dsn: str, arrange: Arrange, mode: str
) -> None:
    """The first half is refused for one reason, the second for another."""
    await arrange.subscribers(20)
    mailout = await arrange.mailout()

    def send(to: list[str]) -> Reply:
        for bad in ("reader3@example.com", "reader17@example.com"):
            if bad in to:
                return Reply.error("BadRequestException", f"Illegal in its own way: {bad[6:8]}.")
        return accepted(to)

    with StrangeSes(send) as ses:
        async with in_process(settings_for(dsn, ses.url, SES_SEND_MODE=mode)) as service:
            await service.send(mailout)
            shown = await stopped(service, mailout)
    assert (shown["status"], counts(shown)) == ("sent", {"sent": 18, "failed": 2})


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    "status",
    ["MESSAGE_REJECTED", "MAIL_FROM_DOMAIN_NOT_VERIFIED", "ConfigurationSetDoesNotExist",
     "ACCOUNT_SUSPENDED", "INVALID_PARAMETER", "SOMETHING_NOT_ALLOWED"],
)  # fmt: skip
async def test_in_each_entry_of_a_bulk_call(dsn: str, arrange: Arrange, status: str) -> None:
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    entry = {"Status": status, "Error": "These are the words."}
    with StrangeSes(lambda to: Reply.json({"BulkEmailEntryResults": [entry] * len(to)})) as ses:
        async with in_process(settings_for(dsn, ses.url)) as service:
            await service.send(mailout)
            shown = await stopped(service, mailout)
            calls = len(ses.calls)
    assert (shown["status"], counts(shown)) == ("paused", {"queued": READERS})
    assert "These are the words." in shown["status_reason"]
    assert calls <= 3


async def test_a_test_mail_that_is_refused_fails(dsn: str, arrange: Arrange) -> None:
    """Nobody would resume it, and it tells nothing of the others."""
    mailout = await arrange.mailout("draft")
    with MoodySes(Reply.error("MessageRejected", "No.")) as ses:
        async with in_process(settings_for(dsn, ses.url)) as service:
            await service.send(mailout, test=True)
            await eventually(
                lambda: arrange.one("select count(*) from send_logs where status = 'failed'"),
                until=lambda failed: failed == 2,
            )


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """For whom the template fails: by their names. Empty it, and it works."""
    names: set[str] = set()
    values = Compiled.values

    def failing(self: Compiled, variables: dict[str, Any], *more: Any) -> dict[str, str]:
        if str(variables["name"]) in names:
            odd = f"if fields.points > 1 can't be rendered: {variables['name']}"
            raise RenderError(odd, "body_html")
        return values(self, variables, *more)

    monkeypatch.setattr(Compiled, "values", failing)
    return names


async def test_a_template_that_fails_for_everybody_holds_the_mailout(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, broken: set[str]
) -> None:
    """The list isn't burnt: when the data are set right, everybody gets the mail."""
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url)
    async with in_process(settings, with_sender=False) as front:
        assert (await front.send(mailout)).status_code == 202
    broken.update(f"Reader {n}" for n in range(READERS + 1))
    async with in_process(settings) as service:
        shown = await stopped(service, mailout)
        assert (shown["status"], counts(shown)) == ("paused", {"queued": READERS})
        assert "fields.points > 1" in shown["status_reason"]
        assert await arrange.one("select pause_code from mailouts") == "held"
        assert sandbox.accepted() == []
        broken.clear()
        await service.http.post(f"/mailouts/{mailout}/resume", headers=BEARER)
        done = await stopped(service, mailout)
    assert (done["status"], counts(done)) == ("sent", {"sent": READERS})


async def test_one_readers_odd_data_fail_that_one(
    service: Service, arrange: Arrange, broken: set[str]
) -> None:
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    broken.add("Reader 7")
    await service.send(mailout)
    shown = await stopped(service, mailout)
    assert (shown["status"], counts(shown)) == ("sent", {"sent": READERS - 1, "failed": 1})
