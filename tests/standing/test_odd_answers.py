"""What makes no sense is unknown, and one region's silence keeps no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.adapters.aws.standing import SesStanding
from app.errors import Unavailable
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.standing.look import LookAtStanding
from app.store import Store
from tests.support.local_server import LocalServer, Reply
from tests.support.service import settings_for

HOME, AWAY = "us-east-1", "eu-west-1"


class Odd(LocalServer):
    """Answers everything alike."""

    reply = Reply()

    def respond(self, _path: str, _body: bytes, _headers: dict[str, str]) -> Reply:
        return self.reply


@pytest.fixture(scope="module")
def odd() -> Iterator[Odd]:
    with Odd() as server:
        yield server


QUESTIONS: dict[str, Callable[[SesStanding], Any]] = {
    "account": lambda ses: ses.get_account(),
    "entities": lambda ses: ses.entities(),
    "ips": lambda ses: ses.dedicated_ips(),
    "lists": lambda ses: ses.blacklists(["192.0.2.1"]),
    "advice": lambda ses: ses.advice(),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"ReputationEntities": [{}], "DedicatedIps": [{"Ip": "x"}], "Recommendations": [{}],'
        b' "BlacklistReport": {"x": [{}]}, "SendQuota": {}}',
        b"<html>a proxy</html>",
        b'{"ReputationEn',
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(odd: Odd, question: str, body: bytes) -> None:
    odd.reply = Reply(200, body)
    ses = SesStanding(settings_for("postgresql://unused", odd.url), HOME)
    with pytest.raises(Unavailable, match="SES did not answer"):
        QUESTIONS[question](ses)


def test_what_it_says_is_shown_without_addresses_and_marks(odd: Odd) -> None:
    odd.reply = Reply.error("BadRequestException", "No <b>way</b>, ann@example.com\n!")
    ses = SesStanding(settings_for("postgresql://unused", odd.url), HOME)
    with pytest.raises(Unavailable) as refused:
        ses.entities()
    assert "ann@" not in refused.value.detail
    assert "\n" not in refused.value.detail


def test_a_list_without_an_end_is_cut(odd: Odd) -> None:
    one = {"Ip": "192.0.2.1", "WarmupStatus": "DONE", "WarmupPercentage": 100}
    odd.reply = Reply.json({"DedicatedIps": [one] * 300, "NextToken": "again"})
    ses = SesStanding(settings_for("postgresql://unused", odd.url), HOME)
    assert len(ses.dedicated_ips()) == 1_000


async def test_each_region_is_looked_at_and_one_that_is_silent_keeps_no_other(
    direct_store: Store, odd: Odd
) -> None:
    odd.reply = Reply(500, b"")
    with SandboxServer(SandboxConfig()) as home:
        home.account(enforcement_status="PROBATION")
        ours = settings_for(
            "postgresql://unused",
            home.url,
            SES_REGIONS=f"{AWAY},{HOME}",
            AWS_ENDPOINT_URL_SESV2_EU_WEST_1=odd.url,
        )
        await LookAtStanding(direct_store, ours, SesStanding, None).look()
    found = await direct_store.show_standing()
    away, at_home = found["regions"]
    assert (away["region"], away["sample"]["account"]) == (AWAY, None)
    assert away["sample"]["entities"]["state"] == "unknown"
    assert at_home["sample"]["account"]["enforcement_status"] == "PROBATION"
    assert [alarm["code"] for alarm in found["alarms"]] == [f"account:{HOME}:sending"]
