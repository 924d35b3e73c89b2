"""The stand-in says of a sender's standing what SES would, and refuses what SES does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from app.sandbox.server import SandboxServer
from tests.sandbox.support import refused, ses_client

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

ARN = "arn:aws:ses:us-east-1:123456789012:identity/example.com"
IP, IP6 = "192.0.2.1", "2001:db8::1"
NOW = datetime(2026, 11, 26, tzinfo=UTC)


@pytest.fixture
def ses(ses_sandbox: SandboxServer) -> Iterator[SESV2Client]:
    client = ses_client(ses_sandbox.url)
    yield client
    client.close()


def test_reputation_entities_are_listed_and_found(
    ses: SESV2Client, ses_sandbox: SandboxServer
) -> None:
    assert ses.list_reputation_entities()["ReputationEntities"] == []
    other = ARN.replace("example.com", "other.example")
    ses_sandbox.standing(
        entities=[
            {"reference": ARN, "impact": "HIGH", "aws": {"status": "DISABLED", "cause": "Spam"}},
            {"reference": other},
        ]
    )
    page = ses.list_reputation_entities(PageSize=1)
    [found] = page["ReputationEntities"]
    assert found["ReputationEntityReference"] == ARN
    assert found["AwsSesManagedStatus"]["Cause"] == "Spam"
    assert found["AwsSesManagedStatus"]["LastUpdatedTimestamp"].year == 2026
    assert found["CustomerManagedStatus"]["Status"] == "ENABLED"
    assert (found["SendingStatusAggregate"], found["ReputationImpact"]) == ("DISABLED", "HIGH")
    [rest] = ses.list_reputation_entities(NextToken=page["NextToken"])["ReputationEntities"]
    assert (rest["ReputationEntityReference"], "ReputationImpact" in rest) == (other, False)
    high = ses.list_reputation_entities(Filter={"REPUTATION_IMPACT": "HIGH"})
    assert len(high["ReputationEntities"]) == 1
    one = ses.get_reputation_entity(ReputationEntityReference=ARN, ReputationEntityType="RESOURCE")
    assert one["ReputationEntity"] == found
    with refused("NotFoundException", 404):
        ses.get_reputation_entity(
            ReputationEntityReference=f"{ARN}.x", ReputationEntityType="RESOURCE"
        )
    with refused("BadRequestException", match="REPUTATION_IMPACT"):
        ses.list_reputation_entities(Filter={"REPUTATION_IMPACT": "SOME"})
    with refused("BadRequestException", match="NextToken"):
        ses.list_reputation_entities(NextToken="x")


def test_dedicated_ips_and_their_block_lists(ses: SESV2Client, ses_sandbox: SandboxServer) -> None:
    ses_sandbox.standing(dedicated_ips=[{"ip": IP, "pool": "news"}, {"ip": IP6}])
    assert not ses.get_deliverability_dashboard_options()["DashboardEnabled"]
    with refused("BadRequestException", match="not enabled"):
        ses.get_blacklist_reports(BlacklistItemNames=[IP])
    page = ses.get_dedicated_ips(PageSize=1)
    assert page["DedicatedIps"] == [
        {"Ip": IP, "PoolName": "news", "WarmupStatus": "DONE", "WarmupPercentage": 100}
    ]
    assert ses.get_dedicated_ips(NextToken=page["NextToken"])["DedicatedIps"][0]["Ip"] == IP6
    assert len(ses.get_dedicated_ips(PoolName="news")["DedicatedIps"]) == 1
    with refused("NotFoundException", 404):
        ses.get_dedicated_ips(PoolName="other")
    ses_sandbox.standing(
        dedicated_ips=[{"ip": IP}, {"ip": IP6}],
        dashboard=True,
        listings=[{"ip": IP, "list": "zen.example", "description": "Spam trap"}],
    )
    report = ses.get_blacklist_reports(BlacklistItemNames=[IP, IP6])["BlacklistReport"]
    assert report[IP][0]["RblName"] == "zen.example"
    assert report[IP6] == []
    with refused("NotFoundException", 404):
        ses.get_blacklist_reports(BlacklistItemNames=["192.0.2.9"])


def query(metric: str, **changes: Any) -> Any:
    return {
        "Id": metric.lower(),
        "Namespace": "VDM",
        "Metric": metric,
        "Dimensions": {"ISP": "Gmail"},
        "StartDate": NOW - timedelta(days=2),
        "EndDate": NOW,
        **changes,
    }


def test_vdm_tells_what_it_has_where_it_is_on(ses: SESV2Client, ses_sandbox: SandboxServer) -> None:
    with refused("BadRequestException", match="not enabled"):
        ses.batch_get_metric_data(Queries=[query("SEND")])
    with refused("BadRequestException", match="not enabled"):
        ses.list_recommendations()
    ses_sandbox.account(engagement_metrics="DISABLED")
    ses_sandbox.standing(
        metrics={"SEND": {"Gmail": 5, "Yahoo": 7}, "OPEN": {"Gmail": 3}},
        failed=["COMPLAINT"],
        recommendations=[
            {"resource": ARN, "type": "DMARC", "description": "No DMARC", "impact": "HIGH"},
            {"resource": ARN, "type": "SPF", "description": "No SPF", "status": "FIXED"},
        ],
    )
    answer = ses.batch_get_metric_data(
        Queries=[
            query("SEND"),
            query("SEND", Id="all", Dimensions={"EMAIL_IDENTITY": "example.com"}),
            query("OPEN"),
            query("COMPLAINT"),
        ]
    )
    values = {each["Id"]: each["Values"] for each in answer["Results"]}
    assert values == {"send": [5, 5], "all": [12, 12], "open": []}
    assert answer["Results"][0]["Timestamps"][0] == NOW - timedelta(days=2)
    assert answer["Errors"][0]["Code"] == "INTERNAL_FAILURE"
    [found] = ses.list_recommendations(Filter={"STATUS": "OPEN"})["Recommendations"]
    assert (found["Type"], found["Impact"]) == ("DMARC", "HIGH")
    with refused("TooManyRequestsException", 429):  # once a second
        ses.list_recommendations()
    with refused("BadRequestException", match="at most 10"):
        ses.batch_get_metric_data(Queries=[query("SEND", Id=str(n)) for n in range(11)])
    with refused("BadRequestException", match="must differ"):
        ses.batch_get_metric_data(Queries=[query("SEND"), query("SEND")])
    with refused("BadRequestException", match="enum"):
        ses.batch_get_metric_data(Queries=[query("LAUGH")])
    with refused("BadRequestException", match="before"):
        ses.batch_get_metric_data(Queries=[query("SEND", StartDate=NOW)])


def test_what_the_caller_may_not_is_denied(ses: SESV2Client, ses_sandbox: SandboxServer) -> None:
    ses_sandbox.standing(denied=["GetDedicatedIps"])
    with refused("AccessDeniedException", 403, "ses:GetDedicatedIps"):
        ses.get_dedicated_ips()
    ses_sandbox.reset()
    assert ses.get_dedicated_ips()["DedicatedIps"] == []
