"""How the list grows and shrinks, in figures and words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from app.domain.reports.charts import Series

By = Literal["day", "week", "month"]
PERIODS: dict[By, int] = {"day": 31, "week": 26, "month": 24}
"""How many are looked at unless somebody asks for others."""
MOST_PERIODS = 120
FEWEST_FOR_A_RATE = 5
"""Under so many delivered mails a rate would tell of single people."""

SOURCES = {
    "sign-up": "signed up",
    "import": "imported",
    "api": "through the API",
    "dashboard": "added by hand",
    "cli": "on the command line",
    "link": "by the link in a mail",
    "database": "directly in the database",
    "ses": "reported by SES",
    "sendgrid": "reported by SendGrid",
    "mailgun": "reported by Mailgun",
    "mail client": "by their mail program",
    "unknown": "not known how",
    "other": "otherwise",
    "back": "came back",
}
"""How people came; `back`: by whatever way, after they had left."""
LOSSES = {
    "unsubscribed": "unsubscribed",
    "bounced": "bounced",
    "complained": "complained",
    "erased": "erased",
    "removed": "deleted or merged",
}
_KINDS = {"deleted": "removed", "pending": "removed"}


def growth(raw: Mapping[str, Any]) -> dict[str, Any]:
    """raw: as list_growth.sql answers. Of each period `new` by source, `back`, `lost` by kind,
    `net`, `active` at its end, and `churn`: the share of those active at its beginning who left
    (None where nobody was)."""
    return {**raw, "periods": [_period(one) for one in raw["periods"]]}


def _period(one: Mapping[str, Any]) -> dict[str, Any]:
    new: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    back = 0
    for move in one["moves"]:
        if move["move"] == "new":
            new[move["source"]] += move["people"]
        elif move["move"] == "back":
            back += move["people"]
        else:
            lost[_KINDS.get(move["move"], move["move"])] += move["people"]
    before = one["active"] - one["net"]
    return {
        "start": one["start"],
        "end": one["end"],
        "new": dict(new),
        "back": back,
        "lost": dict(lost),
        "net": one["net"],
        "active": max(0, one["active"]),
        "churn": lost.total() / before if before > 0 else None,
    }


def gains(periods: Sequence[Mapping[str, Any]]) -> tuple[Series, ...]:
    """By source, for a chart: those that occur, the most frequent first; at most five, the last of
    which holds all others."""
    came = [Counter(one["new"]) + Counter({"back": one["back"]}) for one in periods]
    return _series(came, SOURCES)


def losses(periods: Sequence[Mapping[str, Any]]) -> tuple[Series, ...]:
    return _series([Counter(one["lost"]) for one in periods], LOSSES)


def _series(counts: Sequence[Counter[str]], words: Mapping[str, str]) -> tuple[Series, ...]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    kinds = [kind for kind, n in total.most_common() if n]
    shown, rest = (kinds, []) if len(kinds) <= 5 else (kinds[:4], kinds[4:])
    made = [Series(words.get(kind, kind), tuple(one[kind] for one in counts)) for kind in shown]
    if rest:
        others = tuple(sum(one[kind] for kind in rest) for one in counts)
        made.append(Series("all others", others))
    return tuple(made)


def churn(mailout: Mapping[str, Any]) -> dict[str, Any]:
    """What one mailout cost the list: `left` (unsubscribed with its link, complained, no mailbox)
    and its `rate` among those who got it or bounced; None under five."""
    left = mailout["unsubscribed"] + mailout["complained"] + mailout["bounced"]
    reached = mailout["delivered"] + mailout["bounced"]
    rate = left / reached if mailout["delivered"] >= FEWEST_FOR_A_RATE else None
    return {**mailout, "left": left, "rate": rate}
