"""`amazonsender templates …`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.service import command, environment


def test_a_template_is_made_from_its_file_listed_and_deleted(dsn: str, tmp_path: Path) -> None:
    letter = tmp_path / "letter.md"
    letter.write_text("# Dear {{ name }}\n\n{{ title }}\n")
    made = command(tmp_path, environment(dsn, None), "templates", "create", str(letter))
    assert made.returncode == 0, made.stderr
    assert "warning: template “letter”, line 3: unknown variable “title”" in (
        made.stdout + made.stderr
    )
    deleted = command(tmp_path, environment(dsn, None), "templates", "delete", "Letter")
    assert "letter is deleted." in deleted.stdout + deleted.stderr


@pytest.mark.short
def test_a_template_from_its_file_to_its_end(dsn: str, tmp_path: Path) -> None:
    def run(*arguments: str, expect: int = 0) -> str:
        done = command(tmp_path, environment(dsn, None), "templates", *arguments)
        assert done.returncode == expect, done.stderr
        return done.stdout + done.stderr

    frame, letter, broken = (tmp_path / name for name in ("frame.html", "letter.md", "b.html"))
    frame.write_text("<main>{{ content }}</main>")
    letter.write_text("# Dear {{ name }}\n\n{{ content }}\n\n{{ title }}\n")
    broken.write_text("<p>\n{% if %}")
    run("create", str(frame))
    made = run("create", str(letter), "--name", "Letter", "--layout", "frame", "--subject", "Hi")
    assert "warning: template “Letter”, line 5: unknown variable “title”" in made
    assert "template “Bad”, line 2" in run("create", str(broken), "--name", "Bad", expect=1)
    listed = run("list")
    assert listed.index("frame") < listed.index("Letter")
    letter.write_text("# Dear {{ name }}\n\n{{ content }}\n")
    assert "Letter is version 2 now." in run("update", "letter", str(letter))
    shown = run("show", "Letter", "--version", "1")
    assert "{{ title }}" in shown
    assert "Letter, version 1" in shown
    page = tmp_path / "preview.html"
    assert "subject: Hi" in run("preview", "Letter", "-o", str(page))
    assert "Dear Ann Example</h1>" in page.read_text()
    assert "layout of itself" in run("update", "frame", "--layout", "frame", expect=1)
    assert "the template “Letter”" in run("delete", "frame", expect=1)
    run("update", "Letter", "--no-layout")
    run("update", "Letter", expect=2)
    assert "version 4" in run("update", "Letter", "--restore", "2")
    run("update", "Letter", "--no-layout")
    assert "Letter is deleted." in run("delete", "Letter")
    assert "There is no template “Letter”" in run("show", "Letter", expect=1)
    run("delete", "frame")
    assert "There is no template." in run("list")
