"""What DNS says is told apart from its not saying anything, whatever comes over the wire."""

from __future__ import annotations

import dns.asyncresolver as dns_library
import pytest
from dns.nameserver import Do53Nameserver

from app.adapters.dns import resolver as adapter
from app.adapters.dns.resolver import DnsResolver
from app.domain.dns.questions import Kind, Question
from tests.support.dns_server import DnsServer, Manner

NAME = "news.example.com"


def text(name: str = NAME, kind: Kind = "TXT") -> Question:
    return Question(name, kind)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that say nothing are given up soon."""
    monkeypatch.setattr(adapter, "TRY_SECONDS", 0.1)
    monkeypatch.setattr(adapter, "QUESTION_SECONDS", 0.3)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For answers that come, on a machine that is busy."""
    monkeypatch.setattr(adapter, "TRY_SECONDS", 30.0)
    monkeypatch.setattr(adapter, "QUESTION_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
class TestWhatIsThere:
    async def test_records_are_read(self, dns: DnsServer, resolver: DnsResolver) -> None:
        dns.put(NAME, "TXT", "b", "a;\"'\\ é")
        dns.put(NAME, "MX", "10 Mail.Example.com")
        dns.put("alias.example.com", "CNAME", NAME)
        assert (await resolver.ask(text())).records == ("a;\"'\\ é", "b")
        assert (await resolver.ask(text(kind="MX"))).records == ("10 mail.example.com",)
        followed = await resolver.ask(text("alias.example.com"))
        assert followed.records == ("a;\"'\\ é", "b")
        assert followed.end == NAME
        assert (await resolver.ask(text("alias.example.com", "CNAME"))).records == (NAME,)

    async def test_a_long_record_comes_in_pieces_and_by_tcp(
        self, dns: DnsServer, resolver: DnsResolver
    ) -> None:
        dns.put(NAME, "TXT", "x" * 4_096)
        assert (await resolver.ask(text())).records == ("x" * 4_096,)
        assert [way for *_, way in dns.asked] == ["udp", "tcp"]

    async def test_no_such_record_is_not_no_such_name(
        self, dns: DnsServer, resolver: DnsResolver
    ) -> None:
        dns.put(f"below.{NAME}", "A", "192.0.2.1")
        assert (await resolver.ask(text())).state == "nodata"
        assert (await resolver.ask(text("gone.example.com"))).state == "nxdomain"
        dns.put("dangling.example.com", "CNAME", "gone.example.com")
        gone = await resolver.ask(text("dangling.example.com"))
        assert (gone.state, gone.end) == ("nxdomain", "gone.example.com")

    async def test_a_forged_answer_is_not_taken(
        self, dns: DnsServer, resolver: DnsResolver
    ) -> None:
        dns.put(NAME, "TXT", "ours")
        dns.behave(NAME, "wrong_id")
        assert (await resolver.ask(text())).records == ("ours",)

    async def test_bytes_that_are_no_text_stay_storable(
        self, dns: DnsServer, resolver: DnsResolver
    ) -> None:
        dns.put(NAME, "TXT", "a\0b", "c\udcffd")
        assert (await resolver.ask(text())).records == ("a\ufffdb", "c\ufffdd")

    async def test_a_chain_of_fifteen_names_is_followed(
        self, dns: DnsServer, resolver: DnsResolver
    ) -> None:
        for number in range(15):
            dns.put(f"n{number}.example.com", "CNAME", f"n{number + 1}.example.com")
        dns.put("n15.example.com", "TXT", "at the end")
        answer = await resolver.ask(text("n0.example.com"))
        assert (answer.records, answer.end) == (("at the end",), "n15.example.com")

    async def test_a_flood_of_records_is_read(self, dns: DnsServer, resolver: DnsResolver) -> None:
        dns.put(NAME, "TXT", *(f"{number:03d}" + "x" * 250 for number in range(240)))
        assert len((await resolver.ask(text())).records) == 240

    async def test_the_machines_own_resolvers_are_read_each_time(
        self, dns: DnsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A machine that moves to another network has others."""
        asked: list[str] = []

        class Machine(dns_library.Resolver):
            def __init__(self, configure: bool = True) -> None:
                super().__init__(configure=False)
                asked.append("read")
                self.nameservers = [Do53Nameserver("127.0.0.1", dns.port)]

        monkeypatch.setattr(dns_library, "Resolver", Machine)
        dns.put(NAME, "TXT", "there")
        ours = DnsResolver(("system",))
        assert [(await ours.ask(text())).state for _ in range(2)] == ["found", "found"]
        assert len(asked) == 2

    @pytest.mark.parametrize("name", ["a" * 64 + ".example.com", "a..example.com", "x." * 130])
    async def test_a_name_that_cant_be_is_not_there(self, resolver: DnsResolver, name: str) -> None:
        assert (await resolver.ask(text(name))).state == "nxdomain"


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("servfail", "SERVFAIL"),
        ("refused", "REFUSED"),
        ("silent", "didn't answer"),
        ("garbage", ""),
        ("wrong_question", ""),
        ("circle", "circle"),
        ("cut", ""),
        ("handed_on", "doesn't know the domain"),
        ("other_name", "another name"),
    ],
)
async def test_what_goes_wrong_is_unknown(
    dns: DnsServer, resolver: DnsResolver, manner: Manner, why: str
) -> None:
    dns.put(NAME, "TXT", "there")
    dns.behave(NAME, manner)
    answer = await resolver.ask(text())
    assert answer.state == "unknown"
    assert answer.why
    assert why in answer.why


async def test_a_second_server_is_asked_where_the_first_fails(
    dns: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "QUESTION_SECONDS", 60.0)
    dns.put(NAME, "TXT", "there")
    dead = DnsServer()
    with dead:
        dead.behave(NAME, "servfail")
        both = DnsResolver((dead.address, dns.address))
        assert (await both.ask(text())).records == ("there",)


async def test_nobody_there_is_unknown(dns: DnsServer) -> None:
    with DnsServer() as gone:
        address = gone.address
    answer = await DnsResolver((address,)).ask(text())
    assert answer.state == "unknown"
    assert answer.why
