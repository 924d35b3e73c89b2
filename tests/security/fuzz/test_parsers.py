"""59: what reads strangers' words refuses them with an error of its own, or takes them whole."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.addresses import InvalidAddress, canonical_address
from app.domain.timed_tokens import ResubscribeTokens, SignupTokens
from app.domain.tokens import InvalidToken, UnsubscribeTarget, UnsubscribeTokens
from app.services.lists.csv_reader import read_records
from app.services.lists.encoding import UTF_8
from tests.security.fortress import Fortress
from tests.security.fuzz import targets
from tests.security.fuzz.atheris_seeds import SEEDS
from tests.support.wide import examples

FEW = settings(max_examples=examples(25))
TEXT = st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))


def made_of(*pieces: str, most: int = 12) -> st.SearchStrategy[bytes]:
    """Texts put together from pieces of a language, and from anything."""
    piece = st.sampled_from(pieces) | st.text(max_size=4)
    return st.lists(piece, max_size=most).map(
        lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
    )


LIQUID = made_of(
    "{{ name }}", "{{ fields.city | upcase }}", "{{ email | replace: 'a', fields.city }}",
    "{% if name %}", "{% elsif fields.x == 3 %}", "{% else %}", "{% endif %}",
    "{% for x in (1..9) %}", "{{ x }}", "{% break %}", "{% endfor %}",
    "{% assign y = fields.n | times: 99999999 %}", "{{ y | times: y }}", "{% capture z %}",
    "{% endcapture %}", "{{ z | append: z | append: z }}", "{% raw %}", "{% endraw %}",
    "{% case name %}", "{% when 'a' %}", "{% endcase %}", "{% comment %}", "{% endcomment %}",
    "{% tablerow r in (1..3) %}", "{% endtablerow %}", "{% cycle 'a', 'b' %}", "{% liquid",
    "{% include 'x' %}", "{{-", "-%}", "{{", "}}", "{%", "%}", "|", "'", '"', "\\",
    "<p>", "</p>", "<a href=\"", "{{ unsubscribe_url }}", "\">", "<!--", "-->", "<style>",
    "p > a:hover { color: red }", "</style>", "<table><tr><td>", "<div hidden>", "<template>",
    "# ", "\n\n", "| a | b |\n|---|---|\n", "- [ ] ", "```\n", "[x](javascript:1)", "![x](",
)  # fmt: skip
CSV = made_of(
    "email", "name", "tags", "status", "a@example.com", "unsubscribed", ",", ";", "\t", '"',
    '""', "\n", "\r\n", "\r", "\ufeff", "sep=;", " ", "=1+1", "2026-05-04", "x" * 200, "\0",
    most=30,
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
ADDRESS = made_of(
    "ann", "a.b", "@", "example", ".", "com", "xn--", "xn--bcher-kva", "bücher", "ß", "İ", "-",
    "--", "\u200b", "\u200d", "\u3002", "\uff0e", " ", "\t", "\u00a0", ",", ";", "<", ">", '"',
    "[127.0.0.1]", "+x", "'", "\u0301", "Ａ", "%", "x" * 60, "0", most=8,
)  # fmt: skip


def mutated(name: str) -> st.SearchStrategy[bytes]:
    """Sound inputs with some members of their JSON replaced, or some bytes."""

    @st.composite
    def make(draw: st.DrawFn) -> bytes:
        seed = bytearray(draw(st.sampled_from(SEEDS[name])))
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(seed)))
            new = draw(st.binary(max_size=3) | JSON.map(lambda value: json.dumps(value).encode()))
            seed[at : at + draw(st.integers(0, 8))] = new
        return bytes(seed)

    return make()


@FEW
@given(mutated("events") | JSON.map(lambda value: json.dumps(value).encode()) | TEXT)
def test_59_events_of_every_provider(data: bytes) -> None:
    targets.events(data)


@FEW
@given(CSV | mutated("csv") | st.binary(max_size=200))
def test_59_lists_of_subscribers(data: bytes) -> None:
    targets.csv(data)


@FEW
@given(LIQUID | mutated("content"))
def test_59_mails_of_pieces_of_liquid_html_and_markdown(data: bytes) -> None:
    targets.content(b"0" + data)
    targets.content(b"1" + data)


@FEW
@given(mutated("blocks"))
def test_59_pages_of_notion(data: bytes) -> None:
    targets.blocks(data)


@FEW
@given(LIQUID)
def test_59_subjects(data: bytes) -> None:
    targets.subject(data)


@FEW
@given(ADDRESS | TEXT)
def test_59_who_takes_an_address_gives_one_that_everybody_takes(data: bytes) -> None:
    targets.addresses(data)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_59_the_seeds_are_sound(name: str) -> None:
    for seed in SEEDS[name]:
        targets.TARGETS[name](seed)


@pytest.mark.parametrize("text", ["a\rb,c\n", '"a\n,b"\nc,d\n', "a,b", ""])
def test_59_rows_know_their_lines(text: str) -> None:
    from io import BytesIO

    records = list(read_records(BytesIO(text.encode()), UTF_8, ","))
    assert [record.line for record in records] == sorted(record.line for record in records)


async def test_59_the_database_reads_addresses_as_we_do(fortress: Fortress) -> None:
    """One statement for all of them: what is taken, and as what."""
    found: set[str] = set()

    @settings(max_examples=examples(150))
    @given(ADDRESS)
    def gather(data: bytes) -> None:
        text = data.decode("utf-8", "ignore")
        if "\0" not in text:
            found.add(text)

    gather()
    texts = sorted(found)
    done = await fortress.sql.execute(
        "select canonical_address(t) as address from unnest(%s::text[]) with ordinality u(t, n) "
        "order by n",
        [texts],
    )
    theirs = [row["address"] async for row in done]
    for text, address in zip(texts, theirs, strict=True):
        # it may refuse a domain that it isn't sure of; it never has another form
        unsure = address is None and not text.rpartition("@")[2].isascii()
        assert unsure or address == ours(text), text


def ours(text: str) -> str | None:
    try:
        return canonical_address(text)
    except InvalidAddress:
        return None


SECRETS = ["one-secret-0123456789abcdefghijklmnop", "old-secret-0123456789abcdefghijklmnop"]
LINKS = UnsubscribeTokens(SECRETS)
SIGNUPS, MISTAKES = SignupTokens(SECRETS), ResubscribeTokens(SECRETS)


@FEW
@given(
    st.uuids(),
    st.none() | st.uuids(),
    st.booleans(),
    st.integers(0, 100),
    st.text(max_size=3),
    st.integers(0, 3),
)
def test_59_a_token_has_one_spelling_and_one_purpose(
    person: UUID, mailout: UUID | None, test: bool, at: int, put: str, cut: int
) -> None:
    token = LINKS.sign(person, mailout, test=test)
    assert LINKS.verify(token) == UnsubscribeTarget(person, mailout, test)
    at %= len(token)
    changed = token[:at] + put + token[at + cut :]
    if changed != token:
        assert refused(LINKS, changed)
    for other in (SIGNUPS, MISTAKES):
        assert refused(other, token)
    assert refused(LINKS, SIGNUPS.sign(person))
    assert refused(MISTAKES, SIGNUPS.sign(person))


@FEW
@given(st.text(max_size=120))
def test_59_anything_is_no_token(text: str) -> None:
    assert all(refused(tokens, text) for tokens in (LINKS, SIGNUPS, MISTAKES))


def refused(tokens: Any, text: str) -> bool:
    try:
        tokens.verify(text)
    except InvalidToken:
        return True
    return False
