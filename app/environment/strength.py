"""Whether somebody could guess a secret. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

MIN_SECRET_LENGTH = 32
GENERATOR = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'

MIN_BITS = 48.0
"""What a secret must have by `bits`. One of 32 random hexadecimal digits has 85 to 125."""

_PART_BITS = 6.0  # one more piece that continues or repeats

_PLACEHOLDER = re.compile(
    r"change[-_ ]?(?:me|it|this)|replace[-_ ]?(?:me|this|with)|place[-_ ]?holder"
    r"|your[-_ ]?(?:\w+[-_ ])?(?:secret|key|token|password)|(?:secret|key|token|password)[-_ ]?here"
    r"|at[-_ ]?least[-_ ]?\d+|example[-_ ]?key|correct[-_ ]?horse|^<.*>$|^\[.*\]$|^\{.*\}$"
    r"|^\$[({].*[)}]$|^`.*`$|^[$%][A-Z_]{3,}%?$"
    r"|import secrets|token_urlsafe|token_hex|openssl rand|/dev/u?random|uuidgen",
    re.IGNORECASE,
)
"""What examples show where a secret belongs, and what a shell was to put there: the command that
makes one, a variable's name."""

_ROWS = (
    "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm", "1234567890",
    "1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "!@#$%^&*()",
)  # fmt: skip
_KEYBOARD = " ".join([*_ROWS, *(row[::-1] for row in _ROWS)])

_STRIDES = range(1, 7)

# Made at random once, and printed in many manuals since.
_PUBLISHED = frozenset(
    {
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI
        "wjalrxutnfemi/k7mdeng/bpxrficyexamplekey",  # AWS
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",  # Flask
    }
)

_LEFT_TO_FILL_IN = re.compile(
    r"^password$|(?:x{8}|\*{6}|\.{3})$|^(?:<.*>|\[.*\]|\{.*\})$"
    r"|your[-_ ]?(?:api[-_ ]?)?(?:key|token)",
    re.IGNORECASE,
)


def weakness(secret: str) -> str | None:
    """Why somebody could guess a secret of ours; None: they couldn't. What Python's `secrets`,
    `openssl rand`, `uuidgen` and password managers make passes."""
    if len(secret) < MIN_SECRET_LENGTH:
        return f"each secret must have at least {MIN_SECRET_LENGTH} characters"
    if _PLACEHOLDER.search(secret) or secret.lower() in _PUBLISHED:
        return "it can be guessed (it is what an example shows in its place)"
    if bits(secret) < MIN_BITS:
        return "it can be guessed (repetitions and sequences are no secret)"
    return None


def bits(secret: str) -> float:
    """How many bits one would have to guess at least: characters count by how many different ones
    there are; what repeats or continues (`abcd`, `2468`, `qwer`) counts little, also where two to
    six of such are interlaced (`a1b2c3`). Words count as letters: a sentence of one's own is a
    secret."""
    text = secret.lower()
    of_each = math.log2(len(set(secret)))
    cost = min(
        sum(_costs("".join(text[first::stride] for first in range(stride)), of_each))
        for stride in _STRIDES
    )
    period = _period(text)
    return cost if period == len(text) else min(cost, bits(secret[:period]) + _PART_BITS)


def _period(text: str) -> int:
    """The length of what is written twice or more, also where the last time is cut off."""
    lengths = range(1, len(text) // 2 + 1)
    return next((n for n in lengths if text[n:] == text[:-n]), len(text))


def _costs(text: str, of_each: float) -> Iterator[float]:
    at = 0
    while at < len(text):
        length = max(_continued(text, at), _on_a_keyboard(text, at), _repeated(text, at))
        yield of_each if length == 1 else min(length * of_each, _PART_BITS)
        at += length


def _continued(text: str, at: int) -> int:
    """At least three characters with one step from each to the next."""
    end = at + 2
    while end < len(text) and ord(text[end]) - ord(text[end - 1]) == (
        ord(text[at + 1]) - ord(text[at])
    ):
        end += 1
    return end - at if end - at >= 3 else 1


def _on_a_keyboard(text: str, at: int) -> int:
    return _longest(text, at, _KEYBOARD)


def _repeated(text: str, at: int) -> int:
    return _longest(text, at, f"{text[:at]} {text[:at][::-1]}")


def _longest(text: str, at: int, elsewhere: str) -> int:
    """Of the pieces of text from here on that stand elsewhere; at least three characters."""
    end = at + 3
    while end <= len(text) and text[at:end] in elsewhere:
        end += 1
    return end - 1 - at if end - 1 - at >= 3 else 1


def is_left_to_fill_in(value: str) -> bool:
    """Whether it is what an example shows in a key's place."""
    return bool(_LEFT_TO_FILL_IN.search(value))
