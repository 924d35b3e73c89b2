"""`make demo` keeps to itself; the run as a whole is `make demo`."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import demo
from tests.support.service import environment


def test_the_callers_configuration_stays_out(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its invented people must not come into the database that a `.env` names."""
    own = tmp_path / "demo"
    own.mkdir()
    (tmp_path / ".env").write_text("BATCH_SIZE=nonsense\n")
    monkeypatch.chdir(tmp_path)
    variables = demo.demo_environment(own, 8000, "http://127.0.0.1:8000", "http://127.0.0.1:8025")
    assert variables["DATA_DIR"] == str(own)
    needed = {"DATABASE_URL": environment(dsn, None)["DATABASE_URL"]}
    demo.command(variables | needed, "subscribers", "export", str(own / "all.csv"))
    assert (own / "all.csv").exists()
