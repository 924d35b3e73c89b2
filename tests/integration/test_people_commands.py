"""`amazonsender subscribers show`, `set` and `erase`."""

from __future__ import annotations

from pathlib import Path

from tests.support.factories import Arrange
from tests.support.service import command, environment


async def test_a_person_is_shown_changed_and_erased(
    dsn: str, arrange: Arrange, tmp_path: Path
) -> None:
    await arrange.subscriber(
        "ann@example.com", name="Ann", status="unsubscribed", tags=["a", "b"], fields={"n": 3}
    )

    def run(*arguments: str, expect: int = 0) -> str:
        done = command(tmp_path, environment(dsn, None), "subscribers", *arguments)
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr

    refused = run("set", "ann@example.com", "--status", "active", "--reason", "x", expect=1)
    assert "asked for it themselves" in refused
    assert "ann@example.com is active." in run(
        "set", "ANN@example.com", "--status", "active", "--reason", "She asked by phone."
    )
    run("set", "ann@example.com", "--status", "pending", "--reason", "x", expect=2)
    shown = run("show", "ann@example.com")
    for words in ("Ann", "a, b", "Status: unsubscribed → active on the command line", "by phone"):
        assert words in shown
    assert "no such subscriber" in run("show", "bob@example.com", expect=1)
    assert "Erased" in run("erase", "ann@example.com")  # a script isn't asked
    assert await arrange.one("select count(*) from subscribers") == 0
    run("erase", "ann@example.com", "--yes", expect=1)
    assert await arrange.one("select is_erased('ann@example.com')")
