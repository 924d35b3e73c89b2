"""A mailout may be kept to one region: by the API, the command line and the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.sandbox.server import Remote, SandboxServer
from app.store import Store
from tests.regions.conftest import AWAY, HOME, two_regions
from tests.support.dashboard import Visitor, signed_in
from tests.support.factories import Arrange, an_account
from tests.support.service import (
    BEARER,
    Service,
    command,
    environment,
    in_process,
    settings_for,
)
from tests.support.waiting import eventually

LETTER = {"subject": "Hello", "body_markdown": "Hi {{ name | default: 'you' }}"}


async def create(service: Service, **columns: Any) -> httpx.Response:
    return await service.http.post("/mailouts", json=LETTER | columns, headers=BEARER)


async def test_the_api_keeps_it_shows_it_copies_it_and_lets_it_go(service: Service) -> None:
    made = (await create(service, region=AWAY)).json()
    assert made["region"] == AWAY
    path = f"/mailouts/{made['id']}"
    copy = await service.http.post(f"{path}/duplicate", headers=BEARER)
    assert copy.json()["region"] == AWAY
    refused = await service.http.patch(
        path, json={"region": "ap-south-1"}, headers=BEARER | {"If-Match": "*"}
    )
    assert refused.status_code == 422
    assert f"region: nothing is sent from ap-south-1; there are {HOME}, {AWAY}." in refused.text
    freed = await service.http.patch(
        path, json={"region": None}, headers=BEARER | {"If-Match": f'"{made["version"]}"'}
    )
    assert freed.json()["region"] is None
    assert freed.json()["version"] == made["version"] + 1, "it counts as an edit"
    history = (await service.http.get("/audit", headers=BEARER)).json()["items"]
    edit = next(each for each in history if each["action"] == "mailout.edit")
    assert edit["before"]["region"] == AWAY and "region" not in edit["after"]


async def test_it_is_sent_from_that_region_alone_and_tests_too(
    service: Service, arrange: Arrange, home: SandboxServer, away: Remote
) -> None:
    await arrange.subscribers(60)
    kept = await arrange.mailout(region=AWAY)
    assert (await service.send(kept, test=True)).status_code == 202
    await eventually(lambda: _count(away), until=lambda n: n == 2)
    answer = (await service.send(kept)).json()
    assert answer["recipients"] == 60
    await eventually(lambda: service.show(kept), until=lambda m: m["status"] == "sent")
    assert {line["route"] for line in home.accepted()} == {AWAY}
    assert len(home.accepted()) == 62


async def _count(remote: Remote) -> int:
    return int(remote.stats()["accepted"])


async def test_one_that_is_kept_to_a_region_that_is_gone_is_refused_with_the_remedy(
    dsn: str, arrange: Arrange, home: SandboxServer
) -> None:
    await arrange.subscribers(1)
    kept = await arrange.mailout(region=AWAY)
    async with in_process(settings_for(dsn, home.url), with_sender=False) as service:
        refused = (await service.send(kept)).json()
        assert f"kept to {AWAY}, from which nothing is sent. Add it to SES_REGIONS" in str(refused)
        preflight = await service.http.post(f"/mailouts/{kept}/preflight", headers=BEARER)
        found = [each for each in preflight.json()["findings"] if AWAY in each["what"]]
        assert [each["level"] for each in found] == ["fail"]
        async with signed_in(service) as person:
            page = (await person.get(f"/mailouts/{kept}/edit")).text
            assert f"<option selected>{AWAY}</option>" in page, "it can be seen and changed"
    assert (await arrange.one("select status from mailouts")) == "ready"


async def test_whoever_is_left_when_its_region_is_given_up_can_still_be_mailed(
    dsn: str, arrange: Arrange, home: SandboxServer
) -> None:
    await arrange.subscribers(3)
    kept = await arrange.mailout(region=AWAY)
    async with in_process(two_regions(dsn, home), with_sender=False) as service:
        assert (await service.send(kept)).status_code == 202
    async with in_process(settings_for(dsn, home.url)) as service:
        path, any_version = f"/mailouts/{kept}", BEARER | {"If-Match": "*"}
        held = await eventually(lambda: service.show(kept), until=lambda m: m["status"] == "paused")
        assert f"mailouts update {kept} --clear region" in held["status_reason"]
        for change in ({"subject": "Other"}, {"region": None, "subject": "Other"}):
            refused = await service.http.patch(path, json=change, headers=any_version)
            assert refused.status_code == 409 and "its region alone" in refused.text
        freed = await service.http.patch(path, json={"region": None}, headers=any_version)
        assert freed.status_code == 200, freed.text
        assert (freed.json()["status"], freed.json()["status_reason"]) == (
            "paused", held["status_reason"],
        )  # fmt: skip
        await service.http.post(f"{path}/resume", headers=BEARER)
        await eventually(lambda: service.show(kept), until=lambda m: m["status"] == "sent")
        again = await service.http.patch(path, json={"region": HOME}, headers=any_version)
        assert again.status_code == 409, "it is over"
    assert [line["route"] for line in home.accepted()] == [HOME] * 3


@pytest.mark.short
async def test_the_page_offers_the_regions_where_there_are_several(
    visitor: Visitor, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft", subject="Hello", body_html=None, body_markdown="Hi")
    path = f"/mailouts/{mailout}/edit"
    page = (await visitor.get(path)).text
    assert '<select id="region"' in page and f"<option>{AWAY}</option>" in page
    fields = {"subject": "Hello", "body": "Hi", "format": "markdown"}
    version = str(await arrange.one("select version from mailouts"))
    saved = await visitor.post(path, version=version, region=AWAY, **fields)
    assert saved.status_code == 303
    assert f"<option selected>{AWAY}</option>" in (await visitor.get(path)).text
    await arrange.subscribers(1)
    assert f"{AWAY} alone" in (await visitor.get(f"/mailouts/{mailout}/release")).text
    version = str(await arrange.one("select version from mailouts"))
    await visitor.post(path, version=version, region="", **fields)
    assert await arrange.one("select region from mailouts") is None


async def test_with_one_region_the_page_has_no_such_field(dsn: str, arrange: Arrange) -> None:
    mailout = await arrange.mailout("draft")
    running = in_process(settings_for(dsn, None), with_sender=False)
    async with running as service, signed_in(service) as person:
        assert 'id="region"' not in (await person.get(f"/mailouts/{mailout}/edit")).text


@pytest.mark.short  # three processes
async def test_the_command_line_keeps_it_and_lets_it_go(
    tmp_path: Path, dsn: str, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft")
    both = environment(dsn, None, SES_REGIONS=f"{HOME},{AWAY}")
    update = ("mailouts", "update", str(mailout))
    kept = command(tmp_path, both, *update, "--region", AWAY)
    assert kept.returncode == 0, kept.stderr
    assert await arrange.one("select region from mailouts") == AWAY
    refused = command(tmp_path, both, *update, "--region", "mars-north-1")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"there are {HOME}, {AWAY}" in refused.stderr
    freed = command(tmp_path, both, *update, "--clear", "region")
    assert freed.returncode == 0, freed.stderr
    assert await arrange.one("select region from mailouts") is None


async def test_what_sending_takes_is_the_sum_of_the_regions(store: Store) -> None:
    both = [HOME, AWAY]
    await store.record_account(HOME, an_account(max_send_rate=10, max_24h_send=100))
    one = await store.send_outlook(both, None, 90)
    assert one == await store.send_outlook([HOME], None, 90), "what isn't known isn't guessed"
    await store.record_account(
        AWAY, an_account(max_send_rate=20, max_24h_send=1000, sent_last_24h=700)
    )
    together = await store.send_outlook(both, None, 270)
    assert together == {
        "quota_left": 400, "daily_quota": 1100, "rate": 27, "seconds": 10, "days": 1
    }  # fmt: skip
    assert (await store.send_outlook([AWAY], None, 270))["rate"] == 18
    assert (await store.send_outlook(both, 5, 270))["rate"] == 10, "each has its own limit"
    stopped = an_account(max_send_rate=20, max_24h_send=1000, sending_enabled=False)
    await store.record_account(AWAY, stopped)
    assert await store.send_outlook(both, None, 90) == one, "it lets nothing go"
    await store.record_account(AWAY, an_account(max_send_rate=20, max_24h_send=-1))
    unlimited = await store.send_outlook(both, None, 270)
    assert unlimited == {"rate": 27, "seconds": 10, "days": 1}


@pytest.mark.parametrize("region", [AWAY, None])
async def test_preflight_looks_at_the_regions_that_a_mailout_takes(
    service: Service, arrange: Arrange, away: Remote, region: str | None
) -> None:
    """When the only one it takes can't send, that stops it; else it is only said."""
    await arrange.subscribers(1)
    away.account(sending_enabled=False)
    mailout = await arrange.mailout(region=region)
    report = (await service.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)).json()
    found = [each for each in report["findings"] if "switched off" in each["what"]]
    if region:
        assert [(each["level"], each["what"]) for each in found] == [
            ("fail", "Sending is switched off for this account.")
        ]
    else:
        assert [(each["level"], each["what"]) for each in found] == [
            ("warn", f"{AWAY}: Sending is switched off for this account.")
        ]
    away.account(sending_enabled=True)
