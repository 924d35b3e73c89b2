"""Rate, quota, the account's status, identities, configuration sets, the suppression list."""

from __future__ import annotations

from typing import Any

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.sandbox.ses.quota import Account, Bucket
from tests.sandbox.support import bulk, entry, refused, ses_client, single, statuses


class Clock:
    """Seconds that pass when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_call_passes_while_any_rate_is_left_and_then_the_debt_is_paid() -> None:
    clock = Clock()
    bucket = Bucket(10, clock)
    assert bucket.take(50)
    clock.now += 3.9
    assert not bucket.take(1)
    clock.now += 0.2
    assert bucket.take(1)


def test_a_rate_below_one_lets_single_mails_pass() -> None:
    clock = Clock()
    bucket = Bucket(0.5, clock)
    assert bucket.take(1)
    assert not bucket.take(1)
    clock.now += 2
    assert bucket.take(1)


def test_the_daily_quota_frees_after_24_hours() -> None:
    clock = Clock()
    account = Account(SandboxConfig(max_24h_send=10), clock)
    account.count(6)
    clock.now += 12 * 3600
    account.count(4)
    assert account.daily_left() == 0
    clock.now += 12 * 3600 + 61
    assert (account.sent_last_24h(), account.daily_left()) == (4, 6)


def test_above_the_rate_a_call_is_throttled_whole(start: Any) -> None:
    server = start(max_send_rate=5.0)
    ses = ses_client(server.url)
    ses.send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(50))))
    with refused("TooManyRequestsException", 429, r"Maximum sending rate exceeded\."):
        ses.send_bulk_email(**bulk("a@example.com"))
    with refused("TooManyRequestsException", 429):
        ses.send_email(**single("a@simulator.amazonses.com"))
    assert (server.stats()["accepted"], server.stats()["throttled"]) == (50, 2)


def test_over_the_daily_quota_what_fits_is_accepted(start: Any) -> None:
    server = start(max_24h_send=3)
    ses = ses_client(server.url)
    answer = ses.send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(5))))
    assert statuses(answer) == ["SUCCESS"] * 3 + ["ACCOUNT_DAILY_QUOTA_EXCEEDED"] * 2
    with refused("LimitExceededException", match="Daily message quota exceeded"):
        ses.send_bulk_email(**bulk("a@example.com"))
    with refused("LimitExceededException"):
        ses.send_email(**single())
    # Simulator mail doesn't count.
    ses.send_email(**single("success@simulator.amazonses.com"))
    assert ses.get_account()["SendQuota"]["SentLast24Hours"] == 3


def test_without_production_access_only_the_verified_are_reached(start: Any) -> None:
    ses = ses_client(start(production_access=False, verified=frozenset({"example.com"})).url)
    answer = ses.send_bulk_email(
        **bulk("a@example.com", "b@other.example", "bounce+1@simulator.amazonses.com")
    )
    assert statuses(answer) == ["SUCCESS", "MESSAGE_REJECTED", "SUCCESS"]
    with refused("MessageRejected", match="not verified"):
        ses.send_email(**single("b@other.example"))
    assert ses.get_account()["ProductionAccessEnabled"] is False


def test_the_account_changes_in_flight(sandbox: SandboxServer) -> None:
    ses = ses_client(sandbox.url)
    sandbox.account(max_send_rate=3.5, max_24h_send=200)
    assert ses.get_account()["SendQuota"] == {
        "MaxSendRate": 3.5,
        "Max24HourSend": 200.0,
        "SentLast24Hours": 0.0,
    }
    sandbox.account(sending_enabled=False)
    with refused("SendingPausedException"):
        ses.send_email(**single())
    sandbox.account(sending_enabled=True, enforcement_status="SHUTDOWN")
    account = ses.get_account()
    assert (account["SendingEnabled"], account["EnforcementStatus"]) == (False, "SHUTDOWN")
    with refused("AccountSuspendedException"):
        ses.send_bulk_email(**bulk("a@example.com"))
    sandbox.account(enforcement_status="HEALTHY")
    ses.send_email(**single())


def test_an_identity_is_found_when_it_is_verified(start: Any) -> None:
    ses = ses_client(start(verified=frozenset({"example.com"})).url)
    assert ses.get_email_identity(EmailIdentity="example.com")["VerifiedForSendingStatus"]
    with refused("NotFoundException", 404):
        ses.get_email_identity(EmailIdentity="news@example.com")  # covered by its domain only


def test_a_configuration_set_shows_where_its_events_go(start: Any) -> None:
    silent = ses_client(start().url)
    name = "sandbox"
    assert silent.get_configuration_set(ConfigurationSetName=name)["ConfigurationSetName"] == name
    destinations = silent.get_configuration_set_event_destinations(ConfigurationSetName=name)
    assert destinations["EventDestinations"] == []
    with refused("NotFoundException", 404):
        silent.get_configuration_set(ConfigurationSetName="other")
    loud = ses_client(start(event_endpoint="http://127.0.0.1:9/").url)
    (found,) = loud.get_configuration_set_event_destinations(ConfigurationSetName=name)[
        "EventDestinations"
    ]
    assert found["SnsDestination"]["TopicArn"].startswith("arn:aws:sns:us-east-1:")
    assert {"SEND", "DELIVERY", "BOUNCE", "RENDERING_FAILURE"} <= set(found["MatchingEventTypes"])


def test_the_suppression_list(sandbox: SandboxServer) -> None:
    ses = ses_client(sandbox.url)
    ses.put_suppressed_destination(EmailAddress="a+b@example.com", Reason="BOUNCE")
    ses.put_suppressed_destination(EmailAddress="c@example.com", Reason="COMPLAINT")
    found = ses.get_suppressed_destination(EmailAddress="A+B@example.com")["SuppressedDestination"]
    assert (found["EmailAddress"], found["Reason"]) == ("a+b@example.com", "BOUNCE")
    assert found["LastUpdateTime"].year >= 2025
    page = ses.list_suppressed_destinations(PageSize=1)
    rest = ses.list_suppressed_destinations(PageSize=1, NextToken=page["NextToken"])
    assert [
        each["EmailAddress"]
        for listed in (page, rest)
        for each in listed["SuppressedDestinationSummaries"]
    ] == ["a+b@example.com", "c@example.com"]
    complaints = ses.list_suppressed_destinations(Reasons=["COMPLAINT"])
    assert len(complaints["SuppressedDestinationSummaries"]) == 1
    ses.delete_suppressed_destination(EmailAddress="a+b@example.com")
    with refused("NotFoundException", 404):
        ses.get_suppressed_destination(EmailAddress="a+b@example.com")
    # Mail to a listed address is accepted and not sent.
    answer = ses.send_bulk_email(**bulk(entry("c@example.com")))
    assert statuses(answer) == ["SUCCESS"]
    assert sandbox.mails()[0]["fates"] == {"c@example.com": "suppressed after a complaint"}
