"""A mailout's compiled content (domain/content), for providers that paste by other rules than SES.

For SES any text that looks like `{{` is a hole of its own, the same for everybody. Here it is text
again, so that only what differs from person to person is left to be pasted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from app.domain.content.render import Compiled
from app.domain.providers import MAX_RECIPIENTS
from app.domain.ses.mail import BulkEntry

_HOLE = re.compile(r"\{\{(h\d+)\}\}")
_TAG, _NAME = re.compile(r"<[A-Za-z][^<>]*>"), re.compile(r"\A<[^\s/>]+")
_NO_TRACK, _TAGS = (
    re.compile(
        rf"""\sses:{name}(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?(?=[\s/>])""", re.IGNORECASE
    )
    for name in ("no-track", "tags")
)


def without_ses(html: str, untracked: str) -> str:
    """Without the attributes of links that are for SES, which takes them away itself.

    untracked: what this provider calls `ses:no-track`, as an attribute with a blank before it. It
    stands before all others: SendGrid wants it before the address.
    """

    def own(tag: re.Match[str]) -> str:
        bare, marked = _NO_TRACK.subn("", _TAGS.sub("", tag[0]))
        return _NAME.sub(rf"\g<0>{untracked}", bare) if marked else bare

    return _TAG.sub(own, html) if "ses:" in html else html


@dataclass(frozen=True, slots=True)
class Text:
    """`static` with the names of `holes` between: always one static piece more than holes."""

    static: tuple[str, ...]
    holes: tuple[str, ...]

    @classmethod
    def of(cls, template: str, compiled: Compiled) -> Text:
        """template: one of those that `compiled` has for SES."""
        pieces = _HOLE.split(template)
        static, holes = [pieces[0]], []
        for name, following in zip(pieces[1::2], pieces[2::2], strict=True):
            if name in compiled.constant:
                static[-1] += compiled.constant[name] + following
            else:
                holes.append(name)
                static.append(following)
        return cls(tuple(static), tuple(holes))

    def written(self, literal: Callable[[str], str], tag: Callable[[str], str]) -> str:
        """In a provider's words. literal: writes a static piece so that it arrives as it is. tag:
        what a hole is called."""
        text = literal(self.static[0])
        for hole, piece in zip(self.holes, self.static[1:], strict=True):
            text += tag(hole) + literal(piece)
        return text


@dataclass(frozen=True, slots=True)
class Texts:
    subject: Text
    html: Text
    plain: Text

    @classmethod
    def of(cls, compiled: Compiled, untracked: str) -> Texts:
        """untracked: as of `without_ses`."""
        return cls(
            Text.of(compiled.subject, compiled),
            Text.of(without_ses(compiled.html, untracked), compiled),
            Text.of(compiled.text, compiled),
        )

    @property
    def holes(self) -> tuple[str, ...]:
        """Each once, in their order."""
        return tuple(dict.fromkeys(self.subject.holes + self.html.holes + self.plain.holes))

    @property
    def static(self) -> tuple[str, ...]:
        return self.subject.static + self.html.static + self.plain.static


def groups(entries: Iterable[BulkEntry], room: int) -> Iterator[list[BulkEntry]]:
    """Consecutive groups that each fit one call: neither too many people nor too many bytes, and
    no address twice, which both providers refuse or send to once only.

    room: bytes for the entries of a call. One that exceeds it goes alone.
    """
    group: list[BulkEntry] = []
    used, known = 0, set[str]()
    for entry in entries:
        size = len(entry.json) + 1
        full = len(group) == MAX_RECIPIENTS or used + size > room
        if group and (full or entry.to in known):
            yield group
            group, used, known = [], 0, set()
        group.append(entry)
        known.add(entry.to)
        used += size
    if group:
        yield group
