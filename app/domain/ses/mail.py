"""One mail as it goes to SES, and how many fit into a call. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from app.domain.addresses import format_mailbox
from app.domain.content.render import Compiled
from app.domain.given.lines import plain_line

# SES v2 quotas: "inline template: the whole input JSON at most 1 MB", and template data at most
# 262,144 characters (botocore's model).
MAX_CALL_BYTES = 1_000_000
MAX_TEMPLATE_DATA = 262_144


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is the same for every mail of a mailout: addresses in wire form, and the list's id.

    from_name: as people read it; `from_mailbox` has it, too, in wire form. tracking: whether opens
    and clicks are watched; for SES the configuration set says so.
    """

    from_mailbox: str
    from_address: str
    reply_to: tuple[str, ...]
    configuration_set: str | None
    list_id: str
    from_name: str | None = None
    tracking: bool = False


def make_envelope(
    *,
    from_email: str,
    from_name: str | None,
    reply_to: str | None,
    configuration_set: str | None,
    tracking: bool = False,
) -> Envelope:
    """Raises ValueError (InvalidAddress) for what can't stand in a header."""
    mailbox, domain = from_email.rsplit("@", 1)
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in mailbox).strip("-") or "list"
    return Envelope(
        from_mailbox=format_mailbox(from_name, from_email),
        from_address=from_email,
        reply_to=(format_mailbox(None, reply_to),) if reply_to else (),
        configuration_set=configuration_set,
        list_id=f"<{label.lower()}.{domain}>",  # RFC 2919: stable, in a domain of ours
        from_name=" ".join((from_name or "").split()) or None,
        tracking=tracking,
    )


@dataclass(frozen=True, slots=True)
class Notice:
    """A finished mail of our own, to the owner or to somebody who signs up. reply_to: a mailbox."""

    subject: str
    text: str
    html: str
    reply_to: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", plain_line(self.subject))  # it may quote anybody's


class Mail(NamedTuple):
    """One recipient's mail. to: ASCII address. values: of every hole of the compiled content."""

    send_log_id: int
    to: str
    values: dict[str, str]
    unsubscribe_url: str
    tags: tuple[tuple[str, str], ...]

    @property
    def list_unsubscribe(self) -> tuple[tuple[str, str], ...]:
        """RFC 8058, section 3.1: one HTTPS address that takes a POST."""
        return (
            ("List-Unsubscribe", f"<{self.unsubscribe_url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )


def mail_tags(
    mailout_id: UUID | str, send_log_id: int, attempt_id: UUID | str
) -> tuple[tuple[str, str], ...]:
    """The tags by which SES's events find their row; ASCII letters, digits, `_` and `-` only."""
    return (
        ("mailout_id", str(mailout_id)),
        ("send_log_id", str(send_log_id)),
        ("attempt", str(attempt_id)),
    )


def name_values(pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Tags or headers as SES writes them."""
    return [{"Name": name, "Value": value} for name, value in pairs]


# The body of SendBulkEmail is written here and not by boto3, which would walk and check the 30 KB
# of content and all 50 entries anew for each call: 20 instead of 80 microseconds a mail.


def bulk_head(compiled: Compiled, envelope: Envelope) -> bytes:
    """What every bulk call of a mailout begins with, up to its entries."""
    call = {
        "FromEmailAddress": envelope.from_mailbox,
        "DefaultContent": {
            "Template": {
                "TemplateContent": {
                    "Subject": compiled.subject,
                    "Html": compiled.html,
                    "Text": compiled.text,
                },
                "TemplateData": "{}",
                "Headers": name_values([("List-Id", envelope.list_id)]),
            }
        },
        **common_members(envelope),
    }
    return orjson.dumps(call)[:-1] + b',"BulkEmailEntries":['


def common_members(envelope: Envelope) -> dict[str, Any]:
    """Members that SendEmail and SendBulkEmail share."""
    common: dict[str, Any] = {}
    if envelope.reply_to:
        common["ReplyToAddresses"] = list(envelope.reply_to)
    if envelope.configuration_set:
        common["ConfigurationSetName"] = envelope.configuration_set
    return common


class BulkEntry(NamedTuple):
    """One recipient of a bulk call, as JSON: for SES an element of BulkEmailEntries.

    to: whose it is, where a call may not have the same address twice.
    """

    send_log_id: int
    json: bytes
    to: str = ""


def bulk_entry(mail: Mail) -> BulkEntry | None:
    """The mail as an entry of a bulk call; None when its data exceed SES's limit for one."""
    data = orjson.dumps(mail.values).decode()
    if len(data) > MAX_TEMPLATE_DATA:
        return None
    entry = {
        "Destination": {"ToAddresses": [mail.to]},
        "ReplacementTags": name_values(mail.tags),
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": data}},
        "ReplacementHeaders": name_values(mail.list_unsubscribe),
    }
    return BulkEntry(mail.send_log_id, orjson.dumps(entry))


_END = b"]}"


def bulk_body(head: bytes, entries: Sequence[BulkEntry]) -> bytes:
    """A whole request."""
    return head + b",".join([entry.json for entry in entries]) + _END


def fits_bulk(head: bytes, entry: BulkEntry) -> bool:
    """Whether a call with this entry alone stays under SES's limit for the whole input."""
    return len(head) + len(entry.json) + len(_END) <= MAX_CALL_BYTES


def split_by_size(head: bytes, entries: Iterable[BulkEntry]) -> Iterator[list[BulkEntry]]:
    """Consecutive groups that each fit one bulk call (every entry must fit by itself)."""
    room = MAX_CALL_BYTES - len(head) - len(_END) + 1  # no comma stands before the first entry
    group: list[BulkEntry] = []
    used = 0
    for entry in entries:
        size = len(entry.json) + 1
        if group and used + size > room:
            yield group
            group, used = [], 0
        group.append(entry)
        used += size
    if group:
        yield group


class SesWriting:
    """One mailout as SES's bulk calls take it. head: `bulk_head`."""

    def __init__(self, head: bytes) -> None:
        self.head = head

    def entry(self, mail: Mail) -> BulkEntry | None:
        """None: this mail has to go by SendEmail."""
        entry = bulk_entry(mail)
        return entry if entry is not None and fits_bulk(self.head, entry) else None

    def split(self, entries: Iterable[BulkEntry]) -> Iterator[list[BulkEntry]]:
        return split_by_size(self.head, entries)
