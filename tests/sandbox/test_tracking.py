"""Open and click tracking as SES does it, and the readers who open and click."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from ipaddress import ip_address, ip_network
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.sandbox.ses.sets import Tracked
from app.sandbox.tracking.readers import KINDS, MIX, acts_of, kind_of, parse_shares
from app.sandbox.tracking.rewriting import MAX_LINKS, Link, Tracker
from tests.sandbox.conftest import FAST
from tests.sandbox.support import (
    Received,
    Receiver,
    bulk,
    entry,
    refused,
    ses_client,
    single,
    template,
)

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

    from app.sandbox.store import Mail

TRACKING = "sandbox-tracking"
HTML = (
    "<html><body><p>Hi {{name}}</p>"
    '<a class="x" href="https://example.com/a?x=1&amp;y=2" ses:tags="place:top;kind:big;">A</a>'
    "<!-- <a href='https://example.com/hidden'>old</a> -->"
    "<a href='{{link}}'>B</a>"
    '<a href="mailto:us@example.com">write</a>'
    '<a ses:no-track href="https://example.com/unsubscribe?token=t">Unsubscribe</a>'
    "</body></html>"
)
B_LINK = "https://example.org/b b/ü#c"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def server(receiver: Receiver) -> Iterator[SandboxServer]:
    """With events; people read at once."""
    config = SandboxConfig(event_endpoint=receiver.url, reader_seconds=(0.0, 0.0), **FAST)
    with SandboxServer(config) as running:
        receiver.confirm(running.url)
        yield running


@pytest.fixture
def ses(server: SandboxServer, receiver: Receiver) -> SESV2Client:
    server.reset()
    receiver.received.clear()
    return ses_client(server.url)


def sent(
    server: SandboxServer,
    ses: SESV2Client,
    *,
    html: str = HTML,
    to: str = "ann@example.com",
    configuration_set: str = TRACKING,
    **changes: Any,
) -> dict[str, Any]:
    """The mail as it was delivered."""
    content = {"Subject": "S", "Html": html, "Text": "See https://example.com/a"}
    answer = ses.send_bulk_email(
        **bulk(
            entry(to, link=B_LINK),
            DefaultContent=template(**content),
            ConfigurationSetName=configuration_set,
            **changes,
        )
    )
    return server.mail(answer["BulkEmailEntryResults"][0]["MessageId"])


def tracked(mail: dict[str, Any]) -> dict[str, str]:
    return {link["url"]: link["tracked"] for link in mail["links"] if link["tracked"]}


def seen_of(receiver: Receiver, *mails: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The opens and clicks of these mails, once there are `count`."""
    ids = {mail["message_id"] for mail in mails}

    def found(received: list[Received]) -> list[dict[str, Any]]:
        events = [post.event for post in received if post.kind in {"Open", "Click"}]
        return [event for event in events if event["mail"]["messageId"] in ids]

    return found(receiver.wait_for(lambda received: len(found(received)) >= count))


def test_links_are_replaced_and_a_pixel_stands_at_the_end(
    server: SandboxServer, ses: SESV2Client
) -> None:
    """Mail addresses, comments, text and what says `ses:no-track` stay as they are."""
    mail = sent(server, ses)
    assert list(tracked(mail)) == ["https://example.com/a?x=1&y=2", B_LINK]
    html = mail["html"]
    assert 'class="x"' in html
    assert "example.com/a" not in html
    assert "ses:" not in html.replace(mail["pixel"], "")
    assert "href='https://example.com/hidden'" in html
    assert 'href="mailto:us@example.com"' in html
    assert '<a href="https://example.com/unsubscribe?token=t">' in html
    assert html.count("<img") == 1
    assert html.endswith('height: 1px;"></body></html>')
    assert mail["text"] == "See https://example.com/a"
    assert "/L0/" in mail["raw"].replace("=\r\n", "")


@pytest.mark.parametrize(
    ("configuration_set", "overrides", "clicks", "opens"),
    [
        ("sandbox", {}, False, False),
        (TRACKING, {"OpenTrackingEnabled": "DISABLED"}, True, False),
        (TRACKING, {"ClickTrackingEnabled": "DISABLED"}, False, True),
        ("sandbox", {"OpenTrackingEnabled": "ENABLED"}, False, True),
    ],
)
def test_what_is_tracked_is_the_sets_and_the_calls_affair(
    server: SandboxServer,
    ses: SESV2Client,
    configuration_set: str,
    overrides: dict[str, str],
    clicks: bool,
    opens: bool,
) -> None:
    told: Any = {"ConfigurationOverrides": {"Tracking": overrides}} if overrides else {}
    mail = sent(server, ses, configuration_set=configuration_set, **told)
    assert (bool(tracked(mail)), mail["pixel"] is not None) == (clicks, opens)


def test_the_accounts_engagement_metrics_track_every_set(
    server: SandboxServer, ses: SESV2Client
) -> None:
    """But for one that says no; links that say `ses:no-track` stay untouched all the same."""
    server.account(engagement_metrics="ENABLED")
    attributes = ses.get_account()["VdmAttributes"]
    assert attributes["DashboardAttributes"]["EngagementMetrics"] == "ENABLED"
    mail = sent(server, ses, configuration_set="sandbox")
    assert len(tracked(mail)) == 2
    assert "https://example.com/unsubscribe?token=t" not in tracked(mail)
    server.configuration_set("sandbox", engagement_metrics="DISABLED")
    assert not tracked(sent(server, ses, configuration_set="sandbox"))
    server.configuration_set("sandbox", custom_redirect_domain="c.example", https_policy="REQUIRE")
    shown = ses.get_configuration_set(ConfigurationSetName="sandbox")
    assert shown["TrackingOptions"] == {
        "CustomRedirectDomain": "c.example",
        "HttpsPolicy": "REQUIRE",
    }
    assert shown["VdmOptions"]["DashboardOptions"]["EngagementMetrics"] == "DISABLED"


def test_at_most_250_links_are_tracked(server: SandboxServer, ses: SESV2Client) -> None:
    html = "".join(f'<a href="https://example.com/{n}">{n}</a>' for n in range(MAX_LINKS + 5))
    mail = sent(server, ses, html=html)
    assert len(tracked(mail)) == MAX_LINKS
    assert len(mail["links"]) == MAX_LINKS + 5


def test_the_pixel_stands_where_the_template_wants_it(
    server: SandboxServer, ses: SESV2Client
) -> None:
    place = "<p>{{ses:openTracker}}top</p><p>end</p>"
    assert sent(server, ses, html=place)["html"].startswith("<p><img ")
    assert sent(server, ses, html=place, configuration_set="sandbox")["html"] == (
        "<p>top</p><p>end</p>"
    )
    with refused("BadRequestException"):
        sent(server, ses, html=place * 2)


def test_who_asks_is_seen_and_sent_on(
    server: SandboxServer, ses: SESV2Client, receiver: Receiver
) -> None:
    """A click leads to the link, an open to a picture; both are events in SES's shape."""
    mail = sent(server, ses)
    with httpx.Client(trust_env=False, headers={"User-Agent": "Reader/1"}) as reader:
        for url, address in tracked(mail).items():
            answer = reader.get(address)
            assert answer.status_code == 302
            assert httpx.URL(answer.headers["location"]) == httpx.URL(url)
        pixel = reader.get(mail["pixel"])
        assert pixel.headers["content-type"] == "image/gif"
    later = seen_of(receiver, mail, count=3)
    clicks = {event["click"]["link"]: event["click"] for event in later if "click" in event}
    first = clicks["https://example.com/a?x=1&y=2"]
    assert (first["ipAddress"], first["userAgent"]) == ("127.0.0.1", "Reader/1")
    assert first["linkTags"] == {"place": ["top"], "kind": ["big"]}
    assert clicks[B_LINK]["linkTags"] is None
    (opened,) = [event["open"] for event in later if "open" in event]
    assert opened.keys() == {"timestamp", "ipAddress", "userAgent"}
    assert later[0]["mail"]["tags"]["mailout_id"] == ["m1"]


def test_an_address_leads_only_where_its_own_mail_does(
    server: SandboxServer, ses: SESV2Client
) -> None:
    first, second = sent(server, ses), sent(server, ses, to="bob@example.com")
    address = next(iter(tracked(first).values()))
    other_mail = address.replace(first["message_id"], second["message_id"])
    other_link = address.replace("example.com", "evil.example")
    pixel = first["pixel"].replace(first["message_id"], second["message_id"])
    for wrong in (other_mail, other_link, pixel, f"{server.url}/L0/x", f"{server.url}/I0/"):
        assert server.control.get(wrong).status_code == 404
    server.reset()
    assert server.control.get(address).status_code == 404


def test_without_open_and_click_in_its_destination_a_set_tells_of_none(
    server: SandboxServer, ses: SESV2Client, receiver: Receiver
) -> None:
    mail = sent(server, ses)
    server.configuration_set(TRACKING, events=["SEND", "DELIVERY"])
    server.control.get(mail["pixel"])
    assert tracked(sent(server, ses, to="microsoft+1@example.com")) == {}
    server.configuration_set(TRACKING, events=["OPEN"])
    server.control.get(mail["pixel"])
    assert len(seen_of(receiver, mail, count=1)) == 1


def test_addresses_ask_for_a_kind_of_reader(
    server: SandboxServer, ses: SESV2Client, receiver: Receiver
) -> None:
    """Only where the mail is tracked; everybody else does nothing."""
    mails = [
        sent(server, ses, to="microsoft+0@example.com", configuration_set="sandbox"),
        sent(server, ses, to="ann@example.com"),
        sent(server, ses, to="apple+1@example.com"),
        sent(server, ses, to="microsoft+1@example.com"),
    ]
    seen = seen_of(receiver, *mails, count=3)
    by_address: dict[str, list[dict[str, Any]]] = {}
    for event in seen:
        by_address.setdefault(event["mail"]["destination"][0], []).append(event)
    assert by_address.keys() == {"apple+1@example.com", "microsoft+1@example.com"}
    (apple,) = by_address["apple+1@example.com"]
    assert ip_address(apple["open"]["ipAddress"]) in ip_network("172.224.226.0/27")
    clicks = [event["click"] for event in by_address["microsoft+1@example.com"]]
    assert {click["link"] for click in clicks} == {"https://example.com/a?x=1&y=2", B_LINK}
    assert all(ip_address(c["ipAddress"]) in ip_network("40.107.0.0/16") for c in clicks)


def test_every_kind_does_the_same_on_every_run() -> None:
    links = [Link(f"https://example.com/{n}", n, None, "t") for n in range(1, 6)]
    for kind in KINDS:
        acts = acts_of(kind, "ann@example.com", links, (6.0, 20.0))
        assert acts == acts_of(kind, "ann@example.com", links, (6.0, 20.0))
        assert acts
        assert acts_of(kind, "ann@example.com", [], (6.0, 20.0)) is not None
    burst = acts_of("microsoft", "ann@example.com", links, (6.0, 20.0))
    assert len(burst) == 5
    assert max(act.after_seconds for act in burst) < 1.0
    opened = acts_of("person", "ann@example.com", links, (6.0, 20.0))[0]
    assert 6.0 <= opened.after_seconds <= 20.0


def test_shares_are_of_ordinary_addresses() -> None:
    people = [f"reader{n}@example.com" for n in range(2000)]
    kinds = [kind_of(each, {"person": 0.3, "apple": 0.1}) for each in people]
    assert 500 < kinds.count("person") < 700
    assert 150 < kinds.count("apple") < 250
    assert kind_of("ann@example.com", {}) is None
    assert parse_shares("mix") == MIX
    assert parse_shares(" person=0.3, apple=0.1 ") == {"person": 0.3, "apple": 0.1}
    for wrong in ("ghost=1", "person", "person=0.9,apple=0.2", "person=-1"):
        with pytest.raises(ValueError, match=r"kind|share"):
            parse_shares(wrong)


ADDRESSES = (
    "https://e.com/a?x=1&y=2",
    "http://e.com/ü b",
    "https://e.com/?q=\"'<>",
    "HTTPS://E.com",
)
PIECES = (
    *(f'<a class="k" href="{escape(url)}" id=q>t</a>' for url in ADDRESSES),
    *("<p>", "</p>\r\n", "\n", "ü&amp;<b>", "<br/>", "< a", "<a name=x>", "\t", "\f", "\u2028"),
    *('<!-- <a href="https://no"> -->', "<style>a>b{c:\"<a href='https://x'>\"}</style>"),
    *('<!--[if mso]><a href="https://m"><![endif]-->', '<textarea><a href="https://t"></textarea>'),
    *('<a href="mailto:x@y">m</a>', "<script>'<a href=\"https://s\">'</script>", "<?x?>"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_all_but_the_addresses_stays_as_it_was(pieces: list[str]) -> None:
    html = "".join(pieces)
    call = SimpleNamespace(html=html, tracked=Tracked(clicks=True))
    mail = SimpleNamespace(call=call, message_id="m", render=lambda part: part)
    made = Tracker("http://t").delivered(cast("Mail", mail))
    assert made is not None
    back = made.html
    for link in made.tracked_links:
        back = back.replace(escape(link.tracked or ""), escape(link.url), 1)
    assert back == html


def test_the_page_shows_which_links_are_seen(server: SandboxServer, ses: SESV2Client) -> None:
    mail = sent(server, ses)
    page = server.control.get(f"/mail/{mail['message_id']}").text
    assert "<td>yes</td><td><code>https://example.com/a?x=1&amp;y=2</code>" in page
    assert "<td>no</td><td><code>https://example.com/unsubscribe?token=t</code>" in page
    assert server.control.get(f"/mail/{mail['message_id']}/html").text == mail["html"]
    plain = server.mail(ses.send_email(**single())["MessageId"])
    assert (plain["links"], plain["pixel"], plain["html"]) == ([], None, None)
