"""What SES's answers mean for a recipient and for the mailout. Pure.

Sources: the SESv2 service model of botocore (`BulkEmailStatus`, the errors of SendBulkEmail and
SendEmail) and the SES developer guide, "Errors related to sending quotas".
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from app.domain.sending.batches import Outcome

Halt = Literal[
    "throttled",
    "quota",
    "account",
    "configuration",
    "content",
    "template",
    "refused",
    "unknown_status",
    "not_ses",
    "split",
    "unreachable",
]
"""What the sender should do beside settling the rows. throttled: slow down. quota, account,
configuration, content, template, refused, unknown_status, not_ses: pause the mailout with this
reason (template: it fails for every recipient alike; refused: every recipient alike is; not_ses: by
something between here and SES). split: find the one that spoils the call. unreachable: SES did not
answer (counts for the circuit breaker)."""


class Answer(NamedTuple):
    """One verdict: of an entry of a bulk call, or of a whole call that was refused or lost."""

    outcome: Outcome
    code: str | None = None
    message: str | None = None
    message_id: str | None = None
    halt: Halt | None = None

    @property
    def from_ses(self) -> bool:
        """Whether SES itself said this (and not that it couldn't be asked)."""
        return self.halt != "unreachable" and self.code not in _NOT_FROM_SES


NOT_SES = "not_ses"
"""Code of a refusal in a form that SES never uses, such as a proxy's page."""
NOT_ASKED = "not_asked"
"""Code of recipients for whom SES was not asked: it would have refused them like the others."""
_NOT_FROM_SES = frozenset({"lease_lost", "not_prepared", NOT_SES, NOT_ASKED})


# Entry statuses (BulkEmailStatus) other than SUCCESS, and the names of the older API for the same.
_ENTRY: dict[str, tuple[Outcome, Halt | None]] = {
    "ACCOUNT_THROTTLED": ("requeue", "throttled"),
    "ACCOUNT_DAILY_QUOTA_EXCEEDED": ("requeue", "quota"),
    "TRANSIENT_FAILURE": ("retry", None),
    "FAILED": ("retry", None),
    "INVALID_PARAMETER": ("failed", None),
    "INVALID_PARAMETER_VALUE": ("failed", None),
    "MESSAGE_REJECTED": ("failed", None),
    "MAIL_FROM_DOMAIN_NOT_VERIFIED": ("requeue", "configuration"),
    "CONFIGURATION_SET_NOT_FOUND": ("requeue", "configuration"),
    "CONFIGURATION_SET_DOES_NOT_EXIST": ("requeue", "configuration"),
    "TEMPLATE_NOT_FOUND": ("requeue", "configuration"),
    "TEMPLATE_DOES_NOT_EXIST": ("requeue", "configuration"),
    "INVALID_SENDING_POOL_NAME": ("requeue", "configuration"),
    "ACCOUNT_SUSPENDED": ("requeue", "account"),
    "ACCOUNT_SENDING_PAUSED": ("requeue", "account"),
    "CONFIGURATION_SET_SENDING_PAUSED": ("requeue", "account"),
}

# For statuses and error codes that no list here has, but whose name says what they are about. A
# name that may concern one recipient alone (NotVerified, Invalid…) isn't among them: whether others
# are refused alike decides about those (blame.py).
_BY_NAME: tuple[tuple[re.Pattern[str], Halt], ...] = (
    (re.compile("THROTTL|TOO_MANY_REQUESTS|RATE_EXCEEDED"), "throttled"),
    (re.compile("QUOTA"), "quota"),
    (re.compile("SUSPENDED|PAUSED|SHUTDOWN|SHUT_DOWN|SENDING_DISABLED"), "account"),
    (
        re.compile("CONFIGURATION_SET|SENDING_POOL|MAIL_FROM|FROM_EMAIL|TEMPLATE_|PRODUCTION"),
        "configuration",
    ),
)
_REFUSALS = re.compile("INVALID|REJECTED|REFUSED|DENIED|NOT_|BLOCKED|UNVERIFIED|EXCEEDED|BAD_")


def entry_answer(status: str, message_id: str | None, error: str | None) -> Answer:
    """One element of BulkEmailEntryResults. A status we can't make sense of leaves the outcome
    unknown."""
    if status == "SUCCESS":
        if message_id:
            return Answer("sent", message_id=message_id)
        return Answer("unknown", "no_message_id", "SES reported success without a message id.")
    name = _snake(status)
    outcome, halt = _ENTRY.get(name) or _unlisted_entry(name)
    return Answer(outcome, status or "no_status", error or status or None, halt=halt)


def _unlisted_entry(name: str) -> tuple[Outcome, Halt | None]:
    if halt := _halt_by_name(name):
        return "requeue", halt
    return ("failed", None) if _REFUSALS.search(name) else ("unknown", None)


def _halt_by_name(name: str) -> Halt | None:
    return next((halt for pattern, halt in _BY_NAME if pattern.search(name)), None)


def _snake(name: str) -> str:
    """MailFromDomainNotVerified as MAIL_FROM_DOMAIN_NOT_VERIFIED: statuses and errors of both APIs
    are compared in one form."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").upper()


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

# The form of an error code of every AWS API: a word, no number and no sentence.
_AWS_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{2,99}")
_TOO_LARGE = 413


def refused_call(code: str, http_status: int, message: str, entries: int) -> Answer:
    """A whole call that was answered with an error: what it means for each of its entries.

    http_status: of the answer. entries: how many recipients the call carried.
    A 5xx may follow an acceptance, so its outcome is unknown, whatever its code. An answer without
    a code of AWS's form isn't SES's: something in between refused the call, and SES never saw it.
    """
    if not 300 <= http_status < 500:
        return Answer("unknown", code or "no_code", message or code, halt="unreachable")
    if http_status == 429 and not _AWS_CODE.fullmatch(code):
        return Answer("requeue", NOT_SES, f"HTTP 429. {message}".strip(), halt="throttled")
    if http_status < 400 or not _AWS_CODE.fullmatch(code):
        words = f"HTTP {http_status}. {message}".strip()
        if http_status == _TOO_LARGE:  # a proxy that may let a part of the call through
            return Answer("failed", NOT_SES, words, halt="split" if entries > 1 else None)
        return Answer("requeue", NOT_SES, words, halt="not_ses")
    if why := _whole_call(code, http_status, message):
        return Answer("requeue", code, message or code, halt=why)
    # MessageRejected, BadRequestException …: refused, and one entry may be the cause.
    return Answer("failed", code, message or code, halt="split" if entries > 1 else None)


def _whole_call(code: str, http_status: int, message: str) -> Halt | None:
    """Why nobody can be sent to now; None: it may be for one recipient's sake."""
    if "daily" in message.lower() and code in _THROTTLING | {"MessageRejected"}:
        return "quota"
    if code in _THROTTLING or http_status == 429:
        return "throttled"
    if code in _ACCOUNT:
        return "account"
    if code in _CONFIGURATION or http_status in {401, 403, 404, 405}:
        return "configuration"
    return _halt_by_name(_snake(code))


_IDENTITY = re.compile(r"identity/([^\s,;<>\"']+)")
_MAILBOX = re.compile(r"[^\s<>,;:\"'()\[\]]+@[^\s<>,;:\"'()\[\]]+")
_DOMAIN = re.compile(r"(?<![\w@.-])(?:[\w-]+\.)+[\w-]+(?![\w@.-]*@)")


def unless_sender_unverified(answer: Answer, sender: str) -> Answer:
    """SES words a sender and, in its sandbox, a recipient that isn't verified alike: "Email address
    is not verified. The following identities failed the check in region …: IDENTITIES". When the
    sender (or its domain) is named, by address, mailbox or ARN, nobody is to blame but the
    configuration. When nobody is named, who else is refused tells (blame.py).
    """
    if answer.outcome != "failed":
        return answer
    text = (answer.message or "").lower()
    if "not verified" not in text:
        return answer
    named = text.partition("failed the check")[2] or text
    identities = {
        identity.strip(".")
        for pattern in (_IDENTITY, _MAILBOX, _DOMAIN)
        for identity in pattern.findall(named)
    }
    sender = sender.lower()
    if not identities & {sender, sender.rpartition("@")[2]}:
        return answer
    return Answer("requeue", answer.code, answer.message, halt="configuration")


def shared_refusal(code: str | None, message: str | None, outcome: Outcome) -> Halt:
    """Why to pause when every recipient is refused alike, by the words of the refusal. A mailout
    that waits for the account or for an identity goes on by itself once that is in order; for any
    other reason a person has to look.

    outcome: what the refusal would be for one recipient alone.
    """
    text = (message or "").lower()
    if outcome == "unknown":
        return "unknown_status"
    if code == NOT_SES:
        return "not_ses"
    if code in {"TRANSIENT_FAILURE", "FAILED"} or re.search(
        r"\b(account|sending)\b.*\b(suspended|paused|disabled|shut ?down)\b", text
    ):
        return "account"
    if re.search(r"verif(y|ied)|\bidentit|configuration set|not authori[sz]ed|permission", text):
        return "configuration"
    return "refused"
