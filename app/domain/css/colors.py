"""Colours as far as a footer needs them: read from CSS, compared by WCAG's contrast. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import tinycss2
from tinycss2 import color3

RGB = tuple[float, float, float]
LEGIBLE = 4.5
"""The contrast that WCAG 2.2 asks of small text (1.4.3)."""


def parsed(value: str) -> RGB | None:
    """An opaque colour; None for what isn't one, is seen through, or can't be known here."""
    color = color3.parse_color(value.strip())
    if color is None or isinstance(color, str) or color.alpha < 1:
        return None
    return color.red, color.green, color.blue


def of_background(value: str) -> tuple[RGB | None, bool]:
    """The colour in a value of `background`, and whether that is all that is seen."""
    tokens = tinycss2.parse_component_value_list(value)
    colors = (parsed(token.serialize()) for token in tokens)
    color = next((each for each in colors if each), None)
    plain = not any(token.type in ("function", "url") for token in tokens if not _is_color(token))
    return color, plain


def _is_color(token: object) -> bool:
    return isinstance(token, tinycss2.ast.Node) and parsed(token.serialize()) is not None


def hexadecimal(color: RGB) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in color)


def contrast(one: RGB, other: RGB) -> float:
    """From 1 (the same) to 21. Source: WCAG 2.2, "contrast ratio"."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: RGB) -> float:
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def quieter(text: RGB, background: RGB) -> RGB:
    """A third of the way to the background, as long as it stays legible."""
    red, green, blue = (0.7 * a + 0.3 * b for a, b in zip(text, background, strict=True))
    mixed = red, green, blue
    return mixed if contrast(mixed, background) >= LEGIBLE else text


def legible_on(background: RGB, colors: Iterable[RGB]) -> RGB:
    """The first of the colours that can be read on it, else black or white."""
    black, white = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    fit = (each for each in colors if contrast(each, background) >= LEGIBLE)
    return next(fit, max(black, white, key=lambda each: contrast(each, background)))
