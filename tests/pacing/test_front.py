"""A warm-up is started, seen and stopped: by the API, on the pages, by the command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.pacing import warmup
from app.domain.pacing.plan import Day, read_plan, standard_plan, to_csv
from app.errors import InvalidRequest
from app.services.pacing.files import read_plan_file
from app.services.pacing.keep import KeepPacing
from tests.pacing.conftest import a_mailout_to, a_pace, all_domains, sender_on
from tests.support.dashboard import Visitor, signed_in
from tests.support.factories import REGION, Arrange
from tests.support.service import BEARER, Service, command, environment, in_process, settings_for

OTHER = "eu-west-1"


@pytest.fixture
async def service(dsn: str) -> AsyncIterator[Service]:
    """With two regions, and no sender of its own."""
    settings = settings_for(
        dsn, None, AWS_REGION=REGION, SES_REGIONS=f"{REGION},{OTHER}", PROVIDER_PACING="true"
    )
    async with in_process(settings, with_sender=False) as running:
        yield running


@pytest.fixture
async def visitor(service: Service) -> AsyncIterator[Visitor]:
    async with signed_in(service) as person:
        yield person


async def opened(service: Service) -> None:
    await KeepPacing(service.services.store, service.services.settings).look(every_seconds=0)


async def metric(service: Service, name: str) -> list[str]:
    text = (await service.http.get("/metrics")).text
    return [line for line in text.splitlines() if line.startswith(f"amazonsender_{name}{{")]


async def test_the_api_starts_shows_and_stops_it(service: Service, arrange: Arrange) -> None:
    async def call(method: str, path: str, **body: Any) -> Any:
        answer = await service.http.request(method, path, json=body or None, headers=BEARER)
        return answer.status_code, answer.json() if answer.content else None

    status, plan = await call("GET", "/warmup/plan?target=400")
    assert status == 200 and [day["total"] for day in plan["days"]] == [50, 100, 200, 400]
    days = [{"total": 3, "providers": {"googlemail.com": 2}}, 6]
    status, started = await call("POST", f"/warmup/{REGION}", plan=days)
    assert (status, started["plan_days"], started["today"]) == (201, 2, None)
    assert (await call("POST", f"/warmup/{REGION}", target=50))[1]["code"] == "warmup_running"
    for path, body in (
        ("/warmup/mars-1", {"target": 50}),
        (f"/warmup/{OTHER}", {"plan": [{"total": 0}]}),
        (f"/warmup/{OTHER}", {"plan": [3], "target": 50}),
        (f"/warmup/{OTHER}", {"target": 3}),
    ):
        assert (await call("POST", path, **body))[0] == 422, body

    await opened(service)
    store = service.services.store
    mailout = await a_mailout_to(store, arrange, gmail=5, example=5)
    await all_domains(store, mailout, await sender_on(store))
    await a_pace(arrange, "Gmail", rate=2.5, region=OTHER)
    [shown] = (await call("GET", "/warmup"))[1]["items"]
    assert (shown["day_number"], shown["remains"], shown["today"]["used"]) == (1, 0, 3)
    assert shown["today"]["caps"] == {"Gmail": 2}
    [slow] = (await call("GET", "/pacing"))[1]["items"]
    assert (slow["region"], slow["key"], slow["rate"]) == (OTHER, "Gmail", 2.5)
    assert await metric(service, "warmup_used_recipients") == [
        f'amazonsender_warmup_used_recipients{{region="{REGION}"}} 3.0'
    ]
    assert await metric(service, "provider_paced_rate") == [
        f'amazonsender_provider_paced_rate{{provider="Gmail",region="{OTHER}"}} 2.5'
    ]
    await opened(service)
    waiting = (await call("GET", f"/mailouts/{mailout}"))[1]["status_reason"]
    assert waiting.startswith(f"Waiting for the warm-up of {REGION}: today's 3 mails are sent.")

    assert (await call("DELETE", f"/warmup/{REGION}"))[0] == 204
    assert (await call("DELETE", f"/warmup/{REGION}"))[1]["code"] == "warmup_not_running"
    for odd in ("%00", "a%00b"):
        for method in ("POST", "DELETE"):
            assert (await call(method, f"/warmup/{odd}", target=50))[0] == 422


async def test_the_pages(service: Service, visitor: Visitor, arrange: Arrange) -> None:
    assert "No warm-up" in (await visitor.get("/warmup")).text
    refused = await visitor.post("/warmup", route=REGION, target="", plan="total\nfifty\n")
    assert refused.status_code == 422
    assert "day 1: total is a whole number" in refused.text and "fifty" in refused.text
    begun = await visitor.post("/warmup", route=REGION, target="50,000", plan="")
    assert begun.headers["location"] == "/dashboard/warmup?notice=started"
    assert "Today isn’t open yet" in (await visitor.get("/warmup")).text

    await opened(service)
    store = service.services.store
    mailout = await a_mailout_to(store, arrange, gmail=40, example=10)
    await all_domains(store, mailout, await sender_on(store))
    await a_pace(arrange, "Gmail", rate=0.5)
    shown = (await visitor.get("/warmup")).text
    assert "35<small>of 50</small>" in shown.replace("\n", "")
    assert "12 of 60 mails that it answered were deferred (20%)" in shown
    assert "30 a minute" in shown
    on_mailout = (await visitor.get(f"/mailouts/{mailout}")).text
    assert "Held back by mailbox provider" in on_mailout
    assert "it defers mail, so it is sent less, and its part of today’s warm-up" in on_mailout

    assert "Stop the warm-up of" in (await visitor.get(f"/warmup/{REGION}/stop")).text
    done = await visitor.post(f"/warmup/{REGION}/stop")
    assert done.headers["location"].endswith("stopped")
    assert (await visitor.post(f"/warmup/{REGION}/stop")).headers["location"].endswith("late")
    assert (await visitor.get(f"/warmup/{REGION}/stop")).headers["location"].endswith("late")
    acts = await arrange.sql.execute(
        "select action, by from audit_log where target = %s order by id", [REGION]
    )
    assert [(row["action"], row["by"]) async for row in acts] == [
        ("warmup.start", "dashboard"), ("warmup.stop", "dashboard"),
    ]  # fmt: skip


async def test_a_preflight_says_how_long_it_takes(
    service: Service, visitor: Visitor, arrange: Arrange
) -> None:
    await arrange.sql.execute(
        "insert into subscribers (email) select format('reader%%s@%%s', n, case when n %% 3 > 0 "
        "then 'gmail.com' else 'example.org' end) from generate_series(1, 150) n",
        [],
    )
    mailout = await arrange.mailout()

    async def said() -> list[str]:
        answer = await service.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
        findings = answer.json()["findings"]
        return [f["what"] + f["remedy"] for f in findings if "warm-up" in f["what"] + f["remedy"]
                or "warmed up" in f["what"]]  # fmt: skip

    assert await said() == []
    start = service.services.store.start_warmup
    await start(
        REGION, plan=[{"total": 30, "providers": {"Gmail": 10}}] * 20,
        mailboxes=[], zone="UTC", by="me",
    )  # fmt: skip
    [by_other] = await said()
    assert by_other == (f"{REGION} is being warmed up; what that may not send goes out by {OTHER}.")
    await arrange.sql.execute("update mailouts set region = %s", [REGION])
    [alone] = await said()
    assert alone.startswith(
        f"This mailout to 150 recipients takes 10 days at the warm-up of {REGION}, up to "
    )
    assert "send to fewer people first" in alone
    await arrange.sql.execute("update mailouts set status = 'draft'")
    released = (await visitor.get(f"/mailouts/{mailout}/release")).text
    assert "takes 10 days at the warm-up of" in released  # not so many seconds
    assert "a warm-up holds it" in released
    await arrange.sql.execute("update mailouts set region = null")
    await start(OTHER, plan=[{"total": 1_000}], mailboxes=[], zone="UTC", by="me")
    [both] = await said()
    assert both == f"The warm-up of {REGION} and {OTHER} has room for it today."


async def test_the_command(dsn: str, arrange: Arrange, tmp_path: Path) -> None:
    plan = standard_plan(300)
    printed = CliRunner().invoke(warmup.app, ["plan", "--target", "300"])
    assert printed.output == to_csv(plan)
    (tmp_path / "plan.csv").write_text(printed.output)

    async def run(*arguments: str) -> tuple[int, str]:
        variables = environment(dsn, None, AWS_REGION=REGION)
        done = await asyncio.to_thread(command, tmp_path, variables, "warmup", *arguments)
        return done.returncode, done.stdout + done.stderr

    code, said = await run("start", REGION, "--plan", "plan.csv")
    assert code == 0 and "in 4 days up to 300 mails a day" in said
    assert read_plan(await arrange.one("select plan from warmups")) == plan
    _, said = await run("show")
    assert said == f"{REGION}  running  day 1 of 4  not open yet: a running sender opens it\n"
    await arrange.sql.execute("update warmups set state = 'stopped'")
    code, said = await run("stop", REGION)
    assert code == 1 and said == f"amazonsender: {REGION} isn't being warmed up.\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"plan": [5, 4]}', "day 2: 4 is less than the day before"),
        (b"[5", "the file is no JSON"),
        (b"total\n\xff", "save the file as UTF-8"),
        (b"\xef\xbb\xbftotal\nx", "day 1: total is a whole number"),
    ],
)
def test_a_file_is_refused_with_what_is_wrong(data: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read_plan_file(data)
    assert read_plan_file(b'\xef\xbb\xbf[5, {"total": 6}]') == (Day(5), Day(6))
