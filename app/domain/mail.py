"""One mail as it goes to SES, and how many fit into a call. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from app.domain.addresses import format_mailbox
from app.domain.render import Compiled

# SES v2 quotas: "inline template: the whole input JSON at most 1 MB", and template data at most
# 262,144 characters (botocore's model). The margin leaves room for what is around the entries.
MAX_CALL_BYTES = 1_000_000 - 8_192
MAX_TEMPLATE_DATA = 262_144
# Message size of SES v2 is 40 MB after base64; bodies are refused long before (render.py).
MAX_HEADER_VALUE = 995


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is the same for every mail of a mailout: addresses in wire form, and the list's id."""

    from_mailbox: str
    reply_to: tuple[str, ...]
    configuration_set: str | None
    list_id: str


def make_envelope(
    *,
    from_email: str,
    from_name: str | None,
    reply_to: str | None,
    configuration_set: str | None,
) -> Envelope:
    """Raises ValueError (InvalidAddress) for what can't stand in a header."""
    mailbox, domain = from_email.rsplit("@", 1)
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in mailbox).strip("-") or "list"
    return Envelope(
        from_mailbox=format_mailbox(from_name, from_email),
        reply_to=(format_mailbox(None, reply_to),) if reply_to else (),
        configuration_set=configuration_set,
        list_id=f"<{label.lower()}.{domain}>",  # RFC 2919: stable, in a domain of ours
    )


@dataclass(frozen=True, slots=True)
class Mail:
    """One recipient's mail. to: ASCII address. values: of every hole of the compiled content."""

    send_log_id: int
    to: str
    values: dict[str, str]
    unsubscribe_url: str
    tags: tuple[tuple[str, str], ...]
    data: str = field(init=False)
    wire_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        data = orjson.dumps(self.values).decode()
        object.__setattr__(self, "data", data)
        # botocore writes the body with json.dumps, where a non-ASCII letter takes six bytes and
        # the quotes of this inner JSON are escaped once more.
        size = len(json.dumps(data)) + len(self.to) + len(self.unsubscribe_url) + 700
        object.__setattr__(self, "wire_bytes", size)

    @property
    def list_unsubscribe(self) -> tuple[tuple[str, str], ...]:
        """RFC 8058, section 3.1: one HTTPS address that takes a POST."""
        return (
            ("List-Unsubscribe", f"<{self.unsubscribe_url}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )


def mail_tags(mailout_id: UUID, send_log_id: int, attempt_id: UUID) -> tuple[tuple[str, str], ...]:
    """The tags by which SES's events find their row; ASCII letters, digits, `_` and `-` only."""
    return (
        ("mailout_id", str(mailout_id)),
        ("send_log_id", str(send_log_id)),
        ("attempt", str(attempt_id)),
    )


def static_wire_bytes(compiled: Compiled) -> int:
    """Bytes that the compiled content takes in every bulk call."""
    return len(json.dumps([compiled.subject, compiled.html, compiled.text]))


def fits_bulk(compiled: Compiled, mail: Mail) -> bool:
    """Whether a call with this mail alone stays under SES's limits for bulk calls."""
    return (
        len(mail.data) <= MAX_TEMPLATE_DATA
        and static_wire_bytes(compiled) + mail.wire_bytes <= MAX_CALL_BYTES
    )


def split_by_size(mails: Sequence[Mail], static_bytes: int) -> Iterator[list[Mail]]:
    """Consecutive groups that each fit one bulk call (every mail must fit by itself)."""
    return _grouped(mails, MAX_CALL_BYTES - static_bytes)


def _grouped(mails: Iterable[Mail], room: int) -> Iterator[list[Mail]]:
    group: list[Mail] = []
    used = 0
    for mail in mails:
        if group and used + mail.wire_bytes > room:
            yield group
            group, used = [], 0
        group.append(mail)
        used += mail.wire_bytes
    if group:
        yield group
