"""What the database says of itself that a person should know. A finding each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.domain.reports.findings import Finding
from app.domain.reports.words import plural

# pg_settings.source, and how to take the setting back there.
_WHERE = {
    "database": ("the database", "alter database … reset synchronous_commit"),
    "user": ("the role", "alter role … reset synchronous_commit"),
    "database user": (
        "the role in this database",
        "alter role … in database … reset synchronous_commit",
    ),
    "client": ("the connection", "take it out of DATABASE_URL"),
}
_SERVER = ("the server", "set it to on in postgresql.conf and reload it")


def check_database(about: dict[str, Any]) -> Iterator[Finding]:
    """about: of `Store.examine_database`."""
    commit = about["synchronous_commit"]
    if commit["setting"] == "off":
        where, remedy = _WHERE.get(commit["source"], _SERVER)
        yield Finding(
            "warn",
            f"synchronous_commit is off, set by {where}: a crash takes back what other programs "
            "committed last. What mails depend on is committed durably nevertheless.",
            f"{remedy}.",
        )
    if unusable := about["unusable_addresses"]:
        yield Finding(
            "warn",
            f"{plural(unusable, 'subscriber')} can't be mailed: their email is no address.",
            "select * from unusable_addresses(); correct or delete them.",
        )
