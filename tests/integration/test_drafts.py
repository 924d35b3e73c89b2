"""`mailouts create` and `ready`: what couldn't be sent is said at once, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import pytest

from tests.support.factories import Arrange
from tests.support.service import command, environment

Create = Callable[..., CompletedProcess[str]]


@pytest.fixture
def create(tmp_path: Path, dsn: str) -> Create:
    """Makes a mailout of a letter. settings: changed ones."""

    def run(letter: str, *options: str, **settings: str | None) -> CompletedProcess[str]:
        (tmp_path / "letter.html").write_text(letter)
        arguments = ("mailouts", "create", "letter.html", "--subject", "Hello", *options)
        return command(tmp_path, environment(dsn, None, **settings), *arguments)

    return run


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("letter", "options", "said"),
    [("<p>\n{{ nmae }}</p>", (), "body_html, line 2: unknown variable “nmae”"),
     pytest.param("<p>{% if name %}</p>", (), "body_html", marks=pytest.mark.short),
     pytest.param("<p>\n<a href='https://e.example/?u=%7B%7B email'>x</a>", (),
                  "body_html, line 2: the link", marks=pytest.mark.short),
     pytest.param("<p>{% if fields.n > true %}x{% endif %}</p>", (), "body_html, line 1",
                  marks=pytest.mark.short),
     pytest.param("<p>Hi</p>", ("--subject", "{{ mailout.subject }}"), "The subject",
                  marks=pytest.mark.short),
     ("<p>Hi</p>", ("--preheader", "{{ nmae }}"), "preheader")],
)  # fmt: skip
async def test_a_template_with_an_error_is_not_stored(
    create: Create, arrange: Arrange, letter: str, options: tuple[str, ...], said: str
) -> None:
    refused = create(letter, *options)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert await arrange.one("select count(*) from mailouts") == 0


@pytest.mark.parametrize(
    "page",
    [
        "https://www.notion.so/June-{}?pvs=4",
        pytest.param(" June-{} ", marks=pytest.mark.short),
        pytest.param("{}", marks=pytest.mark.short),
    ],
)
async def test_a_notion_page_is_named_by_link_or_id(
    create: Create, arrange: Arrange, page: str
) -> None:
    notion_page = uuid4()
    done = create("<p>Hi</p>", "--notion-page-id", page.format(notion_page.hex))
    assert done.returncode == 0, done.stderr
    assert await arrange.one("select notion_page_id from mailouts") == str(notion_page)


async def test_what_names_no_notion_page_is_refused_at_once(
    create: Create, arrange: Arrange
) -> None:
    refused = create("<p>Hi</p>", "--notion-page-id", "June letter", DATABASE_URL="postgres://x/y")
    assert refused.returncode == 2
    assert "--notion-page-id" in refused.stderr
    assert "Copy link" in refused.stderr
    assert await arrange.one("select count(*) from mailouts") == 0


async def test_a_draft_needs_no_sender_yet(create: Create, arrange: Arrange) -> None:
    done = create("<p>Hi</p>", SES_FROM_EMAIL=None, ORG_NAME=None, UNSUBSCRIBE_SECRET=None)
    assert done.returncode == 0, done.stderr
    assert await arrange.one("select status from mailouts where id = %s", done.stdout.strip())


async def test_only_what_can_be_sent_becomes_ready(
    tmp_path: Path, dsn: str, arrange: Arrange
) -> None:
    """A draft may have been written by others, with SQL."""
    broken = await arrange.mailout("draft", body_html="<p>{{ nmae }}</p>")
    fine = await arrange.mailout("draft")
    await arrange.subscriber()

    def ready(mailout: object) -> CompletedProcess[str]:
        return command(tmp_path, environment(dsn, None), "mailouts", "ready", str(mailout))

    refused = ready(broken)
    assert refused.returncode == 1
    assert "body_html, line 1: unknown variable “nmae”" in refused.stderr
    assert await arrange.one("select status from mailouts where id = %s", broken) == "draft"
    assert ready(fine).returncode == 0
    assert await arrange.one("select status from mailouts where id = %s", fine) == "ready"
    again = ready(fine)
    assert again.returncode == 1
    assert "is ready, not draft" in again.stderr
    unknown = ready("00000000-0000-0000-0000-000000000000")
    assert unknown.returncode == 1
    assert "There is no mailout" in unknown.stderr
