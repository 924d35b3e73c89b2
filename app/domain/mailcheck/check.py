"""Finds what large mail programs don't show as it was meant. Pure.

Only what changes the mail for many readers is named. Decoration that may be missing isn't, nor are
rules that hold on a condition (`@media`, `@supports`): they are for programs that know more.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import tinycss2

from app.domain.content.markup import ATTRIBUTE, MARKUP
from app.domain.content.masking import Masks
from app.domain.css.sheets import Declaration, read_attribute, read_sheet
from app.domain.mailcheck.caniemail import table

GMAIL_STYLE_CHARS = 8_192
"""A longer style element is dropped. Source: developers' findings; Google doesn't say."""


@dataclass(frozen=True)
class Problem:
    """what: names the thing, as it is written. lack: a sentence's end, who lacks what. remedy: what
    to do. lines: from 1."""

    what: str
    lack: str
    remedy: str
    lines: tuple[int, ...]


@dataclass(frozen=True)
class _Seen:
    feature: str
    what: str
    place: int


_TABLES = "lay it out with tables, which all programs show"
_LINKED = "show a picture that links to a page with it"
_PNG = "take PNG or JPEG"
_REMEDIES = {
    "css-position": _TABLES,
    "css-display-flex": _TABLES,
    "css-display-grid": _TABLES,
    "css-variables": "write the value itself, at least before the declaration with var()",
    "css-nesting": "write each rule by itself: Gmail drops the whole style element otherwise",
    "css-modern-color": "write the colour as #rrggbb, at least before it",
    "css-function-light-dark": "write one colour, and the other under prefers-color-scheme: dark",
    "css-at-import": "put the rules into a style element",
    "html-link": "put the rules into a style element",
    "html-audio": _LINKED,
    "html-video": _LINKED,
    "html-object": _LINKED,
    "html-form": "link to a page with the form",
    "html-svg": _PNG,
    "image-avif": _PNG,
    "image-base64": "put the picture on the web and name its address",
    "image-svg": _PNG,
    "image-webp": _PNG,
}
_NOWHERE = {"script", "iframe", "canvas", "embed", "applet", "frameset"}
_TAGS = {
    "audio": "html-audio",
    "form": "html-form",
    "object": "html-object",
    "svg": "html-svg",
    "video": "html-video",
}
_FORMATS = {".svg": "image-svg", ".webp": "image-webp", ".avif": "image-avif"}
_MARKDOWN_PICTURE = re.compile(
    r"!\[[^\]\n]*\]\(\s*<?(?P<url>[^\s)>]+)|^ {0,3}\[[^\]\n]+\]:\s*<?(?P<data>data:image[^\s>]*)",
    re.MULTILINE,
)
_MEDIA = re.compile(r"""\bmedia\s*=\s*["']?(?!\s*(?:all|screen)\s*(?:["'>]|$))""", re.IGNORECASE)
_IMPORT = re.compile(r"@import\s+(?:url\(\s*)?[\"']?(?P<url>[^\"')\s;]+)", re.IGNORECASE)


def check(source: str, *, markdown: bool = False) -> list[Problem]:
    """Those in an author's HTML, in the order of the source. Liquid in it must be blanked.
    markdown: it is Markdown with HTML in it."""
    seen, others = list[_Seen](), list[Problem]()
    line_ends = [match.start() for match in re.finditer("\n", source)]

    def line(place: int) -> int:
        return bisect_right(line_ends, place) + 1

    for match in MARKUP.finditer(source):
        name = (match["tag"] or match["raw"] or "").lower()
        if not name or match["close"]:
            continue
        if name == "style":
            start = match.end("raw_attributes") + 1
            sheet = source[start : match.start("raw_end")]
            if not _MEDIA.search(match["raw_attributes"]):
                seen += _of_sheet(sheet, start)
            others += _gmail(sheet, line(match.start()))
        elif name in _NOWHERE:
            others.append(
                Problem(f"<{name}>", "is shown by no mail program", _LINKED, (line(match.start()),))
            )
        else:
            seen += _of_tag(match, name, source)
    if markdown:
        for match in _MARKDOWN_PICTURE.finditer(source):
            seen += _of_picture(match["url"] or match["data"], match.start())
    found = [*_together(seen, line), *_merged(others)]
    return sorted(found, key=lambda each: each.lines)


def _together(seen: list[_Seen], line: Callable[[int], int]) -> Iterator[Problem]:
    lines: dict[tuple[str, str], list[int]] = {}
    for each in seen:
        lines.setdefault((each.feature, each.what), []).append(line(each.place))
    for (feature, what), at in lines.items():
        support = table()[feature]
        if support.without:
            lack = f"isn't supported by {_listed(support.without)}"
            remedy = f"{_REMEDIES[feature]} ({support.url})"
            yield Problem(what, lack, remedy, tuple(dict.fromkeys(at)))


def _merged(problems: list[Problem]) -> Iterator[Problem]:
    lines: dict[tuple[str, str, str], list[int]] = {}
    for each in problems:
        lines.setdefault((each.what, each.lack, each.remedy), []).extend(each.lines)
    for (what, lack, remedy), at in lines.items():
        yield Problem(what, lack, remedy, tuple(at))


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


# CSS


def _of_sheet(sheet: str, offset: int) -> Iterator[_Seen]:
    for rule in read_sheet(sheet, Masks(sheet), always=True, offset=offset):
        if not rule.conditions:
            yield from _of_declarations(rule.declarations, 0)
    for match in _IMPORT.finditer(sheet):
        if "font" not in match["url"]:
            yield _Seen("css-at-import", "@import", offset + match.start())


def _of_declarations(declarations: list[Declaration], offset: int) -> Iterator[_Seen]:
    plain = {each.name for each in declarations if not _new_function(each.value)}
    for each in declarations:
        value, place = each.value.lower(), each.place + offset
        what = f"{each.name}: {value}"
        if each.name == "position" and value in ("absolute", "fixed", "sticky"):
            yield _Seen("css-position", what, place)
        elif each.name == "display" and value in ("flex", "inline-flex"):
            yield _Seen("css-display-flex", what, place)
        elif each.name == "display" and value in ("grid", "inline-grid"):
            yield _Seen("css-display-grid", what, place)
        elif (new := _new_function(value)) and each.name not in plain and each.name[:2] != "--":
            yield _Seen(*new, place)


def _new_function(value: str) -> tuple[str, str] | None:
    """A function of CSS that large programs don't know: its feature, and how to call it."""
    for feature, functions in (
        ("css-variables", r"var"),
        ("css-function-light-dark", r"light-dark"),
        ("css-modern-color", r"oklch|oklab|lch|lab|color-mix"),
    ):
        if found := re.search(rf"(?<![\w-])({functions})\(", value, re.IGNORECASE):
            return feature, f"{found[1].lower()}()"
    return None


def _gmail(sheet: str, line: int) -> Iterator[Problem]:
    """What makes Gmail drop a whole style element."""
    if len(sheet) > GMAIL_STYLE_CHARS:
        yield Problem(
            f"A style element of {len(sheet):,} characters",
            f"is dropped by Gmail, which reads at most {GMAIL_STYLE_CHARS:,}",
            "divide it into several, and take out what isn't used",
            (line,),
        )
    for rule in tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True):
        inner = _inner_at_rule(rule)
        if inner:
            yield Problem(
                f"{inner} inside of @{rule.lower_at_keyword}",
                "makes Gmail drop the whole style element",
                "write it outside, or in a style element of its own",
                (line + rule.source_line - 1,),
            )
        elif rule.type == "qualified-rule" and any(t.type == "{} block" for t in rule.content):
            without = table()["css-nesting"].without
            yield Problem(
                "A rule inside of a rule",
                f"isn't supported by {_listed(without)}",
                _REMEDIES["css-nesting"],
                (line + rule.source_line - 1,),
            )


def _inner_at_rule(rule: Any) -> str | None:
    """The at-rule inside of one that holds rules."""
    if rule.type != "at-rule" or rule.content is None:
        return None
    if rule.lower_at_keyword not in ("media", "supports"):
        return None
    names = (f"@{each.value}" for each in rule.content if each.type == "at-keyword")
    return next(names, None)


# HTML


def _of_tag(match: re.Match[str], name: str, source: str) -> Iterator[_Seen]:
    place = match.start()
    values = {
        each["name"].lower(): (each["value"] or "").strip("\"'")
        for each in ATTRIBUTE.finditer(match["attributes"] or "")
    }
    style = values.get("style", "")
    yield from (
        _Seen(each.feature, each.what, place)
        for each in _of_declarations(read_attribute(style, Masks(style)), 0)
    )
    if name in _TAGS and not (name in ("video", "audio", "object") and _has_other(match, source)):
        yield _Seen(_TAGS[name], f"<{name}>", place)
    is_sheet = name == "link" and "stylesheet" in values.get("rel", "").lower()
    if is_sheet and "font" not in values.get("href", ""):
        yield _Seen("html-link", '<link rel="stylesheet">', place)
    if name == "img":
        yield from _of_picture(values.get("src", ""), place)


def _has_other(match: re.Match[str], source: str) -> bool:
    """Whether something stands in it for programs that don't know it."""
    end = re.compile(rf"</{match['tag']}", re.IGNORECASE).search(source, match.end())
    inner = source[match.end() : end.start() if end else len(source)]
    return re.search(r"<(img|a)\b", inner, re.IGNORECASE) is not None


def _of_picture(address: str, place: int) -> Iterator[_Seen]:
    if address.lower().startswith("data:"):
        yield _Seen("image-base64", "A picture in the mail itself (data:)", place)
        return
    try:
        path = urlsplit(address).path.lower()
    except ValueError:
        return
    for ending, feature in _FORMATS.items():
        if path.endswith(ending):
            yield _Seen(feature, f"A picture in {ending[1:].upper()}", place)
