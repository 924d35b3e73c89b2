"""The text part, derived from masked HTML when the author gives none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import count
from typing import Any

from markdownify import MarkdownConverter

from app.domain.content.markup import MARKUP, is_start_tag, loosened
from app.domain.content.masking import Masks
from app.domain.textpart.columns import CELL, RIGHT, aligned
from app.domain.textpart.numbering import marker
from app.domain.textpart.spacing import EDGE, apart, edged, without_edges

_NOT_SHOWN = {"head", "title", "style", "script", "template", "noscript"}
# The attributes whose values the text shows. Of Liquid in others, only what shows nothing by itself
# is kept: an `assign` may be needed further on, and an `if` may have its `endif` elsewhere.
_SHOWN_ATTRIBUTES = {("a", "href"), ("img", "alt")}
# Style attributes that make their element a box, whose text doesn't touch the text beside it.
_BOX = re.compile(
    r"(?:^|;)(?:display:(?!inline(?:;|$)|none)|float:(?:left|right)"
    r"|(?:padding|margin|border)(?:-left|-right)?:[^;]*[1-9])"
)
_AT_RIGHT = re.compile(r"^right;|;text-align:(?:right|end)|^None;text-align:(?:right|end)")
# Of pages from Notion (notion/blocks): the cell of a callout's icon, a column, and below a link the
# host that its address has already.
_ICON, _COLUMN, _HOST = "n-icon", "n-column", "n-host"
_ICON_END = "\ufdd4"
_LINE_START = "\ufdd1"  # behind a line break; what blanks follow it aren't shown
# An attribute by which the converter learns what styles make of the element (inlining.Styled).
_VISIBILITY = "data-visibility"


def from_html(source: str, masks: Masks, visibility: Mapping[int, str]) -> str:
    """Readable text from masked HTML, masked as well.

    visibility: as in `inlining.Styled`.
    """
    source = loosened(_marked(source, masks, visibility), masks)
    # The doctype keeps BeautifulSoup from taking a short text for a file's name.
    text: str = apart(_Converter(masks).convert(f"<!doctype html>{source}"), masks)
    text = re.sub(rf"{_LINE_START}[ \t]*", "", text)
    text = re.sub(r"[ \t\xa0]+(?=\n|\Z)", "", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    # Liquid of the head stands before the first word.
    start = re.match(rf"(?:\s|{masks.token.pattern})*", text)
    before = start[0] if start and masks.is_silent(start[0]) else ""
    text = "".join(before.split()) + text[len(before) :]
    return _tables_as_lines(_without_tag_lines(text.strip(), masks), masks)


def _marked(source: str, masks: Masks, visibility: Mapping[int, str]) -> str:
    """The source without comments and declarations, and with an attribute where styles decide what
    is shown."""
    numbers = count()

    def marked(match: re.Match[str]) -> str:
        if match[0][1] in "!?":
            return masks.silent(match[0])
        mark = is_start_tag(match) and visibility.get(next(numbers))
        if not mark:
            return match[0]
        end = match.end("raw_attributes" if match["raw"] else "attributes") - match.start()
        return f'{match[0][:end]} {_VISIBILITY}="{mark}"{match[0][end:]}'

    return MARKUP.sub(marked, source)


class _Converter(MarkdownConverter):
    """Markdown without its marks: what a person would type in a plain mail."""

    def __init__(self, masks: Masks) -> None:
        super().__init__(
            escape_asterisks=False,
            escape_underscores=False,
            wrap=True,  # line breaks of the source are spaces, as in a browser
            wrap_width=None,
            bullets="-",
        )
        self.masks = masks

    def process_tag(self, node: Any, parent_tags: Any = None) -> str:
        if node.name in _NOT_SHOWN or node.attrs.get(_VISIBILITY) == "none":
            return self.masks.silent(str(node))
        dropped = [
            f"{name}={value}"
            for name, value in node.attrs.items()
            if (node.name, name) not in _SHOWN_ATTRIBUTES
        ]
        # markdownify's types leave this method out.
        text: str = super().process_tag(node, parent_tags)  # type: ignore[misc]
        if _BOX.search(_own_style(node)):
            text = edged(text)
        return self.masks.silent(" ".join(dropped)) + text

    def process_text(self, el: Any, parent_tags: Any = None) -> str:
        text: str = super().process_text(el, parent_tags)  # type: ignore[misc]
        return self.masks.silent(text) if self._is_invisible(el.parent) else text

    def _is_invisible(self, node: Any) -> bool:
        """Whether the CSS property `visibility` hides it, set here or by an element around it."""
        while node is not None and _VISIBILITY not in node.attrs:
            node = node.parent
        return node is not None and bool(node.attrs[_VISIBILITY] == "hidden")

    def convert_a(self, el: Any, text: str, parent_tags: Any) -> str:
        url = "" if self._is_invisible(el) else (el.get("href") or "").strip()
        label = text.strip().strip(EDGE)
        shown = self.masks.unmask(without_edges(label))
        target = self.masks.unmask(url)
        if not url or url.startswith("#"):
            return text
        if _bare(shown) == _bare(target):
            return edged(text)
        if self._is_said_below(el):
            return self.masks.silent(f"{url} {text}")
        link = f"{label} ({url})" if label else url
        return edged(text.replace(label, link, 1) if label else link)

    def convert_img(self, el: Any, text: str, parent_tags: Any) -> str:
        alt = el.get("alt") or ""
        figure = el.find_parent("figure")
        caption = figure.find("figcaption") if figure else None
        if self._is_invisible(el) or (
            caption and self._says(caption.get_text()) == self._says(alt)
        ):
            return ""
        return edged(alt)

    def _is_said_below(self, link: Any) -> bool:
        """Whether the caption of a linked picture is the same link with the same words."""
        figure = link.find_parent("figure")
        caption = figure.find("figcaption") if figure else None
        if caption is None or link in caption.descendants:
            return False
        again = caption.find("a", href=link.get("href"))
        said = "".join(str(picture.get("alt") or "") for picture in link.find_all("img"))
        return again is not None and self._says(again.get_text()) == self._says(said)

    def _says(self, text: str) -> str:
        return "".join(self.masks.unmask(text).split())

    def convert_button(self, el: Any, text: str, parent_tags: Any) -> str:
        return edged(text)

    convert_label = convert_select = convert_option = convert_textarea = convert_button
    convert_audio = convert_object = convert_canvas = convert_svg = convert_video = convert_button

    def convert_br(self, el: Any, text: str, parent_tags: Any) -> str:
        return f"\n{_LINE_START}{text}"

    def convert_block(self, el: Any, text: str, parent_tags: Any) -> str:
        return f"\n\n{text.strip()}\n\n" if text.strip() else ""

    convert_div = convert_section = convert_article = convert_block
    convert_header = convert_footer = convert_main = convert_center = convert_block
    convert_p = convert_pre = convert_block
    convert_dl = convert_dt = convert_dd = convert_block
    convert_figure = convert_figcaption = convert_caption = convert_block
    convert_address = convert_aside = convert_nav = convert_hgroup = convert_search = convert_block
    convert_form = convert_fieldset = convert_legend = convert_block
    convert_details = convert_summary = convert_dialog = convert_menu = convert_block

    def convert_ul(self, el: Any, text: str, parent_tags: Any) -> str:
        nested = "li" in parent_tags
        return f"\n{text.rstrip()}" if nested else self.convert_block(el, text, parent_tags)

    convert_ol = convert_ul

    def convert_li(self, el: Any, text: str, parent_tags: Any) -> str:
        kind = str(el.parent.get("type") or "") if el.parent is not None else ""
        if not text.strip() or el.parent.name != "ol" or kind not in ("a", "A", "i", "I"):
            # markdownify's types leave this method out.
            item: str = super().convert_li(el, text, parent_tags)  # type: ignore[misc]
            return item
        start = str(el.parent.get("start") or "1")
        first = int(start) if start.isdecimal() else 1
        number = marker(first + len(el.find_previous_siblings("li")), kind)
        lines = text.strip().replace("\n", "\n" + " " * (len(number) + 1))
        return f"{number} {lines}\n"

    def convert_hN(  # noqa: N802  # markdownify's name
        self, n: int, el: Any, text: str, parent_tags: Any
    ) -> str:
        return self.convert_block(el, text, parent_tags)

    def convert_tr(self, el: Any, text: str, parent_tags: Any) -> str:
        text = re.sub(rf"{_ICON_END}\s*", " ", text.strip())
        return f"\n{text}\n"

    def convert_td(self, el: Any, text: str, parent_tags: Any) -> str:
        """Cells of one line stand side by side; longer ones, as in layout tables, are blocks."""
        text = text.strip()
        classes = el.get("class") or ()
        if _ICON in classes:
            return f"{text}{_ICON_END}"
        if "\n" in text or _COLUMN in classes:
            return f"\n\n{text}\n\n"
        span = str(el.get("colspan") or "1")
        right = RIGHT if text and _AT_RIGHT.search(f"{el.get('align')};{_own_style(el)}") else ""
        return right + text + CELL * (min(int(span), 20) if span.isdecimal() else 1)

    convert_th = convert_td

    def convert_table(self, el: Any, text: str, parent_tags: Any) -> str:
        return self.convert_block(el, aligned(text, self.masks), parent_tags)

    def convert_text(self, el: Any, text: str, parent_tags: Any) -> str:
        return text

    def convert_del(self, el: Any, text: str, parent_tags: Any) -> str:
        """What no longer holds must not read as if it did."""
        return f"~{text.strip()}~" if text.strip() else text

    convert_s = convert_strike = convert_del

    def convert_span(self, el: Any, text: str, parent_tags: Any) -> str:
        return self.masks.silent(text) if _HOST in (el.get("class") or ()) else text

    convert_b = convert_strong = convert_em = convert_i = convert_text
    convert_code = convert_kbd = convert_samp = convert_sub = convert_sup = convert_text
    convert_q = convert_text


def _bare(address: str) -> str:
    """An address without what people leave out when they write one."""
    return re.sub(r"^(?:https?://|mailto:|tel:)", "", address.lower()).removesuffix("/")


def _own_style(node: Any) -> str:
    return "".join(str(node.attrs.get("style") or "").lower().split())


def _without_tag_lines(text: str, masks: Masks) -> str:
    """The text without the line breaks of lines that have tags alone, which would be blank lines.

    Of the line breaks around such lines, only the largest gap remains.
    """
    out: list[str] = []
    gap: float = math.inf  # line breaks since the last line that shows something
    for line, breaks in re.findall(r"([^\n]*)(\n*)", text):
        silent = masks.is_silent(line)
        out.append("".join(line.split()) if silent else line)
        gap = gap if silent else 0
        more = max(0, len(breaks) - gap)
        out.append("\n" * int(more))
        gap += more
    return "".join(out)


def _tables_as_lines(text: str, masks: Masks) -> str:
    """Loops in place of `tablerow`, which writes HTML."""

    # The line break is an output: python-liquid drops blocks that hold nothing but white space.
    between = "{% unless forloop.first %}{{ '\n' }}{% endunless %}"

    def as_loop(match: re.Match[str]) -> str:
        mask = masks[match[0]]
        if mask.tag == "endtablerow":
            return masks.add("{% endfor %}", "endfor")
        if mask.tag == "tablerow":
            loop = re.sub(
                r",?\s*cols\s*:\s*[^\s,%-]+", "", mask.liquid.replace("tablerow", "for", 1)
            )
            return masks.add(loop + between, "for")
        return match[0]

    return masks.token.sub(as_loop, text)
