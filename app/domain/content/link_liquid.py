"""Liquid in links: restored where an editor has escaped it, and its values encoded in a query.

Editors of HTML and Markdown write `{{ email }}` in a link as `%7B%7B%20email%20%7D%7D` or with
`&#123;`. This is undone before anything else reads the author's source. No change adds or removes a
line, so that later errors name the right one.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections.abc import Iterator
from urllib.parse import unquote

from app.domain.content.masking import pieces

_OPEN_BRACE = r"(?:\{|%7B|&#0*123;|&#x0*7B;|&lbrace;|&lcub;)"
_CLOSE_BRACE = r"(?:\}|%7D|&#0*125;|&#x0*7D;|&rbrace;|&rcub;)"
_PERCENT = r"(?:%25|&#0*37;|&#x0*25;|&percnt;|%(?![0-9a-f]{2}))"
_ESCAPED = re.compile(
    rf"{_OPEN_BRACE}(?:{_OPEN_BRACE}(?P<output>.{{0,500}}?){_CLOSE_BRACE}"
    rf"|{_PERCENT}(?P<tag>.{{0,500}}?){_PERCENT}){_CLOSE_BRACE}",
    re.IGNORECASE,
)
# Braces that `_ESCAPED` doesn't match: never closed, or escaped twice.
_LEFT_OVER = re.compile(
    rf"{_OPEN_BRACE}(?:{_OPEN_BRACE}|{_PERCENT}(?!7B))"
    r"|%(?:25)+7B%(?:25)+(?:7B|25)|&amp;\#(?:0*123|x0*7B);",
    re.IGNORECASE,
)
# In an expression, and not in its strings, `%` and `&` have no meaning.
_STRING_OR_ESCAPE = re.compile(
    r"(?P<string>\"[^\"]*\"|'[^']*')|(?P<escape>(?:%[0-9a-f]{2})+|&\#?\w+;)", re.IGNORECASE
)
_LITERAL_TAGS = frozenset({"#", "comment", "endcomment", "doc", "liquid"})

_ATTRIBUTE = re.compile(
    r"(?<![\w-])(?:href|src|background|action|formaction|poster|cite|longdesc|data)"
    r"\s*=\s*(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s\"'<>]+))",
    re.IGNORECASE,
)
_MARKDOWN = re.compile(
    r"\]\((?P<target>(?:[^()\n]|\([^()\n]*\))*)\)"
    r"|^[ ]{0,3}\[[^\]\n]+\]:[ \t]*(?P<definition>\S[^\n]*)",
    re.MULTILINE,
)
_ADDRESS = re.compile(
    r"(?:https?://|mailto:)"
    r"(?:(?:%7B|\{)(?:%7B|\{|%25)[^\"<>\n]{0,500}?(?:%7D|\}|%25)(?:%7D|\})|[^\s\"<>{}])+",
    re.IGNORECASE,
)
_IN_QUERY = re.compile(r"[?&][^?&#=]*=[^&#\xa0]*\Z")
_SCHEME = re.compile(r"\s*https?://\Z", re.IGNORECASE)
_ENCODES = re.compile(r"\|\s*url_(?:encode|value)\b")


class LinkError(ValueError):
    """Liquid in a link that can't be repaired. line: of the source, from 1."""

    def __init__(self, message: str, source: str, index: int) -> None:
        super().__init__(message)
        self.line = source.count("\n", 0, index) + 1


def repair_links(source: str) -> str:
    """The source with the Liquid in links unescaped, and with `url_value` where it stands in a
    link's query.

    source: HTML, Markdown or text. Raises LinkError. What is in `raw` and comments stays.
    """
    source = _unescaped_links(_unescaped_expressions(source))
    return _with_safe_values(source)


def _unescaped_expressions(source: str) -> str:
    """Undo escapes in Liquid whose braces were left alone, as in `{{%20email%20}}`."""

    def undone(match: re.Match[str]) -> str:
        return match["string"] or _unescaped(match["escape"])

    return "".join(
        piece.text
        if piece.kind in ("static", "raw") or piece.tag in _LITERAL_TAGS
        else _STRING_OR_ESCAPE.sub(undone, piece.text)
        for piece in pieces(source)
    )


def _unescaped_links(source: str) -> str:
    parts: list[str] = []
    end = 0
    static = _static(source)
    for start, stop in _links(static):
        parts += source[end:start], ""
        link, at = static[start:stop], start
        for match in _ESCAPED.finditer(link):
            parts += source[at : start + match.start()], _liquid(match)
            at = start + match.end()
            link = link[: match.start()] + " " * len(match[0]) + link[match.end() :]
        if left := _LEFT_OVER.search(link):
            raise LinkError(
                f"the link has “{left[0]}”, which isn't closed or is escaped twice; "
                "write {{ and }} there",
                source,
                start + left.start(),
            )
        parts.append(source[at:stop])
        end = stop
    return "".join(parts) + source[end:]


def _liquid(escaped: re.Match[str]) -> str:
    output, tag = escaped["output"], escaped["tag"]
    inner = output if output is not None else tag
    if inner.startswith("+") or inner.endswith("+"):  # in forms' encoding, + is a blank
        inner = inner.replace("+", " ")
    inner = _unescaped(inner)
    return f"{{{{{inner}}}}}" if output is not None else f"{{%{inner}%}}"


def _unescaped(text: str) -> str:
    return re.sub(r"[\s\xa0]", " ", unquote(html.unescape(text)))


def _with_safe_values(source: str) -> str:
    """Values in a query percent-encoded, so that they can't end it; and no `https://` before
    `unsubscribe_url`, which has its own. Raises LinkError for more than that before it."""
    parts: list[str] = []
    outputs = [piece for piece in pieces(source) if piece.kind == "output"]
    static, end = _static(source), 0
    for start, stop in _links(static):
        first = bisect_left(outputs, start, key=lambda piece: piece.start)
        last = bisect_left(outputs, stop, key=lambda piece: piece.start)
        for piece in outputs[first:last]:
            assert piece.match is not None
            shown, before = piece.match["stmt"], html.unescape(static[start : piece.start])
            if shown.startswith("unsubscribe_url") and not re.search("[?#]", before):
                scheme = _SCHEME.search(static[start : piece.start])
                address = piece.start - len(scheme[0]) if scheme else piece.start
                if "://" in static[start:address]:
                    raise LinkError(
                        "unsubscribe_url is a whole address; take away what stands before it",
                        source,
                        piece.start,
                    )
                parts += source[end:address], piece.text
            elif _IN_QUERY.search(before) and not _ENCODES.search(shown):
                expression = piece.match.end("stmt")
                parts += source[end:expression], " | url_value", source[expression : piece.end]
            else:
                continue
            end = piece.end
    return "".join(parts) + source[end:]


def _static(source: str) -> str:
    """The source with letters in place of its Liquid: everything stays where it is."""
    return "".join(
        piece.text if piece.kind == "static" else re.sub(r"[^\n]", "x", piece.text)
        for piece in pieces(source)
    )


def _links(static: str) -> Iterator[tuple[int, int]]:
    """Where links are, in order and without overlaps: values of attributes, targets in Markdown,
    addresses in the text."""
    spans = [
        match.span(group)
        for pattern in (_ATTRIBUTE, _MARKDOWN)
        for match in pattern.finditer(static)
        for group in pattern.groupindex
        if match[group]
    ]
    spans += [match.span() for match in _ADDRESS.finditer(static)]
    end = 0
    for start, stop in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start >= end:
            yield start, stop
            end = stop
