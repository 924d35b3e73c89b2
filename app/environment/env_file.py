"""The `.env` file, which must be text: lines of NAME=value, with names that there are."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from app.environment.regions import BY_REGION
from app.errors import ConfigurationError


def text_of(env_file: Path) -> str | None:
    """None: there is no such file. Raises ConfigurationError when it can't be read."""
    try:
        if not env_file.exists():
            return None
        if not env_file.is_file():  # Docker makes a folder of a file to mount that isn't there
            raise ConfigurationError(
                f"{env_file} is not a file: put a text file there, or nothing."
            )
        content = env_file.read_bytes()
    except OSError as exc:
        raise ConfigurationError(
            f"{env_file} can't be read ({exc.strerror}): allow it to the user that AmazonSender "
            f"runs as (number {os.getuid()}), or take the file away."
        ) from exc
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise ConfigurationError(
            f"{env_file}, line {line}: this is not UTF-8 text. Save the file as UTF-8."
        ) from None
    if "\0" in text:  # UTF-16 without a mark
        raise ConfigurationError(f"{env_file} is not UTF-8 text. Save the file as UTF-8.")
    return text


def check(env_file: Path, text: str, known: Collection[str]) -> None:
    """A line that isn't NAME=value, or a misspelt name, would silently do nothing, so it stops the
    start. known: every name there is. Raises ConfigurationError."""
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            found = binding.original.string  # begins with the blank lines before it
            line = binding.original.line + found[: -len(found.lstrip())].count("\n")
            raise ConfigurationError(
                f"{env_file}, line {line}: this is not NAME=value. Correct it, or put a # "
                "before it."
            )
        if binding.key:
            _refuse_lookalike(env_file, binding.key, known)


def _refuse_lookalike(env_file: Path, key: str, known: Collection[str]) -> None:
    if key.upper() in known or key.upper().startswith(("AWS_", *BY_REGION)):
        return
    prefixes = tuple({name.split("_")[0] + "_" for name in known if "_" in name} - {"AWS_"})
    close = difflib.get_close_matches(key.upper(), known, n=1, cutoff=0.8) or [
        name for name in known if len(key) > 4 and _bare(name).startswith(_bare(key))
    ]
    if close or key.upper().startswith(prefixes):
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigurationError(f"{key} in {env_file} is not a setting of AmazonSender{hint}")


def _bare(name: str) -> str:
    return name.upper().replace("_", "")
