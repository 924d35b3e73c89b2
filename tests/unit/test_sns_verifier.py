"""Who may tell us what became of a mail: RELIABILITY section 3, rows 1 to 16."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.adapters.aws.certificates import (
    AT_ONCE,
    CERTIFICATE_MAX_BYTES,
    KEPT,
    WAITING,
    CertificateUnavailable,
)
from app.adapters.aws.sns import SnsVerifier
from app.domain.ses.sns_message import (
    BadSignature,
    ForbiddenSource,
    SnsMessage,
    parse_sns_message,
)
from tests.support.sns import CERTIFICATE_URL, TOPIC_ARN, SnsSigner, body_of, headers_of
from tests.support.waiting import eventually

HOST = "https://sns.eu-central-1.amazonaws.com"
SANDBOX = "http://127.0.0.1:4566"
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def signer() -> SnsSigner:
    return SnsSigner()


@pytest.fixture(scope="module")
def attacker() -> SnsSigner:
    return SnsSigner()


class Clock:
    """Wall and monotonic time, moved by hand."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds


class Web:
    """Every address there is; counts what is fetched."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.fetched: list[str] = []
        self.asked = asyncio.Event()
        self.clock = Clock()
        self.verifier = self.make_verifier()

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.fetched.append(str(request.url))
        self.asked.set()
        await asyncio.sleep(0)  # others get their turn, as over a real network
        return self.answer(request)

    def make_verifier(self, sandbox_endpoint: str | None = None) -> SnsVerifier:
        return SnsVerifier(
            allowed_topic_arns=frozenset({TOPIC_ARN}),
            sandbox_endpoint=lambda _: sandbox_endpoint,
            # A client that would follow redirects and wait for ever: the verifier decides.
            http=httpx.AsyncClient(
                transport=httpx.MockTransport(self.handle), follow_redirects=True, timeout=None
            ),
            now=self.clock.now,
            monotonic=self.clock.monotonic,
        )


@pytest.fixture
def web(signer: SnsSigner) -> Web:
    return Web(lambda _: httpx.Response(200, content=signer.certificate_pem))


def received(envelope: dict[str, Any]) -> SnsMessage:
    return parse_sns_message(body_of(envelope), headers_of(envelope))


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES – Bounce"}, {"Subject": None}])
async def test_a_genuine_notification_passes(
    web: Web, signer: SnsSigner, version: str, subject: dict[str, Any]
) -> None:
    """Signature versions 1 (SHA-1) and 2 (SHA-256), with a subject or without."""
    await web.verifier.verify(received(signer.notification("Grüße\n", version=version, **subject)))
    assert web.fetched == [CERTIFICATE_URL]


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
async def test_genuine_confirmations_pass(
    web: Web, signer: SnsSigner, version: str, kind: str
) -> None:
    """And nothing but the certificate is fetched, whatever SubscribeURL says (row 8)."""
    envelope = signer.confirmation(
        kind=kind, version=version, SubscribeURL="http://169.254.169.254/latest/meta-data"
    )
    await web.verifier.verify(received(envelope))
    assert web.fetched == [CERTIFICATE_URL]


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["notification", "confirmation"])
async def test_one_changed_character_is_a_bad_signature(
    web: Web, signer: SnsSigner, version: str, kind: str
) -> None:
    """Row 11: each signed field, the type among them."""
    fields = ["Message", "MessageId", "Timestamp"]
    if kind == "notification":
        envelope = signer.notification("text", version=version, Subject="subject")
        fields.append("Subject")
    else:
        envelope = signer.confirmation(version=version)
        fields += ["Token", "SubscribeURL"]
    for field in fields:
        value = envelope[field]
        for changed in (value[:-1] + chr(ord(value[-1]) ^ 1), value + "x", "X" + value[1:]):
            with pytest.raises(BadSignature):
                await web.verifier.verify(received({**envelope, field: changed}))
    other_kind = {"Type": "UnsubscribeConfirmation", "Token": "t", "SubscribeURL": "u"}
    with pytest.raises(BadSignature):
        await web.verifier.verify(received({**envelope, **other_kind}))


async def test_an_added_or_removed_subject_is_a_bad_signature(web: Web, signer: SnsSigner) -> None:
    bare, titled = signer.notification("text"), signer.notification("text", Subject="s")
    for forged in ({**bare, "Subject": "s"}, {**titled, "Subject": None}):
        with pytest.raises(BadSignature):
            await web.verifier.verify(received(forged))


async def test_a_smuggled_field_is_a_bad_signature(web: Web, signer: SnsSigner) -> None:
    """Row 12: the same signed bytes cut at other places."""
    honest = signer.notification("text", Subject="s")
    forged = {**honest, "Subject": None, "MessageId": f"{honest['MessageId']}\nSubject\ns"}
    with pytest.raises(BadSignature):
        await web.verifier.verify(received(forged))
    assert web.fetched == []


async def test_a_changed_topic_is_forbidden(web: Web, signer: SnsSigner) -> None:
    envelope = {**signer.notification("text"), "TopicArn": TOPIC_ARN + "x"}
    with pytest.raises(ForbiddenSource, match="SNS_ALLOWED_TOPIC_ARNS"):
        await web.verifier.verify(received(envelope))
    assert web.fetched == []


@pytest.mark.parametrize(
    "topic_arn",
    [
        "arn:aws:sns:eu-central-1:666666666666:ses-events",
        TOPIC_ARN.upper(),
        TOPIC_ARN + "\n",
        TOPIC_ARN[:-1],
        "not an arn",
    ],
)
async def test_genuine_messages_of_other_topics_are_forbidden(
    web: Web, signer: SnsSigner, topic_arn: str
) -> None:
    """Row 7: anybody may subscribe our address to a topic of theirs."""
    with pytest.raises(ForbiddenSource):
        await web.verifier.verify(received(signer.notification("text", TopicArn=topic_arn)))
    assert web.fetched == []


async def test_without_allowed_topics_nothing_passes(signer: SnsSigner) -> None:
    web = Web(lambda _: httpx.Response(200, content=signer.certificate_pem))
    verifier = SnsVerifier(
        allowed_topic_arns=frozenset(), sandbox_endpoint=lambda _: None, http=httpx.AsyncClient()
    )
    with pytest.raises(ForbiddenSource):
        await verifier.verify(received(signer.notification("text")))
    assert web.fetched == []


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.s3.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.s3-ap-southeast-2.amazonaws.com/SimpleNotificationService-1.pem",
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        f"{HOST}/x/../SimpleNotificationService-1.pem",
        f"{SANDBOX}/SimpleNotificationService-1.pem",
    ],
)
async def test_certificates_of_others_are_not_even_fetched(attacker: SnsSigner, url: str) -> None:
    """Rows 1 to 5: validly signed by whoever holds that certificate. More in test_sns_message."""
    web = Web(lambda _: httpx.Response(200, content=attacker.certificate_pem))
    with pytest.raises(ForbiddenSource):
        await web.verifier.verify(received(attacker.notification("text", SigningCertURL=url)))
    assert web.fetched == []


async def test_with_a_sandbox_its_certificates_count_too(web: Web, signer: SnsSigner) -> None:
    verifier = web.make_verifier(SANDBOX)
    url = f"{SANDBOX}/SimpleNotificationService-1.pem"
    await verifier.verify(received(signer.notification("text", SigningCertURL=url)))
    await verifier.verify(received(signer.notification("text")))
    assert web.fetched == [url, CERTIFICATE_URL]


async def test_a_redirect_is_not_followed(signer: SnsSigner) -> None:
    """Row 6."""
    web = Web(lambda _: httpx.Response(302, headers={"Location": f"{HOST}/Simple-2.pem"}))
    with pytest.raises(ForbiddenSource):
        await web.verifier.verify(received(signer.notification("text")))
    assert web.fetched == [CERTIFICATE_URL]


@pytest.mark.parametrize("version", ["3", "0", "1 ", "01", "１", "sha256"])
async def test_other_signature_versions_are_refused(
    web: Web, signer: SnsSigner, version: str
) -> None:
    """Row 10."""
    envelope = {**signer.notification("text"), "SignatureVersion": version}
    with pytest.raises(BadSignature, match="SignatureVersion"):
        await web.verifier.verify(received(envelope))


@pytest.mark.parametrize(("signed_as", "claims"), [("1", "2"), ("2", "1")])
async def test_each_version_is_checked_with_its_own_hash(
    web: Web, signer: SnsSigner, signed_as: str, claims: str
) -> None:
    envelope = {**signer.notification("text", version=signed_as), "SignatureVersion": claims}
    with pytest.raises(BadSignature):
        await web.verifier.verify(received(envelope))


@pytest.mark.parametrize("signature", ["=", "ä", "not base64!", "AAAA", "\n", "A" * 10_000])
async def test_a_signature_that_is_none_is_refused(
    web: Web, signer: SnsSigner, signature: str
) -> None:
    envelope = {**signer.notification("text"), "Signature": signature}
    with pytest.raises(BadSignature):
        await web.verifier.verify(received(envelope))


async def test_a_signature_by_another_key_is_refused(web: Web, attacker: SnsSigner) -> None:
    with pytest.raises(BadSignature):
        await web.verifier.verify(received(attacker.notification("text")))


@pytest.mark.parametrize("days", [-2, 366])
async def test_an_outdated_or_future_certificate_is_refused(
    web: Web, signer: SnsSigner, days: int
) -> None:
    """Also when it was fetched while it was valid."""
    message = received(signer.notification("text"))
    await web.verifier.verify(message)
    web.clock.moment += timedelta(days=days)
    with pytest.raises(BadSignature, match="not valid today"):
        await web.verifier.verify(message)


async def test_a_key_that_is_not_rsa_is_refused(signer: SnsSigner) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .sign(signer.key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    web = Web(lambda _: httpx.Response(200, content=pem))
    with pytest.raises(BadSignature, match="RSA"):
        await web.verifier.verify(received(signer.notification("text")))


# --- fetching certificates: row 16 --------------------------------------------------------


async def test_a_certificate_is_fetched_once(web: Web, signer: SnsSigner) -> None:
    messages = [received(signer.notification(f"text {n}")) for n in range(20)]
    await asyncio.gather(*(web.verifier.verify(message) for message in messages))
    for message in messages:
        await web.verifier.verify(message)
    assert web.fetched == [CERTIFICATE_URL]


async def test_a_fetch_survives_the_request_that_began_it(web: Web, signer: SnsSigner) -> None:
    first = asyncio.create_task(web.verifier.verify(received(signer.notification("1"))))
    second = asyncio.create_task(web.verifier.verify(received(signer.notification("2"))))
    await web.asked.wait()
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert web.fetched == [CERTIFICATE_URL]


def _raise(error: Exception) -> httpx.Response:
    raise error


class _Endless(httpx.AsyncByteStream):
    """A body without end; `given` counts what was taken of it."""

    def __init__(self) -> None:
        self.given = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.given += 4096
            yield b"x" * 4096


# A certificate whose key is of an algorithm that nobody knows, in place of rsaEncryption.
ODD_DER = (
    SnsSigner()
    .certificate.public_bytes(serialization.Encoding.DER)
    .replace(
        bytes.fromhex("06092a864886f70d0101010500"), bytes.fromhex("06092a864886f70d01017f0500")
    )
)
ODD_PEM = ssl.DER_cert_to_PEM_cert(ODD_DER).encode()


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(200, content=ODD_PEM),
        lambda _: httpx.Response(404),
        lambda _: httpx.Response(500),
        lambda _: httpx.Response(304),
        lambda _: _raise(httpx.ConnectError("refused")),
        lambda _: _raise(httpx.ReadTimeout("slow")),
        lambda _: _raise(TimeoutError()),
        lambda _: httpx.Response(200, content=b""),
        lambda _: httpx.Response(200, content=b"<html>Sign in to the network</html>"),
        lambda _: httpx.Response(200, stream=_Endless()),
    ],
)
async def test_a_certificate_that_can_not_be_had_is_asked_for_again(
    signer: SnsSigner, answer: Answer
) -> None:
    """503, so that SNS comes again; the failure is not remembered."""
    web = Web(answer)
    message = received(signer.notification("text"))
    with pytest.raises(CertificateUnavailable) as caught:
        await web.verifier.verify(message)
    assert caught.value.status == 503
    web.answer = lambda _: httpx.Response(200, content=signer.certificate_pem)
    await web.verifier.verify(message)
    assert len(web.fetched) == 2


async def test_a_body_without_end_is_cut_off(signer: SnsSigner) -> None:
    endless = _Endless()
    web = Web(lambda _: httpx.Response(200, stream=endless))
    with pytest.raises(CertificateUnavailable, match="too large"):
        await web.verifier.verify(received(signer.notification("text")))
    assert endless.given <= CERTIFICATE_MAX_BYTES + 4096


async def test_a_packed_certificate_is_not_unpacked(signer: SnsSigner) -> None:
    """A few bytes may unpack to gigabytes."""
    packed = gzip.compress(signer.certificate_pem)
    headers = {"Content-Encoding": "gzip"}
    web = Web(lambda _: httpx.Response(200, headers=headers, content=packed))
    with pytest.raises(CertificateUnavailable, match="packed"):
        await web.verifier.verify(received(signer.notification("text")))


async def test_invented_certificate_names_do_not_flood_sns(web: Web, signer: SnsSigner) -> None:
    """Some at once, the others in turn, the rest not at all; a genuine one that comes last is among
    the first."""
    invented = [f"{HOST}/SimpleNotificationService-{n}.pem" for n in range(1000)]
    web.answer = lambda request: httpx.Response(
        200 if str(request.url) == CERTIFICATE_URL else 404, content=signer.certificate_pem
    )
    tasks = [
        asyncio.create_task(
            web.verifier.verify(received(signer.notification("text", SigningCertURL=url)))
        )
        for url in invented
    ]
    await asyncio.sleep(0)
    await web.verifier.verify(received(signer.notification("text")))
    assert web.fetched[:AT_ONCE] == invented[:AT_ONCE]
    assert len(web.fetched) <= AT_ONCE + 2
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, CertificateUnavailable) for result in results)
    assert len(web.fetched) <= AT_ONCE + WAITING + 1


async def test_a_known_certificate_works_while_unknown_ones_are_held_off(
    web: Web, signer: SnsSigner
) -> None:
    """Once one is known, nobody waits for others: they are fetched slowly, and SNS comes again."""
    await web.verifier.verify(received(signer.notification("text")))
    web.answer = lambda _: httpx.Response(404)
    for n in range(100):
        url = f"{HOST}/SimpleNotificationService-{n}.pem"
        with pytest.raises(CertificateUnavailable):
            await web.verifier.verify(received(signer.notification("text", SigningCertURL=url)))
    await web.verifier.verify(received(signer.notification("text")))
    assert len(web.fetched) <= AT_ONCE + 1


async def test_a_new_certificate_is_fetched_in_spite_of_invented_ones(
    web: Web, signer: SnsSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SNS changes its certificate while a stranger floods us."""
    monkeypatch.setattr("app.adapters.aws.certificates.LONG_PAUSE_SECONDS", 0.01)
    await web.verifier.verify(received(signer.notification("text")))
    new = f"{HOST}/SimpleNotificationService-new.pem"
    genuine = received(signer.notification("text", SigningCertURL=new))
    web.answer = lambda request: httpx.Response(
        200 if str(request.url) == new else 404, content=signer.certificate_pem
    )
    for n in range(AT_ONCE + 3 * WAITING):
        url = f"{HOST}/SimpleNotificationService-{n}.pem"
        with pytest.raises(CertificateUnavailable):
            await web.verifier.verify(received(signer.notification("text", SigningCertURL=url)))
    with pytest.raises(CertificateUnavailable):
        await web.verifier.verify(genuine)

    async def fetched() -> bool:
        return new in web.fetched

    await eventually(fetched, until=bool)
    await web.verifier.verify(genuine)


async def test_only_a_few_certificates_are_kept(web: Web, signer: SnsSigner) -> None:
    """The ones last used; and those that nobody signed with take no place of them."""
    stranger = SnsSigner()
    url = f"{HOST}/SimpleNotificationService-{{}}.pem"
    await web.verifier.verify(received(signer.notification("text", SigningCertURL=url.format(0))))
    for n in range(1, KEPT + 2):
        forged = stranger.notification("text", SigningCertURL=url.format(n))
        web.clock.seconds += 60
        with pytest.raises(BadSignature):
            await web.verifier.verify(received(forged))
    before = len(web.fetched)
    for n in (0, KEPT + 1):
        await web.verifier.verify(
            received(signer.notification("text", SigningCertURL=url.format(n)))
        )
    assert len(web.fetched) == before
    await web.verifier.verify(received(signer.notification("text", SigningCertURL=url.format(1))))
    assert len(web.fetched) == before + 1
