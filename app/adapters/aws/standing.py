"""What SES v2 tells of the sender's standing, through boto3. Blocking: call it from threads.

A client of its own: botocore checks these requests, which the sender's client leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from app.adapters.aws.ses import account_of, aws_client
from app.domain.reports.remedies import without_addresses
from app.domain.sending.batches import Account
from app.domain.standing.blocklists import Listing, reason
from app.domain.standing.told import Advice, DedicatedIp, Entity, Impact, Status
from app.domain.standing.vdm import Query
from app.domain.untrusted import page_words, plain
from app.errors import Unavailable
from app.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

MOST = 1_000
"""Of a list, things and pages: who has more sees these."""
LISTS_AT_ONCE = 50
"""Addresses in one GetBlacklistReports: they stand in the request's line."""
_STATUSES: tuple[Status, ...] = ("ENABLED", "REINSTATED", "DISABLED")

T = TypeVar("T")


class SesStanding:
    """Each method raises Unavailable, in plain words, also when the answer makes no sense."""

    def __init__(self, settings: Settings, region: str) -> None:
        self._client: SESV2Client = aws_client(
            settings, "sesv2", region=region, max_pool_connections=1
        )

    def get_account(self) -> Account:
        found = self._ask("GetAccount", self._client.get_account)
        return self._read("GetAccount", account_of, found)

    def entities(self) -> list[Entity]:
        return self._listed(
            "ListReputationEntities",
            self._client.list_reputation_entities,
            "ReputationEntities",
            _entity,
        )

    def dedicated_ips(self) -> list[DedicatedIp]:
        return self._listed("GetDedicatedIps", self._client.get_dedicated_ips, "DedicatedIps", _ip)

    def has_dashboard(self) -> bool:
        """Whether the account pays for the deliverability dashboard."""
        found = self._ask(
            "GetDeliverabilityDashboardOptions", self._client.get_deliverability_dashboard_options
        )
        return bool(found.get("DashboardEnabled"))

    def blacklists(self, ips: Sequence[str]) -> list[Listing]:
        """What Amazon knows of block lists that these dedicated addresses are on."""
        listed: list[Listing] = []
        for start in range(0, len(ips), LISTS_AT_ONCE):
            asked = list(ips[start : start + LISTS_AT_ONCE])
            found = self._ask(
                "GetBlacklistReports",
                self._client.get_blacklist_reports,
                BlacklistItemNames=asked,
            )
            listed += self._read("GetBlacklistReports", _listings, found)
        return listed

    def advice(self) -> list[Advice]:
        """What the Virtual Deliverability Manager recommends and isn't done yet."""
        return self._listed(
            "ListRecommendations",
            self._client.list_recommendations,
            "Recommendations",
            _advice,
            Filter={"STATUS": "OPEN"},
        )

    def metrics(
        self, queries: Sequence[Query], start: datetime, end: datetime
    ) -> dict[str, int | None]:
        """The sum of each query over the interval, by its id; None: that one failed. queries: 10 at
        most."""
        found = self._ask(
            "BatchGetMetricData",
            self._client.batch_get_metric_data,
            Queries=[
                {
                    "Id": query.id,
                    "Namespace": "VDM",
                    "Metric": query.metric,
                    **({"Dimensions": {"ISP": query.isp}} if query.isp else {}),
                    "StartDate": start,
                    "EndDate": end,
                }
                for query in queries
            ],
        )
        return self._read("BatchGetMetricData", _sums, found)

    def _listed(
        self,
        name: str,
        call: Callable[..., Any],
        member: str,
        item: Callable[[Mapping[str, Any]], T],
        **arguments: Any,
    ) -> list[T]:
        found: list[T] = []
        token: str | None = None
        for _ in range(MOST):
            page = self._ask(name, call, **arguments, **({"NextToken": token} if token else {}))
            found += self._read(name, lambda page: [item(one) for one in page[member]], page)
            token = page.get("NextToken")
            if not token or len(found) >= MOST:
                break
        return found[:MOST]

    def _ask(self, name: str, call: Callable[..., Any], **arguments: Any) -> Mapping[str, Any]:
        try:
            return cast("Mapping[str, Any]", call(**arguments))
        except Exception as exc:
            raise _not_answered(name, exc) from exc

    def _read(
        self, name: str, read: Callable[[Mapping[str, Any]], T], answer: Mapping[str, Any]
    ) -> T:
        """A cut answer parses as one with members missing."""
        try:
            return read(answer)
        except (LookupError, TypeError, ValueError, AttributeError) as exc:
            raise _not_answered(name, exc) from exc


def _not_answered(name: str, exc: Exception) -> Unavailable:
    why = without_addresses(page_words(str(exc))) or type(exc).__name__
    return Unavailable(f"SES did not answer {name}: {why}")


def _entity(one: Mapping[str, Any]) -> Entity:
    aws, own = one.get("AwsSesManagedStatus", {}), one.get("CustomerManagedStatus", {})
    cause = aws.get("Cause") if aws.get("Status") == "DISABLED" else None
    return Entity(
        plain(one["ReputationEntityReference"]),
        _status(own.get("Status")),
        _status(aws.get("Status")),
        page_words(cause),
        _impact(one["ReputationImpact"]) if one.get("ReputationImpact") else None,
    )


def _status(value: object) -> Status:
    return next((status for status in _STATUSES if status == value), "")


def _impact(value: object) -> Impact:
    return "HIGH" if value == "HIGH" else "LOW"


def _ip(one: Mapping[str, Any]) -> DedicatedIp:
    return DedicatedIp(
        plain(one["Ip"]),
        plain(one.get("PoolName", "")),
        plain(one["WarmupStatus"]),
        int(one["WarmupPercentage"]),
    )


def _listings(found: Mapping[str, Any]) -> list[Listing]:
    return [
        Listing(
            plain(ip),
            plain(entry["RblName"]),
            "listed",
            why=reason([page_words(entry.get("Description"))]),
        )
        for ip, entries in found["BlacklistReport"].items()
        for entry in entries
    ]


def _advice(one: Mapping[str, Any]) -> Advice:
    return Advice(
        plain(one["ResourceArn"]),
        plain(one["Type"]),
        page_words(one.get("Description")),
        _impact(one.get("Impact")),
        one["CreatedTimestamp"].isoformat() if one.get("CreatedTimestamp") else "",
    )


def _sums(found: Mapping[str, Any]) -> dict[str, int | None]:
    sums: dict[str, int | None] = {one["Id"]: None for one in found.get("Errors", ())}
    return sums | {one["Id"]: sum(int(n) for n in one["Values"]) for one in found["Results"]}
