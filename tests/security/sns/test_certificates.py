"""Whose certificate is believed, and what it costs to look for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.adapters.aws.certificates import AT_ONCE
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.server import SandboxServer
from tests.security.fortress import fortress_at
from tests.security.sns.amazon import PATH, STRANGER, Amazon, Sns
from tests.support.databases import DatabaseServer
from tests.support.local_server import Reply

HOST = "https://sns.us-east-1.amazonaws.com"
NAME = "SimpleNotificationService-1.pem"


async def forged(sns: Sns, *urls: str) -> None:
    """Validly signed by whoever holds the certificates at these."""
    async with sns.fortress.untouched():
        for url in urls:
            for envelope in (
                sns.notification(by=STRANGER, SigningCertURL=url),
                sns.confirmation(by=STRANGER, SigningCertURL=url),
            ):
                assert (await sns.post(envelope)).status_code == 403, url


async def test_01_a_bucket_of_anybody(sns: Sns) -> None:
    await forged(
        sns,
        f"https://evil.s3.amazonaws.com/{NAME}",
        f"https://s3.amazonaws.com/sns.us-east-1.amazonaws.com/{NAME}",
        f"https://sns-us-east-1.amazonaws.com/{NAME}",
        f"https://evil.sns.us-east-1.amazonaws.com/{NAME}",
        f"https://sns.us-east-1.vpce.amazonaws.com/{NAME}",
    )


async def test_02_a_bucket_called_sns(sns: Sns) -> None:
    await forged(
        sns,
        f"https://sns.s3-ap-southeast-2.amazonaws.com/{NAME}",
        f"https://sns.s3.us-east-1.amazonaws.com/{NAME}",
        f"https://sns.s3-website-us-east-1.amazonaws.com/{NAME}",
        f"https://sns.s3.amazonaws.com/{NAME}",
        f"https://sns.amazonaws.com/{NAME}",
    )


async def test_03_another_host_that_looks_like_it(sns: Sns) -> None:
    await forged(
        sns,
        f"{HOST}.evil.test/{NAME}",
        f"{HOST}@evil.test/{NAME}",
        f"https://evil.test@sns.us-east-1.amazonaws.com/{NAME}",
        f"https://a:b@sns.us-east-1.amazonaws.com/{NAME}",
        f"https://evil.test/{NAME}#.pem",
        f"{HOST}/{NAME}#.pem",
        f"{HOST}/{NAME}?x=.pem",
        f"https://evil.test\\@sns.us-east-1.amazonaws.com/{NAME}",
        f"https://evil.test#@sns.us-east-1.amazonaws.com/{NAME}",
        f"{HOST}/{NAME}\n",
        f"{HOST}/{NAME}\r\n",
        f" {HOST}/{NAME}",
        f"{HOST}\t/{NAME}",
        f"{HOST}/{NAME} ",
        f"{HOST}./{NAME}",
        f"https://sns%2eus-east-1%2eamazonaws%2ecom/{NAME}",
        f"https://sns.us-east-1.amazonaws.com%00.evil.test/{NAME}",
        f"https://sns。us-east-1。amazonaws。com/{NAME}",
    )


async def test_04_another_scheme_port_or_spelling(sns: Sns) -> None:
    """And the certificates of other regions than the topic's."""
    await forged(
        sns,
        f"http://sns.us-east-1.amazonaws.com/{NAME}",
        f"HTTPS://sns.us-east-1.amazonaws.com/{NAME}",
        f"ftp://sns.us-east-1.amazonaws.com/{NAME}",
        "file:///etc/ssl/certs/ca-certificates.pem",
        f"file://sns.us-east-1.amazonaws.com/{NAME}",
        "data:application/x-pem-file,x.pem",
        f"https://sns.us-east-1.amazonaws.com:8443/{NAME}",
        f"https://sns.us-east-1.amazonaws.com:443/{NAME}",
        f"https://sns.us-east-1.amazonaws.com:/{NAME}",
        f"//169.254.169.254/{NAME}",
        f"//sns.us-east-1.amazonaws.com/{NAME}",
        f"https://169.254.169.254/{NAME}",
        f"https://[::ffff:169.254.169.254]/{NAME}",
        f"https://2852039166/{NAME}",
        f"https://xn--sns-us-east-1.amazonaws.com/{NAME}",
        f"https://SNS.us-east-1.amazonaws.com/{NAME}",
        f"https://ѕns.us-east-1.amazonaws.com/{NAME}",
        f"https://sns.us-east-1.amazonaws.com.cn/{NAME}",
        f"https://sns.us-east-2.amazonaws.com/{NAME}",
        f"https://sns.eu-central-1.amazonaws.com/{NAME}",
        NAME,
    )


async def test_05_another_path(sns: Sns) -> None:
    paths = (
        f"/x/../{NAME}",
        f"/./{NAME}",
        f"//{NAME}",
        f"/x/{NAME}",
        f"/%2e%2e/{NAME}",
        f"/..;/{NAME}",
        f"/{NAME}/",
        f"/{NAME}/x.pem",
        f"/{NAME};x=.pem",
        "/?Action=ConfirmSubscription&Token=x&.pem",
        "/?x=/SimpleNotificationService-1.pem",
        "/SimpleNotificationService-%31.pem",
        "/SimpleNotificationService-.pem",
        "/SimpleNotificationService-1.pemx",
        "/simplenotificationservice-1.pem",
        "/other.pem",
        "/",
        "",
    )
    await forged(sns, *(HOST + path for path in paths))


async def test_06_a_certificate_that_is_elsewhere(sns: Sns, amazon: Amazon) -> None:
    """The host that is asked names another: that isn't asked in its turn."""
    with Amazon() as other:
        other.pages = {f"/{NAME}": Reply(body=STRANGER.certificate_pem)}
        before = await sns.fortress.rows()
        for status in (301, 302, 303, 307, 308):
            path = f"/Redirects-{status}.pem"
            amazon.pages[path] = Reply(status, headers={"Location": f"{other.url}/{NAME}"})
            forgery = sns.notification(by=STRANGER, SigningCertURL=amazon.url + path)
            assert (await sns.post(forgery)).status_code == 403
            assert path in amazon.asked
        assert await sns.fortress.rows() == before
        assert other.asked == []


@pytest.fixture
async def fresh(
    postgres_server: DatabaseServer, sandbox: SandboxServer, providers: ProvidersServer
) -> AsyncIterator[Sns]:
    """To a service that has just started, and knows no certificate."""
    with Amazon() as amazon, postgres_server.database() as database:
        dsn = postgres_server.dsn(database)
        async with fortress_at(
            dsn, sandbox.url, providers, AWS_ENDPOINT_URL_SNS=amazon.url
        ) as fortress:
            yield Sns(fortress, amazon)


async def test_16_a_failed_fetch_is_not_remembered(fresh: Sns) -> None:
    amazon = fresh.amazon
    event = fresh.notification({"eventType": "Send", "mail": {"a": 1}})
    genuine = amazon.pages[PATH]
    for page in (
        Reply(404),
        Reply(500),
        Reply(body=b"-----BEGIN CERTIFICATE-----\n"),
        Reply(body=b"x" * 100_000),
        Reply(body=genuine.body, headers={"Content-Encoding": "gzip"}),
    ):
        amazon.pages[PATH] = page
        answer = await fresh.post(event)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
    amazon.pages[PATH] = genuine
    assert (await fresh.post(event)).status_code == 200


@pytest.mark.short
async def test_16_invented_certificates_hold_up_no_genuine_message(fresh: Sns) -> None:
    """Neither while no certificate is known, nor later; and SNS isn't flooded."""
    amazon, url = fresh.amazon, fresh.amazon.url

    async def invent(first: int, number: int) -> list[int]:
        posts = [
            fresh.post(fresh.notification(by=STRANGER, SigningCertURL=f"{url}/invented-{n}.pem"))
            for n in range(first, first + number)
        ]
        return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert set(await invent(0, AT_ONCE)) == {503}
    flood = asyncio.create_task(invent(1_000, 90))
    await asyncio.sleep(0)
    genuine = await fresh.post(fresh.notification({"eventType": "Send", "mail": {"a": 1}}))
    assert genuine.status_code == 200, genuine.text
    assert set(await flood) == {503}

    asked = len(amazon.asked)
    before = await fresh.fortress.rows()
    assert set(await invent(2_000, 200)) == {503}
    assert await fresh.fortress.rows() == before
    again = await fresh.post(fresh.notification({"eventType": "Send", "mail": {"b": 2}}))
    assert again.status_code == 200
    assert len(amazon.asked) - asked < 150, (
        "one that is known is free, others are looked for slowly"
    )
