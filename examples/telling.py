"""What the demo tells of its steps, and of what came of them."""

from __future__ import annotations

import sys
import time
from typing import Any

from app.domain.engagement.words import people_range, share_range

_last = [0.0]


class DemoFailed(Exception):
    """The demo did not end as it should; the message says what was missing."""


def show_engagement(report: dict[str, Any]) -> None:
    """Nobody is counted twice; a range, since more can't be known."""
    step("Who read, as far as can be known")
    print(
        f"   {'':10}{'for certain':>13}{'perhaps':>9}{'machines':>10}"
        f"   people, of {report['tracked']:,} delivered"
    )
    for kind, name in (("opens", "opened it"), ("clicks", "clicked")):
        of, span = report[kind], report["range"][kind]
        share = share_range(span)
        print(
            f"   {name:10}{of['human']:13,}{of['unknown']:9,}{of['machine']:10,}"
            f"   {people_range(span)}{f' ({share})' if share else ''}"
        )
    print("   perhaps: a person or a program; Apple's loads pictures whether or not somebody looks")
    print("   machines: programs that check links and pictures; they are left out")
    print("   The links that most people followed for certain:")
    for link in sorted(report["links"], key=lambda link: -int(link["human"]))[:3]:
        print(f"   {link['human']:8,}  {link['url']}")
    if not (
        report["opens"]["human"] and report["opens"]["unknown"] and report["clicks"]["machine"]
    ):
        found = f"{report['opens']}, {report['clicks']}"
        raise DemoFailed(f"no people, nobody unknown or no machine among those who read: {found}")


def summarise(
    report: dict[str, Any], row: dict[str, Any], stats: dict[str, Any], seconds: float
) -> None:
    counts = report["counts"]
    total = sum(counts.values())
    step("Every recipient accounted for")
    for status, count in counts.items():
        if count:
            print(f"   {status:12}{count:6}")
    print(
        f"   {'total':12}{total:6}  of {report['recipients']} in the audience; "
        f"unsubscribed since: {report['unsubscribed']}"
    )
    duplicates = stats.get("duplicates", 0)
    print(
        f"   the sandbox accepted nobody twice: {'yes' if not duplicates else f'NO, {duplicates}'}"
    )
    print(
        f"   the row in Notion: {row['Delivery']}, {row['Recipients']} recipients, "
        f"{row['Delivered']} delivered, {row['Bounced']} bounced, {row['Complained']} complained, "
        f"{row['Unsubscribed']} unsubscribed"
    )
    print(f"   {seconds:.0f} s in all")
    problems = [
        f"{total} rows for {report['recipients']} recipients" * (total != report["recipients"]),
        f"status {report['status']}" * (report["status"] != "sent"),
        "recipients accepted twice" * bool(duplicates),
        "nobody bounced" * (not counts["bounced"]),
        "nobody complained" * (not counts["complained"]),
        "nobody unsubscribed" * (not report["unsubscribed"]),
        f"the row says {row['Delivery']}" * (row["Delivery"] != "Sent"),
        f"the row has a problem: {row['Problem']}" * bool(row["Problem"]),
    ]
    if any(problems):
        raise DemoFailed("; ".join(filter(None, problems)))


def step(text: str) -> None:
    print(f"\n■ {text}", flush=True)


def say(text: str) -> None:
    for line in text.strip().splitlines():
        print(f"   {line}", flush=True)


def progress(text: str) -> None:
    end = "" if sys.stdout.isatty() else "\n"
    start = "\r\x1b[2K" if sys.stdout.isatty() else ""
    if sys.stdout.isatty() or time.monotonic() - _last[0] > 1:
        print(f"{start}   {text}", end=end, flush=True)
        _last[0] = time.monotonic()
