"""`subscribers import`, `imports` and `undo`, as somebody at a terminal uses them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.factories import Arrange
from tests.support.service import command, environment


async def test_a_file_is_tried_asked_about_imported_and_taken_back(
    dsn: str, arrange: Arrange, tmp_path: Path
) -> None:
    """Without a service: the command does the job itself."""
    variables = environment(dsn, None)
    (tmp_path / "people.csv").write_text(
        "Email;Name;Newsletter\nann@example.com;Ann;no\nbob@example.com;Bob;yes\nnobody;=1+1;yes\n"
    )

    def subscribers(*arguments: str, code: int = 0) -> tuple[str, str]:
        done = command(tmp_path, variables, "subscribers", *arguments)
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr

    said, asked = subscribers("import", "people.csv", code=1)
    assert "UTF-8, semicolons" in said
    assert '--map "Newsletter=opted_in"' in asked
    assert await arrange.one("select count(*) from subscribers") == 0

    options = ("--map", "Newsletter=opted_in", "--tag", "new")
    said, refused = subscribers("import", "people.csv", *options, "--dry-run")
    assert "3 rows: 2 added, 1 refused" in said
    assert re.search(r"added +unsubscribed +ann@example.com  Ann  \[new\]", said)
    assert "Nothing was changed" in said
    assert "line 4: the address can't be used" in refused
    assert await arrange.one("select count(*) from subscribers") == 0

    said, refused = subscribers("import", "people.csv", *options, "--rejected", "refused.csv")
    assert refused == ""
    assert "nobody,'=1+1,yes" in (tmp_path / "refused.csv").read_text()
    _, complaint = subscribers(
        "import", "people.csv", *options, "--rejected", "refused.csv", code=2
    )
    assert "is there already" in complaint
    assert await arrange.one("select count(*) from subscribers where tags = '{new}'") == 2

    undo = re.search(r"subscribers undo (\S+)", said)
    assert undo is not None
    listed, _ = subscribers("imports")
    assert len(listed.splitlines()) == 3
    assert listed.startswith(undo[1])
    await arrange.sql.execute("update subscribers set name = 'Bobby' where name = 'Bob'")
    said, _ = subscribers("undo", undo[1])
    assert said.splitlines() == [
        "Taken back: 1 removed, 0 as they were before.",
        "Left as they are: 1 who changed since.",
    ]
    _, complaint = subscribers("undo", undo[1], code=1)
    assert "The import is undone" in complaint
    _, complaint = subscribers("import", "people.csv", "--map", "Newsletter", code=1)
    assert "COLUMN=MEANING" in complaint
