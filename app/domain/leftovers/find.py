"""Finds what other programs' templates leave behind. Pure.

Liquid is what this program understands, so it is looked at elsewhere (content/liquid.py explains
what doesn't parse). What stands in `raw`, comments, styles, scripts and code isn't looked at: there
an author can show such things to readers.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from app.domain.content.markup import ATTRIBUTE, MARKUP
from app.domain.content.masking import pieces
from app.domain.leftovers.words import instead, is_known, names_a_person

MAX_SHOWN = 60  # characters of a leftover


@dataclass(frozen=True)
class Leftover:
    """text: as it stands. line: from 1. of: whose it is. surely: nobody writes it on purpose.
    instead: what to write here."""

    text: str
    line: int
    of: str
    surely: bool
    instead: str


@dataclass(frozen=True)
class _Shape:
    """pattern: `name` is the variable's. accepts: whether a name makes it a leftover. anywhere: in
    attributes, too."""

    of: str
    pattern: re.Pattern[str]
    accepts: Callable[[str], bool]
    surely: bool = False
    anywhere: bool = True


# Names that are ordinary words, too, where the marks around them are ordinary marks.
_ORDINARY = frozenset(
    {"first", "last", "date", "now", "today", "year", "mail", "track", "forward", "translate",
     "permalink", "archive", "subject", "mirror", "preferences", "rewards", "optout"}
)  # fmt: skip


# Fields that many lists have. In braces they are meant, in brackets they may be words.
_FIELDS = frozenset({"city", "country", "company", "phone", "birthday", "salutation", "gender"})
# What stands in brackets as the label of a link.
_LABELS = frozenset({"unsubscribe", "abmelden", "webversion", "web version", "view in browser"})


def _any(name: str) -> bool:
    return bool(name)


def _known(name: str) -> bool:
    return is_known(name) and name.lower() not in _ORDINARY


def _known_and_no_label(name: str) -> bool:
    return _known(name) and name.lower() not in _LABELS


def _known_or_owned(name: str) -> bool:
    return _known(name) or (names_a_person(name) and not name.isalpha() and " " not in name)


def _known_or_snake(name: str) -> bool:
    is_field = name.lower() in _FIELDS
    return (
        is_field
        or _known_or_owned(name)
        or re.fullmatch(r"[A-Za-z]+(_[A-Za-z0-9]+)+", name) is not None
    )


def _word_or_known(name: str) -> bool:
    return _known(name) or re.fullmatch(r"[A-Za-z_][\w.:]*", name) is not None


_NAME = r"[A-Za-z]\w*(?:[ .]\w+){0,3}"
_OTHER = "another mail program"
_SHAPES = (
    _Shape(_OTHER, re.compile(
        r"(?:<|&lt;)%(?P<name>[^%\n<]{1,100}(?:%(?!>|&gt;)[^%\n<]{1,100}){0,3})%(?:>|&gt;)"),
        _any, surely=True),
    _Shape("Mailchimp", re.compile(
        r"(?<!\|)\*(?:\||%7C)(?P<name>[A-Za-z][^|*\n<>]{0,100}?)(?:\||%7C)\*", re.I),
        _any, surely=True),
    _Shape("Salesforce", re.compile(r"(?<![\d%])%%(?P<name>=?[A-Za-z_][^%\n<>]{0,80})%%"),
           _any, surely=True),
    _Shape("Mailgun", re.compile(r"%(?P<name>recipient\.[\w.-]+)%"), _any, surely=True),
    _Shape(_OTHER, re.compile(rf"(?<![\w%])%(?P<name>{_NAME})%(?![\w%])"), _known_or_owned),
    _Shape("Mailjet", re.compile(r"\[\[(?P<name>(?:data|var|contact):\w+)(?::[^\]\n]*)?\]\]"),
           _any, surely=True),
    _Shape(_OTHER, re.compile(
        r"\[\[\s*(?P<name>[A-Za-z][\w.:]*(?: \w+)?)"
        r"(?:\s*(?:\bOR\b|\|\||[,/|:])[^\]\n]{0,80})?\s*\]\](?![(\[])"), _word_or_known),
    _Shape(_OTHER, re.compile(rf"\$\[(?P<name>{_NAME})\]\$"), _any, surely=True),
    _Shape(_OTHER, re.compile(rf"[$#]\{{\s*!?(?P<name>{_NAME})\s*\}}"), _known_or_owned),
    _Shape(_OTHER, re.compile(
        r"(?<![{$#%\w\\])(?:\{|%7B)\s*[!$]?"
        r"(?P<name>[A-Za-z]\w*(?:[ .=]\w+){0,3})"
        r"(?:,\s*[\"'“”‘’][^{}\n]{0,60}|\|[^{}\n]{0,60})?\s*(?:\}|%7D)(?!\})"),
        _known_or_snake),
    _Shape("Campaign Monitor", re.compile(
        r"<(?P<name>unsubscribe|webversion|preferences|forwardtoafriend|updateprofile|currentyear)"
        r"(?:\s[^<>]*)?>", re.I), _any, surely=True),
    _Shape("Campaign Monitor", re.compile(
        r"\[(?P<name>[A-Za-z]\w*),\s*fallback=[^\]\n]{0,60}\]", re.I), _any, surely=True),
    _Shape(_OTHER, re.compile(r"(?<=[\"'=])\[(?P<name>[A-Za-z]\w*)\](?=[\"'\s>])"), _known),
    _Shape(_OTHER, re.compile(
        r"(?<![\[\]\w!\\])\[(?P<name>[A-Za-z]\w*(?: \w+)?)(?:/[^\]\n]{1,40})?\](?![\](\[:{])"),
        _known_and_no_label, anywhere=False),
    _Shape(_OTHER, re.compile(rf"(?:<<|&lt;&lt;|«)(?P<name>{_NAME})(?:>>|&gt;&gt;|»)"),
           lambda name: _known(name) and ("_" in name or len(name.split()) == 2)),
    _Shape(_OTHER, re.compile(r"(?P<mark>##|@@|\$\$|~~~)(?P<name>[A-Za-z]\w*)(?P=mark)"), _known,
           anywhere=False),
    _Shape("SendGrid", re.compile(r"(?<![\w-])-(?P<name>[A-Za-z]\w*)-(?![\w-])"), _known_or_snake,
           anywhere=False),
)  # fmt: skip

_CODE = re.compile(r"<(code|pre|kbd|samp|tt)(?=[\s>])", re.IGNORECASE)
_MARKDOWN_CODE = re.compile(
    r"(?ms)^[ ]{0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n.*?(?:^[ ]{0,3}(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n\n).)+?(?<!`)(?P=ticks)(?!`)"
)
# In these attributes, braces and dashes are the business of programs.
_UNREAD_ATTRIBUTES = re.compile(r"(?i)style|class|id|name|for|media|on.*|data-.*")


def leftovers(source: str, kind: Literal["html", "markdown", "text"]) -> list[Leftover]:
    """Those in a source, in order. kind: what the source is; a subject is text."""
    seen = as_read(source, kind)
    words = seen
    if kind != "text":
        seen = _without_tags(_without_code(seen), with_attributes=True)
        words = _without_tags(seen, with_attributes=False)
    line_ends = [match.start() for match in re.finditer("\n", source)]
    defined = set(re.findall(r"(?m)^ {0,3}\[([^\]\n]+)\]:", seen)) if kind == "markdown" else set()
    found: dict[int, Leftover] = {}
    taken = bytearray(len(source))  # 1 where a leftover was found
    for shape in _SHAPES:
        for match in shape.pattern.finditer(seen if shape.anywhere else words):
            name = match["name"].strip().lstrip("=@#- ").strip()
            here = range(*match.span())
            if (
                any(taken[here.start : here.stop])
                or not shape.accepts(name)
                or match["name"] in defined
            ):
                continue
            taken[here.start : here.stop] = b"\1" * len(here)
            text = " ".join(source[here.start : here.stop].split())
            found[here.start] = Leftover(
                text=text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…",
                line=bisect_right(line_ends, here.start) + 1,
                of=shape.of,
                surely=shape.surely,
                instead=_instead(name),
            )
    return [found[start] for start in sorted(found)]


def as_read(source: str, kind: Literal["html", "markdown", "text"]) -> str:
    """The source with blanks in place of Liquid, and of Markdown's code."""
    seen = "".join(
        piece.text if piece.kind == "static" else re.sub(r"[^\n]", " ", piece.text)
        for piece in pieces(source)
    )
    return _MARKDOWN_CODE.sub(_blank, seen) if kind == "markdown" else seen


def _instead(name: str) -> str:
    """As `words.instead`, for conditions and dates, too."""
    head, _, rest = name.partition(":")
    word = head.upper().strip()
    if word in ("IF", "IFNOT", "ELSEIF", "INTERESTED", "GROUP") or re.match(r"(?i)if\b", name):
        about = re.sub(r"(?i)^\W*if\b|[^\w ].*", "", rest or name).strip().lower()
        condition = f"fields.{about.split()[0]}" if about else "…"
        return f"{{% if {condition} %}}…{{% endif %}}"
    if word == "END" or name.lower() in ("end", "else", "endif"):
        return "{% else %} and {% endif %}, as in Liquid"
    if word == "ELSE":
        return "{% else %}"
    if word in ("DATE", "CURRENT_YEAR"):
        return instead("today" if "d" in rest.lower() else "year")
    return instead(name) if re.fullmatch(r"[\w.: @%=-]+", name) else "{{ fields.… }}"


def _blank(match: re.Match[str]) -> str:
    """As many blanks, and the same line breaks."""
    return re.sub(r"[^\n]", " ", match[0])


def _without_code(source: str) -> str:
    """The source with blanks for what is in <code> and the like."""
    done, unclosed, parts = 0, set[str](), list[str]()
    for match in _CODE.finditer(source):
        name = match[1].lower()
        if match.start() < done or name in unclosed:
            continue
        end = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(source, match.end())
        if end is None:
            unclosed.add(name)
            continue
        parts += (
            source[done : match.start()],
            re.sub(r"[^\n]", " ", source[match.start() : end.end()]),
        )
        done = end.end()
    return "".join(parts) + source[done:]


def _without_tags(source: str, *, with_attributes: bool) -> str:
    """The source with blanks for comments, styles and scripts, and for tags or for those of their
    attributes that no reader sees."""

    def without(match: re.Match[str]) -> str:
        raw = (match["raw"] or "").lower()
        if raw in ("title", "textarea"):
            return match[0]
        if not match["tag"] or not with_attributes:
            return _blank(match)
        return ATTRIBUTE.sub(seen, match[0])

    def seen(match: re.Match[str]) -> str:
        unread = match["value"] and _UNREAD_ATTRIBUTES.fullmatch(match["name"])
        return _blank(match) if unread else match[0]

    return MARKUP.sub(without, source)


def shown_lines(lines: Iterable[int]) -> str:
    """`line 3`, `lines 3, 7`, …"""
    lines = list(dict.fromkeys(lines))
    some = ", ".join(str(each) for each in lines[:5]) + ", …" * (len(lines) > 5)
    return f"line{'s' * (len(lines) > 1)} {some}"


def together(found: list[Leftover]) -> Iterator[tuple[Leftover, list[int]]]:
    """Each of those that read the same, once, with all its lines."""
    gathered: dict[str, tuple[Leftover, list[int]]] = {}
    for each in found:
        gathered.setdefault(each.text, (each, []))[1].append(each.line)
    yield from gathered.values()
