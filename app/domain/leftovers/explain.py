"""Why a piece of Liquid doesn't work, where it is another program's language. Pure."""

from __future__ import annotations

import re

from app.domain.leftovers.words import field_path, instead, is_known, names_a_person

_FILTERS = {
    "upper": "upcase", "uppercase": "upcase", "lower": "downcase", "lowercase": "downcase",
    "capfirst": "capitalize", "title": "capitalize", "length": "size", "count": "size",
    "fallback": "default", "or": "default", "strftime": "date", "format_date": "date",
    "e": "escape", "urlencode": "url_encode", "striptags": "strip_html",
    "linebreaks": "newline_to_br",
}  # fmt: skip
_WORD = r"[^\W\d]\w*"
_BLANKS = re.compile(rf"\bfields\.({_WORD}(?: +(?!(?:and|or|contains|in)\b)[\w-]+)+)")
_BLOCK = re.compile(r"\{\{~?\s*(?P<mark>[#^/>])\s*(?P<what>[\w.@-]*)\s*(?P<about>[\w.]*)")
_FALLBACK = re.compile(
    rf"\{{\{{\s*(?P<name>{_WORD}(?:\.\w+)*)\s*(?:\|\||\?\?|\bor\b|\?:)\s*(?P<other>.*?)\s*\}}"
)


def explain_syntax(liquid: str) -> str:
    """A sentence about Liquid that doesn't parse: what to write instead; "" where it isn't known.

    liquid: from the braces that open it to those that close it.
    """
    if re.search("[“”„‘’‚«»]", re.sub(r"\"[^\"]*\"|'[^']*'", "", liquid)):
        return 'Its quotation marks are curly ones; write straight ones: ".'
    if found := _BLANKS.search(liquid):
        return f"A field whose name has blanks is written {field_path(found[1])}."
    if liquid.startswith("{{{"):
        return _foreign("Handlebars", instead(liquid.strip("{&} ")))
    if liquid.startswith("{{&"):
        return _foreign("Mustache", instead(liquid.strip("{&} ")))
    if found := _BLOCK.match(liquid):
        return _block(found["mark"], found["what"], found["about"])
    if re.match(r"\{\{~?\s*else\b", liquid):
        return _foreign("Handlebars", "{% else %}")
    if found := re.match(r"\{\{\s*(?:data|var):(\w+)", liquid):
        return _foreign("Mailjet", instead(found[1]))
    if found := re.match(r"\{\{-?\s*\.([\w.]+)", liquid):
        return _foreign("listmonk", instead(found[1]))
    if found := _FALLBACK.match(liquid):
        other = found["other"].strip("\"'")
        return f'What to show instead is written {{{{ {found["name"]} | default: "{other}" }}}}.'
    if found := re.match(rf"\{{\{{\s*({_WORD}(?: +\w+)+)\s*(?:\||\}})", liquid):
        return f"Write {instead(found[1])}."
    return ""


def explain_tag(name: str) -> str:
    """A sentence about a tag that there isn't: `{% unsubscribe %}`."""
    return f"Write {instead(name)}." if is_known(name) else ""


def explain_variable(path: str) -> str:
    """A sentence about a variable that there isn't: `contact.FIRSTNAME`."""
    return f"Write {instead(path)}." if is_known(path) or names_a_person(path) else ""


def known_filter(name: str) -> str | None:
    """What Liquid calls a filter of Jinja, Django or Twig."""
    return _FILTERS.get(name)


def _block(mark: str, what: str, about: str) -> str:
    if mark == ">":
        return _foreign("Handlebars", "what that part holds")
    condition = _path(about)
    if mark == "/":
        end = {"each": "{% endfor %}", "unless": "{% endunless %}"}.get(what, "{% endif %}")
        return _foreign("Handlebars", end)
    if mark == "^":
        return _foreign("Mustache", f"{{% unless {_path(what)} %}}…{{% endunless %}}")
    if what == "each":
        return _foreign("Handlebars", f"{{% for item in {condition} %}}…{{% endfor %}}")
    if what == "unless":
        return _foreign("Handlebars", f"{{% unless {condition} %}}…{{% endunless %}}")
    if what != "if":
        condition = _path(what)
    return _foreign("Handlebars", f"{{% if {condition} %}}…{{% endif %}}")


def _path(name: str) -> str:
    if not name:
        return "…"
    return name if name in ("name", "email") else field_path(name.rpartition(".")[2])


def _foreign(of: str, wanted: str) -> str:
    return f"That is how {of} writes it; here it is {wanted}."
