"""Equations in TeX as a line of text that every mail program shows: `(a + b)/2 ≤ √(x² + y²)`.

Of TeX, what newsletters have; what isn't known here stays as it was written, without its backslash.
A library (pylatexenc) writes `a+b/2` for a fraction and `e^iπ` for a power, which say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"\\(?P<name>[a-zA-Z]+)\*?\s*|\\(?P<sign>.)|(?P<blank>\s+)|(?P<char>.)", re.DOTALL
)
_DEEPEST = 20


def _signs(table: str) -> dict[str, str]:
    """Names and signs in turns."""
    words = table.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_LETTERS = _signs("""
    alpha α  beta β  gamma γ  delta δ  epsilon ε  varepsilon ε  zeta ζ  eta η  theta θ  iota ι
    kappa κ  lambda λ  mu μ  nu ν  xi ξ  pi π  rho ρ  sigma σ  tau τ  upsilon υ  phi φ
    varphi φ  chi χ  psi ψ  omega ω  Gamma Γ  Delta Δ  Theta Θ  Lambda Λ  Xi Ξ  Pi Π  Sigma Σ
    Phi Φ  Psi Ψ  Omega Ω  hbar ℏ  ell ℓ  partial ∂  nabla ∇  infty ∞  emptyset ∅
    varnothing ∅  degree °  circ ∘  prime ′  Re ℜ  sum ∑  prod ∏  int ∫  iint ∬  oint ∮
    angle ∠  Im ℑ  ldots …  dots …  cdots ⋯  vdots ⋮  forall ∀  exists ∃  neg ¬  lnot ¬
    aleph ℵ  langle ⟨  rangle ⟩  vert |  lfloor ⌊  rfloor ⌋  lceil ⌈  rceil ⌉  Vert ‖
    backslash \\
""")
# With a blank at each side.
_RELATIONS = _signs("""
    le ≤  leq ≤  ge ≥  geq ≥  ne ≠  neq ≠  approx ≈  equiv ≡  sim ∼  simeq ≃  cong ≅  propto ∝
    ll ≪  gg ≫  to →  rightarrow →  leftarrow ←  gets ←  leftrightarrow ↔  Rightarrow ⇒
    Leftarrow ⇐  Leftrightarrow ⇔  implies ⇒  iff ⇔  mapsto ↦  in ∈  notin ∉  ni ∋  subset ⊂
    subseteq ⊆  supset ⊃  supseteq ⊇  cup ∪  cap ∩  setminus ∖  times ×  div ÷  pm ±  mp ∓
    cdot ·  ast ∗  oplus ⊕  otimes ⊗  land ∧  wedge ∧  lor ∨  vee ∨  mid |  parallel ∥  perp ⊥
""")
_BLANKS = {"quad": "  ", "qquad": "    ", ",": " ", ";": " ", ":": " ", " ": " ", "!": ""}
_NOTHING = {"left", "right", "big", "Big", "bigg", "Bigg", "limits", "displaystyle", "textstyle"}
_ACCENTS = {"hat": "̂", "bar": "̄", "overline": "̅", "vec": "⃗", "dot": "̇", "ddot": "̈", "tilde": "̃"}
_DOUBLE = str.maketrans("CHNPQRZ", "ℂℍℕℙℚℝℤ")
_HIGH = dict(zip("0123456789+-=()in", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁱⁿ", strict=True))
_LOW = dict(
    zip("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True)
)


def readable(expression: str) -> str:
    """The equation as one line of text."""
    tokens = _Tokens(expression)
    parts = []
    while tokens.has_more:
        parts.append(_row(tokens, until="") or tokens.take())
    return " ".join("".join(parts).split())


class _Tokens:
    """Pieces of TeX: names and signs with their backslash, else characters."""

    def __init__(self, source: str) -> None:
        self._found = list(self._split(source))
        self._at = 0
        self.depth = 0

    def _split(self, source: str) -> Iterator[str]:
        for match in _TOKEN.finditer(source):
            name = match["name"] or match["sign"]
            yield f"\\{name}" if name else (" " if match["blank"] else match["char"])

    @property
    def has_more(self) -> bool:
        return self._at < len(self._found)

    @property
    def next(self) -> str:
        return self._found[self._at] if self.has_more else ""

    def take(self) -> str:
        token = self.next
        self._at += 1
        return token


def _row(tokens: _Tokens, until: str) -> str:
    """What stands before the end of a group. until: its end; empty: there is none."""
    shown = ""
    while tokens.has_more and tokens.next != (until or None):
        if not until and tokens.next == "}":
            break
        shown += _one(tokens)
    return shown


def _one(tokens: _Tokens) -> str:
    token = tokens.take()
    if tokens.depth > _DEEPEST:
        return token.removeprefix("\\")
    tokens.depth += 1
    shown = _of(token, tokens)
    tokens.depth -= 1
    return shown


def _of(token: str, tokens: _Tokens) -> str:
    if token == "{":  # noqa: S105
        shown = _row(tokens, "}")
        tokens.take()
        return shown
    if token in ("^", "_"):
        return _raised(_argument(tokens), token)
    if token == "&":  # noqa: S105
        return " "
    return _command(token[1:], tokens) if token[0] == "\\" and len(token) > 1 else token


def _command(name: str, tokens: _Tokens) -> str:
    if name in _LETTERS:
        return _LETTERS[name]
    if name in _RELATIONS:
        return f" {_RELATIONS[name]} "
    if name in _BLANKS:
        return _BLANKS[name]
    if name in _NOTHING:
        return ""
    if name == "\\":
        return "; "
    if name in ("frac", "dfrac", "tfrac"):
        above = _grouped(_argument(tokens))
        return f"{above}/{_grouped(_argument(tokens))}"
    if name == "binom":
        above = _argument(tokens)
        return f"({above} over {_argument(tokens)})"
    if name == "sqrt":
        root = _root(tokens)
        return f"{root}√{_grouped(_argument(tokens))}"
    if name in _ACCENTS:
        return "".join(char + _ACCENTS[name] for char in _argument(tokens))
    if name == "mathbb":
        return _argument(tokens).translate(_DOUBLE)
    if name in ("begin", "end"):
        _argument(tokens)  # of an array, an aligned equation and so on
        return {"begin": "[", "end": "]"}[name]
    if len(name) > 1 and tokens.next == "{":  # \text, \mathrm, \operatorname and the like
        return _argument(tokens) if name.startswith(("text", "math", "oper", "bold")) else name
    return f"{name} " if len(name) > 1 and tokens.next not in ("(", "^", "_") else name


def _argument(tokens: _Tokens) -> str:
    while tokens.next == " ":
        tokens.take()
    return _one(tokens) if tokens.has_more else ""


def _root(tokens: _Tokens) -> str:
    """`³` of `\\sqrt[3]{x}`."""
    if tokens.next != "[":
        return ""
    tokens.take()
    shown = _row(tokens, "]")
    tokens.take()
    return _high(shown) or shown


def _grouped(shown: str) -> str:
    """In parentheses if it is more than one number or letter."""
    shown = shown.strip()
    return shown if re.fullmatch(r"\d+|\w?|\w[\u0300-\u036f\u20d0-\u20ff]", shown) else f"({shown})"


def _raised(shown: str, sign: str) -> str:
    shown = shown.strip()
    if shown in ("∘", "°"):
        return "°"
    if shown == "′":
        return shown
    chars = _HIGH if sign == "^" else _LOW
    if shown and all(char in chars for char in shown):
        return "".join(chars[char] for char in shown)
    return f"{sign}{_grouped(shown)}"


def _high(shown: str) -> str:
    return "".join(_HIGH[char] for char in shown) if all(char in _HIGH for char in shown) else ""
