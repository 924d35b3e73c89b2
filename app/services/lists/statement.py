"""The closing statement: every recipient of a mailout, what became of it, and why, as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, TextIO
from uuid import UUID

from app.domain.csv_cells import protect
from app.domain.providers import NAMES, PROVIDERS
from app.domain.retention.dropped import require_details
from app.store import Store

COLUMNS = (
    "email",
    "status",
    "reason",
    "message_id",
    "attempts",
    "sent_at",
    "event_at",
    "unsubscribed_at",
)
PAGE = 1_000

_PLAIN = {
    "delivered": "The recipient's mail server took it.",
    "sent": "Amazon SES took it; no delivery or bounce was reported yet.",
    "complained": "The recipient reported it as spam and gets no more mail.",
    "queued": "It waits for its turn.",
    "sending": "It is being sent.",
    "cancelled": "The mailout was cancelled before its turn.",
}

_SKIPPED = {
    "unsubscribed": "Unsubscribed before its turn.",
    "bounced": "The address had bounced before its turn.",
    "complained": "The recipient had reported a mail as spam before its turn.",
    "deleted": "The subscriber was deleted before its turn.",
    "hour_passed": "The hour had passed where they live when it started.",
    "merged": "The same mailbox was subscribed twice and has another row here.",
    "invalid_address": "The address can't be mailed.",
}

# By type, or by type and subtype where that says more (SES developer guide, "Bounce types").
_BOUNCED = {
    "Permanent": "The recipient's mail server refused it for good.",
    "Permanent/NoEmail": "There is no such address.",
    "Permanent/Suppressed": "Amazon SES did not try: the address bounced for others lately.",
    "Permanent/OnAccountSuppressionList": (
        "Amazon SES did not try: the address is on your account's suppression list."
    ),
    "Permanent/UnsubscribedRecipient": "Amazon SES did not try: the recipient had unsubscribed.",
    "Transient": "The recipient's mail server did not take it this time.",
    "Transient/MailboxFull": "The recipient's mailbox is full.",
    "Transient/MessageTooLarge": "The mail is too large for the recipient's mail server.",
    "Transient/ContentRejected": "The recipient's mail server refused the content.",
    "Transient/AttachmentRejected": "The recipient's mail server refused an attachment.",
    "Undetermined": "It came back, and the answer does not say why.",
}

_FAILED = {
    "reject": "Amazon SES refused it after all and did not send it, as it does with a virus.",
    "rendering_failure": "Amazon SES could not put the mail together.",
    "TRANSIENT_FAILURE": "Amazon SES could not take it, also when tried again.",
    "FAILED": "Amazon SES could not take it, also when tried again.",
}
# Found out here, with a message of ours that says it all.
_OWN_FAILURES = {"invalid_address", "render_error", "too_large", "not_connected", "certificate"}


class Statement:
    """counts: per status, of those that were written so far."""

    def __init__(self, store: Store, mailout_id: UUID) -> None:
        self._store, self._mailout_id = store, mailout_id
        self.counts: Counter[str] = Counter()

    async def parts(self) -> AsyncIterator[str]:
        """The file's text in pieces, recipients in the order in which they were queued. Times are
        ISO 8601 with offset. Raises MailoutNotFound, DetailsGone before the first."""
        require_details(await self._store.mailout_headline(self._mailout_id))
        yield _csv([COLUMNS])
        after = UUID(int=0)
        while page := await self._store.list_recipients(self._mailout_id, after, PAGE):
            after = UUID(page[-1]["subscriber_id"])
            self.counts.update(row["status"] for row in page)
            yield _csv(_cells(row) for row in page)


async def write_statement(store: Store, mailout_id: UUID, out: TextIO) -> Counter[str]:
    """Write the statement; give counts per status. out: opened with newline="". Raises
    MailoutNotFound."""
    statement = Statement(store, mailout_id)
    async for part in statement.parts():
        out.write(part)
    return statement.counts


def _csv(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)  # RFC 4180, section 2
    return out.getvalue()


def _cells(row: Mapping[str, Any]) -> list[str]:
    values = {**row, "reason": reason(row)}
    return [protect(str(values[name])) if values[name] is not None else "" for name in COLUMNS]


def reason(row: Mapping[str, Any]) -> str:
    """Why a row of the ledger has its status: a sentence of ours, then the other side's words. They
    are of SES, unless its `route` is another provider."""
    said = _reason(row)
    route = row.get("route")
    if route in PROVIDERS:
        return said.replace("Amazon SES", NAMES[route])
    return said


def _reason(row: Mapping[str, Any]) -> str:
    words = " ".join((row["error_message"] or "").split())
    match row["status"]:
        case "skipped":  # a message would be of an earlier attempt
            return _SKIPPED.get(row["error_code"], "No longer active before its turn.")
        case "bounced":
            return f"{_bounce(row['bounce_type'], row['bounce_subtype'])} {words}".rstrip()
        case "failed" if row["error_code"] in _OWN_FAILURES:
            return words
        case "failed":
            said = _FAILED.get(row["error_code"], "Amazon SES refused it.")
            return f"{said} {words}".rstrip()
        case "unknown":
            said = "Nobody knows whether Amazon SES took it, so it is not sent again by itself."
            return f"{said} {words}".rstrip()
        case "queued" if words:
            return f"It waits for its next try. {words}"
        case status:
            return _PLAIN[status]


def _bounce(kind: str | None, subtype: str | None) -> str:
    return _BOUNCED.get(f"{kind}/{subtype}") or _BOUNCED.get(f"{kind}") or "It came back."
