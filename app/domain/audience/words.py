"""A rule in words, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.domain.audience.rule import parts

FIELDS = {
    "tags": "tag",
    "email": "address",
    "name": "name",
    "timezone": "time zone",
    "created_at": "on the list",
    "received": "got",
    "opened": "opened",
    "clicked": "clicked in",
}
OPS = {
    "is": "is",
    "is_not": "is not",
    "contains": "contains",
    "starts_with": "begins with",
    "exists": "is known",
    "gt": "is more than",
    "lt": "is less than",
    "before": "is before",
    "after": "is after",
    "within_days": "within the last days",
    "older_than_days": "longer ago than days",
}


def in_words(rule: Mapping[str, Any] | None, names: Mapping[str, str] | None = None) -> str:
    """Such as `tag “news” and not (name contains “x”)`. names: of segments, by their ids."""
    names = names or {}
    if not rule:
        return "everybody"
    if "tags" in rule:
        tags = " or ".join(f"“{tag}”" for tag in rule["tags"])
        return f"tag {tags}" if tags else "nobody"
    if "segment" in rule:
        return f"in the segment “{names.get(rule['segment'], rule['segment'])}”"
    if "not" in rule:
        return f"not ({in_words(rule['not'], names)})"
    for key, joint in (("all", " and "), ("any", " or ")):
        if key in rule:
            inner = [in_words(part, names) for part in rule[key]]
            compound = len(inner) > 1
            return joint.join(
                f"({text})" if compound and {"all", "any"} & part.keys() else text
                for text, part in zip(inner, rule[key], strict=True)
            )
    return _condition(rule)


def _condition(rule: Mapping[str, Any]) -> str:
    field, op, value = rule["field"], rule["op"], rule.get("value")
    if field in {"received", "opened", "clicked"}:
        what = (
            f"a mailout within the last {rule['days']:g} days"
            if value == "any"
            else f"the mailout {value}"
        )
        return f"{FIELDS[field]} {what}" if op == "is" else f"not {FIELDS[field]} {what}"
    name = FIELDS.get(field) or field.removeprefix("fields.")
    if op == "exists":
        return f"{name} is {'not ' if value is False else ''}known"
    if op in {"within_days", "older_than_days"}:
        since = "within the last" if op == "within_days" else "longer ago than"
        return f"{name} {since} {value:g} days"
    shown = str(value).lower() if isinstance(value, bool) else value
    return f"{name} {OPS[op]} {f'“{shown}”' if isinstance(value, str) else shown}"


def engagement_note(rule: dict[str, Any] | None) -> Iterator[str]:
    """What a rule that asks for opens or clicks has to be told."""
    asked = {part["field"] for part in parts(rule) if "field" in part} & {"opened", "clicked"}
    if asked:
        yield (
            f"{' and '.join(sorted(asked)).capitalize()}: people, and who can't be told from "
            "people; programs that look into mails don't count."
        )


def asked_mailouts(rule: dict[str, Any] | None) -> list[str]:
    """The ids of the mailouts of which a rule asks who opened them or clicked in them."""
    asked = [part for part in parts(rule) if part.get("field") in {"opened", "clicked"}]
    return sorted({part["value"] for part in asked} - {"any"})


def untracked_note(mailouts: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """mailouts: `subject` of those asked for opens or clicks that weren't watched."""
    for mailout in mailouts[:5]:
        yield (
            f"Opens and clicks of “{mailout['subject']}” weren't watched: for this rule nobody has "
            "opened it or clicked in it."
        )


def unknown_tags_note(tags: Sequence[str]) -> Iterator[str]:
    """tags: those that nobody has."""
    if tags:
        shown = ", ".join(f"“{tag}”" for tag in tags[:5])
        yield (
            f"Nobody has the tag {shown}: it matches nobody."
            if len(tags) == 1
            else f"Nobody has the tags {shown}{' …' if len(tags) > 5 else ''}: they match nobody."
        )


def why_mailed(rule: Mapping[str, Any] | None) -> str:
    """Whom a mailout was for, as its recipient may read it."""
    if not rule:
        return "It went to every active subscriber."
    if set(rule) == {"tags"}:
        return f"It went to active subscribers with one of the tags: {', '.join(rule['tags'])}."
    return f"It went to active subscribers who fit this rule: {in_words(rule)}."
