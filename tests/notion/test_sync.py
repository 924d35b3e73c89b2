"""`amazonsender notion sync` and `notion webhook`, as an owner meets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.errors import AppError
from app.sandbox.notion.server import NotionServer
from tests.support.service import environment

Run = Callable[..., str]


@pytest.fixture
def run(dsn: str, notion: NotionServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    variables = environment(
        dsn,
        "http://127.0.0.1:9",
        NOTION_API_TOKEN=notion.token,
        NOTION_API_URL=notion.url,
        NOTION_DATABASE_ID=notion.database_id,
    )

    def run(*words: str, expect: int = 0, **changes: str) -> str:
        with monkeypatch.context() as patch:
            for name, value in {**variables, **changes}.items():
                patch.setenv(name, value)
            done = CliRunner().invoke(app, ["notion", *words])
        assert done.exit_code == expect, (done.output, done.exception)
        return done.exception.detail if isinstance(done.exception, AppError) else done.output

    return run


def test_one_round_does_everything_to_its_end(run: Run, dsn: str, notion: NotionServer) -> None:
    """A Status is followed, a comment answered, the figures are in the row; a line says it."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("insert into subscribers (email) values ('ann@example.com')")
    sends = notion.make_page({"Name": "May letter", "Status": "Send"}, ["Dear readers"])
    empty = notion.make_page({"Name": "June letter", "Status": "Send"}, [])
    asked = notion.comment(sends, "/status")
    said = run("sync")
    assert "May letter: Send → Sending · 0 of 1 handed over (0%)." in said
    assert "June letter: Send → Problem" in said
    assert "2 rows looked at, 1 command answered, 2 rows written." in said
    assert notion.values(sends)["Delivery"] == "Sending"
    assert notion.values(empty)["Problem"]
    thread = [c for c in notion.comments(sends) if c["discussion_id"] == asked["discussion_id"]]
    assert "Sending" in thread[-1]["rich_text"][0]["plain_text"]
    again = run("sync")
    assert "May letter: Send → Sending" in again
    assert "0 commands answered" in again


def test_what_stands_in_the_way_is_said_in_a_line(run: Run, notion: NotionServer) -> None:
    assert "notion init" in run("sync", expect=1, NOTION_DATABASE_ID="")
    notion.share(notion.database_id, False)
    assert "isn't shared" in run("sync", expect=1)
    notion.share(notion.database_id)
    notion.rename_property("Status", "Stage")
    assert "“Status” is missing" in run("sync", expect=1)
    notion.rename_property("Stage", "Status")
    notion.revoke_token()
    assert "NOTION_API_TOKEN" in run("sync", expect=1)
    notion.heal()


def test_the_token_of_the_webhook_is_shown_at_the_machine(run: Run, dsn: str) -> None:
    assert "Create a subscription" in run("webhook")
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("select keep_notion_verification('secret_of_notion')")
    shown = run("webhook")
    assert "secret_of_notion" in shown
    assert "NOTION_WEBHOOK_VERIFICATION_TOKEN" in shown
    is_set = run("webhook", NOTION_WEBHOOK_VERIFICATION_TOKEN="secret_of_notion")
    assert "secret_of_notion" not in is_set
    assert "No event has come yet" in is_set
    assert "Another webhook" not in is_set
    replacing = run("webhook", NOTION_WEBHOOK_VERIFICATION_TOKEN="secret_of_the_one_before")
    assert "Another webhook asks to be used" in replacing
    assert "secret_of_notion" in replacing
    assert "secret_of_the_one_before" not in replacing
