"""Notion's colours, and the rules of style that a page's mail needs.

The rules travel with the page's content (`<style>` goes into the head, content/frame.py), so that
other mails don't carry them, and only those for what the page uses. Twice a class outranks the
frame's rules for elements. Dark ones hold in our own frame only: a template may be light always.
"""

from __future__ import annotations

from collections.abc import Collection

# Text on white, and a tint behind dark text; text on #16181d, and a tint behind light text. Each
# text has a contrast of 4.5 at least (WCAG 2.2, 1.4.3), also on a tint of its own colour.
_COLORS = {
    "gray": ("#63666b", "#f1f1ef", "#a8adb5", "#2b2e35"),
    "brown": ("#865843", "#f4eeee", "#d3ab98", "#3a2e29"),
    "orange": ("#a85200", "#fbecdd", "#f0a868", "#43301e"),
    "yellow": ("#83600a", "#fbf3db", "#e0bd6b", "#3d351f"),
    "green": ("#36704f", "#e9f3ec", "#7fc79d", "#21372b"),
    "blue": ("#24678c", "#e5f2f9", "#84c1e6", "#1d3343"),
    "purple": ("#7b509c", "#f4f0f8", "#c3a1e0", "#35293f"),
    "pink": ("#a83672", "#faeff5", "#eb95c2", "#412736"),
    "red": ("#b93a30", "#fdebec", "#f59a94", "#452827"),
}
_BACKGROUND = "_background"

# Of each feature: what holds always, on a narrow screen, and in the dark.
_RULES = {
    "inset": (".n-inset { margin: 0 0 0 24px; }", "", ""),
    "tint": (".n-tint.n-tint { padding: 4px 8px; border-radius: 4px; }", "", ""),
    "todo": (
        ".n-todo.n-todo li { margin: 0 0 0 24px; text-indent: -24px; }\n"
        ".n-todo.n-todo.n-todo { padding: 0; }\n"
        ".n-todo.n-todo li > * { text-indent: 0; }",
        "",
        "",
    ),
    "box": (
        ".n-box.n-box { margin: 0 0 16px; border-collapse: separate; }\n"
        ".n-box .n-icon.n-icon, .n-box .n-body.n-body { border: 0; padding: 16px 16px 0; "
        "border-radius: 6px; }\n"
        ".n-box .n-icon.n-icon { width: 24px; padding-right: 0; border-radius: 6px 0 0 6px; }\n"
        ".n-box .n-icon + .n-body.n-body { padding-left: 12px; border-radius: 0 6px 6px 0; }",
        ".n-box .n-body.n-body { padding-right: 16px !important; font-size: 16px !important; }\n"
        "  .n-box .n-icon.n-icon { padding-right: 0 !important; font-size: 16px !important; }",
        "",
    ),
    "card": (
        ".n-card.n-card { margin: 0 0 16px; border-collapse: separate; }\n"
        ".n-card td.n-body { border: 1px solid #d0d7de; border-radius: 6px; padding: 12px 16px; }\n"
        ".n-card a { text-decoration: none; font-weight: bold; }\n"
        ".n-host { font-size: 14px; color: #57606a; }",
        ".n-card td.n-body { padding-right: 16px !important; font-size: 16px !important; }",
        ".mail .n-card td.n-body { border-color: #444c56 !important; }\n"
        "  .mail .n-host { color: #a8adb5 !important; }",
    ),
    "about": (
        ".n-about { font-size: 14px; color: #57606a; }",
        "",
        ".mail .n-about { color: #a8adb5 !important; }",
    ),
    "columns": (
        ".n-columns.n-columns { table-layout: fixed; margin: 0; }\n"
        ".n-columns .n-column.n-column { border: 0; vertical-align: top; }\n"
        ".n-columns .n-column > :first-child { margin-top: 0; }",
        ".n-columns .n-column.n-column { display: block !important; width: auto !important; "
        "padding: 0 !important; font-size: 16px !important; }\n"
        "  .n-column .n-wide { width: 100% !important; }",
        "",
    ),
    "code": (".n-code.n-code pre { margin: 0 0 8px; }", "", ""),
    "math": (
        ".n-math { text-align: center; font-family: Cambria, Georgia, 'Times New Roman', serif; "
        "font-size: 18px; }",
        "",
        "",
    ),
    "emoji": (".n-emoji.n-emoji { width: 20px; height: 20px; vertical-align: middle; }", "", ""),
    "heading_4": (".mail h4 { font-size: 16px; line-height: 1.5; margin: 24px 0 8px; }", "", ""),
}


def class_of(color: str) -> str:
    """The class of a colour of Notion; empty: it has none."""
    name = color.removesuffix(_BACKGROUND)
    if name not in _COLORS:
        return ""
    return f"n-{name}" if name == color else f"n-{name}-tint"


def is_background(color: str) -> bool:
    return color.endswith(_BACKGROUND) and bool(class_of(color))


def style(colors: Collection[str], features: Collection[str]) -> str:
    """A style element for the colours and features that a page uses; empty: it uses none."""
    always = [_RULES[name][0] for name in _RULES if name in features]
    narrow = [_RULES[name][1] for name in _RULES if name in features and _RULES[name][1]]
    dark = [_RULES[name][2] for name in _RULES if name in features and _RULES[name][2]]
    used = {name: look for name, look in _COLORS.items() if name + _BACKGROUND in colors}
    for name, (_, tint, _, dark_tint) in used.items():
        always.append(f".n-{name}-tint.n-{name}-tint {{ background: {tint}; color: #1f2328; }}")
        dark.append(
            f".mail .n-{name}-tint.n-{name}-tint {{ background: {dark_tint} !important; "
            "color: #e6e8eb !important; }"
        )
    # Behind those of tints, to outrank them: coloured words in a box.
    for name, (text, _, dark_text, _) in _COLORS.items():
        if name in colors:
            always.append(f".n-{name}.n-{name} {{ color: {text}; }}")
            dark.append(f".mail .n-{name}.n-{name} {{ color: {dark_text} !important; }}")
    if not always:
        return ""
    parts = ["<style>", *always]
    parts += ["@media (max-width: 480px) {", *(f"  {rule}" for rule in narrow), "}"] * bool(narrow)
    parts += ["@media (prefers-color-scheme: dark) {", *(f"  {x}" for x in dark), "}"] * bool(dark)
    return "\n".join([*parts, "</style>"])
