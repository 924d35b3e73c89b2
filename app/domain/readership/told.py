"""The answer to "why me?" as lines of text, for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.domain.reports.people import EVENTS, as_text, consent, who

_YES = {True: "yes", False: "no", None: "not known"}


def lines(why: Mapping[str, Any]) -> Iterator[str]:
    """why: as services/readership/why.py tells it. Times are ISO 8601 in UTC, to the second."""
    got = {True: "Got it", False: "Did not get it", None: "Open"}[why["got"]]
    yield f"{got}: {why['reason']}"
    if (person := why["person"]) is not None:
        since = _at(person["status_since"])
        yield f"{'person:':<13}{person['email']}, {person['status']} since {since}"
        yield from _consent(why["consent"])
    audience = why["audience"]
    yield f"{'audience:':<13}{audience['words']}"
    for one in audience["conditions"]:
        words = f"{'':<13}{'  ' * one['depth']}{one['words']}: now {_YES[one['now']]}"
        words += f", then {_YES[one['then']]}"
        yield words + (f" (has: {one['had']})" if one["had"] is not None else "")
    for claim in why["claim"]:
        yield (
            f"{'claim:':<13}{_at(claim['at'])} by {claim['executor'] or claim['executor_id']} in "
            f"{claim['region']}, attempt {claim['attempt_id']}, with {claim['batch']} together"
        )
    if why["content"]["hash"]:
        tested = " (as tested)" if why["content"]["was_tested"] else ""
        yield f"{'content:':<13}{why['content']['hash']}{tested}"
    if (schedule := why["schedule"]) is not None:
        turn = schedule["their_turn"] or schedule["starts_at"]
        yield f"{'schedule:':<13}{schedule['at']} ({schedule['zone']}): {_at(turn)}"
    for mail in why["mails"]:
        yield f"{'mail:':<13}{mail['status']}, message id {mail['message_id'] or 'none'}"
    for event in why["events"]:
        said = " ".join(
            as_text(event[name])
            for name in ("bounce_type", "bounce_subtype", "feedback_type", "delay_type", "said")
            if event.get(name)
        )
        title = EVENTS.get(event["type"], event["type"])
        yield f"{_at(event['at'])}  {title}{f': {said}' if said else ''}"
    for one in why["signals"]:
        times = f" ({one['events']} times)" if one["events"] > 1 else ""
        what = EVENTS[one["kind"]] + (f" {one['url']}" if one["url"] else "")
        verdict = f"{one['class']}: {one['because']}" if one["class"] else "not judged yet"
        yield f"{_at(one['first_at'])}  {what}{times}, {verdict}"
    if not why["signals"] and not why["mailout"]["tracking"]:
        yield "Opens and clicks of this mailout were not tracked."
    for change in why["later"]:
        yield f"{_at(change['at'])}  {change['from']} → {change['to']} {who(change['by'])}"


def _consent(known: Mapping[str, Any]) -> Iterator[str]:
    recorded = consent(known["recorded"])
    if recorded is None:
        yield f"{'consent:':<13}not known: none was recorded"
    else:
        at = f", {_at(recorded.at)}" if recorded.at else ""
        text = f": {recorded.text}" if recorded.text else ""
        yield f"{'consent:':<13}{recorded.title}{at}{text}"
    if (added := known["added"]) is not None:
        reason = f" ({added['reason']})" if added["reason"] else ""
        yield f"{'added:':<13}{_at(added['at'])} {who(added['by'])}{reason}"
    else:
        yield f"{'added:':<13}{_at(known['on_list_since'])}; by whom isn't known"
    if (imported := known["import"]) is not None:
        name = imported["file_name"] or "a file without a name"
        yield f"{'import:':<13}{name}, {_at(imported['at'])} ({imported['id']})"
    for change in known["raised"]:
        reason = f": {change['reason']}" if change["reason"] else ""
        yield f"{'made active:':<13}{_at(change['at'])} {who(change['by'])}{reason}"


def _at(iso: str | None) -> str:
    return iso[:19].replace("T", " ") if iso else "at no known time"


def seen_words(seen: Mapping[str, Any]) -> str:
    """What a person opened and clicked, in a line. seen: as person_engagement.sql tells it."""
    if not seen["tracked"]:
        return "none of their mails was tracked" if seen["mails"] else "they got no mail yet"
    said = [
        f"{name} {_span(seen[kind])}" for name, kind in (("opened", "opens"), ("clicked", "clicks"))
    ]
    last = seen["last_human_at"]
    said.append(f"last seen {_at(last)}" if last else "no person was seen")
    return f"{', '.join(said)}, of {seen['tracked']:,} tracked mails"


def _span(classes: Mapping[str, int]) -> str:
    low, high = classes["human"], classes["human"] + classes["unknown"]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
