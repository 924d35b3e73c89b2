"""`amazonsender sandbox --sendgrid --mailgun`: both at its address, posting to a service."""

from __future__ import annotations

import orjson

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from tests.providers.conftest import mailgun_sender, sendgrid_sender
from tests.providers.letters import letter
from tests.providers.test_sending import people, send
from tests.support.local_server import LocalServer, Reply
from tests.support.waiting import eventually


class Receiver(LocalServer):
    """Takes webhooks, the first of each provider at the second try only."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.told: dict[str, list[str]] = {"/sendgrid-events": [], "/mailgun-events": []}

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        if path not in self.refused:
            self.refused.add(path)
            return Reply(503)
        said = orjson.loads(body)
        events = said if isinstance(said, list) else [said["event-data"]]
        self.told[path] += [event["event"] for event in events]
        return Reply(200)


async def test_mail_is_taken_and_told_of_until_it_is_heard() -> None:
    one = letter()
    with Receiver() as receiver:
        config = SandboxConfig(sendgrid=True, mailgun=True, provider_events=receiver.url)
        assert SandboxConfig.from_json(config.to_json()) == config
        with SandboxServer(config) as sandbox:
            for sender in (
                sendgrid_sender(sandbox.url, "SG.sandbox.sandbox"),
                mailgun_sender(sandbox.url, "key-sandbox", "mg.example.com"),
            ):
                [answer] = send(sender, one, people(one, "ann"))
                assert answer.outcome == "sent"
                [mail] = sandbox.control.get(f"/sandbox/{sender.name}/mails").json()["mails"]
                assert mail["subject"] == "News for Ann"
                sandbox.control.put(f"/sandbox/{sender.name}/faults", json={"status": 500})
                [answer] = send(sender, one, people(one, "bob"))
                assert answer.outcome == "unknown"
                sender.close()

            async def told() -> list[list[str]]:
                return [sorted(events) for events in receiver.told.values()]

            await eventually(
                told,
                until=lambda seen: seen == [["delivered", "processed"], ["accepted", "delivered"]],
            )
