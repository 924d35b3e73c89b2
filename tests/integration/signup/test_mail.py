"""The mail that asks for a confirmation."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.factories import REGION, Arrange
from tests.support.service import Service, in_process, settings_for
from tests.support.signup import (
    ANN,
    ask,
    asked,
    confirmation_mail,
    link_in,
    link_to,
    status,
)
from tests.support.waiting import eventually


class TestTheMail:
    async def test_is_the_owners(self, dsn: str, sandbox: SandboxServer, arrange: Arrange) -> None:
        settings = settings_for(
            dsn,
            sandbox.url,
            SIGNUP="true",
            SIGNUP_TEXT="Ja, ich will <den> Brief.",
            SIGNUP_SUBJECT="Bitte bestätigen {{ x }}",
            SIGNUP_MAIL=r"Hallo!\n\nEin Klick:\n{link}\n\nSie sagen damit: {text}",
            SIGNUP_BUTTON="Bestätigen",
            FROM_NAME="Brief",
            REPLY_TO_EMAIL="reply@example.com",
            SES_SEND_MODE="bulk",
        )
        async with in_process(settings) as service:
            await ask(service.http, ANN)
            mail = await confirmation_mail(sandbox, ANN)
        assert mail["subject"] == "Bitte bestätigen {{ x }}"
        assert mail["from"].startswith("Brief <")
        assert "Reply-To: reply@example.com" in mail["raw"]
        assert "Sie sagen damit: Ja, ich will &lt;den&gt; Brief." in mail["html"]
        assert ">Bestätigen</a>" in mail["html"]
        assert "Sie sagen damit: Ja, ich will <den> Brief." in mail["text"]
        link_in(mail)

    async def test_waits_while_the_account_cant_send_and_shares_its_quota(
        self, direct_store: Store, arrange: Arrange
    ) -> None:
        async def claimed(rate: float | None, **account: Any) -> Any:
            account = {"max_24h_send": 100, "sent_last_24h": 0, "sending_enabled": True} | account
            await arrange.sql.execute("delete from send_rates")
            await arrange.sql.execute(
                "insert into send_rates (region, rate, account) values (%s, %s, %s)",
                [REGION, rate, Jsonb(account)],
            )
            return await direct_store.claim_signup_mail(REGION)

        await asked(direct_store, ANN)
        assert await claimed(None) is None
        assert await claimed(0) is None
        assert await claimed(5, sending_enabled=False) is None
        assert await claimed(5, sent_last_24h=100) is None
        mail = await claimed(5, sent_last_24h=99)
        assert mail["to"] == ANN
        assert await arrange.one("select taken_since_check from send_rates") == 1
        assert await direct_store.claim_signup_mail(REGION) is None

    async def test_takes_its_turn_in_the_rate(self, direct_store: Store, arrange: Arrange) -> None:
        """One token of those that mailouts take, too: neither goes without the other's waiting."""
        for address in (ANN, "bob@example.com"):
            await asked(direct_store, address)
        await arrange.sql.execute(
            "insert into send_rates (region, rate, next_token_at) "
            "values (%s, 0.01, now() + interval '50 seconds')",
            [REGION],
        )
        wait = await direct_store.claim_signup_mail(REGION)
        assert wait
        assert 40 < wait["wait"] < 50
        await arrange.sql.execute("update send_rates set next_token_at = now()")
        first = await direct_store.claim_signup_mail(REGION)
        assert first
        assert first["to"] == ANN
        second = await direct_store.claim_signup_mail(REGION)
        assert second
        assert 90 < second["wait"] < 100
        # The clock was set back: nobody waits for the time that was.
        await arrange.sql.execute("update send_rates set next_token_at = now() + interval '1 day'")
        again = await direct_store.claim_signup_mail(REGION)
        assert again
        assert again["to"] == "bob@example.com"

    async def test_a_refusal_that_passes_is_tried_again_and_an_unknown_outcome_is_not(
        self, service: Service, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        async def outcome(expected: str) -> None:
            async def look() -> Any:
                return await arrange.one(
                    "select coalesce(outcome, case when due_at > now() then 'later' end) "
                    "from signups"
                )

            await eventually(look, until=lambda found: found == expected)

        sandbox.faults(next=["throttle"])
        await ask(service.http, ANN)
        await outcome("later")
        sandbox.faults(next=["accept_then_drop"])
        await arrange.sql.execute("update signups set due_at = now()")
        await outcome("unknown")
        assert await service.services.store.claim_signup_mail(REGION) is None
        assert (await service.http.post(await link_to(sandbox, ANN))).status_code == 200
        assert await status(arrange) == "active"

    async def test_a_rehearsal_mails_nobody(
        self, dsn: str, sandbox: SandboxServer, arrange: Arrange
    ) -> None:
        """With DRY_RUN_SEND the mail waits."""
        async with in_process(
            settings_for(dsn, sandbox.url, SIGNUP="true", DRY_RUN_SEND="true")
        ) as service:
            await ask(service.http, ANN)
            assert service.services.sender
            assert service.services.sender._confirmation_mail is None
        assert await arrange.one("select claimed_at is null from signups")
