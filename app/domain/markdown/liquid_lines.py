"""Markdown with masked Liquid in it, as HTML."""

from __future__ import annotations

import re

from app.domain.content.masking import Masks
from app.domain.markdown.pasted import as_meant
from app.domain.markdown.rules import Markdown

_markdown = Markdown()
# How lines begin that aren't text of a paragraph: headings, items, quotes, rows, code, rules, HTML.
_BLOCK = re.compile(
    r"#{1,6}(?:\s|$)|[-+*]\s|\d{1,9}[.)]\s|>|\||```|~~~|(?:[-*_]\s*){3,}$"
    r"|</?(?:table|t[rdh]|tbody|thead|tfoot|div|p|h[1-6]|ul|ol|li|blockquote|center|section|hr|pre)\b"
)
_FENCE = re.compile(r"\s{0,3}(?:```|~~~)")


def to_html(source: str, masks: Masks) -> str:
    """A fragment of HTML from masked Markdown, as on GitHub, with buttons and figures; HTML in it
    stays HTML."""
    lines = _with_tags_on_own_lines(as_meant(source, masks), masks)
    rendered = _markdown.to_html("".join(_with_tag_lines_marked(lines, masks)), masks)
    token = masks.token.pattern
    # The rows and comments that lines of tags were made: the tags alone remain of them.
    row = rf"<tr>\s*<t[dh][^>]*>((?:{token})+)</t[dh]>\s*(?:<td[^>]*></td>\s*)*</tr>"
    rendered = re.sub(row, lambda m: m[1] if masks.is_silent(m[1]) else m[0], rendered)
    comment = rf"<!--({token})-->|&lt;!--({token})--&gt;"
    rendered = re.sub(
        comment,
        lambda m: m[0] if masks[m[1] or m[2]].prints else m[1] or m[2],
        rendered,
    )
    return _lists_around_loops(rendered, masks)


def _with_tags_on_own_lines(source: str, masks: Masks) -> list[str]:
    """The lines, with tags around a heading, an item, a row or the like on lines of their own.

    `{% if x %}# Title{% endif %}` is a heading: the tags show nothing, so it begins its line.
    """
    lines: list[str] = []
    in_code, opened = False, 0  # opened: blocks of Liquid that began on a line of their own
    for line in source.splitlines(keepends=True):
        in_code ^= _FENCE.match(line) is not None
        before, shown, after = _parts(line, masks)
        moved = before.strip() or (opened and masks.depth(after) < 0)
        if in_code or not (moved and _BLOCK.match(shown) and _is_whole(shown, masks)):
            lines.append(line)
            opened += masks.depth(before) if not shown else 0
            continue
        opened += masks.depth(before + after)
        indent = before[: len(before) - len(before.lstrip())]
        parts = (part.strip() for part in (before, shown, after))
        lines += (f"{indent}{part}\n" for part in parts if part)
    return lines


def _parts(line: str, masks: Masks) -> tuple[str, str, str]:
    """The tags that a line begins with, what is shown, and the tags behind what is shown."""
    pieces = re.split(rf"(\s*{masks.token.pattern})", line)
    first, last = 0, len(pieces)
    while first < last and (not pieces[first] or masks.is_silent(pieces[first])):
        first += 1
    while last > first and (not pieces[last - 1].strip() or masks.is_silent(pieces[last - 1])):
        last -= 1
    while last < len(pieces) and masks.depth("".join(pieces[first:last])) > 0:
        last += 1
    shown = "".join(pieces[first:last])
    blanks = shown[: len(shown) - len(shown.lstrip())]
    return "".join(pieces[:first]) + blanks, shown.lstrip(), "".join(pieces[last:])


def _is_whole(text: str, masks: Masks) -> bool:
    """Whether the blocks of Liquid in it begin and end in it, all branches included."""
    ends = [match.end() for match in masks.token.finditer(text)]
    tags = [masks[match[0]].tag for match in masks.token.finditer(text)]
    depths = [masks.depth(text[:end]) for end in ends]
    branches = any(
        tag in ("else", "elsif", "when") and not depth
        for tag, depth in zip(tags, depths, strict=True)
    )
    return not branches and min(depths, default=0) >= 0 and masks.depth(text) == 0


def _with_tag_lines_marked(lines: list[str], masks: Masks) -> list[str]:
    """The lines, where those that have tags alone are made rows or comments.

    Rows between the rows of a table, elsewhere comments, which end a paragraph or a list. Otherwise
    an `endfor` would end up inside of the last item.
    """
    in_table, open_blocks = False, 0
    for number, line in enumerate(lines):
        if not masks.is_silent(line):
            in_table = line.lstrip().startswith("|")
            continue
        opened = masks.depth(line)
        following = next((x for x in lines[number + 1 :] if not masks.is_silent(x)), "")
        opens_rows = opened >= 0 and following.lstrip().startswith("|")
        if in_table and (open_blocks or opens_rows):
            open_blocks += opened
            lines[number] = f"|{line.strip()}|\n"
        else:
            in_table = False
            lines[number] = masks.token.sub(r"<!--\g<0>-->", line)
    return lines


def _lists_around_loops(rendered: str, masks: Masks) -> str:
    """One list with a loop in it, where Markdown makes a list of one item for each round."""
    token = masks.token.pattern
    looped_list = re.compile(
        rf"(?P<for>{token})\s*<(?P<list>[uo]l)(?P<more>[^>]*)>(?P<items>(?:(?!</?[uo]l\b).)*)</(?P=list)>"
        rf"\s*(?P<end>{token})",
        re.DOTALL,
    )

    def turned(match: re.Match[str]) -> str:
        start, items, end = match["for"], match["items"], match["end"]
        whole_loop = masks[start].tag == "for" and masks[end].tag == "endfor"
        if not whole_loop or masks.depth(items):
            return match[0]
        return f"<{match['list']}{match['more']}>\n{start}{items}{end}</{match['list']}>"

    return looped_list.sub(turned, rendered)
