"""The operations of SES v2 that tell of a sender's standing, checked against botocore's model.

Sources: SES API v2 reference of each operation. Where it doesn't say which error it gives (the
deliverability dashboard and VDM that aren't on), BadRequestException is what all of them have.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.parse import unquote

from starlette.requests import Request
from starlette.routing import Route

from app.sandbox.errors import bad_request, forbidden, not_found, throttled
from app.sandbox.model import parse_body
from app.sandbox.standing.state import Metric, Operation, Standing
from app.sandbox.state import Sandbox

Handler = Callable[[Request, bytes], Awaitable[dict[str, Any]]]
MakeRoute = Callable[[str, str, str, Handler], Route]
PAGE = 100
MOST_FILTERS = 2
"""ListRecommendations: the model's greatest length of its filter."""
ENGAGEMENT: tuple[Metric, ...] = ("OPEN", "CLICK", "DELIVERY_OPEN", "DELIVERY_CLICK")


class StandingApi:
    """Each method is one operation of the model, named after it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def _told(self) -> Standing:
        return self._sandbox.standing

    def routes(self, route: MakeRoute) -> list[Route]:
        """route: makes a route of a method, path, operation and handler."""
        email = "/v2/email"
        entities = f"{email}/reputation/entities"
        dashboard = f"{email}/deliverability-dashboard"
        table: list[tuple[str, str, Operation, Handler]] = [
            ("POST", entities, "ListReputationEntities", self._list_entities),
            (
                "GET",
                f"{entities}/{{kind}}/{{reference:path}}",
                "GetReputationEntity",
                self._get_entity,
            ),
            ("GET", f"{email}/dedicated-ips", "GetDedicatedIps", self._get_ips),
            ("GET", dashboard, "GetDeliverabilityDashboardOptions", self._get_dashboard),
            ("GET", f"{dashboard}/blacklist-report", "GetBlacklistReports", self._get_listings),
            ("POST", f"{email}/metrics/batch", "BatchGetMetricData", self._get_metrics),
            (
                "POST",
                f"{email}/vdm/recommendations",
                "ListRecommendations",
                self._list_recommendations,
            ),
        ]
        return [
            route(method, path, name, self._permitted(name, handler))
            for method, path, name, handler in table
        ]

    def _permitted(self, name: Operation, handler: Handler) -> Handler:
        async def answer(request: Request, body: bytes) -> dict[str, Any]:
            if name in self._told.denied:
                raise forbidden(
                    "AccessDeniedException",
                    "User: arn:aws:iam::123456789012:user/sandbox is not authorized to perform: "
                    f"ses:{name} because no identity-based policy allows the ses:{name} action",
                )
            return await handler(request, body)

        return answer

    # Reputation entities

    async def _list_entities(self, _request: Request, body: bytes) -> dict[str, Any]:
        asked = parse_body("ListReputationEntities", body or b"{}")
        wanted: dict[str, str] = asked.get("Filter", {})
        for key, allowed in {
            "ENTITY_TYPE": ("RESOURCE",),
            "REPUTATION_IMPACT": ("LOW", "HIGH"),
            "SENDING_STATUS": ("ENABLED", "REINSTATED", "DISABLED"),
        }.items():
            if key in wanted and wanted[key] not in allowed:
                raise bad_request(f"Filter {key} must be one of {', '.join(allowed)}.")
        prefix = wanted.get("ENTITY_REFERENCE_PREFIX", "")
        found = [
            each.to_json()
            for each in self._told.entities
            if wanted.get("REPUTATION_IMPACT") in (None, each.impact)
            and wanted.get("SENDING_STATUS") in (None, each.aggregate)
            and each.reference.startswith(prefix)
        ]
        return _page("ReputationEntities", found, asked.get("PageSize"), asked.get("NextToken"))

    async def _get_entity(self, request: Request, _body: bytes) -> dict[str, Any]:
        if request.path_params["kind"] != "RESOURCE":
            raise bad_request("ReputationEntityType must satisfy enum value set: [RESOURCE]")
        reference = unquote(request.path_params["reference"])
        for each in self._told.entities:
            if each.reference == reference:
                return {"ReputationEntity": each.to_json()}
        raise not_found(f"Reputation entity {reference} does not exist.")

    # Dedicated IPs and the deliverability dashboard

    async def _get_ips(self, request: Request, _body: bytes) -> dict[str, Any]:
        query = request.query_params
        pool = query.get("PoolName")
        pools = {each.pool for each in self._told.dedicated_ips}
        if pool is not None and pool not in pools:
            raise not_found(f"Dedicated IP pool <{pool}> does not exist.")
        found = [each.to_json() for each in self._told.dedicated_ips if pool in (None, each.pool)]
        size = query.get("PageSize")
        if size is not None and not size.isdecimal():
            raise bad_request("PageSize must be an integer.")
        return _page("DedicatedIps", found, int(size) if size else None, query.get("NextToken"))

    async def _get_dashboard(self, _request: Request, _body: bytes) -> dict[str, Any]:
        status = "ACTIVE" if self._told.dashboard else "DISABLED"
        return {
            "DashboardEnabled": self._told.dashboard,
            "AccountStatus": status,
            "ActiveSubscribedDomains": [],
            "PendingExpirationSubscribedDomains": [],
        }

    async def _get_listings(self, request: Request, _body: bytes) -> dict[str, Any]:
        asked = request.query_params.getlist("BlacklistItemNames")
        if not asked:
            raise bad_request("BlacklistItemNames must not be empty.")
        if not self._told.dashboard:
            raise bad_request("The Deliverability dashboard is not enabled for this account.")
        ours = {each.ip for each in self._told.dedicated_ips}
        for ip in asked:
            if ip not in ours:
                raise not_found(f"{ip} is not one of the account's dedicated IP addresses.")
        return {
            "BlacklistReport": {
                ip: [each.to_json() for each in self._told.listings if each.ip == ip]
                for ip in asked
            }
        }

    # The Virtual Deliverability Manager

    async def _get_metrics(self, _request: Request, body: bytes) -> dict[str, Any]:
        queries = parse_body("BatchGetMetricData", body)["Queries"]
        self._require_vdm()
        rates = self._sandbox.standing_rates
        if not rates.metric_calls.take(1) or not rates.metric_queries.take(len(queries)):
            raise throttled("Rate exceeded")
        if len({each["Id"] for each in queries}) < len(queries):
            raise bad_request("The identifiers of the queries must differ.")
        results, errors = [], []
        for query in queries:
            if query["Metric"] in self._told.failed:
                errors.append(
                    {"Id": query["Id"], "Code": "INTERNAL_FAILURE", "Message": "Try again."}
                )
            else:
                results.append({"Id": query["Id"], **self._series(query)})
        return {"Results": results, "Errors": errors}

    def _series(self, query: dict[str, Any]) -> dict[str, Any]:
        """A value for each day of the interval, at its midnight."""
        start, end = _day(query["StartDate"]), _day(query["EndDate"])
        if start >= end:
            raise bad_request("StartDate must be before EndDate.")
        metric = cast("Metric", query["Metric"])
        by_isp = self._told.metrics.get(metric, {})
        if metric in ENGAGEMENT and self._sandbox.sets.account_metrics != "ENABLED":
            by_isp = {}
        isp = query.get("Dimensions", {}).get("ISP")
        value = sum(by_isp.values()) if isp is None else by_isp.get(isp)
        days = [start + timedelta(days=n) for n in range((end - start).days)] if value else []
        return {
            "Timestamps": [day.timestamp() for day in days],
            "Values": [value] * len(days),
        }

    async def _list_recommendations(self, _request: Request, body: bytes) -> dict[str, Any]:
        asked = parse_body("ListRecommendations", body or b"{}")
        self._require_vdm()
        if not self._sandbox.standing_rates.recommendations.take(1):
            raise throttled("Rate exceeded")
        wanted: dict[str, str] = asked.get("Filter", {})
        if len(wanted) > MOST_FILTERS:
            raise bad_request(f"Filter must have at most {MOST_FILTERS} items.")
        found = [
            each.to_json()
            for each in self._told.recommendations
            if wanted.get("TYPE") in (None, each.type)
            and wanted.get("IMPACT") in (None, each.impact)
            and wanted.get("STATUS") in (None, each.status)
            and wanted.get("RESOURCE_ARN") in (None, each.resource)
        ]
        return _page("Recommendations", found, asked.get("PageSize"), asked.get("NextToken"))

    def _require_vdm(self) -> None:
        if self._sandbox.sets.account_metrics is None:
            raise bad_request("Virtual Deliverability Manager is not enabled for this account.")


def _page(
    name: str, found: Sequence[dict[str, Any]], size: int | None, token: str | None
) -> dict[str, Any]:
    size = PAGE if size is None else size
    if size < 1:
        raise bad_request("PageSize must be at least 1.")
    if token is not None and not token.isdecimal():
        raise bad_request("NextToken is invalid.")
    start = int(token or 0)
    page: dict[str, Any] = {name: found[start : start + size]}
    if start + size < len(found):
        page["NextToken"] = str(start + size)
    return page


def _day(stamp: float) -> datetime:
    """The beginning of its day."""
    at = datetime.fromtimestamp(stamp, UTC)
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
