"""A real SES account: `pytest -m live`. Mails go to SES's mailbox simulator and nowhere else: they
touch neither reputation nor daily quota, and cost a few cents in a thousand runs.

docs/preflight.md says which variables it needs. Without LIVE_SQS_QUEUE_URL no events arrive, and
the scenes end where SES has accepted the mails.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.support.factories import Arrange
from tests.support.scenes import SCENES, SIMULATOR, Stage
from tests.support.service import client, environment, process
from tests.support.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

NEEDED = ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SES_FROM_EMAIL")
PASSED_ON = (*NEEDED, "AWS_SESSION_TOKEN", "SES_CONFIGURATION_SET", "SNS_ALLOWED_TOPIC_ARNS")
QUEUE = "LIVE_SQS_QUEUE_URL"


class Queue:
    """An SQS queue that is subscribed to the topic: it takes the events where SNS can't reach us.
    Their signatures are SNS's own, so they are verified as everywhere."""

    def __init__(self, url: str, variables: dict[str, str], http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http
        self._sqs: Any = boto3.session.Session(
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=variables.get("AWS_SESSION_TOKEN"),
            region_name=variables["AWS_REGION"],
        ).client("sqs")

    async def hand_over(self) -> None:
        """Post what is in the queue to the service, and delete what it took."""
        received = await asyncio.to_thread(
            self._sqs.receive_message,
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=2,
        )
        for message in received.get("Messages", []):
            answer = await self._http.post(
                "/ses-events", content=message["Body"], headers={"Content-Type": "text/plain"}
            )
            assert answer.status_code == 200, answer.text
            await asyncio.to_thread(
                self._sqs.delete_message,
                QueueUrl=self._url,
                ReceiptHandle=message["ReceiptHandle"],
            )


async def nothing_to_fetch() -> None:
    """No queue, no events."""


@pytest.fixture
async def stage(
    outer_environment: dict[str, str], dsn: str, tmp_path: Path, arrange: Arrange
) -> AsyncIterator[Stage]:
    """`amazonsender serve` before Amazon SES."""
    missing = [name for name in NEEDED if not outer_environment.get(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not set")
    given = {name: outer_environment[name] for name in PASSED_ON if outer_environment.get(name)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    defaults: dict[str, str | None] = {
        "SES_CONFIGURATION_SET": None,
        "SNS_ALLOWED_TOPIC_ARNS": None,
        "RATE_LIMIT_PER_SEC": None,
    }
    variables = environment(
        dsn,
        None,
        **defaults
        | given
        | {
            "PORT": str(port),
            # Sending asks for https. Nobody opens the links of these mails.
            "APP_BASE_URL": "https://amazonsender.example.com",
            "TEST_EMAILS": f"success+test@{SIMULATOR}",
        },
    )
    base = f"http://127.0.0.1:{port}"
    async with client(base, timeout=10) as http:
        with process(tmp_path, variables, "serve") as service:

            async def healthy() -> bool:
                assert service.child.poll() is None, service.log
                try:
                    report = (await http.get("/health")).json()
                except httpx.TransportError:
                    return False
                return bool(report["checks"]["ses"]["status"] == "ok")

            await eventually(healthy, until=bool, seconds=60)
            url = outer_environment.get(QUEUE)
            fetch = Queue(url, variables, http).hand_over if url else nothing_to_fetch
            yield Stage(http, arrange, fetch, has_events=url is not None, seconds=300)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_scene(stage: Stage, scene: Callable[[Stage], Awaitable[None]]) -> None:
    await scene(stage)
