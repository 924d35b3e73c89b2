"""The command line tells what it can do at once: nothing heavy is imported for that."""

from __future__ import annotations

import subprocess
import sys

OURS_AND_TYPERS = {"app", "typer", "shellingham", "annotated_doc"}
DEBIANS = {"sitecustomize", "apport_python_hook"}  # their Python loads these by itself

SHOW = """
import sys
from app.cli.main import app
try:
    app(["--help"])
finally:
    loaded = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    print("LOADED", *loaded)
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "subscribers" in done.stdout
    loaded = done.stdout.rpartition("LOADED")[2].split()
    assert {name for name in loaded if not name.startswith("_")} <= OURS_AND_TYPERS | DEBIANS
