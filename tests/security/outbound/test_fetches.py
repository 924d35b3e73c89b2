"""Whatever the program fetches: only where it may, nobody leads it elsewhere, and each place that
asks somebody is known here."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.adapters.assets.fetch import PictureFetcher
from app.domain.hooks.addresses import AddressRefused, check_address
from app.domain.networks import is_public, is_reachable_privately
from app.errors import AppError
from app.services.checks.web import Web, web_client
from app.services.hooks.poster import Poster
from tests.security.fortress import BEARER, Fortress
from tests.security.outbound.strangers import Ask, Stranger, everybody, html, redirect
from tests.support.hooks import a_delivery

APP = Path(__file__).parents[3] / "app"

# Who makes a connection, a client of one, or a lookup. A new place isn't here, and fails: it says
# whom it asks, that nobody leads it elsewhere, and that answers are bounded (test_answers.py).
# The sandbox asks whom its owner tells it to, and is no part of the service.
PLACES = {
    ("adapters/assets/fetch", "httpx.AsyncClient"): "Notion's hosts and YouTube's, pinned",
    ("adapters/assets/supabase_storage", "app.outbound.bounded.BoundedClient"): "SUPABASE_URL",
    ("adapters/aws/ses", "boto3.session.Session"): "AWS, or AWS_ENDPOINT_URL_…",
    ("adapters/database/embedded", "subprocess.run"): "our own PostgreSQL",
    ("adapters/database/embedded_host", "socket.socket"): "this machine, whether a port is free",
    ("adapters/database/migrations", ".connect"): "DATABASE_URL",
    ("adapters/database/postgres", ".connect"): "DATABASE_URL",
    ("adapters/database/postgres", "psycopg.AsyncConnection.connect"): "DATABASE_URL",
    ("adapters/database/supabase", "httpx.AsyncClient"): "SUPABASE_URL",
    ("adapters/database/supabase", "supabase.acreate_client"): "by the client above",
    ("adapters/dns/resolver", "dns.asyncresolver.Resolver"): "DNS_RESOLVERS",
    ("adapters/notion/client", "httpx.AsyncClient"): "NOTION_API_URL",
    ("adapters/notion/client", "notion_client.AsyncClient"): "by the client above",
    ("adapters/providers/asking", "httpx.Client"): "SENDGRID_API_URL, MAILGUN_API_URL",
    ("adapters/providers/asking", "httpx.HTTPTransport"): "of the client above",
    ("adapters/rabbitmq/queue", "aio_pika.Connection"): "RABBITMQ_URL",
    ("adapters/rabbitmq/queue", ".connect"): "by the connection above",
    ("adapters/slack/client", "httpx.AsyncClient"): "SLACK_API_URL, SLACK_WEBHOOK_URL",
    ("main", "httpx.AsyncClient"): "certificates of SNS, by a strict pattern",
    ("outbound/pinned", "socket.getaddrinfo"): "names of links, pictures and hooks",
    ("queues", "httpx.AsyncClient"): "certificates of SNS, by a strict pattern",
    (
        "services/checks/web",
        "app.outbound.bounded.BoundedClient",
    ): "links, pinned; our own addresses",
    ("services/hooks/poster", "httpx.AsyncClient"): "hooks, pinned",
    ("services/rendering/fork_server", "socket.socket"): "a descriptor of its parent's",
    ("services/rendering/renderer", "socket.socketpair"): "its child",
    ("services/rendering/shared", "socket.socket"): "a descriptor of an asker's",
    ("services/rendering/shared", "socket.socketpair"): "its child, for others",
    ("services/rendering/spawning", "subprocess.Popen"): "its child",
}
_LIBRARIES = {
    "aio_pika", "aiohttp", "aiormq", "asyncssh", "boto3", "botocore", "dns", "ftplib", "http",
    "httpcore", "httpx", "imaplib", "notion_client", "poplib", "psycopg", "psycopg_pool",
    "requests", "smtplib", "socket", "socketserver", "ssl", "subprocess", "supabase", "telnetlib",
    "urllib", "urllib3", "websockets", "xmlrpc", "asyncio",
}  # fmt: skip
_CALLS = {
    "AsyncClient", "AsyncConnection", "AsyncHTTPTransport", "Client", "Connection", "FTP",
    "HTTPConnection", "HTTPSConnection", "HTTPTransport", "Popen", "PoolManager", "Resolver",
    "SMTP", "SMTP_SSL", "Session", "acreate_client", "call", "check_call", "check_output",
    "connect", "connect_robust", "create_client", "create_connection", "create_subprocess_exec",
    "create_subprocess_shell", "create_unix_connection", "delete", "get", "getaddrinfo",
    "gethostbyaddr", "gethostbyname", "gethostbyname_ex", "getnameinfo", "getfqdn", "head",
    "open_connection", "open_unix_connection", "options", "patch", "post", "put", "request",
    "resolve", "run", "socket", "socketpair", "stream", "urlopen", "urlretrieve",
}  # fmt: skip
_METHODS = {"connect", "create_connection", "create_datagram_endpoint", "sock_connect", "sendto"}


def _asking(path: Path) -> Iterator[str]:
    """The calls in a module that may reach somebody, by their dotted names."""
    tree = ast.parse(path.read_text("utf-8"))
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.asname is not None
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if whole else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "socket.getaddrinfo":
            yield "socket.getaddrinfo"  # handed on to be called by a thread
        if not isinstance(node, ast.Call):
            continue
        dotted = ast.unparse(node.func)
        first, _, rest = dotted.partition(".")
        full = ".".join(filter(None, (names.get(first, ""), rest)))
        last = full.rpartition(".")[2]
        if full == "app.outbound.bounded.BoundedClient":  # a client of httpx's
            yield full
        elif full.partition(".")[0] in _LIBRARIES and last in _CALLS and first in names:
            if full not in {"asyncio.run", "dns.rdatatype.get"}:
                yield full
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
            yield f".{node.func.attr}"


def test_56_every_place_that_asks_somebody_is_known() -> None:
    found = {
        (path.relative_to(APP).with_suffix("").as_posix(), call)
        for path in sorted(APP.rglob("*.py"))
        if "sandbox" not in path.relative_to(APP).parts
        for call in _asking(path)
    }
    assert found == set(PLACES)


INSIDE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.0.1",
    "100.64.0.1", "169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    "192.0.0.8", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fd20:ce::254", "ff02::1",
    "fec0::1", "2001:db8::1", "2001::1", "2001:0:a9fe:a9fe::1", "100::1", "3fff::1", "5f00::1",
    "4000::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:168.63.129.16",
    "::127.0.0.1", "::8.8.8.8", "::ffff:0:8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::c000:c0",
    # Of 64:ff9b:1::/48 nobody can say where in them the IPv4 address is (RFC 6052, section 2.2).
    "64:ff9b:1::a9fe:a9fe", "64:ff9b:1::808:808", "64:ff9b:1:a9fe:a9:fe00:808:808",
    "64:ff9b:1:ffff::808:808", "64:ff9b:2::808:808",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a83f:8110::1", "2002:c0a8:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_56_addresses_of_networks_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "168.63.129.16", "192.0.0.192", "64:ff9b:1::808:808", "::8.8.8.8",
     "64:ff9b:1:a9fe:a9:fe00:808:808", "::ffff:0:10.0.0.1", "::ffff:a9fe:a9fe", "ff02::1"],
)  # fmt: skip
def test_56_some_are_nobodys_own_either(address: str) -> None:
    assert not is_reachable_privately(address)


_DISGUISED = [
    "http://example.com/", "https://127.0.0.1/", "https://2130706433/", "https://0x7f000001/",
    "https://0x7f.1/", "https://0177.0.0.1/", "https://017700000001/", "https://127.1/",
    "https://0/", "https://127.0.0.1./", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::808:808]/",
    "https://[fe80::1%25eth0]/", "https://localhost/", "https://localhost./",
    "https://x.localhost/", "https://169.254.169.254/latest/meta-data/", "https://168.63.129.16/",
    "https://192.0.0.192/", "https://user:secret@example.com/", "https://hooks.slack.com@10.0.0.1/",
    "https://10.0.0.1#@hooks.slack.com/", "https://example.com:22/", "https://example.com:99999/",
    "https://example.com:-1/", "https://xn--/", "https://xn--a/", "https://xn--zzzzzz99999/",
    "https://exa\tmple.com/", "https://example.com/\r\nX-Injected: 1", "https://example.com\\@10.0.0.1/",
    "https://[::1", "https://[v1.x]/", "https:///x", "//example.com/", "javascript:alert(1)",
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "https://１２７.0.0.1/", "https://①②⑦.0.0.1/",
    "https://127。0。0。1/", "https://\u00ad/", "https://a b/", "https://%31%32%37.0.0.1/", "",
]  # fmt: skip


async def test_56_a_hook_is_made_for_no_address_in_disguise(fortress: Fortress) -> None:
    async with fortress.untouched():
        for url in _DISGUISED:
            with pytest.raises(AddressRefused):
                check_address(url, allow_private=False)
            answer = await fortress.http.post(
                "/hooks", json={"url": url, "events": ["mailout.finished"]}, headers=BEARER
            )
            assert answer.status_code == 422, (url, answer.text)
            assert "url" in answer.text


async def test_56_links_of_any_form_are_findings(fortress: Fortress) -> None:
    """`http://xn--/` was an error of ours."""
    links = [url for url in _DISGUISED if url.startswith("http")]
    html_ = "".join(f'<a href="{link}">x</a>' for link in [*links, "http://xn--/"])
    made = await fortress.http.post(
        "/mailouts", json={"subject": "Links", "body_html": html_[:900_000]}, headers=BEARER
    )
    assert made.status_code == 201, made.text
    answer = await fortress.http.post(
        f"/mailouts/{made.json()['id']}/preflight", json={"links": True}, headers=BEARER
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def strangers() -> Iterator[tuple[Stranger, Stranger]]:
    with Stranger() as first, Stranger() as second:
        yield first, second


@pytest.fixture
def asks(
    strangers: tuple[Stranger, Stranger], monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Ask]]:
    for stranger in strangers:
        stranger.asked.clear()
        stranger.headers.clear()
        stranger.manner = html
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", strangers[0].url)
    with everybody(strangers[0].url) as found:
        yield found


_FOLLOWING = {"link", "picture"}
"""They follow, each step checked: below."""


@pytest.mark.parametrize(
    ("status", "location"),
    [
        ("307 Temporary Redirect", "{0}/latest/meta-data/"),
        pytest.param("301 Moved Permanently", "{0}/latest/", marks=pytest.mark.short),
        pytest.param("302 Found", "{0}/latest/", marks=pytest.mark.short),
        pytest.param("302 Found", "http://xn--/", marks=pytest.mark.short),
    ],
)
async def test_56_nobody_is_led_elsewhere(
    strangers: tuple[Stranger, Stranger], asks: dict[str, Ask], status: str, location: str
) -> None:
    asked, elsewhere = strangers
    asked.manner = redirect(location.format(elsewhere.url), status)
    for name in asks.keys() - _FOLLOWING:
        asked.asked.clear()
        with suppress(AppError):
            await asks[name]()
        assert asked.asked, name
        assert elsewhere.asked == [], name


_BY_NO_PROXY = {
    "hook", "link", "own_address", "picture", "slack_bot", "slack_webhook", "sendgrid", "mailgun",
    "supabase", "storage_get", "storage_put",
}  # fmt: skip


async def test_56_proxies_of_the_environment_get_neither_keys_nor_checked_addresses(
    strangers: tuple[Stranger, Stranger],
    asks: dict[str, Ask],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """AWS's and Notion's are asked through a proxy where there is one: only by its TLS."""
    asked, proxy = strangers
    authority = tmp_path / "authority.pem"
    authority.write_text("none")
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, proxy.url)
        monkeypatch.setenv(variable.lower(), proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for name in _BY_NO_PROXY:
        asked.asked.clear()
        with suppress(AppError):
            await asks[name]()
        assert asked.asked, name
        assert proxy.asked == [], name


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:{0}/x", "//127.0.0.1:{0}/", "http://2130706433:{0}/", "http://xn--/",
     "http://[::ffff:127.0.0.1]:{0}/", "http://here.example:{0}/", "http://127.0.0.2:99999/",
     "\x01", "http://[", "ftp://x/"],
)  # fmt: skip
async def test_56_each_step_of_a_redirect_is_checked(
    strangers: tuple[Stranger, Stranger], location: str
) -> None:
    """And a name that leads elsewhere the second time gains nothing: it is asked once."""
    asked, elsewhere = strangers
    asked.manner = redirect(location.format(elsewhere.port), "302 Found")
    elsewhere.asked.clear()
    seen: Counter[str] = Counter()

    async def resolve(host: str, port: int) -> list[str]:
        """Our first server has a public name here; every other name leads into the network."""
        seen[host] += 1
        return ["127.0.0.1"] if host == "public.example" and seen[host] == 1 else ["127.0.0.2"]

    def allowed(address: str) -> bool:
        return address == "127.0.0.1"

    url = f"http://public.example:{asked.port}/"
    async with web_client() as http:
        answer = await Web(http, resolve, allowed).ask(url)
    assert answer.status is None
    assert seen["public.example"] == 1
    own = f"http://public.example:{asked.port}"
    with pytest.raises(AppError):
        await PictureFetcher(own, resolve, allowed).fetch(f"{own}/x.png")
    async with Poster(allow_private=True, resolve=resolve) as poster:
        assert (await poster.post(a_delivery("http://xn--/"))).status is None
    assert elsewhere.asked == []


async def test_56_nothing_is_written_into_a_request(
    strangers: tuple[Stranger, Stranger],
) -> None:
    """Line breaks of an address, its password, and what follows `#`."""
    asked, _ = strangers
    asked.manner = html
    asked.headers.clear()

    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with web_client() as http:
        web = Web(http, resolve, lambda _: True)
        for path in (
            "/x\r\nX-Injected: 1",
            "/%0d%0aX-Injected: 1",
            "/x HTTP/1.1\nX-Injected: 1",
            "/\0",
        ):
            await web.ask(f"http://me:secret@public.example:{asked.port}{path}#fragment")
    for head in asked.headers:
        assert b"\nX-Injected" not in head
        assert b"uthorization" not in head
        assert b"fragment" not in head
