"""The words of each reason, for those who read the figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Reason = Literal[
    # A person.
    "open", "proxy_open", "click", "relay_click", "passed_on",
    # Either may be.
    "apple_privacy", "apple_relay", "prefetch", "unnamed", "protection_open", "scanner_later",
    "no_delivery",
    "before_delivery", "soon", "burst", "two_at_once", "all_slowly", "after_burst",
    "before_burst", "flood", "folded",
    # A program.
    "previewer", "checker", "proxy_click", "protection", "scanner_near", "scanner_burst", "instant",
    "burst_at_delivery", "burst_fast", "burst_near", "burst_all", "burst_footer", "burst_open",
]  # fmt: skip

WORDS: Mapping[Reason, str] = {
    "open": "an ordinary mail program loaded the pictures",
    "proxy_open": "a mail provider loaded the pictures when the mail was shown; from where isn't"
    " known",
    "click": "an ordinary browser followed the link",
    "relay_click": "a browser followed the link through Apple's relay, as people with iCloud+ do",
    "passed_on": "the mail was shown in mailboxes of two providers: perhaps it was passed on, and"
    " somebody else read it",
    "apple_privacy": "Apple Mail's privacy protection loads the pictures of each mail, read or not",
    "apple_relay": "Apple's relay loads pictures, whether or not somebody reads",
    "prefetch": "Gmail loaded the pictures of a mail that came in, before anybody saw it",
    "unnamed": "the program didn't say what it is",
    "protection_open": "Microsoft's protection loaded the pictures: to check them, or to show them",
    "scanner_later": "a service that checks links came by at another time than the delivery's,"
    " often because somebody had clicked",
    "no_delivery": "nothing is known of the mail's delivery, so neither is how long after it this"
    " was",
    "before_delivery": "it happened before the mail was reported delivered: a check on the way in,"
    " or a clock that was wrong",
    "soon": "it was within five seconds of the delivery: fast for a person, slow for a program",
    "burst": "three or more links were followed within half a minute: a quick reader or a program",
    "two_at_once": "two links were followed within one second",
    "all_slowly": "it was while each link of the mail was followed, the footer's too, within ten"
    " minutes",
    "after_burst": "a program had followed many links shortly before, and nothing tells the two"
    " apart",
    "before_burst": "a program followed many links right after, and nothing tells the two apart",
    "flood": "it was done more than a hundred times within an hour, or again and again all day",
    "folded": "a program came first and last, and who came in between isn't known",
    "previewer": "a program that shows previews of links fetched it: somebody shared the link",
    "checker": "a program that says that it is no person's browser fetched it",
    "proxy_click": "a mail provider's own program followed the link; readers use a browser",
    "protection": "Microsoft's protection network checked the link",
    "scanner_near": "a service that checks links came by within ten minutes of the delivery",
    "scanner_burst": "a service that checks links followed three or more within half a minute",
    "instant": "it was within a second of the delivery, which no person manages",
    "burst_at_delivery": "three or more links were followed in a row, from the delivery on",
    "burst_fast": "three or more links were followed within one second",
    "burst_near": "five or more links were followed in a row within half a minute of the delivery",
    "burst_all": "each link of the mail was followed in a row, the footer's too",
    "burst_footer": "all links of the footer were followed in a row with others, within two minutes"
    " of the delivery",
    "burst_open": "the pictures were loaded while a program followed many links",
}


def words(reason: str) -> str:
    """What the rule found, in words that go on after "because"; the code itself for one that this
    version doesn't know."""
    return next((each for code, each in WORDS.items() if code == reason), reason)
