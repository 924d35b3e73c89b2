"""Which addresses a hook may have, and what follows from an answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.domain.hooks.addresses import AddressRefused, address_problem, check_address
from app.domain.hooks.deliveries import (
    RETRY_SECONDS,
    WAIT_CAP_SECONDS,
    Answer,
    judge_answer,
    retry_after_seconds,
)
from app.domain.hooks.signing import new_secret, signed_headers

NEVER = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254",
    "fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200",
    "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
    "fec0::1", "2001:0:4136:e378:8000:63bf:5601:5601", "192.0.0.192",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1",
    "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
]  # fmt: skip
PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_no_hook_may_have(address: str) -> None:
    assert address_problem(address, allow_private=True)
    assert address_problem(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_where_they_are_allowed(address: str) -> None:
    assert address_problem(address, allow_private=True) is None
    assert "HOOKS_ALLOW_PRIVATE" in (address_problem(address, allow_private=False) or "")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_by_https(address: str) -> None:
    assert address_problem(address, allow_private=False) is None
    assert "https" in (address_problem(address, allow_private=True, encrypted=False) or "")


@pytest.mark.parametrize(
    "url",
    [
        "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0177.0.0.1/",
        "https://127.1/", "https://1.2.3.4.5/", "https://example.0x1/", "https://169.254.169.254/",
        "https://[::ffff:169.254.169.254]/", "https://[fe80::1]/", "https://0/", "https://0.0.0.0/",
        "https://user:pw@example.com/", "https://user@example.com/", "https://example.com/#x",
        "https://example.com:22/", "https://example.com:25/", "https://example.com:0/",
        "https://example.com:99999/", "ftp://example.com/", "file:///etc/passwd", "example.com", "",
        "https://", "https:///x", " https://example.com/", "https://exa mple.com/",
        "https://example.com/\n", "gopher://example.com/", "https://" + "x" * 2000 + ".com/",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_hook(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_address(url, allow_private=True)


@pytest.mark.parametrize(
    "url", ["http://example.com/", "https://localhost/", "https://LOCALHOST./", "https://a.localhost/",
            "https://127.0.0.1/", "https://[::1]:8443/", "https://10.0.0.1/"],
)  # fmt: skip
def test_what_needs_to_be_allowed(url: str) -> None:
    check_address(url, allow_private=True)
    with pytest.raises(AddressRefused):
        check_address(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    ["https://hooks.zapier.com/hooks/standard/1/x/", "https://hook.eu2.make.com/abc?x=1",
     "https://bücher.example:8443/", "https://93.184.216.34/", "https://3com.example.com/"],
)  # fmt: skip
def test_what_is_one(url: str) -> None:
    assert check_address(url, allow_private=False).scheme == "https"


def test_what_follows_from_an_answer() -> None:
    for status in (200, 201, 204, 299):
        assert judge_answer(Answer(status), 0, 0.5).outcome == "done"
    assert judge_answer(Answer(410), 0, 0.5).outcome == "gone"
    for status in (301, 307, 400, 401, 404, 500, 502):
        result = judge_answer(Answer(status), 2, 0.0)
        assert (result.outcome, result.delay_seconds) == ("retry", RETRY_SECONDS[2])
        assert str(status) in (result.error or "")
    assert judge_answer(Answer(None, "No."), len(RETRY_SECONDS), 0.0).outcome == "dead"
    waits = judge_answer(Answer(429, retry_after=100.0), 0, 0.0)
    assert (waits.delay_seconds, waits.hold_seconds) == (100.0, 100.0)
    assert judge_answer(Answer(503, retry_after=1e9), 0, 0.0).hold_seconds == WAIT_CAP_SECONDS
    assert judge_answer(Answer(429), 0, 0.0).hold_seconds
    assert judge_answer(Answer(503), 0, 0.0).hold_seconds is None


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 11, 26, 7, 0, tzinfo=UTC)
    assert retry_after_seconds("120", now) == 120
    assert retry_after_seconds("Thu, 26 Nov 2026 07:01:00 GMT", now) == 60
    beyond = ("Mon, 1 Jan 20 0:0:0 +99999999999999", "Mon, 1 Jan 20 0:0:0 +9999999999")
    for odd in (None, "", "soon", "-1", "9" * 400, "²", *beyond):
        seconds = retry_after_seconds(odd, now)
        assert seconds is None or 0 <= seconds < 1e10


def test_signatures_are_those_of_the_specification() -> None:
    """Its own example (standard-webhooks.md, "Signature scheme"), in each zone."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    for at in ("2021-02-25T15:02:10+00:00", "2021-02-25T17:02:10+02:00"):
        headers = signed_headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek", body, [secret], datetime.fromisoformat(at)
        )
        assert headers["webhook-timestamp"] == "1614265330"
        assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    two = signed_headers("evt_1", body, [new_secret(), new_secret()], datetime.now(UTC))
    assert [part[:3] for part in two["webhook-signature"].split(" ")] == ["v1,", "v1,"]
