"""`amazonsender hooks …`."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from app.cli.hooks.commands import app
from app.errors import AppError
from tests.support.service import command, environment


def test_a_webhook_is_made_watched_and_deleted(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # without a .env
    monkeypatch.setattr("app.cli.hooks.commands.run", asyncio.run)  # this process doesn't end
    variables = environment(dsn, None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, expect: int = 0) -> str:
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == expect, done.output
        if isinstance(done.exception, AppError):  # which the program's entrance writes
            return done.exception.detail
        said = (done.stdout or done.stderr).splitlines(keepends=True)
        return "".join(line for line in said if "[info " not in line)  # this process's log

    url = "https://hooks.example.com?very-secret"
    assert "events: there is no event 'bounce'" in run("create", url, "--event", "bounce", expect=1)
    assert "url: use https" in run("create", "http://e.com", "--event", "mailout.failed", expect=1)
    secret = run(
        "create", url, "--event", "recipient.bounced", "--event", "mailout.finished",
        "--note", "CRM", "--rate", "2",
    ).strip()  # fmt: skip
    assert re.fullmatch(r"whsec_[\w+/=]{40,}", secret)
    listed = run("list")
    assert "active    hooks.example.com  mailout.finished,recipient.bounced" in listed
    assert "very-secret" not in listed
    hook = listed.split()[0]
    shown = run("show", hook)
    for words in (url, "CRM", "2 a second", "mailout.finished, recipient.bounced", "by cli"):
        assert words in shown
    assert secret not in shown + listed

    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(
            "insert into hook_deliveries (hook_id, event_id, type, subject, data, state, attempts,"
            " status, error) values (%s, 'evt_1', 'mailout.finished', gen_random_uuid(), '{}',"
            " 'dead', 10, 500, 'It answered 500.')",
            [hook],
        )
    assert "Given up after 10 tries. It answered 500." in run("deliveries", hook)
    assert "There is none." in run("deliveries", hook, "--state", "done")
    run("deliveries", hook, "--state", "odd", expect=2)
    number = run("deliveries", hook).split()[0]
    assert "1 to be sent again" in run("replay", hook, "--delivery", number)
    assert "0 to be sent again" in run("replay", hook)
    assert "0 to be sent again" in run("replay", hook, "--since", "2026-01-01")
    run("replay", hook, "--since", "2026-01-01", "--delivery", number, expect=2)
    turned = run("rotate", hook).strip()
    assert turned.startswith("whsec_")
    assert turned != secret
    assert "off" in run("off", hook)
    assert "switch it on first" in run("test", hook, expect=1)
    assert "on" in run("on", hook)
    assert "Deleted." in run("delete", hook)
    assert "no hook" in run("show", hook, expect=1)
    assert "There is no webhook." in run("list")
    whole = command(tmp_path, variables, "hooks", "list")
    assert (whole.returncode, whole.stderr) == (0, "There is no webhook.\n")
