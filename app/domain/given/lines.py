"""One line of text, such as stands in the head of a mail or names something: one rule for all of
them, whoever writes them. Pure.

What a person or a program gives is refused (`require_line`). What a recipient's data bring into a
line is made fit for it (`in_one_line`, `without_encoded_words`), since one of them must not stop a
mailout.
"""

from __future__ import annotations

import re
import unicodedata

# Every line break that a mail's head or Python knows, the other control characters, and halves of
# surrogate pairs.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# They show what follows backwards, so that a name or an ending reads as another one. The marks,
# embeddings and isolates that right-to-left text needs do no such thing.
_OVERRIDES = re.compile("[\u202d\u202e]")
# What a reader's program may decode, were it lenient (RFC 2047, section 2).
_ENCODED_WORD = re.compile(r"=\?.*\?=")


def require_line(text: str) -> str:
    """The text. Raises ValueError, in words that don't repeat it."""
    if found := _CONTROL.search(text):
        if "\ud800" <= found[0] <= "\udfff":
            raise ValueError("half of a character is in it; write it again")
        code = f"U+{ord(found[0]):04X}"
        raise ValueError(f"it has a line break or control character ({code}); write it in one line")
    if found := _OVERRIDES.search(text):
        name = unicodedata.name(found[0])
        raise ValueError(f"it has a character that turns text around ({name}); leave it out")
    if _ENCODED_WORD.search(text):
        raise ValueError("it looks like an encoded header (=?…?=); write it as plain text")
    return text


def in_one_line(text: str) -> str:
    """The text with blanks for line breaks and control characters, and nothing turned around."""
    if text.isprintable():  # as nearly all is, and so has none of those
        return text
    return _OVERRIDES.sub("", _CONTROL.sub(" ", text))


def has_encoded_word(text: str) -> bool:
    return _ENCODED_WORD.search(text) is not None


def without_encoded_words(text: str) -> str:
    """The text with look-alikes of the two signs without which there is no encoded word."""
    return text.replace("=", "\uff1d").replace("?", "\uff1f")


def plain_line(text: str) -> str:
    """Fit for a mail's head, whatever it was."""
    text = in_one_line(text)
    return without_encoded_words(text) if has_encoded_word(text) else text
