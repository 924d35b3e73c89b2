"""The words of each reason, for those who read the figures. Pure."""

from __future__ import annotations

_WORDS = {
    "open": "an ordinary mail program loaded the pictures",
    "click": "an ordinary browser followed the link",
    "previewer": "a program that shows previews of links fetched it",
    "checker": "a program that says it is no browser fetched it",
    "protection": "Microsoft's protection network checked the link",
    "apple_relay": "Apple's relay loads pictures, whether or not somebody reads",
}


def words(reason: str) -> str:
    """What the rule found, in words that go on after "because"; the code itself for one that this
    version doesn't know."""
    return _WORDS.get(reason, reason)
