"""The HTML part: layout, inlined styles, hidden preheader and footer, around masked Liquid.

All text here is masked (masking.py). The author's HTML is never parsed and written
again: tags get attributes inserted, the rest stays as it was, byte for byte.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from app.domain.content.masking import Masks


@dataclass(frozen=True)
class Footer:
    """What every mail ends with. html, text: static, shown above the organisation's lines."""

    org_name: str
    org_address: str
    html: str = ""
    text: str = ""


class MarkupError(ValueError):
    """HTML that can't be handled; the message says why."""


_ATTRIBUTE = r"""[^\s"'<>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+))?"""
_ATTRIBUTES = rf"""(?:[\s/]+|{_ATTRIBUTE}|["'=])*+"""  # browsers put up with a stray quote
# Comments (Outlook's conditional ones too), elements whose content is no markup, declarations,
# and tags. What is between them is text.
MARKUP = re.compile(
    rf"(?P<comment><!--.*?(?P<comment_end>-->|\Z))"
    r"|<(?P<raw>style|script|title|textarea|xmp|iframe|noembed|noframes)(?=[\s/>])"
    rf"(?P<raw_attributes>{_ATTRIBUTES})>"
    rf".*?(?P<raw_end></(?P=raw)\s*>|\Z)"
    rf"|<[!?][^>]*+(?:>|\Z)"
    rf"|<(?P<close>/?)(?P<tag>[a-z][^\s/<>]*+)(?P<attributes>{_ATTRIBUTES})>",
    re.IGNORECASE | re.DOTALL,
)
# A start tag alone, whatever it stands in.
START_TAG = re.compile(
    rf"<(?P<tag>[a-z][^\s/<>]*+)(?P<attributes>{_ATTRIBUTES})>", re.IGNORECASE | re.DOTALL
)
ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s"'<>/=]+)(?:\s*=\s*(?P<value>"[^"]*"|'[^']*'|[^\s"'<>]+))?"""
)

MAX_DEPTH = 200  # a mail of nested layout tables has some 60

MAX_ELEMENTS = 20_000
"""A newsletter has some thousand. 50,000 links took 380 MB of the process that sends."""

# Elements without content.
VOID = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param"),
    *("source", "track", "wbr"),
}
# Elements that don't nest: those without content, and those that the next of their kind closes.
_UNNESTED = {
    *VOID,
    *("p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot", "option"),
    *("path", "circle", "ellipse", "line", "polygon", "polyline", "rect", "stop", "use"),
}

_HEAD = """\
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">
<meta name="x-apple-disable-message-reformatting">
"""

# For mails that are made for the dark: their text would be light on a background of their own.
_DARK_TOO = """\
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
"""
_COLORS = re.compile(r"\bbackground|\bbgcolor\b|\bcolor\s*[:=]", re.IGNORECASE)

_SKELETON = """\
<!doctype html>
<html>
<head>
{head}</head>
<body>
{body}
</body>
</html>
"""

_MARKDOWN_STYLE = """\
<style>
body { margin: 0; padding: 0; background: #ffffff; }
.mail { max-width: 600px; margin: 0 auto; padding: 24px 24px 0; color: #1f2328;
  font-family: -apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif;
  font-size: 16px; line-height: 1.6; word-wrap: break-word; overflow-wrap: break-word;
  word-break: break-word; }
.mail h1 { font-size: 28px; line-height: 1.25; margin: 0 0 16px; }
.mail h2 { font-size: 22px; line-height: 1.3; margin: 32px 0 12px; }
.mail h3 { font-size: 18px; line-height: 1.4; margin: 24px 0 8px; }
.mail p, .mail ul, .mail ol { margin: 0 0 16px; }
.mail ul, .mail ol { padding: 0 0 0 24px; }
.mail li ul, .mail li ol { margin: 0; }
.mail a { color: #0b57d0; }
.mail img { max-width: 100%; height: auto; border: 0; }
.mail blockquote { margin: 0 0 16px; padding: 0 0 0 16px; border-left: 4px solid #d0d7de; }
.mail pre { margin: 0 0 16px; padding: 12px; white-space: pre-wrap; background: #f3f4f6; }
.mail code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 14px; }
.mail table { width: 100%; border-collapse: collapse; margin: 0 0 16px; }
.mail th, .mail td { border-bottom: 1px solid #d0d7de; padding: 8px 12px 8px 0; text-align: left;
  vertical-align: top; }
.mail hr { border: 0; border-top: 1px solid #d0d7de; margin: 24px 0; }
.mail figure { margin: 0 0 16px; }
.mail figcaption { font-size: 14px; line-height: 1.5; margin: 4px 0 0; color: #57606a; }
.mail .footnotes { font-size: 14px; line-height: 1.5; color: #57606a; }
.mail .footnotes p { margin: 0 0 8px; }
.mail .contains-task-list { list-style: none; padding: 0; }
.mail .contains-task-list ul { padding: 0 0 0 24px; }
.mail .callout, .mail .markdown-alert { margin: 0 0 16px; padding: 16px 16px 1px;
  background: #f3f4f6; border-radius: 6px; }
.mail .markdown-alert { border-left: 4px solid #0b57d0; border-radius: 0; }
.mail .markdown-alert-title { margin: 0 0 4px; font-weight: bold; }
.mail .button { display: inline-block; padding: 12px 24px; border-radius: 6px;
  background: #0b57d0; color: #ffffff; font-weight: bold; line-height: 1.25;
  text-decoration: none; }
.mail .button-box { width: auto; margin: 8px 0 16px; border-collapse: separate; }
.mail .button-cell { padding: 0; border: 0; border-radius: 6px; background: #0b57d0;
  mso-padding-alt: 12px 24px; text-align: center; }
@media (max-width: 480px) {
  .mail { padding: 16px 16px 0 !important; }
  .mail th, .mail td { font-size: 15px !important; padding-right: 8px !important; }
  .mail .button-cell { padding: 0 !important; }
}
@media (prefers-color-scheme: dark) {
  body { background: #16181d !important; }
  .mail { color: #e6e8eb !important; }
  .mail a { color: #8ab4f8 !important; }
  .mail pre, .mail .callout, .mail .markdown-alert { background: #24272e !important; }
  .mail figcaption, .mail .footnotes { color: #a8adb5 !important; }
  .mail .button, .mail .button-cell { background: #8ab4f8 !important; color: #16181d !important; }
  .mail blockquote, .mail th, .mail td, .mail hr { border-color: #444c56 !important; }
  .mail .markdown-alert { border-color: #8ab4f8 !important; }
}
</style>
"""

# Shown beside the subject in a list of mails, never in the mail; the blanks keep the body's first
# words from following it there.
_PREHEADER = (
    '<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;'
    'font-size:1px;line-height:1px;color:transparent;mso-hide:all">'
    "{text}" + "&#847;&zwnj;&nbsp;" * 30 + "</div>\n"
)

_FOOTER = """\
<div class="mail-footer" style="clear:both;max-width:{width}px;margin:32px auto 0;\
padding:16px 24px;{background}color:{color};font-family:Helvetica,Arial,sans-serif;\
font-size:13px;line-height:1.5;text-align:center;{seen}">
{lines}
</div>
"""

# What makes the footer's elements seen, in a way that no style sheet outranks: an author's rule for
# all links or the body's last child would hide them as well. Outlook's Word ignores what is
# important, and so do programs that don't know a property.
_SEEN = (
    "visibility:visible opacity:1 position:relative inset:auto z-index:2147483647 float:none "
    "height:auto max-height:none width:auto overflow:visible clip:auto clip-path:none mask:none "
    "filter:none transform:none translate:none scale:none rotate:none zoom:1 text-indent:0 "
    "letter-spacing:normal word-spacing:normal text-transform:none text-shadow:none columns:auto "
    "font-size:13px line-height:1.5 font-family:Helvetica,Arial,sans-serif direction:ltr "
    "writing-mode:horizontal-tb content-visibility:visible mix-blend-mode:normal animation:none "
    "transition:none pointer-events:auto -webkit-text-fill-color:currentcolor "
    "-webkit-text-security:none"
)
_IMPORTANT = "".join(f"{each}!important;" for each in _SEEN.split())
_BLOCK = (
    "display:block!important;margin:32px auto 0!important;padding:16px 24px!important;"
    "min-height:40px!important;max-width:{width}px!important;min-width:120px!important;"
)


def is_start_tag(match: re.Match[str]) -> bool:
    """Whether a match of MARKUP is a start tag. They are numbered in the order of the source."""
    return bool(match["raw"] or (match["tag"] and not match["close"]))


def markdown_document(fragment: str) -> str:
    """A whole document in a plain, responsive layout, its styles still in a style element."""
    body = f'<div class="mail">\n{fragment}</div>'
    return _SKELETON.format(head=_HEAD + _DARK_TOO + _MARKDOWN_STYLE, body=body)


def as_document(source: str) -> str:
    """A document as it is; a fragment with what mail clients need around it."""
    roots = ("html", "head", "body")
    if any((m["tag"] or "").lower() in roots for m in MARKUP.finditer(source)):
        return source
    light_only = _COLORS.search(source) and "prefers-color-scheme" not in source
    return _SKELETON.format(head=_HEAD if light_only else _HEAD + _DARK_TOO, body=source)


def check(source: str) -> None:
    """Raise MarkupError for HTML that would hide the footer, or that is nested too deep."""
    open_tags: Counter[str] = Counter()
    elements = 0
    for match in MARKUP.finditer(source):
        if match["comment_end"] == "":
            raise MarkupError("a comment (<!--) is never closed, which would hide the footer")
        if match["raw_end"] == "":
            raise MarkupError(f"<{match['raw']}> is never closed, which would hide the footer")
        elements += is_start_tag(match)
        if elements > MAX_ELEMENTS:
            raise MarkupError(f"there are more than {MAX_ELEMENTS:,} elements; shorten it")
        name = (match["tag"] or "").lower()
        if not name or name in _UNNESTED:
            continue
        open_tags[name] = max(0, open_tags[name] + (-1 if match["close"] else 1))
        # The text part is derived by recursion.
        if open_tags.total() > MAX_DEPTH:
            raise MarkupError(f"elements are nested, or left open, more than {MAX_DEPTH} deep")
    if open_tags["noscript"]:  # where scripts run, what follows is text
        raise MarkupError("<noscript> is never closed, which would hide the footer")


def loosened(source: str, masks: Masks) -> str:
    """The source with a blank in `<td{% if …`, where a token would become part of the name."""
    return re.sub(rf"(</?[a-z][a-z0-9]*?)(?={masks.token.pattern})", r"\1 ", source, flags=re.I)


def preheader(masked: str) -> str:
    """The hidden element that shows it in a list of mails. masked: text, not HTML."""
    return _PREHEADER.replace("{text}", html.escape(masked))


class Place(Protocol):
    """Where a footer stands (css/surroundings.py)."""

    @property
    def width(self) -> int: ...
    @property
    def color(self) -> str: ...
    @property
    def background(self) -> str | None: ...
    @property
    def differs_in_the_dark(self) -> bool: ...


def footer_html(footer: Footer, unsubscribe_url: str, place: Place) -> str:
    """The footer. unsubscribe_url: a token."""
    look = ""
    if not place.differs_in_the_dark:  # where it does, our own rule has to outrank this
        look = f"color:{place.color}!important;background:{place.background or 'none'}!important;"
    name, address = (_lines(text) for text in (footer.org_name, footer.org_address))
    link = (
        f'<a href="{unsubscribe_url}" ses:no-track style="color:{place.color};'
        f"text-decoration:underline;display:inline!important;margin:0!important;"
        f'max-width:none!important;{look}{_IMPORTANT}">Unsubscribe</a>'
    )
    above = f'<div style="margin:0 0 12px">{footer.html}</div>\n' if footer.html else ""
    lines = "<br>\n".join(line for line in (name, address, link) if line)
    background = f"background:{place.background};" if place.background else ""
    values = {
        "seen": _BLOCK.format(width=place.width) + look + _IMPORTANT,
        "width": str(place.width),
        "background": background,
        "color": place.color,
    }
    made = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), _FOOTER)
    return made.replace("{lines}", above + lines)


def footer_text(footer: Footer, unsubscribe_url: str) -> str:
    """The footer of the text part. unsubscribe_url: Liquid or a token."""
    organisation = f"{footer.org_name}\n{footer.org_address}"
    blocks = [footer.text, organisation, f"Unsubscribe: {unsubscribe_url}"]
    lines = ("\n".join(block.strip().splitlines()) for block in blocks)
    return "---\n" + "\n\n".join(block for block in lines if block) + "\n"


def _lines(text: str) -> str:
    return "<br>\n".join(html.escape(line) for line in text.strip().splitlines())
