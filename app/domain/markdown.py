"""Markdown with masked Liquid in it, as HTML."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from app.domain.masking import Masks

_markdown = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table")


def to_html(source: str, masks: Masks) -> str:
    """A fragment of HTML from masked Markdown (CommonMark and tables; HTML in it stays HTML)."""
    rendered: str = _markdown.render("".join(_tag_lines_apart(source, masks)))
    token = masks.token.pattern
    row = rf"<tr>\s*<t[dh][^>]*>((?:{token})+)</t[dh]>\s*(?:<td[^>]*></td>\s*)*</tr>"
    rendered = re.sub(row, lambda m: m[1] if masks.is_silent(m[1]) else m[0], rendered)
    comment = rf"<!--({token})-->|&lt;!--({token})--&gt;"
    rendered = re.sub(comment, lambda match: match[1] or match[2], rendered)
    return _lists_around_loops(rendered, masks)


def _tag_lines_apart(source: str, masks: Masks) -> list[str]:
    """The lines, those of tags alone marked as no part of the text around them.

    Between the rows of a table they become rows; elsewhere comments, which end a paragraph or a
    list. Otherwise an `endfor` would end up inside of the last item.
    """
    lines = source.splitlines(keepends=True)
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
            lines[number] = re.sub(r"\w+", r"<!--\g<0>-->", line)
    return lines


def _lists_around_loops(rendered: str, masks: Masks) -> str:
    """One list with a loop in it, where Markdown makes a list of one item for each round."""
    token = masks.token.pattern
    looped_list = re.compile(
        rf"(?P<for>{token})\s*<(?P<list>[uo]l)>(?P<items>(?:(?!</?[uo]l\b).)*)</(?P=list)>"
        rf"\s*(?P<end>{token})",
        re.DOTALL,
    )

    def turned(match: re.Match[str]) -> str:
        start, items, end = match["for"], match["items"], match["end"]
        whole_loop = masks[start].tag == "for" and masks[end].tag == "endfor"
        if not whole_loop or masks.depth(items):
            return match[0]
        return f"<{match['list']}>\n{start}{items}{end}</{match['list']}>"

    return looped_list.sub(turned, rendered)
