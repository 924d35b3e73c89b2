"""Does SES track the mails that it should, and no others? Findings about configuration sets. Pure.

Sources: SES API v2 reference, "TrackingConfigurationOverrides" (what decides about tracking),
"TrackingOptions", "VdmOptions"; SES developer guide, "Configuring custom domains to handle open and
click tracking".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.domain.reports.findings import Finding

TRACKING_TYPES = ("OPEN", "CLICK")
"""With one of them in a destination, SES changes the mails of the set to see it."""


def watched_types(destinations: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of OPEN and CLICK those that any enabled destination takes, whether or not it is SNS."""
    taken = {
        kind
        for destination in destinations
        if destination.get("Enabled")
        for kind in destination.get("MatchingEventTypes", [])
    }
    return [kind for kind in TRACKING_TYPES if kind in taken]


def check_plain_set(
    name: str,
    destinations: Iterable[Mapping[str, Any]],
    options: Mapping[str, Any] | None,
    account_metrics: bool | None,
) -> Iterator[Finding]:
    """A set of mailouts without tracking: is it without?

    options: what GetConfigurationSet answers; None: nothing is known. account_metrics: whether the
    account's Virtual Deliverability Manager (VDM) has engagement metrics; None: there is none.
    """
    if watched := watched_types(destinations):
        what = " and ".join(f"{kind.lower()}s" for kind in watched)
        yield Finding(
            "warn",
            f"The configuration set {name} has an event destination for {what}, so SES changes the "
            "links of mailouts without tracking, too. Links to unsubscribe stay as they are.",
            "take Opens and Clicks out of its destinations, and use another set for tracking "
            "(SES_TRACKING_CONFIGURATION_SET).",
        )
    own = _engagement_metrics(options)
    if own == "ENABLED" or (account_metrics and own != "DISABLED"):
        whose = f"of the configuration set {name}" if own == "ENABLED" else "of the account"
        yield Finding(
            "warn",
            f"The Virtual Deliverability Manager {whose} tracks engagement, so SES changes the "
            "links of mailouts without tracking, too. Links to unsubscribe stay as they are.",
            "switch engagement tracking off in the SES console: under Virtual Deliverability "
            f"Manager, or for the configuration set {name} alone.",
        )


def check_tracking_set(
    name: str, believed: Iterable[str], options: Mapping[str, Any] | None
) -> Iterator[Finding]:
    """A set of mailouts with tracking: are opens and clicks seen and told, and over https?

    believed: the event types that come to us. options: as above.
    """
    missing = [kind for kind in TRACKING_TYPES if kind not in set(believed)]
    if missing:
        yield Finding(
            "warn",
            f"The configuration set {name} is to track, but does not publish "
            f"{', '.join(missing)}: nothing of it will be known.",
            "tick these types in its SNS destination in the SES console.",
        )
    if options is None:
        return
    tracking = options.get("TrackingOptions", {})
    domain, policy = tracking.get("CustomRedirectDomain"), tracking.get("HttpsPolicy", "OPTIONAL")
    if not domain:
        yield Finding(
            "warn",
            f"Links in mails of the configuration set {name} lead through a domain of Amazon's, "
            "the picture that counts opens comes by plain http: readers and spam filters see it.",
            "give the set a custom redirect domain of your own, with the HTTPS policy REQUIRE.",
        )
    elif policy != "REQUIRE":
        yield Finding(
            "warn",
            f"The HTTPS policy of the configuration set {name} is {policy}: what is tracked may "
            f"lead through {domain} by plain http.",
            "set it to REQUIRE; the domain needs a certificate for that.",
        )
    elif not missing:
        yield Finding("ok", f"Opens and clicks are seen at https://{domain}.")


def _engagement_metrics(options: Mapping[str, Any] | None) -> str | None:
    dashboard = (options or {}).get("VdmOptions", {}).get("DashboardOptions", {})
    found = dashboard.get("EngagementMetrics")
    return found if isinstance(found, str) else None
