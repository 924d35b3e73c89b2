"""Runs one of the parsers under Atheris, which changes inputs by the lines that they reach:

    python -m tests.security.fuzz.atheris_run csv FOLDER -max_total_time=300

It isn't among our dependencies: install it into an environment of its own (docs/security.md).
FOLDER keeps inputs that reached something new, for the next run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # only where this is run

with atheris.instrument_imports(include=["app", "liquid", "markdown_it", "mdit_py_plugins"]):
    from tests.security.fuzz.targets import TARGETS

from tests.security.fuzz.atheris_seeds import SEEDS


def main() -> None:
    name, folder, *options = sys.argv[1:]
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], folder, "-max_len=4096", *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
