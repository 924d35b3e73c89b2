"""`DATABASE_URL` as people paste it: whatever psql takes, and what other programs add to it.

libpq parses it (its manual: "Connection Strings"). What it wouldn't say plainly, or would say by
quoting a piece of the password, is refused before: no reason given here holds any part of the
text, but for names of parameters where these can't be a part of the password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import unquote

# Parameters that other programs' manuals name, which mean nothing to libpq and nothing to us.
FOREIGN_PARAMETERS = frozenset(
    {
        # Prisma
        "connection_limit", "pgbouncer", "pool_timeout", "schema", "single_use_connections",
        "socket_timeout", "sslaccept", "sslidentity", "statement_cache_size",
        # Supabase, Vercel
        "supa", "workaround",
        # SQLAlchemy, asyncpg
        "async_fallback", "command_timeout", "prepared_statement_cache_size",
        "prepared_statement_name_func", "max_cached_statement_lifetime",
        "max_cacheable_statement_size", "max_overflow", "pool_pre_ping", "pool_recycle",
        "pool_size",
        # node-postgres, postgres.js
        "connectionTimeoutMillis", "idleTimeoutMillis", "idle_timeout", "max", "max_lifetime",
        "query_timeout", "uselibpqcompat",
        # pgx, lib/pq, sqlx
        "binary_parameters", "default_query_exec_mode", "description_cache_capacity",
        "pool_health_check_period", "pool_max_conn_idle_time", "pool_max_conn_lifetime",
        "pool_max_conn_lifetime_jitter", "pool_max_conns", "pool_min_conns",
        "statement-cache-capacity", "statement_cache_capacity", "statement_cache_mode",
        # JDBC
        "ApplicationName", "binaryTransfer", "currentSchema", "defaultRowFetchSize",
        "loginTimeout", "preparedStatementCacheQueries", "preparedStatementCacheSizeMiB",
        "prepareThreshold", "reWriteBatchedInserts", "socketTimeout", "stringtype",
        "targetServerType", "tcpKeepAlive",
        # Rails, dj-database-url
        "adapter", "checkout_timeout", "conn_health_checks", "conn_max_age",
        "disable_server_side_cursors", "encoding", "pool", "prepared_statements",
        "reaping_frequency", "schema_search_path", "search_path", "timeout",
        # settings of the server, which asyncpg and postgres.js pass on
        "idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout",
    }
)  # fmt: skip

# asyncpg's and node-postgres's name for libpq's sslmode. (`ssl=true`, JDBC's, libpq knows itself.)
_SSL_MODES = {
    "true": "require", "1": "require", "require": "require", "no-verify": "require",
    "false": "disable", "0": "disable", "disable": "disable",
    "allow": "allow", "prefer": "prefer", "verify-ca": "verify-ca", "verify-full": "verify-full",
}  # fmt: skip

# `postgresql+asyncpg://` is SQLAlchemy's, `jdbc:postgresql://` JDBC's.
_SCHEME = re.compile(r"(?:jdbc:)?postgres(?:ql)?(?:\+\w+)?://", re.IGNORECASE)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_NAME = re.compile(r"[A-Za-z][\w.-]{0,39}")
_HOST_NAME = re.compile(r"[^\s\[\]{}<>@:/?#%\"']+")
# Supabase's page shows `[YOUR-PASSWORD]`; others write `<password>`, `YOUR_DB_PASSWORD`.
_PLACEHOLDER = re.compile(
    r"[\[<{]+(?:your|my|db|database|supabase|postgres|[-_ ])*password[\]>}]+"
    r"|your[-_ ]?(?:db|database)?[-_ ]?password",
    re.IGNORECASE,
)

_ESCAPES = "write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, % as %25, a blank as %20"


class BadConnectionString(ValueError):
    """Why it can't be used, with the remedy; never with any part of it that may be secret."""


@dataclass(frozen=True)
class ConnectionString:
    """conninfo: for libpq. password: as the server gets it. ignored: the names of parameters that
    were left out because they are for other programs."""

    conninfo: str
    password: str | None
    ignored: tuple[str, ...] = ()


def read_connection_string(text: str) -> ConnectionString:
    """A URL, or libpq's `host=… user=…`. Raises BadConnectionString."""
    text = text.strip()
    if not text:
        raise BadConnectionString("is empty")
    if not text.isprintable():
        raise BadConnectionString("holds a character that can't be printed, such as a line break")
    scheme = _SCHEME.match(text)
    if scheme is None:
        if "://" in text.partition("=")[0]:
            raise BadConnectionString("must start with postgresql://")
        return _parsed(
            text, (), "is neither an address like postgresql://… nor host=… user=… as psql takes it"
        )
    url, ignored = _plain_url(text[scheme.end() :])
    return _parsed(url, ignored, f"is not an address that PostgreSQL understands; {_ESCAPES}")


def _plain_url(rest: str) -> tuple[str, tuple[str, ...]]:
    """The URL that libpq understands, for what stands behind `://`; and what was left out."""
    if " " in rest:
        raise BadConnectionString("holds a blank; in a user or password write %20 instead")
    if _LONE_PERCENT.search(rest):
        raise BadConnectionString(
            "holds a % that no two hexadecimal digits follow; in a user or password write %25"
        )
    # For libpq the user and password end at the first @, if it comes before any /. Another @
    # behind it means that it stands in the password: libpq would then take the password's end for
    # the host, and every message would name it.
    user, at, place = rest.rpartition("@")
    if at and ("@" in user or "/" in user):
        raise BadConnectionString(
            f"holds an @, / or ? of which it isn't clear where it belongs; in a password {_ESCAPES}"
        )
    place, _, query = place.partition("?")
    # Without an @, what looks like a name may be a piece of a password with / and ? in it.
    kept, ignored = _sorted_out(query, named=bool(at))
    return f"postgresql://{user}{at}{place}{'?' if kept else ''}{'&'.join(kept)}", ignored


def _sorted_out(query: str, *, named: bool) -> tuple[list[str], tuple[str, ...]]:
    """The parameters that libpq knows, and the names of those that it needn't know.

    named: whether an unknown one may be named.
    """
    kept, ignored, unknown = [], [], []
    pairs = [pair for pair in query.split("&") if pair]
    names = [unquote(pair.partition("=")[0]) for pair in pairs]
    for name, pair in zip(names, pairs, strict=True):
        value = unquote(pair.partition("=")[2])
        if name == "ssl":
            if (mode := _SSL_MODES.get(value.lower())) is None:
                raise BadConnectionString("holds an `ssl` of unknown value; write sslmode=require")
            if "sslmode" not in names:
                kept.append(f"sslmode={mode}")
        elif name in _libpq_parameters():
            kept.append(pair)
        elif name in FOREIGN_PARAMETERS:
            ignored.append(name)
        else:
            unknown.append(name)
    if unknown:
        # An & in a password that is a parameter itself would make its rest a name.
        if not named or "password" in names or not all(map(_NAME.fullmatch, unknown)):
            raise BadConnectionString(
                f"holds a parameter that PostgreSQL doesn't know; in a password {_ESCAPES}"
            )
        raise BadConnectionString(
            f"holds what PostgreSQL doesn't know: {', '.join(unknown)}. Take it out, or correct it "
            "(such as sslmode=require)"
        )
    return kept, tuple(dict.fromkeys(ignored))


def _parsed(conninfo: str, ignored: tuple[str, ...], otherwise: str) -> ConnectionString:
    """Checked by libpq, whose own words would quote it; otherwise: what to say instead."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    except (psycopg.Error, ValueError):
        raise BadConnectionString(otherwise) from None
    password = found.get("password")
    if password is not None and _PLACEHOLDER.fullmatch(password):
        raise BadConnectionString("still holds a placeholder; put the database's password there")
    _check_place(found.get("host", ""), found.get("port", ""))
    return ConnectionString(conninfo, password, ignored)


def _check_place(hosts: str, ports: str) -> None:
    """Each of them would be named in the words of a failed connection, and what isn't one at all
    may be a piece of the password. Raises BadConnectionString."""
    for port in ports.split(","):
        if port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            raise BadConnectionString("has no number from 1 to 65535 as its port")
    for host in hosts.split(","):
        if not (not host or host.startswith(("/", "@")) or _is_ipv6(host) or _is_name(host)):
            raise BadConnectionString("has no name or address of a machine as its host")


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _is_name(host: str) -> bool:
    try:
        host.encode("idna")  # as Python does when it looks the name up
    except UnicodeError:
        return False
    return bool(_HOST_NAME.fullmatch(host))


def _libpq_parameters() -> set[str]:
    from psycopg import pq

    return {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
