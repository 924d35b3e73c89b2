"""The checks of every SES region, as one list."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.domain.reports.findings import Finding
from app.ports import SesAccount
from app.services.checks.amazon.ses import check_ses
from app.services.checks.asking import Outside, RememberedSes
from app.services.domains.findings import check_domain
from app.settings import Settings


async def check_sending(
    settings: Settings, outside: Outside, *, tracking: bool | None
) -> list[Finding]:
    """Whether SES would send, as whom, whether its events come here, and receivers know us by DNS.

    tracking: as of `check_events`.
    """
    regions, make, known = settings.ses_regions, outside.ses, dict[str, SesAccount]()

    def remembered(settings: Settings) -> SesAccount:
        name = settings.home.name
        if name not in known:
            known[name] = RememberedSes(make(settings))
        return known[name]

    outside = replace(outside, ses=remembered)
    found = await asyncio.gather(
        *(check_ses(settings.of_region(each), outside, tracking=tracking) for each in regions)
    )
    reached = {each.name: known[each.name] for each in regions if each.name in known}
    return [
        *join_regions({each.name: told for each, told in zip(regions, found, strict=True)}),
        *await check_domain(settings, outside, reached),
    ]


def join_regions(found: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """found: by region, the preferred one first. What all have alike is said once, everything else
    with the region's name; what stops one is only a warning while another can send."""
    stopped = [any(finding.level == "fail" for finding in told) for told in found.values()]
    everywhere = Counter(finding for told in found.values() for finding in dict.fromkeys(told))
    joined: list[Finding] = []
    for region, told in found.items():
        for finding in told:
            if everywhere[finding] == len(found):
                joined.append(finding)
                continue
            level = "warn" if finding.level == "fail" and not all(stopped) else finding.level
            joined.append(replace(finding, level=level, what=f"{region}: {finding.what}"))
    return list(dict.fromkeys(joined))
