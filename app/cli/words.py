"""The service's answers as lines of text for the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.domain.reports.words import duration, plural

SHOWN_PROBLEMS = 20


def accepted_lines(accepted: dict[str, Any]) -> Iterator[str]:
    """The answer to an accepted request to send, without its warnings."""
    yield f"Mailout {accepted['mailout_id']}: {plural(accepted['recipients'], 'recipient')}."
    known = []
    if "seconds" in accepted:
        known.append(f"It takes {duration(accepted['seconds'])}.")
    if "quota_left" in accepted:
        known.append(
            f"Of the daily quota {accepted['quota_left']:,.0f} of {accepted['daily_quota']:,.0f} "
            "are left."
        )
    if accepted.get("days", 1) > 1:
        known.append(f"It goes out on {plural(accepted['days'], 'day')}.")
    if known:
        yield " ".join(known)


def dry_run_lines(report: dict[str, Any]) -> Iterator[str]:
    """The report as `GET /mailouts/{id}/dry-run` gives it."""
    if report["state"] != "done":
        yield f"The dry run is {report['state']}. {report.get('detail', '')}".rstrip()
        return
    yield "Nothing was sent and nothing changed."
    yield from (f"warning     {warning}" for warning in report.get("warnings", []))
    yield f"recipients  {report['recipients']:,}"
    if report["skipped"]:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(report["skipped"].items()))
        yield f"skipped     {reasons}"
    yield f"duration    {_duration(report)}"
    yield f"quota       {_quota(report)}"
    cost = report["cost"]
    yield (
        f"cost        about {cost['amount']:,.2f} {cost['currency']} "
        f"({cost['per_1000']:.2f} per 1,000)"
    )
    yield f"size        {_size(report['sizes'])}"
    yield from _problems(report)
    yield from _samples(report["samples"])


def _duration(report: dict[str, Any]) -> str:
    if report["seconds"] is None:
        return "not known: nobody has asked SES for the account's rate yet"
    pace = f" at {report['rate']:g} a second" if report["rate"] else ""
    return f"{duration(report['seconds'])}{pace}"


def _quota(report: dict[str, Any]) -> str:
    if report["days"] is None:
        return "not known"
    if report["quota"] is None:
        return "no daily limit"
    left = f"{report['quota']:,.0f} of {report['daily_quota']:,.0f} left in these 24 hours"
    if report["days"] <= 1:
        return f"{left}: enough"
    parts = ", ".join(f"{part:,.0f}" for part in report["parts"])
    more = ", …" if report["days"] > len(report["parts"]) else ""
    return f"{left}: it takes {plural(report['days'], 'day')} ({parts}{more})"


def _size(sizes: dict[str, int]) -> str:
    text = f"HTML up to {sizes['largest_html_bytes'] / 1000:,.0f} KB"
    if sizes["over_gmail_clip"]:
        clip = sizes["gmail_clip_bytes"] / 1000
        text += (
            f"; {plural(sizes['over_gmail_clip'], 'mail')} over {clip:.0f} KB, where Gmail clips"
        )
    return text


def _problems(report: dict[str, Any]) -> Iterator[str]:
    total = report["problems_total"]
    if not total:
        yield "problems    none"
        return
    yield f"problems    {plural(total, 'recipient')}"
    for kind, number in report["problem_kinds"].items():
        yield f"  {number:,} × {kind}"
    shown = report["problems"][:SHOWN_PROBLEMS]
    for each in shown:
        yield f"  {each['email']}: {each['problem']}"
    if total > len(shown):
        yield f"  … and {total - len(shown):,} more"


def _samples(samples: list[dict[str, str]]) -> Iterator[str]:
    for number, sample in enumerate(samples, 1):
        yield ""
        yield f"sample {number}    {sample['email']}"
        yield f"subject     {sample['subject']}"
        yield from (f"  {line}" for line in sample["text"].splitlines())
