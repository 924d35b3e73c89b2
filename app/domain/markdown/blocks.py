"""What mail needs of Markdown beyond GitHub's: buttons, figures, boxes and notes that need no form
and no link within the mail, which mail programs drop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

# Outlook knows no padding of links: there the cell is the button. Elsewhere the link is, all of it.
_BUTTON_START = (
    '<table class="button-box" role="presentation" border="0" cellpadding="0" cellspacing="0">'
    '<tr><td class="button-cell">'
)
_BUTTON_END = "</td></tr></table>\n"
_BOXES = {True: "☑\xa0", False: "☐\xa0"}


def mail_blocks_plugin(md: MarkdownIt) -> None:
    md.core.ruler.after("inline", "mail_blocks", _mail_blocks)
    md.add_render_rule("footnote_ref", _footnote_ref)
    md.add_render_rule("footnote_block_open", _footnotes_open)
    md.add_render_rule("footnote_block_close", lambda *_: "</ol>\n")
    md.add_render_rule("footnote_open", lambda *_: "<li>")
    md.add_render_rule("footnote_anchor", lambda *_: "")


def _footnote_ref(_: object, tokens: Sequence[Token], idx: int, *__: Any) -> str:
    return f"<sup>[{tokens[idx].meta['id'] + 1}]</sup>"


def _footnotes_open(*_: Any) -> str:
    return '<hr>\n<ol class="footnotes">\n'


def _mail_blocks(state: StateCore) -> None:
    state.tokens = list(_with_blocks(state.tokens, state.env["tokens"].masks.is_silent))


def _with_blocks(tokens: list[Token], is_silent: Any) -> Iterator[Token]:
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.type == "list_item_open" and "checked" in token.meta:
            _put_box_into_text(tokens, place)
        paragraph = _paragraph(tokens, place)
        if paragraph is None:
            yield token
            place += 1
        elif figure := _figure(paragraph, _paragraph(tokens, place + 3)):
            block, taken = figure
            yield from block
            place += 3 * taken
        elif buttons := _buttons(paragraph, is_silent):
            yield from buttons
            place += 3
        else:
            yield from tokens[place : place + 3]
            place += 3


def _paragraph(tokens: list[Token], place: int) -> list[Token] | None:
    """What is in the paragraph that begins there."""
    if place + 2 < len(tokens) and tokens[place].type == "paragraph_open":
        return tokens[place + 1].children or []
    return None


def _put_box_into_text(tokens: list[Token], place: int) -> None:
    """The box of a task as a character: mail programs drop inputs."""
    box = _BOXES[bool(tokens[place].meta.pop("checked"))]
    text = next((each for each in tokens[place:] if each.type == "inline"), None)
    if text is not None and text.children is not None:
        text.children.insert(0, _token("text", box))


# Figures


def _figure(
    paragraph: list[Token], following: list[Token] | None
) -> tuple[list[Token], int] | None:
    """A picture with its caption, and of how many paragraphs it was made.

    The caption is the picture's title, a line in italics right below it, or, as Notion writes it,
    a paragraph that says the same as the alternative text.
    """
    picture, rest = _picture(paragraph)
    if picture is None:
        return None
    shown = next(each for each in picture if each.type == "image")
    title = shown.attrs.pop("title", None) if not rest and "title" in shown.attrs else None
    caption: list[Token] | None = None
    taken = 1
    if title:
        caption = [_token("text", str(title))]
    elif rest and rest[0].type in ("softbreak", "hardbreak") and _is_italic(rest[1:]):
        caption = rest[2:-1]
    elif not rest and following and shown.content and _text(following) == shown.content.strip():
        caption, taken = following, 2
    if caption is None:
        return None
    if _text(caption) == shown.content.strip():  # read out once is enough
        shown.children, shown.content = [], ""
    return [
        _token("html_block", "<figure>\n<div>"),
        _inline(picture),
        _token("html_block", "</div>\n<figcaption>"),
        _inline(caption),
        _token("html_block", "</figcaption>\n</figure>\n"),
    ], taken


def _picture(paragraph: list[Token]) -> tuple[list[Token] | None, list[Token]]:
    """The picture that a paragraph begins with, with a link around it or without; and the rest."""
    types = [each.type for each in paragraph[:3]]
    length = 3 if types == ["link_open", "image", "link_close"] else 1
    if length == 1 and types[:1] != ["image"]:
        return None, []
    return paragraph[:length], paragraph[length:]


def _is_italic(tokens: list[Token]) -> bool:
    """Whether one emphasis holds them all."""
    levels = [each.level for each in tokens]
    return (
        len(tokens) > 2
        and (tokens[0].type, tokens[-1].type) == ("em_open", "em_close")
        and all(level > levels[0] for level in levels[1:-1])
    )


def _text(tokens: list[Token]) -> str:
    return "".join(each.content for each in tokens).strip()


# Buttons


def _buttons(paragraph: list[Token], is_silent: Any) -> list[Token] | None:
    """The buttons of a paragraph that has nothing else but blanks and Liquid's tags."""
    made: list[Token] = []
    button: list[Token] = []
    found = False
    for token in paragraph:
        if button:
            button.append(token)
            if token.type == "link_close":
                made += [
                    _token("html_block", _BUTTON_START),
                    _inline(button),
                    _token("html_block", _BUTTON_END),
                ]
                button = []
        elif token.type == "link_open" and is_button(token):
            button, found = [token], True
        elif token.type in ("softbreak", "hardbreak") or not token.content.strip():
            continue
        elif token.type == "text" and is_silent(token.content):
            made.append(_token("html_block", f"{token.content.strip()}\n"))
        else:
            return None
    return made if found else None


def is_button(link: Token) -> bool:
    return "button" in re.split(r"\s+", str(link.attrGet("class") or ""))


def _inline(children: list[Token]) -> Token:
    token = Token("inline", "", 0, children=children)
    token.content = "".join(each.content for each in children)
    return token


def _token(kind: str, content: str) -> Token:
    return Token(kind, "", 0, content=content)
