"""Liquid as words that Markdown and HTML leave alone, and back again."""

from __future__ import annotations

import pytest

from app.domain.content.masking import Masks


def test_tokens_are_words_that_occur_nowhere_else() -> None:
    masks = Masks("LQ0X lq1x", "lq2x")
    assert masks.mask("{{ name }}") == "lq3x0z"


@pytest.mark.parametrize(
    "source",
    ["a {{ b }} c", "{% comment %}{% if %}{{ x }}{% comment %}{% endcomment %}{% endcomment %}x",
     "{%- if a -%} b {%- endif -%}", "{% liquid\n assign a = 1\n%}", "{{ '{{' }}{{% if a %}{"],
)  # fmt: skip
def test_unmasking_restores_liquid_to_the_byte(source: str) -> None:
    masks = Masks(source)
    masked = masks.mask(source)
    assert "{%" not in masked
    assert masks.unmask(masked).replace("{% raw %}{{% endraw %}", "{") == source
