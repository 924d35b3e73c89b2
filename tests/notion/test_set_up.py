"""`amazonsender notion init` and `notion check`, as an owner meets them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from app.cli.notion import app
from app.domain.notion.blocks.document import document
from app.domain.notion.database import sample
from app.domain.notion.properties import PROPERTIES
from app.errors import AppError
from app.outside import OUTSIDE, notion_api
from app.sandbox.notion.server import NotionServer
from app.services.checks.doctor import check_notion_part as check_part
from app.services.notion.check import check_ways_in
from app.services.notion.reading import read_page
from app.settings import Settings

DATABASE = re.compile(r"^NOTION_DATABASE_ID=(\S+)$", re.MULTILINE)


class Owner:
    """Runs commands in a folder of their own, with these settings."""

    def __init__(self, notion: NotionServer, patch: pytest.MonkeyPatch) -> None:
        self.notion, self._patch = notion, patch
        # A page beside the fixture's database, as the owner makes one.
        self.page = notion.make_page({"Name": "Marketing"}, parent=notion.make_page({"Name": "-"}))
        self.set("NOTION_API_URL", notion.url)
        self.set("NOTION_API_TOKEN", notion.token)
        self.set("APP_BASE_URL", "https://mail.example.com")
        self.set("TEST_EMAILS", "owner@example.com")

    def set(self, name: str, value: str | None) -> None:
        if value is None:
            self._patch.delenv(name, raising=False)
        else:
            self._patch.setenv(name, value)

    def run(self, *words: str, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, list(words), input=answer)

    def init(self, answer: str | None = None, *words: str) -> str:
        """What it prints."""
        done = self.run("init", "--parent", self.page, *words, answer=answer)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    def fails(self, *words: str) -> str:
        """The error's words."""
        error = self.run(*words).exception
        assert isinstance(error, AppError), error
        return error.detail

    def check(self, database: str | None = None, *, fails: bool = False) -> list[str]:
        """Its lines that aren't all well."""
        self.set("NOTION_DATABASE_ID", database or self.notion.database_id)
        done = self.run("check")
        assert done.exit_code == int(fails), (done.output, done.exception)
        told = [line for line in done.output.splitlines() if not line.startswith("ok ")]
        return [line for line in told if "NOTION_API_URL" not in line]  # which a test sets


@pytest.fixture
def owner(notion: NotionServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Owner:
    monkeypatch.chdir(tmp_path)
    return Owner(notion, monkeypatch)


def asked(notion: NotionServer, path: str) -> list[dict[str, Any]]:
    return [one for one in notion.requests("POST", path) if one["status"] == 200]


def test_one_command_makes_all_that_is_needed(owner: Owner) -> None:
    notion = owner.notion
    notion.forget_requests()
    said = owner.init()
    [database] = DATABASE.findall(said)
    assert not [line for line in said.splitlines() if line.startswith(("warn", "fail"))], said

    [row] = notion.rows(database)
    values = notion.values(row)
    assert set(values) == {each.name for each in PROPERTIES}
    assert (values["Name"], values["Status"]) == (sample.NAME, "Draft")
    kinds = {block["type"] for block in notion.blocks(row)}
    assert {"callout", "heading_2", "bulleted_list_item", "table", "column_list"} <= kinds
    [comment] = notion.comments(row)
    assert "/status" in comment["rich_text"][0]["plain_text"]
    views = [one["body"]["name"] for one in asked(notion, "views")]
    assert views == ["Write and send", "By status", "Calendar", "Figures"]

    assert owner.check(database) == []


def test_names_of_ones_own_are_used(owner: Owner) -> None:
    owner.set("NOTION_PROPERTY_STATUS", "Stage")
    [database] = DATABASE.findall(owner.init())
    [row] = owner.notion.rows(database)
    assert owner.notion.values(row)["Stage"] == "Draft"
    assert owner.check(database) == []


def test_a_second_run_asks_before_it_makes_another(owner: Owner) -> None:
    [first] = DATABASE.findall(owner.init())
    owner.notion.forget_requests()
    declined = owner.run("init", "--parent", owner.page, answer="n\n")
    assert declined.exit_code == 1
    assert DATABASE.findall(declined.output) == [first]
    assert asked(owner.notion, "databases") == []

    again = DATABASE.findall(owner.init("y\n"))
    assert len(set(again)) == 2
    assert len(DATABASE.findall(owner.init(None, "--another"))) == 1


def test_what_is_refused_after_the_database_is_made_costs_only_itself(owner: Owner) -> None:
    owner.notion.fail(400, path="/v1/views")
    owner.notion.capabilities(without=["insert_comments"])
    said = owner.init()
    assert "not all of its views" in said
    assert "“Insert comments”" in said
    [database] = DATABASE.findall(said)
    owner.notion.heal()
    assert len(owner.notion.rows(database)) == 1


@pytest.mark.parametrize(
    ("without", "words"),
    [("insert_content", "“Insert content”"), ("read_content", "“Read content”")],
)
def test_a_connection_that_may_not_make_it_is_told_what_to_tick(
    owner: Owner, without: str, words: str
) -> None:
    owner.notion.capabilities(without=[without])
    assert words in owner.fails("init", "--parent", owner.page)


def test_where_it_cannot_be_made(owner: Owner) -> None:
    owner.notion.fail(429, times=1, retry_after=600)
    assert "Run this again later" in owner.fails("init", "--parent", owner.page)
    assert "••• → Connections" in owner.fails("init", "--parent", str(uuid4()))
    assert "names no page" in owner.run("init", "--parent", "Marketing").output
    owner.set("NOTION_API_TOKEN", "ntn_another")
    assert "NOTION_API_TOKEN" in owner.fails("init", "--parent", owner.page)
    owner.set("NOTION_API_TOKEN", None)
    assert "notion.so/profile/integrations" in owner.fails("init", "--parent", owner.page)
    owner.set("NOTION_API_TOKEN", owner.notion.token)
    owner.set("NOTION_DATABASE_ID", None)
    assert "notion init" in owner.fails("check")


def test_a_renamed_property_and_a_missing_option_are_found(owner: Owner) -> None:
    owner.notion.rename_property("Status", "Stage")
    [line] = owner.check(fails=True)
    assert "NOTION_PROPERTY_STATUS=Stage" in line
    owner.set("NOTION_PROPERTY_STATUS", "Stage")
    assert owner.check() == []


def test_the_database_is_not_shared_in_the_trash_or_of_several_sources(owner: Owner) -> None:
    database = owner.notion.database_id
    owner.notion.share(database, False)
    [line] = owner.check(fails=True)
    assert "••• → Connections" in line
    owner.notion.share(database, None)

    owner.notion.trash(database)
    [line] = owner.check(fails=True)
    assert "lies in the trash" in line
    assert "Restore" in line


def test_lacking_capabilities_are_named_with_what_they_cost(owner: Owner) -> None:
    names = ("update_content", "insert_content", "read_comments", "insert_comments")
    owner.notion.capabilities(without=[*names, "read_user_information"])
    lines = owner.check(fails=True)
    for name in (*names, "read_user_information"):
        [line] = [line for line in lines if f"“{name.replace('_', ' ').capitalize()}”" in line]
        assert line.startswith("fail" if name == "update_content" else "warn")


def test_checking_changes_nothing(owner: Owner) -> None:
    before = owner.notion.rows()
    owner.notion.forget_requests()
    owner.check()
    done = [one for one in owner.notion.requests() if one["status"] == 200]
    assert {one["method"] for one in done} == {"GET"}
    assert owner.notion.rows() == before


def test_a_revoked_token_and_a_notion_that_is_away(owner: Owner) -> None:
    owner.notion.fail(529, retry_after=600)
    [line] = owner.check()
    assert line.startswith("warn")
    assert "Notion is slow" in line
    owner.notion.heal()
    owner.notion.revoke_token()
    [line] = owner.check(fails=True)
    assert "NOTION_API_TOKEN" in line


def test_without_test_addresses_a_test_has_nobody_to_go_to(owner: Owner) -> None:
    owner.set("TEST_EMAILS", "")
    [line] = owner.check()
    assert line.startswith("warn TEST_EMAILS is empty")


def test_how_a_press_is_learned_of_is_told(owner: Owner) -> None:
    owner.set("NOTION_DATABASE_ID", owner.notion.database_id)
    assert "looked at every 30 s" in owner.run("check").output
    owner.set("NOTION_WEBHOOK_VERIFICATION_TOKEN", "secret_of_the_webhook")
    assert "https://mail.example.com/notion-events" in owner.run("check").output
    assert f"read from {owner.notion.url}, not from Notion" in owner.run("check").output


@pytest.mark.parametrize(("token", "level"), [(None, "ok"), ("secret_of_the_webhook", "warn")])
def test_notion_does_not_reach_a_service_at_home(token: str | None, level: str) -> None:
    settings = Settings(
        _env_file=None,
        app_base_url="http://localhost:8000",
        notion_webhook_verification_token=SecretStr(token) if token else None,
    )
    [found] = check_ways_in(settings)
    assert found.level == level
    assert "can't reach APP_BASE_URL" in found.what
    assert "looked at every 30 s" in found.what


def test_the_link_of_the_database_will_do(owner: Owner) -> None:
    plain = UUID(owner.notion.database_id).hex
    assert owner.check(f"https://www.notion.so/acme/Newsletters-{plain}?v={uuid4().hex}") == []
    assert owner.check(owner.notion.data_source_id) == []


async def test_the_sample_is_a_mail_that_nothing_speaks_against(notion: NotionServer) -> None:
    page = notion.make_page({"Name": sample.NAME}, blocks=sample.blocks())
    settings = Settings(
        _env_file=None, notion_api_url=notion.url, notion_api_token=SecretStr(notion.token)
    )
    async with notion_api(settings) as api:
        made = document(await read_page(api, UUID(page)))
    assert made.findings == ()
    assert '{{ name | default: "there" }}' in made.markdown


async def test_doctor_says_it_too(notion: NotionServer) -> None:
    notion.rename_property("Problem", "Trouble")

    async def of_notion(**settings: str) -> list[str]:
        found = await check_part(Settings(_env_file=None, **settings), OUTSIDE)  # type: ignore[arg-type]
        bad = [each.sentences for each in found if each.level != "ok"]
        return [words for words in bad if "not from Notion" not in words]

    here = {"notion_api_url": notion.url, "notion_api_token": notion.token, "test_emails": "a@b.ch"}
    [line] = await of_notion(**here, notion_database_id=notion.database_id)
    assert "NOTION_PROPERTY_PROBLEM=Trouble" in line
    [line] = await of_notion(**here)
    assert "notion init" in line
    [line] = await of_notion(notion_database_id=notion.database_id)
    assert "NOTION_API_TOKEN" in line
    assert await of_notion() == []
