"""Every parser of addresses may raise: each place that reads one from outside takes any text."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.assets.fetch import PictureFetcher
from app.api.dashboard.domain import readable as readable_domain
from app.domain.addresses import InvalidAddress, ascii_address
from app.domain.assets.notion_hosts import is_at_notion, is_notion_file
from app.domain.assets.videos import is_video_picture, video_picture
from app.domain.clients.networks import network_of
from app.domain.content.links import is_local, lead_nowhere, links_of, web_links
from app.domain.dns.names import server_address
from app.domain.given.urls import amqp_url, queue_url
from app.domain.hooks.addresses import AddressRefused, address_problem, check_address
from app.domain.hooks.words import shown_host
from app.domain.networks import is_public, is_reachable_privately, is_web_address
from app.domain.notion.blocks import links as block_links
from app.domain.notion.blocks.media import _name
from app.domain.notion.pages import NotAPage, page_id
from app.services.assets.keep import _origin
from app.services.checks.web import Web, web_client
from app.services.signup.sign_up import _page
from tests.support.wide import examples

APP = Path(__file__).parents[3] / "app"

# What may raise for a text, and whoever calls it: what the text is, and which function below takes
# any. A new place isn't here, and fails. "ours": the text was checked before, by the settings
# (is_web_address, queue_url, amqp_url) or by what is named.
PARSERS = {
    "adapters/assets/fetch": "takes",
    "adapters/aws/certificates": "ours: checked by a pattern before (1 to 5)",
    "adapters/database/connection_string": "ours: the setting itself, which says what is wrong",
    "adapters/rabbitmq/queue": "ours",
    "api/dashboard/access": "ours",
    "api/dashboard/around": "ours",
    "api/dashboard/domain": "readable_domain",
    "api/dashboard/notion": "ours",
    "api/dashboard/session": "ours; Origin: caught there",
    "domain/addresses": "ascii_address",
    "domain/assets/videos": "video_picture",
    "domain/clients/networks": "clients",
    "domain/content/links": "links",
    "domain/dns/names": "server_address",
    "domain/engagement/networks": "caught there; the tables are ours",
    "domain/given/urls": "queue_url, amqp_url",
    "domain/hooks/addresses": "check_address",
    "domain/hooks/words": "check_address",
    "domain/mailcheck/check": "caught there",
    "domain/networks": "is_web_address",
    "domain/notion/blocks/links": "block_links",
    "domain/notion/blocks/media": "media_name",
    "domain/notion/pages": "page_id",
    "domain/queues/sqs": "ours",
    "domain/ses/sns_message": "ours: the sandbox's endpoint",
    "domain/standing/blocklists": "ours: AWS's addresses, checked by the caller",
    "outside": "ours",
    "services/assets/keep": "origin",
    "services/checks/pictures": "ours",
    "services/checks/public": "ours",
    "services/checks/settings": "ours",
    "services/checks/web": "Web.ask",
    "services/hooks/hooks": "ours: check_address",
    "services/notion/check": "ours",
    "services/queues/check": "ours",
    "services/signup/sign_up": "sign_up",
    "settings": "ours",
}
_PARSER = re.compile(
    r"\b(?:urlsplit|urlparse|ip_address|ip_network|IPv[46](?:Address|Network)|parseaddr|getaddresses"
    r"|make_url|validate_email)$|^httpx\.URL$|^idna\.|^yarl\.URL$"
)


def _parses(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        constant = node.args and isinstance(node.args[0], ast.Constant)
        name = ast.unparse(node.func)
        if _PARSER.search(name) and not constant:
            return True
        if name.endswith((".encode", ".decode")) and "'idna'" in ast.unparse(node):
            return True
    return False


def test_56_every_parser_of_addresses_is_known() -> None:
    found = {
        path.relative_to(APP).with_suffix("").as_posix()
        for path in APP.rglob("*.py")
        if "sandbox" not in path.relative_to(APP).parts and _parses(path)
    }
    assert found == set(PARSERS)


HOSTS = [
    "xn--", "xn--a", "a.xn--", "xn--zzzzzz99999", "[::1", "[v1.x]", "[::ffff:1.2.3.4]", "::1",
    "a:99999", "a:-1", "a:b", "a..b", ".", "..", "\u2488", "\uff0e", "\xad", "\u2100", "%00", "%ff",
    "0", "0x7f.1", "1.2.3.4.5", "a" * 70, "a." * 200, "\udc80", "a\x00b", "a b", "a\r\nb", "@",
    "me:pw@a", "☃.net:٣", "ß.de", "İ.com", "fe80::1%eth0", "[fe80::1%25eth0]", "１２７.1", "²", "",
    "www.notion.so", "prod-files-secure.s3.us-west-2.amazonaws.com", "youtu.be", "-", "_",
]  # fmt: skip
PATHS = ["", "/", "/x?y#z", "/%", "/%zz", "/\\", "\\", "/[", "?p=x", "?v=", "/watch?v=%00", "//x"]
SCHEMES = [
    "http://", "https://", "//", "", "HTTP:", "https:/", "amqp://", "ftp://", "javascript:",
    "https://www.notion.so/", "http://[", "\x01http://", "x" * 50 + "://",
]  # fmt: skip
texts = st.one_of(
    st.builds(
        lambda *parts: "".join(parts),
        st.sampled_from(SCHEMES),
        st.one_of(st.sampled_from(HOSTS), st.text(max_size=6)),
        st.sampled_from(PATHS),
    ),
    st.text(max_size=20),
)


def _expecting(call: Callable[[str], Any], *expected: type[Exception]) -> Callable[[str], None]:
    def tried(text: str) -> None:
        with suppress(*expected):
            call(text)

    return tried


def _links(text: str) -> None:
    found = links_of(f'<a href="{text}">x</a><img src="{text}">', text)
    web_links([text, *found])
    lead_nowhere([text, *found])
    is_local(text)


def _check(text: str) -> None:
    check_address(text, allow_private=True)
    check_address(text, allow_private=False)


def _hook(text: str) -> None:
    target = check_address(text, allow_private=True)
    assert target.host
    shown_host(text)


def _block(text: str) -> None:
    block_links.is_open_to_all(text)
    block_links.is_in_notion(text)
    block_links.attribute(text)
    block_links.readable(text)
    block_links.host(text)


def _public(text: str) -> None:
    is_public(text)
    is_reachable_privately(text)
    address_problem(text, allow_private=True)


TAKING: dict[str, Callable[[str], Any]] = {
    "takes": PictureFetcher("https://api.notion.com").takes,
    "readable_domain": readable_domain,
    "ascii_address": _expecting(ascii_address, InvalidAddress),
    "address at": _expecting(lambda text: ascii_address(f"a@{text}"), InvalidAddress),
    "video_picture": video_picture,
    "is_video_picture": is_video_picture,
    "is_at_notion": is_at_notion,
    "is_notion_file": is_notion_file,
    "links": _links,
    "server_address": _expecting(server_address, ValueError),
    "queue_url": _expecting(queue_url, ValueError),
    "amqp_url": _expecting(amqp_url, ValueError),
    "check_address": _expecting(_check, AddressRefused),
    "hook": _expecting(_hook, AddressRefused),
    "is_web_address": is_web_address,
    "networks": _expecting(_public, ValueError),
    "block_links": _block,
    "media_name": _name,
    "page_id": _expecting(page_id, NotAPage),
    "origin": _origin,
    "sign_up page": _page,
    "clients": network_of,
}


@pytest.mark.parametrize("name", TAKING)
@given(text=texts)
@settings(max_examples=examples(50), deadline=None)
def test_56_any_text_is_taken(name: str, text: str) -> None:
    TAKING[name](text)


@pytest.mark.parametrize("name", TAKING)
def test_56_the_odd_ones_are_taken(name: str) -> None:
    for scheme in SCHEMES:
        for host in HOSTS:
            for path in ("", "/x", "/["):
                TAKING[name](f"{scheme}{host}{path}")


async def test_56_any_link_is_a_finding() -> None:
    """Nobody is asked: no name has an address here."""

    async def resolve(host: str, port: int) -> list[str]:
        host.encode("idna")
        return []

    async with web_client() as http:
        web = Web(http, resolve)
        for scheme in SCHEMES:
            for host in HOSTS:
                answer = await web.ask(f"{scheme}{host}/")
                assert answer.status is None
                assert answer.problem
