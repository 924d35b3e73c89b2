"""GitHub's Markdown with tokens in it (masking.py), read as if their values stood there.

A token is a word to markdown-it, and a word changes what is around it: `**Hi,**` with a letter
behind it is no emphasis, `<word>` is a tag of HTML, and `class="a"word` spoils one.
"""

from __future__ import annotations

import re
from typing import cast

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.rules_inline import StateInline, autolink, html_inline
from markdown_it.rules_inline.state_inline import Scanned
from markdown_it.token import Token
from markdown_it.utils import EnvType
from mdit_py_plugins.attrs import attrs_plugin
from mdit_py_plugins.gfm import gfm_plugin

from app.domain.content.masking import Masks
from app.domain.markdown.blocks import mail_blocks_plugin

_OPTIONS = {"html": True, "linkify": False}
# What an author may add to a link or a picture: `{.button}`, `{width=300}`.
_ATTRIBUTES = ("class", "id", "width", "height", "align")
_BARE_LINKS = {"gfm_autolink_www": "w", "gfm_autolink_protocol": ":", "gfm_autolink_email": "@"}
_EMAIL = re.compile(r"\{\{-?\s*email\b")
_LONGEST_TOKEN = 40  # characters


class Markdown(MarkdownIt):
    """Markdown as on GitHub: CommonMark with tables, ~~strikethrough~~, bare addresses, task lists,
    alerts, footnotes; and with attributes, buttons and figures."""

    def __init__(self) -> None:
        super().__init__("commonmark", _OPTIONS)
        self.inline = _Inline()
        self.configure("commonmark", _OPTIONS)
        self.use(gfm_plugin)
        self.options["strikethrough_single_tilde"] = False  # H~2~O, from 9 ~ to 10 ~
        self.use(attrs_plugin, allowed=_ATTRIBUTES)
        self.use(mail_blocks_plugin)
        for rule in self.inline.ruler.get_all_rules():
            if rule in _BARE_LINKS:
                self._read_liquid_around(rule)
        self.inline.ruler.at("autolink", _autolink)
        self.inline.ruler.at("html_inline", _html_inline)
        # As the library's own rule, it may interrupt these.
        may_interrupt = ["paragraph", "reference", "blockquote"]
        self.block.ruler.at("html_block", _html_block, {"alt": may_interrupt})

    def _read_liquid_around(self, name: str) -> None:
        """Make the rule for bare addresses take tags, which show nothing, for blanks."""
        (rule,) = (each.fn for each in self.inline.ruler.__rules__ if each.name == name)
        mark = _BARE_LINKS[name]

        def with_blanks(state: StateInline, silent: bool) -> bool:
            if silent or state.linkLevel > 0 or state.src[state.pos] != mark:
                return False
            tokens: _Tokens = state.env["tokens"]
            # Text that the rule looks back at begins behind the last tag.
            if pending := tokens.up_to_last_tag(state.pending):
                rest = state.pending[len(pending) :]
                state.pending = pending
                state.pushPending()
                state.pending = rest
            source, state.src = state.src, tokens.with_blanks_for_tags(state.src)
            try:
                return bool(rule(state, silent))
            finally:
                state.src = source

        self.inline.ruler.at(name, with_blanks)

    def to_html(self, source: str, masks: Masks) -> str:
        """A fragment of HTML from masked Markdown."""
        env = {"tokens": _Tokens(masks)}
        return cast("str", self.render(_with_blanks_in_tags(source, masks), env))


class _Tokens:
    """Finds the tokens in a source."""

    def __init__(self, masks: Masks) -> None:
        token = masks.token.pattern
        self.masks = masks
        self.starts = masks.token.match
        self._ends = re.compile(rf"{token}\Z")
        self.in_angle_brackets = re.compile(rf"<(?P<address>(?P<first>{token})[^<>\s]*)>").match
        self.after_angle_bracket = re.compile(rf"</?{token}").match
        self._blanked: tuple[str, str] = ("", "")

    def end(self, source: str, at: int) -> bool:
        """Whether a token ends at this index."""
        return self._ends.search(source[max(0, at - _LONGEST_TOKEN) : at]) is not None

    def with_blanks_for_tags(self, source: str) -> str:
        """The source with as many blanks in place of each tag."""
        if self._blanked[0] != source:
            blanked = self.masks.token.sub(
                lambda match: match[0] if self.masks[match[0]].prints else " " * len(match[0]),
                source,
            )
            self._blanked = (source, blanked)
        return self._blanked[1]

    def up_to_last_tag(self, text: str) -> str:
        """The text up to the end of the last tag in it."""
        tags = (m for m in self.masks.token.finditer(text) if not self.masks[m[0]].prints)
        return text[: max((match.end() for match in tags), default=0)]


class _Inline(ParserInline):
    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _State(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


class _State(StateInline):
    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        """Whether marks can begin and end an emphasis (CommonMark 0.31, 6.2).

        Beside a token they can if some value allows it: inside of the emphasis a token is a letter,
        outside of it a punctuation mark. Between two tokens, `_` is part of a word.
        """
        scanned = super().scanDelims(start, canSplitWord)
        tokens: _Tokens = self.env["tokens"]
        end = start + scanned.length
        token_before = tokens.end(self.src, start)
        token_after = tokens.starts(self.src, end) is not None
        if not (token_before or token_after):
            return scanned
        if token_before and token_after and not canSplitWord:
            return Scanned(False, False, scanned.length)
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        opens = _is_edge(
            inside="x" if token_after else after,
            outside="." if token_before else before,
            in_words=canSplitWord,
        )
        closes = _is_edge(
            inside="x" if token_before else before,
            outside="." if token_after else after,
            in_words=canSplitWord,
        )
        return Scanned(opens, closes, scanned.length)


def _is_edge(*, inside: str, outside: str, in_words: bool) -> bool:
    """Whether an emphasis can begin or end between these characters. in_words: also in a word."""
    if isWhiteSpace(ord(inside)):
        return False
    if _is_space_or_punctuation(outside):
        return True
    return in_words and not _is_space_or_punctuation(inside)


def _is_space_or_punctuation(char: str) -> bool:
    return isWhiteSpace(ord(char)) or isMdAsciiPunct(ord(char)) or isPunctChar(char)


def _autolink(state: StateInline, silent: bool) -> bool:
    """`<{{ fields.url }}>` and `<{{ email }}>`, beside addresses that are written out."""
    tokens: _Tokens = state.env["tokens"]
    found = tokens.in_angle_brackets(state.src, state.pos)
    if not found or not tokens.masks[found["first"]].prints:
        return autolink(state, silent)
    if not silent:
        address = found["address"]
        is_email = address == found["first"] and _EMAIL.match(tokens.masks[address].liquid)
        target = f"mailto:{address}" if is_email else address
        state.push("link_open", "a", 1).attrs = {"href": state.md.normalizeLink(target)}
        state.push("text", "", 0).content = address
        state.push("link_close", "a", -1)
    state.pos = found.end()
    return True


def _html_inline(state: StateInline, silent: bool) -> bool:
    return not _is_not_a_tag(state.src, state.pos, state.env) and html_inline(state, silent)


def _html_block(state: StateBlock, startLine: int, endLine: int, silent: bool) -> bool:  # noqa: N803
    at = state.bMarks[startLine] + state.tShift[startLine]
    return not _is_not_a_tag(state.src, at, state.env) and html_block(
        state, startLine, endLine, silent
    )


def _is_not_a_tag(source: str, at: int, env: EnvType) -> bool:
    """Whether a token follows a `<`, as in `3 <{{ n }}`: no value is an element's name."""
    tokens: _Tokens = env["tokens"]
    return tokens.after_angle_bracket(source, at) is not None


def _with_blanks_in_tags(source: str, masks: Masks) -> str:
    """The source with a blank before tokens as in `<td{% if … %}` and `class="a"{% if … %}`: HTML
    allows what Liquid makes of it, but CommonMark would see no tag."""
    token = masks.token.pattern
    tag = re.compile(r"</?[a-z](?:\"[^\"]*+\"|'[^']*+'|[^<>\"'])*+>", re.IGNORECASE)
    name = re.compile(rf"(</?[a-z][a-z0-9-]*?)({token})", re.IGNORECASE)
    value = re.compile(rf"(=\s*(?:\"[^\"]*\"|'[^']*'))(?={token})")

    def after_name(match: re.Match[str]) -> str:
        return match[0] if masks[match[2]].prints else f"{match[1]} {match[2]}"

    def spaced(match: re.Match[str]) -> str:
        return value.sub(r"\1 ", name.sub(after_name, match[0], count=1))

    return tag.sub(spaced, source)
