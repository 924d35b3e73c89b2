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
MOST_GRANTS = 3

_SERVER = ("the server", "set it to on in postgresql.conf and reload it")


def check_database(about: dict[str, Any], *, embedded: bool = False) -> Iterator[Finding]:
    """about: of `Store.examine_database`. embedded: the server is the program's own."""
    if opened := about.get("open_grants"):
        others = f" and {len(opened) - MOST_GRANTS:,} more" if len(opened) > MOST_GRANTS else ""
        yield Finding(
            "fail",
            f"Strangers get at what is the program's: {', '.join(opened[:MOST_GRANTS])}{others}.",
            "run `amazonsender migrate`, which takes it back (with Supabase's API alone paste what "
            "`amazonsender migrate --print` prints into its SQL editor).",
        )
    if about.get("superuser") and not embedded:
        yield Finding(
            "warn",
            "The database user is a superuser: whoever got hold of DATABASE_URL could read every "
            "database of the server, and its files.",
            "connect as a role that owns the database and no more: docs/deployment.md.",
        )
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
