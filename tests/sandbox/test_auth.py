"""Signatures are asked for, must be recent, and are checked when the secret is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.sandbox.server import SandboxServer
from tests.sandbox.support import bulk, refused, ses_client, sns_client


def test_a_request_without_signature_is_refused(sandbox: SandboxServer) -> None:
    answer = httpx.get(f"{sandbox.url}/v2/email/account", trust_env=False)
    assert answer.status_code == 403
    assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time_is_refused(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    other = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: other)
    with refused("SignatureDoesNotMatch", 403, "not within 5 min"):
        ses_client(sandbox.url).send_bulk_email(**bulk("a@example.com"))
    assert sandbox.accepted() == []


@pytest.mark.parametrize("minutes", [-4, 4])
def test_some_skew_is_borne(
    sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    other = datetime.now(UTC) + timedelta(minutes=minutes)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: other)
    ses_client(sandbox.url).get_account()


def test_the_right_secret_passes(start: Any) -> None:
    server = start(credentials={"test": "secret"})
    ses = ses_client(server.url)
    ses.send_bulk_email(**bulk("a@example.com"))
    ses.put_suppressed_destination(EmailAddress="a+ü@example.com", Reason="BOUNCE")
    ses.get_suppressed_destination(EmailAddress="a+ü@example.com")
    ses.list_suppressed_destinations(PageSize=5, Reasons=["BOUNCE", "COMPLAINT"])
    sns_client(server.url).list_subscriptions_by_topic(TopicArn=server.config.topic_arn)


def test_a_wrong_secret_or_key_is_refused(start: Any) -> None:
    wrong = ses_client(start(credentials={"test": "other"}).url)
    with refused("SignatureDoesNotMatch", 403, "does not match"):
        wrong.get_account()
    unknown = ses_client(start(credentials={"else": "secret"}).url)
    with refused("UnrecognizedClientException", 403):
        unknown.get_account()


def test_an_unknown_operation_is_told_so(sandbox: SandboxServer) -> None:
    with refused("UnknownOperationException", 404):
        ses_client(sandbox.url).list_email_identities()
