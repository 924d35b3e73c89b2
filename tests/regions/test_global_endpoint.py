"""SES_ENDPOINT_ID: mails go to a global endpoint, which wants signatures for two regions (SigV4A).

What signs is optional (`pip install "amazonsender[global-endpoint]"`). Without it the calls are
seen up to the signature; with it, up to the sandbox's answer.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import botocore.exceptions
import httpx
import pytest
from botocore.auth import AUTH_TYPE_MAPS

from app.adapters.aws.ses import SesSender
from app.domain.sending.fence import Fence
from app.domain.ses.mail import Notice, bulk_entry
from app.errors import ConfigurationError
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.checks.settings import check_topics
from app.settings import Settings, load_settings
from tests.integration.test_ses_calls import bulk, mail, prepared, single
from tests.support.service import TOPIC, settings_for

HAS_SIGNER = importlib.util.find_spec("awscrt") is not None
ENDPOINT = "abcdef12.g3h"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package were here: nothing is signed in these tests."""
    if not HAS_SIGNER:
        monkeypatch.setitem(AUTH_TYPE_MAPS, "v4a", object())
    monkeypatch.setattr("app.settings.require_signatures_of_two_regions", lambda: None)


def settings(url: str | None, **changes: str | None) -> Settings:
    return settings_for("postgresql://unused", url, SES_ENDPOINT_ID=ENDPOINT, **changes)


def notice(ses: SesSender, fence: Fence, *, as_bulk: bool) -> Any:
    mail = Notice("Hello", "Text", "<p>Text</p>")
    return ses.send_notice(
        mail,
        from_mailbox="news@example.com",
        to="a@example.com",
        tags=(),
        bulk=as_bulk,
        fence=fence,
    )


@pytest.mark.skipif(HAS_SIGNER, reason="the package is here")
def test_without_the_package_the_start_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match=r"SES_ENDPOINT_ID.*pip install") as error:
        load_settings(None, aws_region="us-east-1", ses_endpoint_id=ENDPOINT)
    assert "\n" not in error.value.detail


@pytest.mark.usefixtures("installed")
def test_it_excludes_several_regions_and_strange_names() -> None:
    with pytest.raises(ConfigurationError, match="SES_ENDPOINT_ID and several SES_REGIONS"):
        load_settings(None, ses_regions="us-east-1,eu-west-1", ses_endpoint_id=ENDPOINT)
    with pytest.raises(ConfigurationError, match="SES_ENDPOINT_ID"):
        load_settings(None, aws_region="us-east-1", ses_endpoint_id="evil.example/x?")


@pytest.mark.usefixtures("installed")
def test_topics_of_both_its_regions_are_wanted() -> None:
    [finding] = check_topics(settings(None))
    assert "two regions" in finding.what
    both = settings(None, SNS_ALLOWED_TOPIC_ARNS=f"{TOPIC},{TOPIC.replace('us-east', 'us-west')}")
    assert list(check_topics(both)) == []


@pytest.mark.usefixtures("installed")
def test_every_mail_goes_to_the_global_endpoint_and_nothing_else_does() -> None:
    """Seen where botocore has chosen host and signature, and before anything is signed."""
    seen: list[tuple[str, str, str]] = []

    def note(params: Any, context: Any, model: Any, **_: Any) -> Any:
        seen.append((model.name, params["url"], str(context.get("auth_type"))))
        raise botocore.exceptions.BotoCoreError

    ours = settings(None, APP_BASE_URL="https://news.example.com")
    ses = SesSender(ours, ours.home, max_connections=1)
    ses._client.meta.events.register("before-call.sesv2", note)
    fence = Fence(60)
    for call in (bulk, single):
        call(ses, fence)
    notice(ses, fence, as_bulk=True)
    notice(ses, fence, as_bulk=False)
    with pytest.raises(Exception, match="GetAccount"):
        ses.get_account()
    host = f"https://{ENDPOINT}.endpoints.email.amazonaws.com"
    bulk_url, single_url = "/v2/email/outbound-bulk-emails", "/v2/email/outbound-emails"
    assert [(name, url) for name, url, _ in seen] == [
        ("SendBulkEmail", host + bulk_url),
        ("SendEmail", host + single_url),
        ("SendBulkEmail", host + bulk_url),
        ("SendEmail", host + single_url),
        ("GetAccount", "https://email.us-east-1.amazonaws.com/v2/email/account"),
    ]
    assert {auth for name, _, auth in seen if name.startswith("Send")} == {"v4a"}


@pytest.mark.skipif(not HAS_SIGNER, reason="needs botocore[crt]")
def test_with_the_package_the_sandbox_takes_every_kind_of_mail() -> None:
    with SandboxServer(SandboxConfig(max_send_rate=1000)) as server:
        ours = settings(server.url)
        ses = SesSender(ours, ours.home, max_connections=1)
        entry = bulk_entry(mail())
        assert entry is not None
        answers = ses.send_bulk(prepared().bulk_head, [entry, entry], Fence(60))
        answers.append(single(ses, Fence(60)))
        answers += [notice(ses, Fence(60), as_bulk=kind) for kind in (True, False)]
        assert [answer.outcome for answer in answers] == ["sent"] * 5
        assert ses.get_account().max_send_rate == 1000
        plain = SesSender(
            settings_for("postgresql://unused", server.url), ours.home, max_connections=1
        )
        assert plain.get_account().max_send_rate == 1000


def test_the_sandbox_refuses_a_signature_of_one_region_at_a_global_endpoint() -> None:
    """As the real one, which no region's signature fits."""
    with SandboxServer(SandboxConfig(max_send_rate=1000)) as server:
        ours = settings_for("postgresql://unused", server.url)
        ses = SesSender(ours, ours.home, max_connections=1)

        def ask(params: Any, **_: Any) -> None:
            params["body"] = params["body"].replace(b"{", b'{"EndpointId":"abcdef12.g3h",', 1)

        ses._client.meta.events.register("before-call.sesv2.SendEmail", ask)
        answer = single(ses, Fence(60))
        assert (answer.outcome, answer.code) == ("requeue", "SignatureDoesNotMatch")
        assert httpx.get(f"{server.url}/sandbox/accepted", trust_env=False).text == ""
