"""Configuration sets: which events of their mails are published, and what is tracked.

Sources: SES API v2 reference, "TrackingConfigurationOverrides", on what decides about tracking: the
account's and the set's `EngagementMetrics`, whether an event destination of the set takes OPEN or
CLICK events, and the call's own override; GetConfigurationSet, EventDestination.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.sandbox.config import SandboxConfig
from app.sandbox.errors import bad_request
from app.sandbox.ses.render import OPEN_TRACKER

OPEN_AND_CLICK = ("OPEN", "CLICK")
OUTCOMES = (
    *("SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY"),
    *("RENDERING_FAILURE", "DELIVERY_DELAY"),
)
HttpsPolicy = Literal["REQUIRE", "REQUIRE_OPEN_ONLY", "OPTIONAL"]
Switch = Literal["ENABLED", "DISABLED"]

# "eventType" of a message by the name that a destination has for it, where they differ.
_TYPE_OF = {"Rendering Failure": "RENDERING_FAILURE", "DeliveryDelay": "DELIVERY_DELAY"}


@dataclass(slots=True)
class ConfigurationSet:
    """One set with one event destination of type SNS; changed in flight by
    `PUT /sandbox/configuration-sets/{name}`.

    events: the destination's MatchingEventTypes. engagement_metrics: the set's own VdmOptions;
    None: it says nothing.
    """

    name: str
    events: tuple[str, ...] = OUTCOMES
    enabled: bool = True
    custom_redirect_domain: str | None = None
    https_policy: HttpsPolicy | None = None
    engagement_metrics: Switch | None = None


@dataclass(frozen=True, slots=True)
class Tracked:
    opens: bool = False
    clicks: bool = False


@dataclass(slots=True)
class ConfigurationSets:
    """The account's sets by name, and whether its Virtual Deliverability Manager tracks."""

    config: SandboxConfig
    account_metrics: Switch | None = None  # None: the account has no VDM
    _sets: dict[str, ConfigurationSet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """As configured."""
        self.account_metrics = None
        plain = {name: ConfigurationSet(name) for name in self.config.configuration_sets}
        tracking = {
            name: ConfigurationSet(name, (*OUTCOMES, *OPEN_AND_CLICK))
            for name in self.config.tracking_sets
        }
        self._sets = plain | tracking

    def get(self, name: str) -> ConfigurationSet | None:
        return self._sets.get(name)

    def publishes(self, name: str | None, kind: str) -> bool:
        """Whether an event of `kind` (as its message says) goes to the topic.

        A mail without a set has feedback notifications of its identity at most; all but opens and
        clicks are told of it, so that a product without a set sees what an identity would tell.
        """
        wanted = _TYPE_OF.get(kind, kind.upper())
        found = self._sets.get(name or "")
        if found is None:
            return wanted not in OPEN_AND_CLICK
        return found.enabled and wanted in found.events

    def tracked(self, name: str | None, overrides: Mapping[str, Any] | None) -> Tracked:
        """What SES puts into the mails of a call. overrides: its ConfigurationOverrides."""
        found = self._sets.get(name or "")
        metrics = found.engagement_metrics if found else None
        everything = (metrics or self.account_metrics) == "ENABLED"
        told = (overrides or {}).get("Tracking", {})
        events = found.events if found and found.enabled else ()
        return Tracked(
            opens=_switched(told.get("OpenTrackingEnabled"), everything or "OPEN" in events),
            clicks=_switched(told.get("ClickTrackingEnabled"), everything or "CLICK" in events),
        )


def _switched(override: Switch | None, otherwise: bool) -> bool:
    return otherwise if override is None else override == "ENABLED"


def set_json(found: ConfigurationSet) -> dict[str, Any]:
    """GetConfigurationSet's answer."""
    answer: dict[str, Any] = {
        "ConfigurationSetName": found.name,
        "ReputationOptions": {"ReputationMetricsEnabled": True},
        "SendingOptions": {"SendingEnabled": True},
        "SuppressionOptions": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
        "Tags": [],
    }
    if found.custom_redirect_domain:
        answer["TrackingOptions"] = {"CustomRedirectDomain": found.custom_redirect_domain}
        if found.https_policy:
            answer["TrackingOptions"]["HttpsPolicy"] = found.https_policy
    if found.engagement_metrics:
        answer["VdmOptions"] = {
            "DashboardOptions": {"EngagementMetrics": found.engagement_metrics},
            "GuardianOptions": {"OptimizedSharedDelivery": "DISABLED"},
        }
    return answer


def check_trackers(html: str) -> None:
    """Raise SesError for a template with more than one open tracker.

    Source: SES developer guide, "Configuring custom domains to handle open and click tracking".
    """
    if html.count(OPEN_TRACKER) > 1:
        raise bad_request("Template contains more than one {{ses:openTracker}}.")
