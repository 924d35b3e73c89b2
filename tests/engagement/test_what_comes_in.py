"""Opens and clicks as Amazon SNS posts them: genuine ones are kept without a trace of whose machine
it was, others not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from tests.contract.test_people_store import everything
from tests.support.engagement import BROWSER, SOMEWHERE, mailed, told, tracked_mailout
from tests.support.factories import Arrange
from tests.support.local_server import LocalServer, Reply
from tests.support.service import TOPIC, Service, in_process, settings_for
from tests.support.sns import SnsSigner, body_of, headers_of

SIGNER, STRANGER = SnsSigner(), SnsSigner()


class Certificates(LocalServer):
    """Where SNS's certificate is."""

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        return Reply(body=SIGNER.certificate_pem)


@pytest.fixture
def certificates() -> Iterator[Certificates]:
    with Certificates() as server:
        yield server


@pytest.fixture
async def web(dsn: str, certificates: Certificates) -> AsyncIterator[Service]:
    settings = settings_for(dsn, None, AWS_ENDPOINT_URL_SNS=certificates.url)
    async with in_process(settings, with_sender=False) as service:
        yield service


async def test_only_what_is_genuine_is_kept_and_nothing_personal(
    web: Service, arrange: Arrange, certificates: Certificates
) -> None:
    mail = await mailed(arrange, await tracked_mailout(arrange))

    async def post(signer: SnsSigner, kind: str, **fields: str) -> int:
        event = told(mail, kind, link="https://us.example/unsubscribe?token=SECRET.token")
        message = signer.notification(
            event,
            **{
                "TopicArn": TOPIC,
                "SigningCertURL": f"{certificates.url}/SimpleNotificationService-a.pem",
            }
            | fields,
        )
        answer = await web.http.post(
            "/ses-events", content=body_of(message), headers=headers_of(message)
        )
        return answer.status_code

    with structlog.testing.capture_logs() as logged:
        assert await post(STRANGER, "Open") == 403
        assert await post(STRANGER, "Click") == 403
        assert await post(SIGNER, "Click", TopicArn="arn:aws:sns:us-east-1:1:other") == 403
        assert await arrange.one("select count(*) from ses_events") == 0
        assert await arrange.one("select count(*) from engagement_recipients") == 0
        assert await post(SIGNER, "Open") == 200
        assert await post(SIGNER, "Click") == 200
    assert await arrange.one("select sum(events) from engagement_signals") == 2
    url = await arrange.one("select url from mailout_links")
    assert url == "https://us.example/unsubscribe?token=***"
    kept, said = await everything(arrange), str(logged).lower()
    for personal in (SOMEWHERE, BROWSER.lower(), "firefox", "secret"):
        assert personal not in kept, personal
        assert personal not in said, personal
    assert {line["event"] for line in logged} >= {"events_recorded"}
