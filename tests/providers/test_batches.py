"""Whole batches by SendGrid and Mailgun, delivered as SES's are: nobody twice, nobody lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.adapters.providers import fallback_senders
from app.domain.sending.batches import Batch, Recipient
from app.ports import FallbackSender
from app.sandbox.providers.model import StandIn
from app.sandbox.providers.server import ProvidersServer
from app.services.sending.deliver import Deliver, Delivery
from app.services.sending.prepare import Prepared
from tests.providers.letters import OPEN, letter
from tests.support.deliveries import outcomes, prepared
from tests.support.service import settings_for
from tests.support.wide import examples

LETTER = letter("<p>Hi {{ name }} {{ fields.long }}</p>")


@dataclass
class Road:
    """One provider, and a sender's memory of it."""

    standin: StandIn
    sender: FallbackSender

    def __post_init__(self) -> None:
        writing = self.sender.writing(LETTER.compiled, LETTER.envelope)
        self._deliver = Deliver(self.sender, "auto", lambda _: writing)

    def deliver(self, *emails: str, long: str = "") -> Delivery:
        people = tuple(
            Recipient(number, email, 1, None, "Ann", {"long": long})
            for number, email in enumerate(emails, 1)
        )
        mails = {
            one.send_log_id: LETTER.to(one.email, one.send_log_id, **one.fields) for one in people
        }
        batch = Batch(uuid4(), UUID(int=1), people, 0.0)
        content = Prepared(UUID(int=1), LETTER.compiled, LETTER.envelope, prepared().bulk_head)
        with ThreadPoolExecutor(4) as singles:
            return self._deliver(
                content, batch, lambda one: mails[one.send_log_id], "bulk", OPEN, singles
            )

    @property
    def received(self) -> Counter[str]:
        return Counter(mail.to for mail in self.standin.mails)


@pytest.fixture(params=["sendgrid", "mailgun"])
def road(request: pytest.FixtureRequest, providers_server: ProvidersServer) -> Iterator[Road]:
    standin: StandIn = request.getfixturevalue(request.param)
    config = settings_for(
        "postgresql://unused",
        None,
        FALLBACK_PROVIDERS=request.param,
        SENDGRID_API_KEY=providers_server.sendgrid.config.api_key,
        SENDGRID_WEBHOOK_PUBLIC_KEY=providers_server.sendgrid.public_key,
        SENDGRID_API_URL=providers_server.url,
        MAILGUN_API_KEY=providers_server.mailgun.config.api_key,
        MAILGUN_DOMAIN=providers_server.mailgun.config.domain,
        MAILGUN_WEBHOOK_SIGNING_KEY=providers_server.mailgun.config.signing_key,
        MAILGUN_API_URL=providers_server.url,
    )
    [sender] = fallback_senders(config, max_connections=4)
    assert sender.name == request.param
    yield Road(standin, sender)
    sender.close()


def test_nobody_sends_unless_the_settings_say_so() -> None:
    assert fallback_senders(settings_for("postgresql://unused", None), max_connections=1) == []


def test_a_batch_is_one_call_and_long_data_go_beside_it(road: Road) -> None:
    assert outcomes(road.deliver("a@example.com", "b@example.com")) == {"sent": 2}
    assert road.standin.asked == 1
    assert outcomes(road.deliver("c@example.com", "d@example.com", long="ü" * 9_000)) == {"sent": 2}
    assert set(road.received.values()) == {1}
    assert len(road.received) == 4


def test_an_address_that_is_there_twice_gets_both_mails(road: Road) -> None:
    """As TEST_EMAILS may have it: neither provider takes it twice in a call."""
    assert outcomes(road.deliver("a@example.com", "b@example.com", "a@example.com")) == {"sent": 3}
    assert road.received == {"a@example.com": 2, "b@example.com": 1}


def test_one_bad_address_spoils_nobody_elses_mail(road: Road) -> None:
    """Whoever is refused with others goes again, and in the end only the bad address is left."""
    waiting = [f"p{number}@example.com" for number in range(8)] + ["no-domain@x"]
    failed: list[str] = []
    for _ in range(4):
        delivery = road.deliver(*waiting)
        ended = {
            result.send_log_id: result.outcome
            for result in delivery.results
            if result.outcome in {"sent", "failed"}
        }
        failed += [waiting[n - 1] for n, outcome in ended.items() if outcome == "failed"]
        waiting = [one for n, one in enumerate(waiting, 1) if n not in ended]
        if not waiting:
            break
    assert (failed, waiting) == (["no-domain@x"], [])
    assert road.received == {f"p{number}@example.com": 1 for number in range(8)}


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    faults=st.lists(
        st.sampled_from(["ok", "429", "500", "500 accepted", "drop", "drop accepted", "401"]),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_fails_nobody_gets_a_second_mail_and_nobody_is_lost(
    road: Road, faults: list[str]
) -> None:
    """Only what is certainly not accepted is sent again, as the sender does it."""
    road.standin.reset()
    waiting, unknown = ["a@example.com", "b@example.com", "c@example.com"], list[str]()
    for fault in [*faults, "ok"]:
        word, _, accepted = fault.partition(" ")
        if word == "ok":
            road.standin.heal()
        elif word == "drop":
            road.standin.fail(status=0, ending="drop", accept=bool(accepted))
        else:
            body = b'{"errors": [{"message": "no", "field": null}], "message": "no"}'
            road.standin.fail(status=int(word), body=body, accept=bool(accepted))
        if not waiting:
            break
        results = road.deliver(*waiting).results
        by_number = {result.send_log_id: result.outcome for result in results}
        assert len(by_number) == len(waiting)
        unknown += [one for n, one in enumerate(waiting, 1) if by_number[n] == "unknown"]
        waiting = [one for n, one in enumerate(waiting, 1) if by_number[n] == "requeue"]
    assert waiting == []
    assert all(count == 1 for count in road.received.values())
    assert set(road.received) | set(unknown) == {"a@example.com", "b@example.com", "c@example.com"}
