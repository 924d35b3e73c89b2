"""Every answer that botocore's model knows has a decided meaning."""

from __future__ import annotations

import botocore.session
import pytest

from app.domain.ses.answers import (
    NOT_SES,
    Answer,
    entry_answer,
    refused_call,
    shared_refusal,
    unless_sender_unverified,
)
from app.services.sending.deliver import settle

MODEL = botocore.session.get_session().get_service_model("sesv2")
STATUSES = MODEL.shape_for("BulkEmailStatus").metadata["enum"]
ERRORS = sorted(
    {
        e.name
        for op in ("SendBulkEmail", "SendEmail")
        for e in MODEL.operation_model(op).error_shapes
    }
)


@pytest.mark.parametrize("status", STATUSES)
def test_every_entry_status_of_the_model_is_handled(status: str) -> None:
    answer = entry_answer(status, "id" if status == "SUCCESS" else None, "because")
    assert answer.outcome != "unknown"
    assert (answer.outcome == "sent") == (status == "SUCCESS")


@pytest.mark.parametrize(
    ("status", "outcome", "halt"),
    [
        ("ACCOUNT_THROTTLED", "requeue", "throttled"),
        ("ACCOUNT_DAILY_QUOTA_EXCEEDED", "requeue", "quota"),
        ("TRANSIENT_FAILURE", "retry", None),
        ("MESSAGE_REJECTED", "failed", None),
        ("INVALID_PARAMETER", "failed", None),
        ("ACCOUNT_SUSPENDED", "requeue", "account"),
        ("CONFIGURATION_SET_NOT_FOUND", "requeue", "configuration"),
    ],
)
def test_what_an_entry_status_means(status: str, outcome: str, halt: str | None) -> None:
    answer = entry_answer(status, None, "text")
    assert (answer.outcome, answer.halt, answer.message) == (outcome, halt, "text")


@pytest.mark.parametrize(
    ("status", "halt"),
    [
        ("MailFromDomainNotVerified", "configuration"),
        ("CONFIGURATION_SET_DOES_NOT_EXIST", "configuration"),
        ("ConfigurationSetDoesNotExist", "configuration"),
        ("AccountSuspended", "account"),
        ("TENANT_SENDING_PAUSED", "account"),
        ("TENANT_THROTTLED", "throttled"),
        ("TENANT_DAILY_QUOTA_EXCEEDED", "quota"),
    ],
)
def test_a_status_that_names_its_cause_pauses_though_it_is_new(status: str, halt: str) -> None:
    """Or of the older API, which a stand-in may speak."""
    answer = entry_answer(status, None, None)
    assert (answer.outcome, answer.halt, answer.code) == ("requeue", halt, status)


def test_a_new_refusal_is_one() -> None:
    assert entry_answer("RECIPIENT_NOT_ALLOWED", None, "No.").outcome == "failed"


def test_a_status_nobody_knows_and_a_success_without_id_are_unknown() -> None:
    assert entry_answer("BRAND_NEW", None, None).outcome == "unknown"
    assert entry_answer("SUCCESS", None, None).outcome == "unknown"


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_of_the_model_is_a_definite_refusal(code: str) -> None:
    assert refused_call(code, 400, "text", 1).outcome in {"requeue", "failed"}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_5xx_is_unknown_whatever_its_code(status: int) -> None:
    """It may follow an acceptance."""
    for code in ("InternalServiceErrorException", "TooManyRequestsException", ""):
        answer = refused_call(code, status, "", 50)
        assert (answer.outcome, answer.halt) == ("unknown", "unreachable")


@pytest.mark.parametrize(
    ("code", "status", "message", "halt"),
    [
        ("TooManyRequestsException", 429, "Maximum sending rate exceeded.", "throttled"),
        ("LimitExceededException", 400, "Daily message quota exceeded.", "quota"),
        ("ThrottlingException", 400, "Maximum sending rate exceeded", "throttled"),
        ("AccountSuspendedException", 400, "", "account"),
        ("SendingPausedException", 400, "", "account"),
        ("NotFoundException", 404, "", "configuration"),
        ("AccessDeniedException", 403, "", "configuration"),
        ("SomethingNew", 403, "", "configuration"),
        ("ConfigurationSetDoesNotExistException", 400, "", "configuration"),
        ("AccountSendingPausedException", 400, "", "account"),
        ("ProductionAccessNotGrantedException", 400, "", "configuration"),
        ("", 404, "Not Found", "not_ses"),
        ("405", 405, "Method Not Allowed", "not_ses"),
        ("403", 403, "Blocked by the firewall", "not_ses"),
        ("302", 302, "Sign in", "not_ses"),
        ("429", 429, "Slow down", "throttled"),
        ("TenantBusyException", 429, "", "throttled"),
    ],
)
def test_what_a_refused_call_means(code: str, status: int, message: str, halt: str) -> None:
    answer = refused_call(code, status, message, 50)
    assert (answer.outcome, answer.halt) == ("requeue", halt)


def test_a_bad_request_is_split_until_one_entry_is_left() -> None:
    assert refused_call("BadRequestException", 400, "", 2).halt == "split"
    alone = refused_call("BadRequestException", 400, "", 1)
    assert (alone.outcome, alone.halt) == ("failed", None)


@pytest.mark.parametrize(
    ("code", "message", "halt"),
    [
        ("MessageRejected", "Email address is not verified.", "configuration"),
        ("MessageRejected", "Sending paused for this account.", "account"),
        ("MessageRejected", "Configuration set <x> is broken.", "configuration"),
        ("BadRequestException", "Illegal header.", "refused"),
        ("FAILED", "Internal.", "account"),
        (NOT_SES, "HTTP 413. Too large", "not_ses"),
    ],
)
def test_why_everybody_is_refused(code: str, message: str, halt: str) -> None:
    """Only what an account or an identity is to blame for goes on by itself."""
    assert shared_refusal(code, message, "failed") == halt


def test_a_retry_ends_after_its_attempts() -> None:
    answer = entry_answer("TRANSIENT_FAILURE", None, None)
    assert settle(1, answer, attempts=1).outcome == "retry"
    assert settle(1, answer, attempts=8).outcome == "failed"


FAILED_CHECK = (
    "Email address is not verified. The following identities failed the check in region US-EAST-1: "
)


@pytest.mark.parametrize(
    "named",
    [
        "news@example.com",
        "News@Example.com",
        "example.com",
        "bob@x.test, news@example.com",
        "Example News <news@example.com>",
        '"News, Example" <news@example.com>',
        "=?utf-8?b?TsOkd3M=?= <news@example.com>",
        "arn:aws:ses:us-east-1:123456789012:identity/example.com",
        "arn:aws:ses:us-east-1:123456789012:identity/news@example.com.",
    ],
)
def test_a_sender_that_is_not_verified_is_the_configurations_fault(named: str) -> None:
    """SES names the address as it was given, or its domain."""
    refused = Answer("failed", "MessageRejected", FAILED_CHECK + named)
    judged = unless_sender_unverified(refused, "news@example.com")
    assert (judged.outcome, judged.halt) == ("requeue", "configuration")
    assert (judged.code, judged.message) == (refused.code, refused.message)


@pytest.mark.parametrize(
    "answer",
    [
        Answer("failed", "MessageRejected", FAILED_CHECK + "bob@example.org"),
        Answer("failed", "MessageRejected", FAILED_CHECK + "more-news@example.com"),
        Answer("failed", "MessageRejected", FAILED_CHECK + "news@example.com.test"),
        Answer("failed", "MessageRejected", FAILED_CHECK + "Bob <bob@example.com>"),
        Answer("failed", "MessageRejected", FAILED_CHECK + "identity/mail.example.com"),
        Answer("failed", "MessageRejected", "Email address is not verified."),
        Answer("failed", "MessageRejected", "Virus found: news@example.com"),
        Answer("failed", "X", None),
        Answer("unknown", "X", FAILED_CHECK + "news@example.com"),
        Answer("sent", message_id="m"),
    ],
)
def test_anything_else_stays_what_it_is(answer: Answer) -> None:
    """In SES's sandbox a recipient that isn't verified is refused with the same words."""
    assert unless_sender_unverified(answer, "news@example.com") is answer
