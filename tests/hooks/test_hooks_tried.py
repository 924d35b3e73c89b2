"""A person has an example sent, and sees what was answered: by program, page and command."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.domain.hooks.events import SAMPLES
from tests.hooks.conftest import Receiver
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange
from tests.support.local_server import Reply
from tests.support.service import BEARER, command, environment, in_process, settings_for


@pytest.mark.short
async def test_an_example_is_sent_and_its_answer_told(
    dsn: str, arrange: Arrange, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.hooks.deliver.POLL_SECONDS", 0.05)
    await arrange.subscriber("ann@example.org", fields={"plan": "gold"})
    settings = settings_for(dsn, None, AWS_REGION=None, HOOKS_ALLOW_PRIVATE="true")
    async with in_process(settings) as service, signed_in(service) as visitor:
        service.http.headers.update(BEARER)
        body = {"url": receiver.hook_url, "events": ["mailout.finished", "subscriber.created"]}
        made = (await service.http.post("/hooks", json=body)).json()
        path = f"/hooks/{made['id']}"

        sent = (await service.http.post(f"{path}/test")).json()
        assert (sent["state"], sent["status"], sent["type"]) == ("done", 204, "mailout.finished")
        chosen = {"event": "subscriber.created"}
        sent = (await service.http.post(f"{path}/test", json=chosen)).json()
        assert (sent["state"], sent["type"]) == ("done", "subscriber.created")
        came = receiver.received[-1].verified(made["secret"])
        assert came["id"] == sent["event_id"]
        assert came["data"]["test"] is True
        assert came["data"]["fields"] == {"plan": "example"}  # this list's own, to be mapped
        assert came["data"].keys() - {"test"} == SAMPLES["subscriber.created"].keys()
        for bad in ({"event": "x"}, {"events": ["mailout.finished"]}):
            assert (await service.http.post(f"{path}/test", json=bad)).status_code == 422

        assert "Of which event" in (await visitor.get(f"{path}/test")).text
        answer = await visitor.post(f"{path}/test", event="mailout.finished")
        page = (await visitor.get(answer.headers["location"].removeprefix("/dashboard"))).text
        assert "The sample was taken.</b> It answered 204." in page
        variables = environment(dsn, None)
        done = await asyncio.to_thread(command, tmp_path, variables, "hooks", "test", made["id"])
        assert (done.returncode, done.stdout) == (0, "Delivered: it answered 204.\n")

        receiver.answer = lambda _: Reply(500, b"no")
        failed = (await service.http.post(f"{path}/test")).json()
        assert (failed["state"], failed["status"]) == ("waiting", 500)
        assert failed["error"] == "It answered 500."
        answer = await visitor.post(f"{path}/test")
        page = (await visitor.get(answer.headers["location"].removeprefix("/dashboard"))).text
        assert "The sample wasn’t taken.</b> It answered 500. It is tried again" in page
        assert "Nothing could be delivered since" in page
        done = await asyncio.to_thread(command, tmp_path, variables, "hooks", "test", made["id"])
        assert (done.returncode, done.stderr.startswith("It answered 500.")) == (1, True)


async def test_without_a_process_that_works_nobody_waits_for_ever(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(dsn, None, AWS_REGION=None)
    async with in_process(settings, with_sender=False) as service:
        service.http.headers.update(BEARER)
        body = {"url": "https://example.com/x", "event": "mailout.finished"}
        made = (await service.http.post("/hooks", json=body)).json()
        monkeypatch.setattr("app.services.hooks.trying.ANSWER_SECONDS", 0)
        sent = (await service.http.post(f"/hooks/{made['id']}/test")).json()
        assert (sent["state"], sent["attempts"]) == ("waiting", 0)
        async with signed_in(service) as visitor:
            page = (await visitor.get(f"/hooks/{made['id']}?test={sent['id']}")).text
        assert "is the process that works running?" in page
