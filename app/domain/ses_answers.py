"""What SES's answers mean for a recipient and for the mailout. Pure.

Sources: the SESv2 service model of botocore (`BulkEmailStatus`, the errors of SendBulkEmail and
SendEmail) and the SES developer guide, "Errors related to sending quotas".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.domain.batches import Outcome

Halt = Literal["throttled", "quota", "account", "configuration", "content", "split", "unreachable"]
"""What the sender should do beside settling the rows. throttled: slow down. quota, account,
configuration, content: pause the mailout with this reason. split: find the one that spoils the
call. unreachable: SES did not answer (counts for the circuit breaker)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One verdict: of an entry of a bulk call, or of a whole call that was refused or lost."""

    outcome: Outcome
    code: str | None = None
    message: str | None = None
    message_id: str | None = None
    halt: Halt | None = None

    @property
    def from_ses(self) -> bool:
        """Whether SES itself said this (and not that it couldn't be asked)."""
        return self.halt != "unreachable" and self.code not in NEVER_LEFT


NEVER_LEFT = frozenset({"lease_lost", "not_prepared"})
"""Codes of answers that are ours: the request did not leave this machine."""


# Entry statuses (BulkEmailStatus) other than SUCCESS.
_ENTRY: dict[str, tuple[Outcome, Halt | None]] = {
    "ACCOUNT_THROTTLED": ("requeue", "throttled"),
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": ("requeue", "quota"),
    "TRANSIENT_FAILURE": ("retry", None),
    "FAILED": ("retry", None),
    "INVALID_PARAMETER": ("failed", None),
    "MESSAGE_REJECTED": ("failed", None),
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": ("requeue", "configuration"),
    "CONFIGURATION_SET_NOT_FOUND": ("requeue", "configuration"),
    "TEMPLATE_NOT_FOUND": ("requeue", "configuration"),
    "INVALID_SENDING_POOL_NAME": ("requeue", "configuration"),
    "ACCOUNT_SUSPENDED": ("requeue", "account"),
    "ACCOUNT_SENDING_PAUSED": ("requeue", "account"),
    "CONFIGURATION_SET_SENDING_PAUSED": ("requeue", "account"),
}


def entry_answer(status: str, message_id: str | None, error: str | None) -> Answer:
    """One element of BulkEmailEntryResults. A status we don't know leaves the outcome unknown."""
    if status == "SUCCESS":
        if message_id:
            return Answer("sent", message_id=message_id)
        return Answer("unknown", "no_message_id", "SES reported success without a message id.")
    outcome, halt = _ENTRY.get(status, ("unknown", None))
    return Answer(outcome, status, error or status, halt=halt)


_THROTTLING = {
    "TooManyRequestsException",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "LimitExceededException",
}
_ACCOUNT = {"AccountSuspendedException", "SendingPausedException"}
_CONFIGURATION = {
    "MailFromDomainNotVerifiedException",
    "NotFoundException",
    "AccessDeniedException",
    "AccessDenied",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredTokenException",
    "ExpiredToken",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "RequestExpired",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "OptInRequired",
}


def refused_call(code: str, http_status: int, message: str, entries: int) -> Answer:
    """A whole call that SES answered with an error: what it means for each of its entries.

    http_status: of the answer. entries: how many recipients the call carried.
    A 5xx may follow an acceptance, so its outcome is unknown, whatever its code.
    """
    message = message or code
    if http_status >= 500:
        return Answer("unknown", code, message, halt="unreachable")
    if "daily" in message.lower() and code in _THROTTLING | {"MessageRejected"}:
        return Answer("requeue", code, message, halt="quota")
    if code in _THROTTLING or http_status == 429:
        return Answer("requeue", code, message, halt="throttled")
    if code in _ACCOUNT:
        return Answer("requeue", code, message, halt="account")
    if code in _CONFIGURATION or http_status in {401, 403}:
        return Answer("requeue", code, message, halt="configuration")
    if 400 <= http_status < 500:
        # MessageRejected, BadRequestException …: refused, and one entry may be the cause.
        return Answer("failed", code, message, halt="split" if entries > 1 else None)
    return Answer("unknown", code, message, halt="unreachable")


def unless_sender_unverified(answer: Answer, sender: str) -> Answer:
    """SES words a sender and, in its sandbox, a recipient that isn't verified alike: "Email address
    is not verified. The following identities failed the check in region …: ADDRESSES". When it is
    the sender (or its domain), nobody is to blame but the configuration.
    """
    text = (answer.message or "").lower()
    if answer.outcome != "failed" or "not verified" not in text:
        return answer
    named = text.rpartition(":")[2]
    sender = sender.lower()
    domain = sender.rpartition("@")[2]
    identities = {identity.strip(" .") for identity in named.split(",")}
    if not identities & {sender, domain}:
        return answer
    return Answer("requeue", answer.code, answer.message, halt="configuration")
