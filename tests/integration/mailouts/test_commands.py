"""The same on the command line, in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from app.store import Store
from tests.support.factories import Arrange, start
from tests.support.service import command, environment

Cli = Callable[..., CompletedProcess[str]]


@pytest.fixture
def cli(tmp_path: Path, dsn: str) -> Cli:
    """`amazonsender mailouts …`; expect: its exit code."""

    def run(*arguments: object, expect: int = 0, **settings: str) -> CompletedProcess[str]:
        done = command(tmp_path, environment(dsn, None, **settings), *map(str, arguments))
        assert done.returncode == expect, done.stderr
        if expect == 1:
            assert done.stderr.count("\n") == 1, done.stderr
        return done

    (tmp_path / "june.html").write_text("<p>Hi {{ name }}</p>")
    (tmp_path / "july.md").write_text("# Hello")
    (tmp_path / "broken.html").write_text("<p>{{ nmae }}</p>")
    return run


@pytest.mark.short
async def test_a_mailout_is_written_and_changed(cli: Cli, arrange: Arrange) -> None:
    await arrange.subscriber(tags=["news"])
    made = cli(
        "mailouts", "create", "june.html", "--subject", "June", "--from-email", "a@example.com",
        "--reply-to", "b@example.com", "--preheader", "Soon", "--tag", "news",
    ).stdout.strip()  # fmt: skip
    changed = cli(
        "mailouts", "update", made, "--subject", "July", "--markdown", "july.md", "--from-name",
        "Ann", "--clear", "preheader", "--clear", "audience",
    )  # fmt: skip
    assert changed.stdout == f"Mailout {made} is changed.\n"
    row = await arrange.sql.execute("select * from mailouts where id = %s", [made])
    found = await row.fetchone()
    assert found is not None
    assert (found["subject"], found["body_html"], found["body_markdown"]) == (
        "July", None, "# Hello",
    )  # fmt: skip
    assert (found["preheader"], found["audience"], found["from_name"]) == (None, None, "Ann")
    assert (found["from_email"], found["reply_to"]) == ("a@example.com", "b@example.com")
    shown = cli("mailouts", "show", made).stdout
    assert "July" in shown
    assert "b@example.com" in shown


@pytest.mark.short
async def test_a_mailout_is_readied_copied_listed_and_deleted(cli: Cli, arrange: Arrange) -> None:
    await arrange.subscriber(tags=["news"])
    made = cli(
        "mailouts", "create", "june.html", "--subject", "July", "--from-email", "a@example.com",
    ).stdout.strip()  # fmt: skip
    unfinished = cli("mailouts", "update", made, "--html", "broken.html")
    assert "can't be sent like this yet" in unfinished.stderr
    assert "nmae" in unfinished.stderr
    assert "nmae" in cli("mailouts", "ready", made, expect=1).stderr
    cli("mailouts", "update", made, "--html", "june.html")
    cli("mailouts", "ready", made)
    back = cli("mailouts", "update", made, "--tag", "nobody").stdout
    assert "is a draft again" in back
    assert "Nobody would get it" in back

    copy = cli("mailouts", "duplicate", made).stdout.strip()
    assert copy != made
    cli("mailouts", "delete", copy)
    assert "There is no mailout" in cli("mailouts", "delete", copy, expect=1).stderr
    listed = cli("mailouts", "list", "--search", "jul", "--status", "draft").stdout
    assert listed.count("\n") == 1
    assert listed.startswith(made)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "name what is to be changed"),
        pytest.param(
            ("--html", "june.html", "--markdown", "july.md"), "one body", marks=pytest.mark.short
        ),
        pytest.param(("--clear", "subject"), "--clear", marks=pytest.mark.short),
        pytest.param(
            ("--clear", "preheader", "--preheader", "x"), "given, too", marks=pytest.mark.short
        ),
        pytest.param(("--audience", "{"), "isn't JSON", marks=pytest.mark.short),
        (("--html", "missing.html"), "missing.html"),
    ],
)
async def test_what_makes_no_sense_is_said_before_anything_is_asked(
    cli: Cli, options: tuple[str, ...], says: str
) -> None:
    refused = cli("mailouts", "update", "00000000-0000-0000-0000-000000000007", *options, expect=2)
    assert says in " ".join(refused.stderr.replace("│", " ").split())


@pytest.mark.short
async def test_what_no_mail_can_have_is_refused_by_name(cli: Cli, arrange: Arrange) -> None:
    mailout = await arrange.mailout("draft")
    for options, says in (
        (("--from-email", "nobody"), "from_email: is not a usable mail address"),
        (("--subject", "x" * 501), "subject: it has 501 characters"),
        (("--audience", '{"field": "tags"}'), "audience"),
    ):
        assert says in cli("mailouts", "update", mailout, *options, expect=1).stderr
    assert await arrange.one("select version from mailouts where id = %s", mailout) == 1


async def test_a_mailout_is_steered(cli: Cli, arrange: Arrange, direct_store: Store) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    cli("mailouts", "unready", mailout)
    assert "only a ready one" in cli("mailouts", "unready", mailout, expect=1).stderr
    cli("mailouts", "ready", mailout)
    await start(direct_store, mailout)
    assert "is paused" in cli("mailouts", "pause", mailout).stdout
    assert "can't be paused" in cli("mailouts", "pause", mailout, expect=1).stderr
    assert "only drafts are deleted" in cli("mailouts", "delete", mailout, expect=1).stderr
    assert "goes on" in cli("mailouts", "resume", mailout).stdout
    assert "nobody else is mailed" in cli("mailouts", "cancel", mailout).stdout
    assert "resend starts from sent" in cli("mailouts", "resend", mailout, expect=1).stderr
    await arrange.sql.execute(
        "update send_logs set status = 'failed'; update mailouts set status = 'sent'"
    )
    again = cli("mailouts", "resend", mailout, "--status", "failed", "--status", "unknown").stdout
    assert "3 recipients wait for their turn again." in again
    by = await arrange.sql.execute("select distinct by from audit_log")
    assert await by.fetchall() == [{"by": "cli"}]


@pytest.mark.short
async def test_a_test_mail_goes_to_whom_is_named(cli: Cli, arrange: Arrange) -> None:
    mailout = await arrange.mailout("draft")
    to = ("--to", "ann@example.com", "--to", "bob@example.com")
    assert "--test" in cli("send", mailout, *to, expect=2).stderr
    assert "usable" in cli("send", mailout, "--test", "--to", "nobody", expect=2).stderr
    accepted = cli("send", mailout, "--test", *to, APP_BASE_URL="https://mail.example.com")
    assert "2 recipients" in accepted.stdout
    rows = await arrange.sql.execute("select email, is_test from send_logs order by email")
    assert [tuple(row.values()) for row in await rows.fetchall()] == [
        ("ann@example.com", True), ("bob@example.com", True),
    ]  # fmt: skip
