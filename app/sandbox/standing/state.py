"""What SES is to say of the sender's standing, as `PUT /sandbox/standing` sets it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.sandbox.ses.quota import Bucket

SendingStatus = Literal["ENABLED", "REINSTATED", "DISABLED"]
Impact = Literal["LOW", "HIGH"]
Metric = Literal[
    "SEND",
    "COMPLAINT",
    "PERMANENT_BOUNCE",
    "TRANSIENT_BOUNCE",
    "OPEN",
    "CLICK",
    "DELIVERY",
    "DELIVERY_OPEN",
    "DELIVERY_CLICK",
    "DELIVERY_COMPLAINT",
]
Operation = Literal[
    "ListReputationEntities",
    "GetReputationEntity",
    "GetDedicatedIps",
    "GetDeliverabilityDashboardOptions",
    "GetBlacklistReports",
    "BatchGetMetricData",
    "ListRecommendations",
]


class Rates:
    """How often the operations may be called in a second, as the API reference has it."""

    def __init__(self) -> None:
        self.metric_calls = Bucket(16)
        self.metric_queries = Bucket(160)
        self.recommendations = Bucket(1)


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Status(Part):
    """A StatusRecord. at: when it changed."""

    status: SendingStatus = "ENABLED"
    cause: Annotated[str, Field(min_length=1, max_length=512)] = "Default"
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def to_json(self) -> dict[str, Any]:
        return {
            "Status": self.status,
            "Cause": self.cause,
            "LastUpdatedTimestamp": self.at.timestamp(),
        }


class Entity(Part):
    """reference: an ARN. impact: the highest of its findings; None: it has none."""

    reference: Annotated[str, Field(min_length=1)]
    policy: str | None = None
    customer: Status = Status()
    aws: Status = Status()
    impact: Impact | None = None

    @property
    def aggregate(self) -> SendingStatus:
        """Sending is off when either side has it off (API reference, ReputationEntity)."""
        both = {self.customer.status, self.aws.status}
        if "DISABLED" in both:
            return "DISABLED"
        return "REINSTATED" if "REINSTATED" in both else "ENABLED"

    def to_json(self) -> dict[str, Any]:
        found = {
            "ReputationEntityReference": self.reference,
            "ReputationEntityType": "RESOURCE",
            "ReputationManagementPolicy": self.policy,
            "CustomerManagedStatus": self.customer.to_json(),
            "AwsSesManagedStatus": self.aws.to_json(),
            "SendingStatusAggregate": self.aggregate,
            "ReputationImpact": self.impact,
        }
        return {name: value for name, value in found.items() if value is not None}


class DedicatedIp(Part):
    ip: str
    pool: str = "ses-default-dedicated-pool"
    warmup: Literal["IN_PROGRESS", "DONE", "NOT_APPLICABLE"] = "DONE"
    percentage: Annotated[int, Field(ge=-1, le=100)] = 100

    def to_json(self) -> dict[str, Any]:
        return {
            "Ip": self.ip,
            "PoolName": self.pool,
            "WarmupStatus": self.warmup,
            "WarmupPercentage": self.percentage,
        }


class Listing(Part):
    """Of one of the account's dedicated IPs."""

    ip: str
    list: str
    description: str = ""
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def to_json(self) -> dict[str, Any]:
        return {
            "RblName": self.list,
            "ListingTime": self.at.timestamp(),
            "Description": self.description,
        }


class Recommendation(Part):
    resource: str
    type: Literal[
        "DKIM", "DMARC", "SPF", "BIMI", "COMPLAINT", "BOUNCE", "FEEDBACK_3P", "IP_LISTING"
    ]
    description: str
    status: Literal["OPEN", "FIXED"] = "OPEN"
    impact: Impact = "LOW"
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def to_json(self) -> dict[str, Any]:
        return {
            "ResourceArn": self.resource,
            "Type": self.type,
            "Description": self.description,
            "Status": self.status,
            "CreatedTimestamp": self.at.timestamp(),
            "LastUpdatedTimestamp": self.at.timestamp(),
            "Impact": self.impact,
        }


class Standing(Part):
    """The body of `PUT /sandbox/standing`; what isn't named is as for a new account.

    dashboard: whether the account pays for the deliverability dashboard. metrics: by metric and
    ISP, how many on each day. denied: operations that the caller has no permission for. failed:
    metrics that can't be had.
    """

    entities: list[Entity] = []
    dedicated_ips: list[DedicatedIp] = []
    dashboard: bool = False
    listings: list[Listing] = []
    recommendations: list[Recommendation] = []
    metrics: dict[Metric, dict[str, int]] = {}
    denied: list[Operation] = []
    failed: list[Metric] = []
