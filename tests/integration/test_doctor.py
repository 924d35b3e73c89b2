"""The doctor names what stands between these settings and a sent mail, and how to mend it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from app.domain.reports.findings import Finding
from app.domain.sending.batches import Account
from app.domain.tokens import UnsubscribeTokens
from app.errors import Unavailable
from app.outside import examine, ses_account
from app.ports import Database, Subscription
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.checks import asking, doctor
from app.services.checks.amazon.events import EVENT_TYPES
from app.services.checks.asking import Outside
from app.settings import Settings
from tests.support.factories import Arrange, an_account
from tests.support.kept_connections import KEPT
from tests.support.service import DEFAULTS, TOPIC, UNSUBSCRIBE_SECRET, settings_for

ALL_EVENTS = list(EVENT_TYPES)
VERIFIED = {"VerifiedForSendingStatus": True, "DkimAttributes": {"Status": "SUCCESS"}}
NO_DKIM = {"VerifiedForSendingStatus": True, "DkimAttributes": {"Status": "NOT_STARTED"}}
PENDING = {"VerifiedForSendingStatus": False, "DkimAttributes": {"Status": "PENDING"}}


def destination(topic: str = TOPIC, *, enabled: bool = True, without: str = "") -> dict[str, Any]:
    return {
        "Name": "events",
        "Enabled": enabled,
        "MatchingEventTypes": [kind for kind in ALL_EVENTS if kind != without],
        "SnsDestination": {"TopicArn": topic},
    }


@dataclass
class FakeSes:
    """An account in good order, unless a test says otherwise. An exception is raised."""

    account: Account | Exception = field(default_factory=lambda: an_account(max_send_rate=14.0))
    identities: dict[str, dict[str, Any]] | Exception = field(
        default_factory=lambda: {"example.com": VERIFIED}
    )
    destinations: list[dict[str, Any]] | Exception | None = field(
        default_factory=lambda: [destination()]
    )

    def get_account(self) -> Account:
        if isinstance(self.account, Exception):
            raise self.account
        return self.account

    def identity(self, name: str) -> dict[str, Any] | None:
        if isinstance(self.identities, Exception):
            raise self.identities
        return self.identities.get(name)

    def event_destinations(self, configuration_set: str) -> list[dict[str, Any]] | None:
        assert configuration_set == DEFAULTS["SES_CONFIGURATION_SET"]
        if isinstance(self.destinations, Exception):
            raise self.destinations
        return self.destinations

    def configuration_set(self, name: str) -> dict[str, Any] | None:
        raise AssertionError("only asked where something tracks")


class DatabaseInOrder:
    """What `examine_database` gives of one, unless a test says otherwise."""

    def __init__(self, **about: Any) -> None:
        self._about = {
            "synchronous_commit": {"setting": "on", "source": "default"},
            "unusable_addresses": 0,
        } | about

    async def call(self, function: str, /, **_: Any) -> Any:
        if function == "list_hooks":
            return []
        assert function == "examine_database"
        return self._about

    async def check_access(self) -> None: ...

    async def close(self) -> None: ...


@asynccontextmanager
async def any_database(_settings: Settings) -> AsyncIterator[Database]:
    yield DatabaseInOrder()


def aws_settings(**changes: str | None) -> Settings:
    """For AWS itself, complete."""
    base: dict[str, str | None] = {
        "APP_BASE_URL": "https://mail.example.com",
        "RATE_LIMIT_PER_SEC": None,
    }
    return settings_for("postgresql://unused", None, **base | changes)


@dataclass
class FakeSns:
    """A confirmed subscription, unless a test says otherwise. An exception is raised."""

    found: list[Subscription] | Exception | None = field(
        default_factory=lambda: [Subscription("", confirmed=True, raw=False)]
    )

    def subscriptions(self, topic_arn: str, endpoint: str) -> list[Subscription] | None:
        assert topic_arn == TOPIC
        assert endpoint.endswith("/ses-events")
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


Public = Callable[[httpx.Request], httpx.Response]


def healthy(request: httpx.Request) -> httpx.Response:
    """The public address in good order, as this service answers."""
    if request.url.path == "/unsubscribe":
        assert request.method == "POST"
        target = UnsubscribeTokens([UNSUBSCRIBE_SECRET]).verify(request.url.params["token"])
        assert target.test, "it must not unsubscribe anybody"
        assert request.content == b"List-Unsubscribe=One-Click"
        return httpx.Response(200)
    assert request.url.path == "/health/live"
    return httpx.Response(200, json={"status": "ok", "version": "1"})


def outside(
    ses: FakeSes | None = None, sns: FakeSns | None = None, public: Public = healthy
) -> Outside:
    return Outside(
        ses=lambda _: ses or FakeSes(),
        sns=lambda _: sns or FakeSns(),
        http=lambda: httpx.AsyncClient(transport=httpx.MockTransport(public)),
    )


async def problems(
    settings: Settings | None = None,
    ses: FakeSes | None = None,
    sns: FakeSns | None = None,
    public: Public = healthy,
) -> list[tuple[str, str]]:
    """Level and text of everything that isn't ok. Every one must name a remedy."""
    found = await examine(
        settings or aws_settings(), open_db=any_database, outside=outside(ses, sns, public)
    )
    bad = [finding for finding in found if finding.level != "ok"]
    assert all(finding.remedy for finding in bad)
    return [(finding.level, finding.what) for finding in bad]


def lines(findings: list[Finding]) -> str:
    return "\n".join(f"{each.level} {each.what} {each.remedy}" for each in findings)


async def test_a_complete_configuration_has_no_problem() -> None:
    assert await problems() == []


@pytest.mark.parametrize(
    ("source", "where"),
    [
        ("configuration file", "the server"),
        ("command line", "the server"),
        ("database", "the database"),
        ("user", "the role"),
        ("database user", "the role in this database"),
    ],
)
async def test_commits_that_a_crash_takes_back_are_told_with_who_wants_them(
    source: str, where: str
) -> None:
    @asynccontextmanager
    async def hasty(_settings: Settings) -> AsyncIterator[Database]:
        yield DatabaseInOrder(synchronous_commit={"setting": "off", "source": source})

    found = await examine(aws_settings(), open_db=hasty, outside=outside())
    [finding] = [each for each in found if each.level != "ok"]
    assert finding.what.startswith(f"synchronous_commit is off, set by {where}:")
    assert "synchronous_commit" in finding.remedy or "postgresql.conf" in finding.remedy


async def test_subscribers_who_cannot_be_mailed_are_counted(dsn: str, arrange: Arrange) -> None:
    await arrange.unusable_subscriber("ann at example.com")
    await arrange.unusable_subscriber("zoë@example.com")
    found = await examine(aws_settings(DATABASE_URL=dsn), outside=outside())
    [finding] = [each for each in found if "can't be mailed" in each.what]
    assert finding.what.startswith("2 subscribers can't be mailed")
    assert "unusable_addresses()" in finding.remedy


async def test_a_database_that_a_crash_may_damage_fails(dsn: str, arrange: Arrange) -> None:
    """Only a server for tests may say of itself that nobody will miss its data."""
    name = dsn.rpartition("/")[2]
    await arrange.sql.execute(f"alter database {name} set amazonsender.disposable = off".encode())
    KEPT.drop(dsn)  # only a new connection takes it over
    found = await examine(aws_settings(DATABASE_URL=dsn), outside=outside())
    [finding] = [each for each in found if each.level == "fail"]
    assert "fsync = off and full_page_writes = off" in finding.what


async def test_the_whole_way_to_the_database_and_ses(dsn: str) -> None:
    """Against a real database and the sandbox's SES: nothing fails, and no secret is shown."""
    config = SandboxConfig(event_endpoint="http://localhost:8000/ses-events", event_retries=0)
    with SandboxServer(config) as sandbox:
        settings = settings_for(dsn, sandbox.url, RATE_LIMIT_PER_SEC=None)
        found = await examine(settings)
        mails, commits, events = [each.what for each in found if each.level != "ok"]
        assert commits.startswith("synchronous_commit is off, set by the server")
        assert mails == f"Mails go to {sandbox.url}, not to Amazon SES."
        # Nothing runs there that could confirm it.
        assert "http://localhost:8000/ses-events is not confirmed yet" in events
        sandbox.account(sending_enabled=False)
        failed = [each.what for each in await examine(settings) if each.level == "fail"]
        assert failed == ["Sending is switched off for this account."]
    for secret in (*settings.executor_secrets, *settings.unsubscribe_secrets, "test-secret-key"):
        assert secret not in lines(found)


@pytest.mark.parametrize(
    "name",
    ["SES_FROM_EMAIL", "UNSUBSCRIBE_SECRET", "ORG_NAME", "ORG_ADDRESS", "AWS_REGION"],
)
async def test_a_missing_setting_is_named_with_what_to_do(name: str) -> None:
    assert await problems(aws_settings(**{name: None})) == [("fail", f"{name} is missing.")]


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"EXECUTOR_SHARED_SECRET": None}, "fail", "the service does not start"),
        ({"APP_BASE_URL": "http://mail.example.com"}, "fail", "must be https"),
        ({"APP_BASE_URL": "https://localhost"}, "warn", "readers can't reach it"),
        ({"APP_BASE_URL": "https://192.168.1.7"}, "warn", "readers can't reach it"),
        ({"DRY_RUN_SEND": "true"}, "warn", "no mail leaves"),
        ({"AWS_ENDPOINT_URL_SESV2": "http://localhost:8025"}, "warn", "not to Amazon SES"),
        ({"RATE_LIMIT_PER_SEC": "20"}, "warn", "SES allows 14 a second"),
        ({"SES_CONFIGURATION_SET": None}, "warn", "Bounces and complaints will not arrive"),
        ({"SNS_ALLOWED_TOPIC_ARNS": None}, "warn", "Bounces and complaints will not arrive"),
        ({"HOST": "0.0.0.0"}, "warn", "all visitors count as one client"),
        ({"SIGNUP": "true", "HOST": "::"}, "warn", "all visitors count as one client"),
    ],
)
async def test_a_setting_that_does_not_fit_is_told(
    changes: dict[str, str | None], level: str, words: str
) -> None:
    ((found, what),) = await problems(aws_settings(**changes))
    assert found == level
    assert words in what


def unavailable(code: str) -> Unavailable:
    return Unavailable(f"SES did not answer: An error occurred ({code}) when calling it.")


async def test_sign_up_without_a_mail_to_confirm_is_told() -> None:
    """Whatever it is that keeps mails from leaving."""
    sign_up = ("warn", "SIGNUP is on, but no mail can leave, so nobody could confirm.")
    assert sign_up in await problems(aws_settings(SIGNUP="true", ORG_NAME=None))
    assert sign_up in await problems(aws_settings(SIGNUP="true", DRY_RUN_SEND="true"))
    assert await problems(aws_settings(SIGNUP="true")) == []


@pytest.mark.few_variants(8)
@pytest.mark.parametrize(
    ("ses", "level", "words"),
    [
        (FakeSes(account=unavailable("UnrecognizedClientException")), "fail", "Unrecognized"),
        (FakeSes(account=an_account(enforcement_status="SHUTDOWN")), "fail", "shut down"),
        (FakeSes(account=an_account(sending_enabled=False)), "fail", "switched off"),
        (FakeSes(account=an_account(enforcement_status="PROBATION")), "warn", "under review"),
        (FakeSes(account=an_account(production_access=False)), "warn", "SES sandbox"),
        (FakeSes(account=an_account(max_send_rate=0)), "fail", "no sending rate"),
        (FakeSes(account=an_account(max_24h_send=200, sent_last_24h=200)), "warn", "200 mails"),
        (FakeSes(identities={}), "fail", "does not know news@example.com or its domain"),
        (FakeSes(identities={"example.com": PENDING}), "fail", "not verified"),
        (FakeSes(identities={"news@example.com": NO_DKIM}), "warn", "no DKIM"),
        (FakeSes(identities=unavailable("AccessDeniedException")), "warn", "can't be checked"),
        (FakeSes(destinations=None), "fail", "There is no configuration set sandbox"),
        (FakeSes(destinations=[]), "warn", "Bounces and complaints will not arrive"),
        (FakeSes(destinations=[destination(enabled=False)]), "warn", "no SNS destination"),
        (FakeSes(destinations=[destination(TOPIC + "-other")]), "warn", f"lacks {TOPIC}-other"),
        (FakeSes(destinations=unavailable("AccessDeniedException")), "warn", "can't be checked"),
    ],
)
async def test_a_fault_of_the_account_is_told(ses: FakeSes, level: str, words: str) -> None:
    """It fails only where SES would refuse the mails."""
    ((found, what),) = await problems(ses=ses)
    assert found == level
    assert words in what


@pytest.mark.parametrize("kind", ALL_EVENTS)
async def test_an_event_that_is_not_published_is_named(kind: str) -> None:
    ((level, what),) = await problems(ses=FakeSes(destinations=[destination(without=kind)]))
    assert level == "warn"
    assert what.endswith(f"does not publish {kind}.")


async def test_events_may_come_by_several_topics() -> None:
    """Only topics that we believe count."""
    split = [
        {**destination(), "MatchingEventTypes": ALL_EVENTS[:3]},
        {**destination(), "MatchingEventTypes": ALL_EVENTS[3:]},
        destination(TOPIC + "-other"),
    ]
    assert await problems(ses=FakeSes(destinations=split)) == []
    assert "does not publish" in (await problems(ses=FakeSes(destinations=split[1:])))[0][1]


@pytest.mark.parametrize("verified", ["news@mail.example.com", "mail.example.com", "example.com"])
async def test_an_address_is_verified_by_itself_or_a_domain_above_it(verified: str) -> None:
    settings = aws_settings(SES_FROM_EMAIL="news@mail.example.com")
    assert await problems(settings, FakeSes(identities={verified: VERIFIED})) == []


async def test_a_domain_with_dkim_makes_up_for_an_address_without() -> None:
    identities = {"news@example.com": NO_DKIM, "example.com": VERIFIED}
    assert await problems(ses=FakeSes(identities=identities)) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, f"There is no topic {TOPIC}"),
        ([], "are not sent to https://mail.example.com/ses-events"),
        ([Subscription("", confirmed=False, raw=False)], "is not confirmed yet"),
        ([Subscription("", confirmed=True, raw=True)], "raw messages"),
        (Unavailable("SNS did not answer: AuthorizationError"), "can't be checked"),
    ],
)
async def test_events_that_do_not_arrive_are_told(
    found: list[Subscription] | Exception | None, words: str
) -> None:
    ((level, what),) = await problems(sns=FakeSns(found))
    assert level == "warn"
    assert words in what


def refusing(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def expired(request: httpx.Request) -> httpx.Response:
    try:
        error = ssl.SSLCertVerificationError("certificate verify failed")
        error.verify_message = "certificate has expired"
        raise error
    except ssl.SSLError as exc:
        raise httpx.ConnectError("TLS", request=request) from exc


def elsewhere(request: httpx.Request) -> httpx.Response:
    return httpx.Response(301, headers={"Location": "https://www.example.com/"})


def a_stranger(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text="Welcome to nginx!")


def only_reading(request: httpx.Request) -> httpx.Response:
    return httpx.Response(405) if request.method == "POST" else healthy(request)


def silent_on_post(request: httpx.Request) -> httpx.Response:
    if request.method == "POST":
        raise httpx.ReadTimeout("slow", request=request)
    return healthy(request)


@pytest.mark.parametrize(
    ("public", "words"),
    [
        (refusing, "can't be reached"),
        (expired, "has no valid certificate (certificate has expired)"),
        (elsewhere, "redirects to https://www.example.com/"),
        (a_stranger, "not as this service does"),
        (only_reading, "answers 405 when a reader unsubscribes"),
        (silent_on_post, "does not answer in time when a reader unsubscribes"),
    ],
)
async def test_a_public_address_that_does_not_lead_here_is_told(public: Public, words: str) -> None:
    """Only a warning: a router may treat its own network differently."""
    ((level, what),) = await problems(public=public)
    assert level == "warn"
    assert words in what


async def test_a_throttled_question_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES answers such calls once a second, which says nothing about the account."""
    monkeypatch.setattr(asking, "THROTTLE_PAUSES", (0.0, 0.0))
    answers: list[Account | Exception] = [unavailable("TooManyRequestsException")] * 2

    class Busy(FakeSes):
        def get_account(self) -> Account:
            self.account = answers.pop() if answers else an_account()
            return super().get_account()

    assert await problems(ses=Busy()) == []


async def test_wrong_credentials_are_explained(sandbox_with_credentials: SandboxServer) -> None:
    settings = settings_for("postgresql://unused", sandbox_with_credentials.url)
    found = await examine(settings, open_db=any_database)
    (failed,) = [each for each in found if each.level == "fail"]
    assert "key is wrong" in failed.remedy


@pytest.fixture
def sandbox_with_credentials() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(credentials={"AKIAOTHER": "another"})) as server:
        yield server


async def test_missing_credentials_are_explained() -> None:
    settings = settings_for(
        "postgresql://unused",
        "http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID=None,
        AWS_SECRET_ACCESS_KEY=None,
    )
    found = await examine(settings, open_db=any_database)
    (failed,) = [each for each in found if each.level == "fail"]
    assert "AWS_ACCESS_KEY_ID" in failed.remedy


async def test_an_unknown_profile_is_explained() -> None:
    found = await examine(
        aws_settings(AWS_PROFILE="nobody"),
        open_db=any_database,
        outside=replace(outside(), ses=ses_account),
    )
    (failed,) = [each for each in found if each.level == "fail"]
    assert "AWS_PROFILE" in failed.remedy


async def test_a_database_without_tables_is_a_failure(empty_dsn: str) -> None:
    settings = settings_for(empty_dsn, None, APP_BASE_URL="https://mail.example.com")
    found = await examine(settings, outside=outside())
    (failed,) = [each for each in found if each.level == "fail"]
    assert "amazonsender migrate" in failed.what


async def test_an_unreachable_database_is_a_failure() -> None:
    settings = settings_for(
        "postgresql://someone:the-password@127.0.0.1:9/x",
        None,
        APP_BASE_URL="https://mail.example.com",
    )
    found = await examine(settings, outside=outside())
    (failed,) = [each for each in found if each.level == "fail"]
    assert "DATABASE_URL" in failed.remedy
    assert "the-password" not in lines(found)


async def test_a_frozen_database_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def frozen(_settings: Settings) -> AsyncIterator[Database]:
        await asyncio.Event().wait()
        yield None  # type: ignore[misc]

    monkeypatch.setattr(doctor, "DATABASE_SECONDS", 0.01)
    found = await examine(aws_settings(), open_db=frozen, outside=outside())
    (failed,) = [each for each in found if each.level == "fail"]
    assert "The database does not answer" in failed.what


async def test_a_silent_ses_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_enough = threading.Event()

    class Silent(FakeSes):
        def get_account(self) -> Account:
            asked_enough.wait()
            return super().get_account()

    monkeypatch.setattr(asking, "AWS_SECONDS", 0.01)
    try:
        ((level, what),) = await problems(ses=Silent())
    finally:
        asked_enough.set()
    assert level == "fail"
    assert "AWS did not answer" in what
