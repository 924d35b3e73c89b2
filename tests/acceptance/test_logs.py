"""Logs as their readers get them: one JSON object a line, nothing secret, nobody's address."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from app.domain.tokens import UnsubscribeTokens
from tests.support.factories import Arrange
from tests.support.service import (
    BEARER,
    OTHER_SECRET,
    SECRET,
    UNSUBSCRIBE_SECRET,
    command,
    process,
)
from tests.support.waiting import eventually
from tests.support.world import World

CANARY = "canary.reader@example.com"


def lines(log: str) -> list[dict[str, Any]]:
    """Every line is one JSON object with an event, a level and a time."""
    found = [json.loads(line) for line in log.splitlines()]
    for line in found:
        assert {"event", "level", "timestamp", "logger"} <= line.keys(), line
    return found


def hidden(world: World) -> list[str]:
    """What may stand in no log."""
    secrets = [value for name, value in world.variables.items() if "SECRET" in name]
    return ["canary.reader", "Canary Name", *secrets, world.variables["DATABASE_URL"]]


def assert_clean(log: str, world: World, *more: str) -> None:
    for text in (*hidden(world), *more):
        assert text not in log


@pytest.mark.short
async def test_a_mailout_with_every_library_asked_for_details(
    world: World, arrange: Arrange
) -> None:
    """LOG_LEVEL=debug is about this program; botocore would log bodies, httpx addresses."""
    world.service.stop()
    await arrange.subscriber(CANARY, name="Canary Name")
    mailout = await arrange.mailout()
    with process(world.folder, world.variables | {"LOG_LEVEL": "debug"}, "serve") as service:
        world.service = service
        await world.healthy()
        await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
        await eventually(lambda: world.show(mailout), until=lambda s: s["counts"]["delivered"] == 1)
        await world.http.get("/metrics")
        service.stop()
        log = service.log
    assert_clean(log, world)
    written = lines(log)
    assert "debug" in {line["level"] for line in written}
    assert {line["logger"].split(".")[0] for line in written} <= {"app", "uvicorn"}


async def test_ids_are_bound_once_per_request_sender_and_batch(
    world: World, arrange: Arrange
) -> None:
    await arrange.subscribers(120)
    mailout = await arrange.mailout()
    await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
    await eventually(lambda: world.show(mailout), until=lambda s: s["status"] == "sent")
    world.service.stop()
    written = lines(world.service.log)
    [sender] = {line["executor_id"] for line in written if line["event"] == "sender_started"}
    batches = [line for line in written if line["event"] == "batch_sent"]
    # One whose lease ran out while its content was prepared was queued again.
    assert sum(line.get("sent", 0) for line in batches) == 120
    assert {line["executor_id"] for line in batches} == {sender}
    assert {line["mailout_id"] for line in batches} == {str(mailout)}
    assert len({line["attempt"] for line in batches}) == len(batches)
    requests = [line for line in written if line["event"] == "request"]
    started = next(line for line in written if line["event"] == "mailout_started")
    assert started["request_id"] in {line["request_id"] for line in requests}
    assert len({line["request_id"] for line in requests}) == len(requests)


@pytest.mark.short
async def test_unsubscribing_tells_neither_address_nor_token(
    world: World, arrange: Arrange
) -> None:
    subscriber = await arrange.subscriber(CANARY)
    mailout = await arrange.mailout()
    token = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).sign(subscriber, mailout)
    shown = await world.http.get(f"/unsubscribe?token={token}")
    done = await world.http.post(
        f"/unsubscribe?token={token}", data={"List-Unsubscribe": "One-Click"}
    )
    await world.http.get(f"/unsubscribe?token={token}x")
    assert (shown.status_code, done.status_code) == (200, 200)
    world.service.stop()
    assert_clean(world.service.log, world, token, token[:40])
    assert "unsubscribed" in {line["event"] for line in lines(world.service.log)}


@pytest.mark.short
async def test_an_import_tells_the_line_not_the_address(world: World) -> None:
    (world.folder / "people.csv").write_text(
        f"email,name\n{CANARY},Canary Name\ncanary.reader(at)example.com,Canary Name\n",
        encoding="utf-8",
    )
    done = command(
        world.folder,
        world.variables | {"LOG_LEVEL": "debug"},
        "subscribers",
        "import",
        "people.csv",
    )
    assert done.returncode == 0, done.stderr
    assert "line 3" in done.stderr
    assert_clean(done.stdout + done.stderr, world)


@pytest.mark.short
async def test_an_error_that_quotes_an_address_is_logged_without_it(
    world: World, arrange: Arrange
) -> None:
    """A fault in the database, whose words and traceback hold what was asked for."""
    await arrange.sql.execute(
        "create or replace function find_subscriber(p_subscriber uuid default null, "
        "p_email text default null) returns jsonb language plpgsql as "
        "$$ begin raise exception 'no such row: %', p_email; end $$"
    )
    answer = await world.http.get(f"/subscribers/{CANARY}", headers=BEARER)
    assert answer.status_code == 500
    assert "canary.reader" not in answer.text
    world.service.stop()
    assert_clean(world.service.log, world)
    [failed] = [line for line in lines(world.service.log) if line["event"] == "request_failed"]
    assert "Traceback" in failed["exception"]
    assert "no such row: …@example.com" in failed["exception"]


def run_logging(script: str, **variables: str) -> str:
    """What a program writes that has set up logging as ours do."""
    setup = (
        "import logging, threading, warnings, structlog\n"
        "from app.logs import configure_logging\n"
        "from app.settings import load_settings\n"
        "configure_logging(load_settings(None))\n"
        "log = structlog.get_logger('app.test')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", setup + script],
        env={"LOG_FORMAT": "json", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""
    return done.stderr


HOSTILE = """
log.info(
    "tried",
    name="x\\n2026-11-24 ERROR forged",
    ansi="\\x1b[31mred\\x9b2J",
    turned="\\u202egpj.exe",
    lone="\\ud800",
    big="y" * 1_000_000,
    many=list(range(1_000)),
    nested={"a\\nb": {"to": "nested.o'canary/x=y@example.com"}},
    cut="z " * 1_990 + "cut.canary.reader@example.com",
    cut_earlier="z " * 1_993 + "cut.canary.reader@example.com",
)
"""


@pytest.mark.short
def test_hostile_values_stay_one_short_line() -> None:
    log = run_logging(HOSTILE)
    assert log.count("\n") == 1
    assert len(log) < 15_000
    [line] = lines(log)
    assert line["name"] == "x\\n2026-11-24 ERROR forged"
    assert line["big"].endswith("… (1,000,000 characters)")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", json.dumps(line, ensure_ascii=False))
    assert not re.search("canary|nested[.]", log)


@pytest.mark.short
def test_hostile_values_cannot_command_a_terminal() -> None:
    log = run_logging(HOSTILE, LOG_FORMAT="console")
    assert log.count("\n") == 1
    colours = re.compile(r"\x1b\[[0-9;]*m")  # structlog's own
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", colours.sub("", log))
    assert "\x1b[31mred" not in log


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_shows_no_values(log_format: str) -> None:
    """Pretty tracebacks would print the variables of every frame."""
    log = run_logging(
        """
def fail(email, dsn):
    raise ValueError("boom")
bird = "".join(["can", "ary"])  # so that no line of this file holds the values
try: fail(f"local.{bird}@example.com", f"postgresql://user:{bird}-password@host/db")
except ValueError: log.exception("failed")
""",
        LOG_FORMAT=log_format,
    )
    assert "ValueError: boom" in log
    assert "in fail" in log
    assert "canary" not in log


@pytest.mark.short
def test_what_others_write_is_a_line_like_ours() -> None:
    """Libraries, warnings, and a thread and a program that end with an exception."""
    log = run_logging(
        """
logging.getLogger("botocore").debug("body")
logging.getLogger("asyncio").error("of %s", "library.canary@example.com")
warnings.warn("careful", UserWarning)
def fail(): raise ValueError("thread.canary@example.com\\x1b[0m")
thread = threading.Thread(target=fail); thread.start(); thread.join()
raise RuntimeError("postgresql://user:a-long-password@host/db")
""",
        DATABASE_URL="postgresql://user:a-long-password@host/db",
        LOG_LEVEL="debug",
    )
    written = lines(log)
    assert [line["logger"] for line in written] == ["asyncio", "py.warnings", *["app.logs"] * 2]
    assert [line["event"] for line in written[2:]] == ["crashed", "crashed"]
    assert "canary" not in log
    assert "a-long-password" not in log
    assert "\\u001b" not in log


def test_each_secret_of_the_settings_is_replaced_wherever_it_turns_up() -> None:
    secrets = {
        "EXECUTOR_SHARED_SECRET": f"{SECRET},{OTHER_SECRET}",
        "UNSUBSCRIBE_SECRET": UNSUBSCRIBE_SECRET,
        "AWS_SECRET_ACCESS_KEY": "w" * 40,
        "NOTION_API_TOKEN": "ntn_" + "n" * 20,
        "DATABASE_URL": "postgresql://user:pass%2Bword%2Bword@host/db",
    }
    script = "".join(
        f"log.info('seen', value='<{value}>', inside=['{value}'])\n"
        for name, setting in secrets.items()
        for value in (setting.split(",") if name == "EXECUTOR_SHARED_SECRET" else [setting])
    )
    script += "log.info('seen', value='<pass+word+word>', inside=['pass%2Bword%2Bword'])\n"
    for line in lines(run_logging(script, **secrets)):
        assert (line["value"], line["inside"]) == ("<[secret]>", ["[secret]"])
