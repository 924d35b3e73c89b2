"""Pictures, files and links that stand by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from app.domain.assets.files import LINK_INSTEAD
from app.domain.assets.kept import Assets, Kept, KeptFile, NotKept
from app.domain.assets.sizes import in_words
from app.domain.assets.videos import video_picture
from app.domain.content.links import is_local
from app.domain.notion.blocks import links
from app.domain.notion.blocks.places import Notes, quote
from app.domain.notion.blocks.richtext import RichText, escaped
from app.domain.notion.blocks.tree import Block, address, kind, lies_with_notion, sendable, value
from app.domain.notion.properties import plain_text

LAYOUT = 'role="presentation" width="100%" border="0" cellpadding="0" cellspacing="0"'
_SIGNS = {"video": "▶", "audio": "🎧", "pdf": "📄", "file": "📎"}
_AGAIN = "Upload it again, or take it away."


class Media:
    """Each method gives the lines of one block. width: pixels it may take."""

    def __init__(
        self,
        pictures: Assets,
        notes: Notes,
        rich: RichText,
        features: set[str],
    ) -> None:
        self._pictures = pictures
        self._notes = notes
        self._rich = rich
        self._features = features

    def picture(self, block: Block, width: int) -> list[str]:
        content = value(block)
        url, size = self._source(content, width)
        caption = self._rich.html(content.get("caption"))
        below = f"<figcaption>{caption}</figcaption>" if caption else ""
        if not url:
            return [f"<p>{caption}</p>"] if caption else []
        alt = self._rich.alternative(content.get("caption"))
        source = links.attribute(url)
        return [f'<figure><div><img src="{source}" alt="{alt}"{size}></div>{below}</figure>']

    def _source(self, content: Mapping[str, Any], width: int) -> tuple[str, str]:
        """Where a picture is for readers, and its attributes of size; without an address: why there
        is none is noted."""
        url = address(content)
        kept = self._pictures.get(url)
        if not url:
            self._notes.fail("the picture has no file.", _AGAIN)
        elif isinstance(kept, NotKept):
            self._notes.fail(f"the picture can't be shown: {kept.detail}, or take it away.", "")
        elif isinstance(kept, Kept):
            if kept.note:
                self._notes.warn(f"the picture: {kept.note}.")
            return kept.url, _size(kept, width)
        elif lies_with_notion(content):
            self._notes.fail("the picture wasn't copied from Notion, where it ends soon.", _AGAIN)
        elif not url.lower().startswith(("https://", "http://")) or is_local(links.host(url)):
            self._notes.fail(f"the picture's address is none of the web ({quote(url)}).", _AGAIN)
        else:
            return url, ""
        return "", ""

    def icon(self, block: Block) -> str:
        """What stands before a callout's text or a tab's name: HTML, may be empty."""
        icon = value(block).get("icon")
        if not isinstance(icon, Mapping):
            return ""
        if icon.get("type") == "emoji":
            return escaped(str(icon.get("emoji") or ""))
        if icon.get("type") == "icon":  # one of Notion's own drawings
            return ""
        return self._rich.emoji(icon, "")

    # Links

    def link(self, block: Block, width: int) -> list[str]:
        content = value(block)
        url = str(content.get("url") or "").strip()
        caption = content.get("caption")
        return self._card(url, caption, "", links.host(url) or links.readable(url))

    def video(self, block: Block, width: int) -> list[str]:
        """Its picture, which leads to it, as no mail program plays films; a card where there is
        none."""
        content = value(block)
        url, said = address(content), content.get("caption")
        kept = self._pictures.get(video_picture(url))
        link = self._rich.link(url, plain_text(said) or "Video") if isinstance(kept, Kept) else ""
        if not isinstance(kept, Kept) or not link:
            return self.file(block, width)
        href, source = links.attribute(link), links.attribute(kept.url)
        alt = self._rich.alternative(said) or "Video"
        words = self._rich.html(said, links=False) or "Video"
        return [
            f'<figure><div><a href="{href}"><img src="{source}" alt="{alt}"{_size(kept, width)}>'
            f'</a></div><figcaption>{_SIGNS["video"]}\xa0 <a href="{href}">{words}</a></figcaption>'
            "</figure>"
        ]

    def file(self, block: Block, width: int) -> list[str]:
        content = value(block)
        url = address(content)
        kept = self._pictures.get(url)
        name = str(content.get("name") or "") or _name(url)
        caption = content.get("caption")
        if not url:
            self._notes.fail(f"the {_what(block)} has no address.", _AGAIN)
        elif isinstance(kept, KeptFile):
            words, size = self._rich.html(caption, links=False), f"PDF, {in_words(kept.size)}"
            about = f"{escaped(name)} · {size}" if words and name else size
            return self.card(kept.url, words or escaped(name) or "PDF", _SIGNS["pdf"], about)
        elif lies_with_notion(content):
            self._notes.fail(*self._unkept(block, name, kept))
        else:
            shown = name or links.host(url) or links.readable(url)
            return self._card(url, caption, _SIGNS[kind(block)], shown)
        words = self._rich.html(caption) or escaped(name)
        return [f"<p>{words}</p>"] if words else []

    def _unkept(self, block: Block, name: str, kept: object) -> tuple[str, str]:
        """What is wrong with a file that lies with Notion, and the remedy."""
        which = f"the {_what(block)} {quote(name)}" if name else f"the {_what(block)}"
        if isinstance(kept, NotKept):
            return f"{which} can't be kept for readers: {kept.detail}.", "Or take it away."
        ends = f"{which} lies with Notion, where its address ends within the hour."
        return ends, f"{LINK_INSTEAD[0].upper()}{LINK_INSTEAD[1:]}."

    def _card(self, url: str, caption: Any, sign: str, shown: str) -> list[str]:
        if not url:
            self._notes.fail("the link has no address.", "Enter one, or take the block away.")
        link = self._rich.link(url, plain_text(caption) or shown)
        words = self._rich.html(caption, links=not link)
        if not link:
            return [f"<p>{words or escaped(shown)}</p>"] if words or shown else []
        return self.card(link, words or escaped(shown), sign)

    def card(self, url: str, words: str, sign: str = "", about: str = "") -> list[str]:
        """A box with a link in it. words, about: HTML; about: of a file, in the text part, too.
        Where a link leads to is in that anyway."""
        self._features.add("card")
        sign = f"{sign}\xa0 " if sign else ""
        where, whole = escaped(links.host(url)), escaped(links.readable(url))
        where = whole if words == where else where
        below = f'<br><span class="n-host">{where}</span>' if where and where != words else ""
        if about:
            self._features.add("about")
            below = f'<br><span class="n-about">{about}</span>'
        return [
            f'<table class="n-card" {LAYOUT}><tr><td class="n-body">'
            f'{sign}<a href="{links.attribute(url)}">{words}</a>{below}</td></tr></table>'
        ]


def _size(kept: Kept, width: int) -> str:
    """The attributes of size: also for Outlook, which knows no others."""
    wide = ' class="n-wide"' * (kept.width > width)
    return f' width="{min(kept.width, width)}"{wide}'


def _what(block: Block) -> str:
    return {"pdf": "PDF"}.get(kind(block), kind(block))


def _name(url: str) -> str:
    """The last part of a path that looks like a file's name."""
    try:
        last = unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        return ""
    return sendable(last) if "." in last else ""
