"""DATABASE_URL: what psql takes, works; of what doesn't, no part of the password is told."""

from __future__ import annotations

import traceback
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.adapters.database.connection_string import (
    FOREIGN_PARAMETERS,
    BadConnectionString,
    read_connection_string,
)
from app.adapters.database.migrations import status
from app.adapters.database.postgres import PostgresDatabase
from app.environment.secrets import texts_to_hide
from app.errors import AppError
from app.logs import SafeValues
from app.runtime import direct_dsn
from app.settings import load_settings

HOST = "127.0.0.1:1/postgres"  # where nobody listens


@pytest.mark.parametrize(
    "parameters",
    [
        "pgbouncer=true", "pgbouncer=true&connection_limit=1", "schema=public",
        "sslmode=require&supa=base-pooler.x", "workaround=supabase-pooler.vercel",
        "connect_timeout=15&pool_timeout=0&channel_binding=prefer", "uselibpqcompat=true",
        "prepared_statement_cache_size=0&async_fallback=true", "pool_max_conns=10",
        "reWriteBatchedInserts=true&currentSchema=public", "options=reference%3Dabcdef",
    ],
)  # fmt: skip
def test_what_other_programs_add_is_left_out(parameters: str) -> None:
    read = read_connection_string(f"postgresql://user:pw@db.example.com:6543/postgres?{parameters}")
    names = {pair.partition("=")[0] for pair in parameters.split("&")}
    assert set(read.ignored) == names & FOREIGN_PARAMETERS
    kept = read.conninfo.partition("?")[2]
    assert {pair.partition("=")[0] for pair in kept.split("&") if pair} == names - set(read.ignored)


async def test_the_log_says_what_was_left_out() -> None:
    url = f"postgresql://user:pw@{HOST}?pgbouncer=true&sslmode=require&connection_limit=1"
    settings = load_settings(None, database_url=url)
    with capture_logs() as log:
        async with direct_dsn(settings) as dsn:
            assert dsn == f"postgresql://user:pw@{HOST}?sslmode=require"
    assert [line["parameters"] for line in log] == [["pgbouncer", "connection_limit"]]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("sslmoed=require", "sslmoed"),
        ("pgbouncer=true&colour=red&size=3", "colour, size"),
        ("ssl=geheim", "sslmode=require"),
    ],
)
def test_what_nobody_knows_is_named(parameters: str, words: str) -> None:
    with pytest.raises(BadConnectionString, match=words):
        read_connection_string(f"postgresql://user:pw@{HOST}?{parameters}")


@pytest.mark.parametrize(
    ("given_mode", "understood"),
    [("ssl=require", "require"), ("ssl=true", "require"), ("ssl=no-verify", "require"),
     ("ssl=verify-full", "verify-full"), ("ssl=require&sslmode=verify-ca", "verify-ca")],
)  # fmt: skip
def test_encryption_that_was_asked_for_in_other_words_is_kept(
    given_mode: str, understood: str
) -> None:
    read = read_connection_string(f"postgresql://user:pw@{HOST}?{given_mode}")
    assert read.conninfo == f"postgresql://user:pw@{HOST}?sslmode={understood}"


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "PostgreSQL", "postgresql+psycopg", "postgresql+asyncpg",
     "postgres+psycopg2", "jdbc:postgresql"],
)  # fmt: skip
def test_the_schemes_that_are_postgresql(scheme: str) -> None:
    read = read_connection_string(f"  {scheme}://user:pw@db.example.com/postgres\n")
    assert read.conninfo == "postgresql://user:pw@db.example.com/postgres"


@pytest.mark.parametrize(
    ("spelt", "password"),
    [
        ("Geh[eim]42", "Geh[eim]42"), ("Geh]eim42", "Geh]eim42"), ("Geh#eim", "Geh#eim"),
        ("Geh%25eim#42", "Geh%eim#42"), ("Geh:eim?", "Geh:eim?"), ("Geh%2feim", "Geh/eim"),
        ("p%40ss%2Fword%3F", "p@ss/word?"), ("G&e=h", "G&e=h"),
        ("!$'()*+,;=\\\"", "!$'()*+,;=\\\""),
    ],
)  # fmt: skip
def test_passwords_that_psql_takes(spelt: str, password: str) -> None:
    read = read_connection_string(f"postgresql://user:{spelt}@{HOST}?pgbouncer=true")
    assert read.password == password
    settings = load_settings(None, database_url=f"postgresql://user:{spelt}@{HOST}")
    assert spelt in "".join(texts_to_hide(settings))  # which logs without a traceback


def test_the_form_of_names_and_values() -> None:
    read = read_connection_string("host=db.example.com user=u password='p @ss' dbname=x")
    assert read.password == "p @ss"


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("postgresql://user:Geheim%@host/db", "%25"),
        ("postgresql://user:Geh%eim#42@host/db", "%25"),
        ("postgresql://user:Geh eim@host/db", "%20"),
        ("postgresql://user:p@Geheim@host/db", "%40"),
        ("postgresql://user:p@Geheim/word?@host/db", "%40"),
        ("postgresql://user:p/Geheim@host/db", "%2F"),
        ("postgresql://user:p/Geheim?sslmode=Geheim@host/db", "%2F"),
        ("postgresql://user:p/x?Geheim=y", "%2F"),
        ("postgresql://host/db?user=u&password=p&Geheim=1", "%"),
        ("postgresql://user:pw@host/db?user=u&password=p&Geheim=1", "%"),
        ("postgresql://postgres:Geheim", "port"),
        ("postgresql://user:pw@Geheim..example/db", "host"),
        ("postgresql://user:pw@[Geheim/db", "%40"),
        ("postgresql://user:Geh\neim@host/db", "line break"),
        ("host=h user=u password=p Geheim", "host=… user=…"),
        ("host=h user=u password='Geheim", "host=… user=…"),
        ("mysql://user:Geheim@host/db", "postgresql://"),
        ("Geheim", "postgresql://"),
        ("postgresql://postgres.abc:[YOUR-PASSWORD]@host/db", "placeholder"),
        ("postgresql://postgres.abc:[YOUR_DB_PASSWORD]@host/db", "placeholder"),
        ("postgresql://postgres.abc:<password>@host/db", "placeholder"),
        ("postgresql://postgres.abc:your-password@host/db", "placeholder"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line_without_it(url: str, remedy: str) -> None:
    with pytest.raises(BadConnectionString) as error:
        read_connection_string(url)
    said = str(error.value)
    assert remedy in said
    assert "\n" not in said
    assert "geheim" not in "".join(traceback.format_exception(error.value)[-1:]).lower()
    assert "YOUR" not in said


# Pieces that no message of ours, of libpq or of Python holds, between everything that has a meaning
# somewhere in a URL.
PIECES = st.sampled_from(["Qx7Zk9", "Vw3Jq8", "Ýß→Kj5", "Zq%4"])
MARKS = st.sampled_from(
    [*"@:/?#[]%&=+ '\"\\<>{}|^`!$(),;~\n\t\x7f\u00a0\ud800", "%40", "%zz", "://"]
)
PASSWORDS = st.tuples(PIECES, st.lists(st.tuples(MARKS, PIECES), max_size=3)).map(
    lambda parts: parts[0] + "".join(mark + piece for mark, piece in parts[1])
)
AROUND = st.sampled_from(
    [
        "postgresql://user:{}@127.0.0.1:1/db",
        "postgresql://user:{}@127.0.0.1:1/db?pgbouncer=true",
        "postgresql://user:{}@127.0.0.1:1/db?x=1",
        "postgresql://user:{}",
        "postgresql://127.0.0.1:1/db?user=u&password={}",
        "host=127.0.0.1 port=1 password={}",
        "host=127.0.0.1 port=1 password='{}'",
        "postgresql+psycopg://user:{}@127.0.0.1:1/db",
        "mysql://user:{}@127.0.0.1/db",
        "{}",
    ]
)


@given(around=AROUND, password=PASSWORDS, spelt=st.booleans())
async def test_no_part_of_a_password_is_ever_told(around: str, password: str, spelt: bool) -> None:
    """From the settings through a try to connect, in a traceback too."""
    if spelt and password.isprintable():
        password = quote(password, safe="")
    url = around.format(password)
    # Without a host, what follows an @ is one for everybody.
    assume("@" not in password or around not in {"postgresql://user:{}", "{}"})
    told = []
    try:
        settings = load_settings(None, database_url=url)
        told += [repr(settings), str(settings)]
        safe_values = SafeValues(sorted(texts_to_hide(settings), key=len, reverse=True))
        async with direct_dsn(settings) as dsn:
            assert dsn is not None
            try:
                await PostgresDatabase(dsn, timeout=1).check_access()
            except AppError as error:
                told += [
                    str(safe_values(None, "", {"exception": traceback.format_exc()})),
                    error.detail,
                ]
            await status(dsn)
    except AppError as error:
        told += [traceback.format_exc(), error.detail]
    for piece in ("Qx7Zk9", "Vw3Jq8", "Kj5", "Zq"):
        assert not any(piece in text for text in told), told
