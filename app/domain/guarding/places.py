"""What readers' data may be where a browser reads more than text: in addresses, in styles, and in
the names of elements and attributes.

Outputs in such places go through a filter (filters.py) for each reader; what the author wrote there
itself is refused where it would run a script.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from app.domain.content.markup import ATTRIBUTE, MARKUP, START_TAG, MarkupError
from app.domain.content.masking import Masks
from app.domain.guarding.filters import scheme_of

ADDRESSES = {
    *("href", "src", "action", "formaction", "xlink:href", "poster", "background", "data", "cite"),
    *("longdesc", "lowsrc", "dynsrc", "ping", "manifest", "icon", "codebase", "usemap", "profile"),
    *("from", "to", "values", "by"),  # of SVG's animations, which may be of an address
}
_RUN = {"javascript", "vbscript", "livescript", "mocha", "data"}
"""Schemes whose address is a program or a document of its own."""
_PICTURE = re.compile(r"\s*data:image/(?:png|gif|jpe?g|webp|bmp|x-icon)[;,]", re.IGNORECASE)
_SETTLED = re.compile(r"[:/?#]")
_CSS_ADDRESS = re.compile(r"url\(\s*[\"']?\s*[^\s\"')]*\Z", re.IGNORECASE)
_OURS = re.compile(r"\{\{-?\s*unsubscribe_url\s*-?\}\}")
_PERSONAL = re.compile(r"\b(?:fields|name|email)\b")


def refuse_programs(document: str, masks: Masks) -> None:
    """Raises MarkupError for an address in the author's own words that would run something."""
    for tag, attributes in _start_tags(document):
        for attribute in ATTRIBUTE.finditer(attributes):
            name, value = attribute["name"].lower(), _bare(attribute["value"] or "")
            said = masks.token.split(value)[0]
            scheme = scheme_of(html.unescape(said))
            if name in ADDRESSES | {"srcset"} and scheme in _RUN and not _PICTURE.match(said):
                raise MarkupError(f"{name} has the scheme {scheme}:, which no mail may have")
            if tag == "meta" and name == "http-equiv" and "refresh" in html.unescape(value).lower():
                raise MarkupError("<meta http-equiv=refresh> leads readers away; take it out")


def guarded(document: str, masks: Masks) -> str:
    """The masked document with a filter for outputs in the places that need one. Raises MarkupError
    for an address of which Liquid decides where it ends."""
    return MARKUP.sub(lambda match: _element(match, masks), document)


def _element(match: re.Match[str], masks: Masks) -> str:
    if not masks.token.search(match[0]):
        return match[0]
    if match["comment"]:
        return START_TAG.sub(lambda tag: _tag(tag, masks), match[0])
    if match["raw"]:
        kind, start = match["raw"].lower(), match.end("raw_attributes") - match.start()
        text = match[0][start:]
        if kind in ("style", "script"):
            text = _styled(text, masks, strict=kind == "script")
        return f"<{match['raw']}{_attributes(match['raw_attributes'], masks)}{text}"
    if match["tag"] and not match["close"]:
        return _tag(match, masks)
    return match[0]


def _tag(match: re.Match[str], masks: Masks) -> str:
    if not masks.token.search(match[0]):
        return match[0]
    name = masks.token.sub(lambda token: _filtered(token[0], masks, "only_digits"), match["tag"])
    return f"<{name}{_attributes(match['attributes'], masks)}>"


def _attributes(attributes: str, masks: Masks) -> str:
    written, end = [""], 0
    for attribute in ATTRIBUTE.finditer(attributes):
        written += [attributes[end : attribute.start()], _attribute(attribute, masks)]
        end = attribute.end()
    return "".join([*written, attributes[end:]])


def _attribute(match: re.Match[str], masks: Masks) -> str:
    if not masks.token.search(match[0]):
        return match[0]
    bare_name = match["name"].lower()
    name = masks.token.sub(lambda token: _filtered(token[0], masks, "only_a_word"), match["name"])
    if match["value"] is None:
        return name
    raw = match["value"]
    value, quote = _bare(raw), raw[0] if raw[0] in "\"'" else '"'
    if bare_name == "srcset":
        value = _captured(value, masks, "safe_addresses")
    elif bare_name in ADDRESSES:
        value = _address(value, masks)
    elif bare_name == "style":
        value = _styled(value, masks)
    elif bare_name.startswith("on"):
        value = _styled(value, masks, strict=True)
    return f"{name}={quote}{value}{quote}"


def _address(value: str, masks: Masks) -> str:
    shown = [each for each in masks.token.finditer(value) if masks[each[0]].may_print]
    if not shown or all(_OURS.fullmatch(masks[each[0]].liquid) for each in shown):
        return value
    before = value[: shown[0].start()]
    if not masks.token.search(before) and _SETTLED.search(html.unescape(before)):
        return value
    return _captured(value, masks, "safe_address")


def _captured(value: str, masks: Masks, name: str) -> str:
    """What the whole value becomes, through a filter."""
    if not any(masks[each[0]].may_print for each in masks.token.finditer(value)):
        return value
    depth = 0
    for each in masks.token.finditer(value):
        depth += masks[each[0]].opens - (masks[each[0]].tag or "").startswith("end")
        if depth < 0:
            break
    if depth:
        raise MarkupError("a block of Liquid begins or ends within an address; put it around it")
    variable = f"{masks.token.pattern.split(chr(92))[0]}guarded"
    begin = masks.add(f"{{% capture {variable} %}}", "capture")
    end = masks.add("{% endcapture %}", "endcapture")
    return f"{begin}{value}{end}{masks.add(f'{{{{ {variable} | {name} }}}}')}"


def _styled(text: str, masks: Masks, *, strict: bool = False) -> str:
    """Styles with a filter for each output."""
    written, end = [""], 0
    for match in masks.token.finditer(text):
        written.append(text[end : match.start()])
        end = match.end()
        if _CSS_ADDRESS.search(html.unescape("".join(written)[-500:])) and not strict:
            written.append(_filtered(match[0], masks, "css_address", anybodys=True))
        else:
            written.append(_filtered(match[0], masks, "css_value"))
    return "".join([*written, text[end:]])


def _filtered(token: str, masks: Masks, name: str, *, anybodys: bool = False) -> str:
    """The output through a filter, if readers' data may be in it. anybodys: in any case."""
    mask = masks[token]
    if not mask.may_print or not (anybodys or _PERSONAL.search(mask.liquid)):
        return token
    return _captured(token, masks, name)


def _bare(value: str) -> str:
    return value[1:-1] if value[:1] in ("'", '"') else value


def _start_tags(document: str) -> Iterator[tuple[str, str]]:
    """Their names in lower case, and their attributes."""
    for match in MARKUP.finditer(document):
        if match["comment"]:
            for tag in START_TAG.finditer(match[0]):
                yield tag["tag"].lower(), tag["attributes"]
        elif match["raw"]:
            yield match["raw"].lower(), match["raw_attributes"]
        elif match["tag"] and not match["close"]:
            yield match["tag"].lower(), match["attributes"]
