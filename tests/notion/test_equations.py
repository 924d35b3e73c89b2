"""An equation can be read in a mail that knows no TeX."""

from __future__ import annotations

import pytest

from app.domain.notion.blocks.equations import readable


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        (r"E = mc^2", "E = mc²"),
        (r"\frac{a+b}{2}", "(a+b)/2"),
        (r"\sum_{i=1}^{n} x_i \leq \infty", "∑ᵢ₌₁ⁿ xᵢ ≤ ∞"),
        (r"\sqrt[3]{x^2+1}", "³√(x²+1)"),
        (r"e^{i\pi}+1=0", "e^(iπ)+1=0"),
        (r"\left( \alpha \to \mathbb{R} \right)", "( α → ℝ )"),
        (r"\text{price in }\$ = 5\%", "price in $ = 5%"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "[1 2; 3 4]"),
        (r"90^\circ", "90°"),
        (r"\sin x \unheard{of}", "sin x unheardof"),
        (r"\frac", "/"),
        ("\\", "\\"),
        ("}} {{ a", "}} a"),
    ],
)
def test_tex_becomes_text(tex: str, shown: str) -> None:
    assert readable(tex) == shown


def test_what_nests_for_ever_ends() -> None:
    assert readable("{" * 5000 + "x" + "}" * 5000)
    assert readable(r"\sqrt" * 5000)
