"""A warm-up's plan out of a file that somebody wrote: CSV, or JSON."""

from __future__ import annotations

from app.domain.given.strict_json import NotStrictJson, read_strict
from app.domain.pacing.plan import Plan, PlanInvalid, read_csv, read_plan
from app.errors import InvalidRequest


def read_plan_file(data: bytes) -> Plan:
    """Raises InvalidRequest, which says what is wrong where."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidRequest("The plan can't be used: save the file as UTF-8.") from exc
    try:
        return read_plan(_json(text)) if text.lstrip().startswith(("[", "{")) else read_csv(text)
    except PlanInvalid as exc:
        raise InvalidRequest(f"The plan can't be used: {exc}.") from exc


def _json(text: str) -> object:
    """The days, bare or as the API's body has them, under `plan`."""
    try:
        found = read_strict(text)
    except NotStrictJson as exc:
        raise PlanInvalid(f"the file is no JSON: {exc}") from exc
    return found["plan"] if isinstance(found, dict) and found.keys() == {"plan"} else found
