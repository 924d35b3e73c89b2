"""Rich text: what a request may say, and how Notion answers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.sandbox.notion.errors import misshapen
from app.sandbox.notion.model import check
from app.sandbox.notion.model.check import Json

_HUES = ("gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
COLORS = ("default", *_HUES, *(f"{hue}_background" for hue in ("default", *_HUES)))
MAX_EQUATION = 1000
_STYLES = ("bold", "italic", "strikethrough", "underline", "code")
_MENTIONS = ("user", "date", "page", "database", "template_mention", "custom_emoji", "link_mention")


def parse(value: Any, path: str) -> list[Json]:
    """The rich text of a request, as it is answered afterwards. Raises NotionError."""
    items = check.array(value, path)
    return [_item(item, f"{path}[{place}]") for place, item in enumerate(items)]


def plain(text: str) -> list[Json]:
    """A text without form, in pieces that Notion's app makes of long ones."""
    size = check.MAX_TEXT // 2  # every character may be two units
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [_answer("text", {"content": piece, "link": None}, piece, {}) for piece in pieces]


def said(items: Any) -> str:
    return "".join(item.get("plain_text", "") for item in items or [])


def lenient(value: Any) -> list[Json]:
    """What a person wrote: a text, or items in which anything may be missing."""
    if isinstance(value, str):
        return plain(value)
    return [_filled(item) for item in value or []]


def _item(value: Any, path: str) -> Json:
    item = check.mapping(
        value, path, ("type", "text", "mention", "equation", "annotations", "plain_text", "href")
    )
    kinds = [kind for kind in ("text", "mention", "equation") if kind in item]
    kind = str(item.get("type") or (kinds[0] if kinds else "text"))
    if kind not in ("text", "mention", "equation"):
        raise misshapen(f"{path}.type", "one of `text`, `mention`, `equation`", kind)
    if kind not in item:
        raise misshapen(f"{path}.{kind}", "defined")
    content = check.mapping(item[kind], f"{path}.{kind}")
    if kind == "text":
        check.mapping(content, f"{path}.text", ("content", "link"))
        check.text(content.get("content"), f"{path}.text.content", check.MAX_TEXT)
        if content.get("link") is not None:
            link = check.mapping(content["link"], f"{path}.text.link")
            check.url(link.get("url"), f"{path}.text.link.url")
    elif kind == "equation":
        check.text(content.get("expression"), f"{path}.equation.expression", MAX_EQUATION)
    elif not any(name in content for name in _MENTIONS):
        raise misshapen(f"{path}.mention", f"one of {', '.join(_MENTIONS)}", content)
    marks = check.mapping(item.get("annotations", {}), f"{path}.annotations", (*_STYLES, "color"))
    for name in marks.keys() - {"color"}:
        check.boolean(marks[name], f"{path}.annotations.{name}")
    if "color" in marks:
        check.one_of(marks["color"], f"{path}.annotations.color", COLORS)
    return _filled({"type": kind, kind: content, "annotations": marks})


def _filled(item: Mapping[str, Any]) -> Json:
    kind = item.get("type") or next(k for k in ("text", "mention", "equation") if k in item)
    content = dict(item[kind])
    if kind == "text":
        content.setdefault("link", None)
        shown = content["content"]
    elif kind == "equation":
        shown = content["expression"]
    else:
        about = next((name for name in content if name != "type"), "")
        content = {"type": about, **content}
        shown = _of_mention(about, content.get(about) or {})
    answer = _answer(kind, content, item.get("plain_text", shown), item.get("annotations") or {})
    if item.get("href"):
        answer["href"] = item["href"]
    return answer


def _of_mention(about: str, what: Mapping[str, Any]) -> str:
    match about:
        case "user":
            return f"@{what.get('name', 'Anonymous')}"
        case "date":
            return f"{what.get('start', '')}" + (f" → {what['end']}" if what.get("end") else "")
        case "custom_emoji":
            return f":{what.get('name', '')}:"
        case "link_mention":
            return str(what.get("title") or what.get("href") or "")
        case "link_preview":
            return str(what.get("url", ""))
        case _:
            return "Untitled"


def _answer(kind: str, content: Json, shown: str, marks: Mapping[str, Any]) -> Json:
    href = None
    if kind == "text" and content["link"]:
        href = content["link"]["url"]
    elif kind == "mention":
        about = content[content["type"]]
        if isinstance(about, dict):
            href = about.get("href") or about.get("url")
            if content["type"] in ("page", "database"):
                href = f"https://www.notion.so/{str(about.get('id', '')).replace('-', '')}"
    annotations = dict.fromkeys(_STYLES, False) | {"color": "default"} | dict(marks)
    return {
        "type": kind,
        kind: content,
        "annotations": annotations,
        "plain_text": shown,
        "href": href,
    }
