"""Mails at random: style sheets and HTML with Liquid in every place, some of it badly formed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")

DECLARATIONS = (
    *("color: red", "color: #123456", "color: blue", "background: yellow", "font-size: 15px"),
    *("background-color: green", "background: url('x;y.png') no-repeat", "margin: 1px"),
    *("margin-top: 2px", "margin: 3px 4px", "margin-left: 5px", "border: 1px solid red"),
    *("border-color: lime", "border-top: 2px dotted blue", "border-left-color: pink"),
    *("font: italic 12px/14px serif", "line-height: 2", "font-weight: bold", "display: none"),
    *("display: block", "display: inline-block", "visibility: hidden", "text-align: center"),
)
# With quotes, functions, nonsense, Liquid, or a long reach.
ODD_DECLARATIONS = (
    *('font-family: "Joe\'s Font", serif', "font-family: 'A \"B\"'", "width: calc(100% - 3px)"),
    *("color: nonsense", "color: {{ fields.class }}", "--v: red", "color: var(--v)", "all: unset"),
    *("padding-inline: 8px", "padding-left: 7px", "text-decoration: underline", "opacity: .5"),
)
SIMPLE = (
    *(":first-child", ":last-child", ":nth-child(2)", ":nth-child(even)", ":nth-of-type(odd)"),
    *(":only-child", ":last-of-type", ":nth-last-child(-n + 2)", ":empty", ":not(.a)", ":root"),
    *(":not(:last-child)", ":not(.a, :empty)", ":is(.a, .b)", ":is(.a .b, p)", ":where(.c, #x)"),
    *(":has(b)", ":has(> .a)", ":link", ":hover", ":hover", "::before", "::-webkit-scrollbar"),
    *("[title]", "[title=a]", "[href^=http]", "[class~=a]", "[lang|=de]"),
)
CONDITIONS = (
    *("@media (max-width: 400px)", "@media (prefers-color-scheme: dark)", "@media print"),
    *("@media screen", "@media all", "@supports (display: grid)"),
)
# Where these are, little or nothing is inlined.
OPAQUE = ("@layer one", "@scope (.a)", "[style*=red]", ":not([style])")
MEDIA = (
    *("", "", "", "", " media=screen", ' media="print"', " media='print, screen'"),
    *(' media="only screen and (max-width: 400px)"', ' media="{{ fields.class }}"'),
)
TAGS = ("p", "div", "span", "b", "a", "ul", "li", "table", "h1", "i")
INSIDE = {"ul": "li", "table": "tr", "tr": "td"}  # what such an element must hold
CLASSES = "abcd"


@dataclass
class Writer:
    """Writes one mail. Raises nothing: some of them aren't valid templates."""

    random: Random

    def mail(self) -> str:
        sheets = [self._plain_sheet(), *(self._sheet() for _ in range(self._one_of([1, 1, 2])))]
        self.random.shuffle(sheets)
        head = "".join(sheets)
        body = "".join(self._content(5, "body") for _ in range(self._one_of([2, 3, 4, 5])))
        start = "{% assign made = name %}"
        if self._rarely(0.3):
            attributes = self._attributes()
            return f"<!doctype html><head>{start}{head}</head><body{attributes}>{body}</body>"
        return start + head + body

    # Style sheets

    def _plain_sheet(self) -> str:
        """What most mails have most of."""
        names = [
            *["p", "div", "li", "td", "a", "span", "h1", "i"],
            *(f".{name}" for name in CLASSES),
        ]
        rules = (f"{self._one_of(names)} {{ {self._declarations()} }}\n" for _ in range(10))
        return f"<style>{''.join(rules)}</style>"

    def _sheet(self) -> str:
        rules = "".join(self._rules() for _ in range(self.random.randint(3, 8)))
        if self._rarely(0.1):
            rules = f"<!--\n{rules}\n-->"
        sheet = f"<style{self._one_of(MEDIA)}>{rules}</style>"
        if self._rarely(0.08):
            return f"{{% if name %}}{sheet}{{% endif %}}"
        return f"<!--[if !mso]><!-->{sheet}<!--<![endif]-->" if self._rarely(0.03) else sheet

    def _rules(self) -> str:
        rules = "".join(self._rule() for _ in range(self._one_of([1, 1, 2])))
        if self._rarely(0.3):
            at_rules = OPAQUE[:2] if self._rarely(0.1) else CONDITIONS
            return f"{self._one_of(at_rules)} {{ {rules} }}"
        return f"{{% for i in fields.list %}}{rules}{{% endfor %}}" if self._rarely(0.03) else rules

    def _rule(self) -> str:
        selectors = ", ".join(self._selector() for _ in range(self._one_of([1, 1, 1, 2, 3])))
        block = self._declarations()
        if self._rarely(0.05):
            one, other = self._declarations(), self._declarations()
            block += f"; {{% if name %}}{one}{{% else %}}{other}{{% endif %}}"
        if self._rarely(0.05):
            nested = self._one_of(["&:first-child", "b", "& > .a", "@media (max-width: 400px)"])
            block += f"; {nested} {{ {self._declarations()} }}"
        rule = f"{selectors} {{ {block} }}\n"
        if self._rarely(0.08):
            return f"{{% if name %}}{rule}{{% endif %}}"
        if self._rarely(0.005):
            return f".{{{{ fields.class }}}} {{ {block} }}"
        return rule

    def _declarations(self) -> str:
        return "; ".join(
            self._one_of(ODD_DECLARATIONS if self._rarely(0.1) else DECLARATIONS)
            + " !important" * self._rarely(0.08)
            for _ in range(self._one_of([1, 1, 2, 3]))
        )

    def _selector(self) -> str:
        selector = self._compound()
        for _ in range(self._one_of([0, 0, 0, 0, 1, 1, 2])):
            selector = self._compound() + self._one_of([" ", " ", " > ", " + ", " ~ "]) + selector
        return selector

    def _compound(self) -> str:
        compound = self._one_of(["", "", "", "", "*", "p", "div", "li", "td", "a", "span"])
        if not compound or self._rarely(0.3):
            compound += f"#{self._one_of('xyz')}" if self._rarely(0.05) else f".{self._class()}"
        if self._rarely(0.35):
            compound += self._one_of(OPAQUE[2:] if self._rarely(0.02) else SIMPLE)
        return compound

    def _class(self) -> str:
        return self._one_of(CLASSES)

    # HTML

    def _content(self, depth: int, parent: str) -> str:
        if depth == 0 or self._rarely(0.12):
            image = f"<img alt=x{self._attributes()}>"
            return self._one_of(
                ["text ", "{{ name }}", " ", "", "<br>", "1 < 2", image, "{{ made }}"]
            )
        if self._rarely(0.35):
            return self._one_of(self._liquid(depth - 1, parent))()
        tag = INSIDE.get(parent) or self._one_of(TAGS)
        if tag == "li" and parent != "ul":
            tag = "p"
        inner = self._inner(depth - 1, tag)
        start = f"<{tag}{' href=http://e.com' * (tag == 'a')}{self._attributes()}>"
        unclosed = tag in ("li", "td", "tr", "p") and self._rarely(0.08)
        return start + inner + f"</{tag}>" * (not unclosed)

    def _inner(self, depth: int, parent: str) -> str:
        return "".join(self._content(depth, parent) for _ in range(self._one_of([0, 1, 1, 2, 3])))

    def _liquid(self, depth: int, parent: str) -> Sequence[Callable[[], str]]:
        def inside() -> str:
            return self._content(depth, parent)

        def start() -> str:
            return f"<div{self._attributes()}>"

        return (
            lambda: f"{{% if name %}}{inside()}{{% endif %}}",
            lambda: f"{{% if fields.n > 2 %}}{inside()}{{% else %}}{inside()}{{% endif %}}",
            lambda: f"{{% for i in fields.list %}}{inside()}{{% endfor %}}",
            lambda: f"{{% capture made %}}{inside()}{{% endcapture %}}",
            lambda: "{{ fields.class | newline_to_br }}",
            # Elements that one branch opens and another one closes.
            lambda: (
                f"{{% if name %}}{start()}{{% endif %}}{self._inner(depth, 'div')}"
                "{% if name %}</div>{% endif %}"
            ),
            lambda: (
                f"{{% if name %}}{start()}{{% else %}}{start()}{{% endif %}}"
                f"{self._inner(depth, 'div')}</div>"
            ),
            lambda: (
                f"{{% for i in fields.list %}}{inside()}"
                f"{{% if i == 'q' %}}{{% break %}}{{% endif %}}{inside()}{{% endfor %}}"
            ),
            lambda: (
                "<table>{% tablerow i in fields.list cols: 2 %}"
                f"{self._inner(depth, 'td')}{{% endtablerow %}}</table>"
            ),
            lambda: f"<!-- {{% if name %}}{inside().replace('--', '')}{{% endif %}} -->",
        )

    def _attributes(self) -> str:
        attributes = ""
        if self._rarely(0.8):
            names = " ".join(self._class() for _ in range(self._one_of([1, 1, 2])))
            liquid = self._one_of(["a {{ fields.class }}", "{% if name %}a{% else %}b{% endif %}"])
            attributes += f' class="{liquid if self._rarely(0.08) else names}"'
        if self._rarely(0.06):
            attributes += f" id={self._one_of('xyz')}"
        if self._rarely(0.06):
            attributes += self._one_of([" title=a", " title", ' title="{{ name }}"', " lang=de-AT"])
        if self._rarely(0.15):
            style = self._one_of(DECLARATIONS).replace('"', "&quot;")
            style += " !important" * self._rarely(0.3)
            if self._rarely(0.15):
                style = f"{{% if name %}}{style}{{% endif %}}"
            attributes += f' style="{style}"'
        return attributes + " {% if name %}class=b{% endif %}" * self._rarely(0.02)

    def _one_of(self, options: Sequence[T]) -> T:
        return self.random.choice(options)

    def _rarely(self, probability: float) -> bool:
        return self.random.random() < probability
