"""Whatever stands in DNS: nothing raises, every walk ends, and the limits hold."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.dns.dkim import is_key, read_key
from app.domain.dns.dmarc import MAX_QUERIES, dmarc_records, read_dmarc, walk_tree
from app.domain.dns.judging.dkim import see_key
from app.domain.dns.judging.dmarc import judge_dmarc, judge_proofs, see_dmarc
from app.domain.dns.judging.envelope import judge_own_spf, see_envelope
from app.domain.dns.judging.routes import judge_region, told_by_route
from app.domain.dns.looks import Look
from app.domain.dns.questions import NODATA, NXDOMAIN, Answer, Question, found, unknown, walked
from app.domain.dns.sender import sender_of
from app.domain.dns.spf import SpfError, read_spf
from app.domain.dns.spf_walk import COUNTED_AT_MOST, check_spf
from app.domain.dns.watched import Watched, compare
from tests.support.wide import examples

NAMES = ("example.com", "a.example", "b.example", "amazonses.com")

term = st.sampled_from(
    [
        *(f"{sign}include:{name}" for sign in ("", "-", "?") for name in NAMES),
        *(f"redirect={name}" for name in NAMES),
        *("a", "mx", "a:b.example/24//64", "mx:a.example", "exists:%{d2}.x.org", "ptr", "all"),
        *("exists:%{i}._spf.%{d}", "ip4:192.0.2.0/24", "ip6:2001:db8::/32", "-all", "exp=%{d}"),
        *("", "unknown=%{h}", "ip4:999.1.1.1", "include:", "\t", "é", "include:" + "x." * 140),
    ]
)
spf = st.lists(term, max_size=12).map(lambda terms: " ".join(["v=spf1", *terms]))
tag = st.sampled_from(
    [
        *("v=DMARC1", "v=DKIM1", "p=", "p=none", "p=reject", "p=MIGf", "sp=x", "np=reject"),
        *("psd=y", "psd=n", "t=y", "adkim=s", "aspf=z", "rua=mailto:a@b.example", "k=ed25519"),
        *(
            "h=sha1\x1b[31m",
            "s=a\n",
            "k=\u202e",
            "s=email",
            "==",
            "p",
            "  ",
            "pct=5",
            "é=1",
            "v=spf1",
        ),
    ]
)
tagged = st.lists(tag, max_size=8).map("; ".join)
record = st.one_of(spf, tagged, st.text(max_size=80))
answer = st.one_of(
    st.sampled_from([NODATA, NXDOMAIN, unknown("DNS answers SERVFAIL"), found("10 mx.example")]),
    st.lists(record, min_size=1, max_size=3).map(lambda texts: found(*texts)),
    st.builds(Answer, st.just("found"), st.just(("a.example",)), st.just(""), st.just("b.example")),
)


class Drawn:
    """DNS that answers each question with anything, the same one always the same."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.asked: dict[Question, Answer] = {}
        self.count = 0

    def __call__(self, question: Question) -> Answer:
        self.count += 1
        assert self.count < 500, "a walk without an end"
        if question not in self.asked:
            self.asked[question] = self._data.draw(answer)
        return self.asked[question]


@given(st.data())
def test_any_spf_ends_within_its_limits(data: st.DataObject) -> None:
    dns = Drawn(data)
    check = walked(check_spf("example.com"), dns)
    assert check.lookups <= COUNTED_AT_MOST
    assert bool(check.why) == (check.state in ("permerror", "temperror"))


@given(st.data(), st.integers(1, 40))
def test_any_tree_is_walked_in_eight_questions(data: st.DataObject, labels: int) -> None:
    dns = Drawn(data)
    start = ".".join(["x"] * labels)
    seen = walked(walk_tree(start), dns)
    assert dns.count <= MAX_QUERIES
    assert start == seen.organizational or start.endswith(f".{seen.organizational}")
    assert seen.policy(exists=False) in (None, "none", "quarantine", "reject")


@given(record)
def test_no_record_breaks_a_reader(text: str) -> None:
    read_key(text)
    is_key(text)
    for one in dmarc_records([text]):
        read_dmarc(one)
    with contextlib.suppress(SpfError):
        read_spf(text)


identity = st.fixed_dictionaries(
    {
        "DkimAttributes": st.fixed_dictionaries(
            {"Tokens": st.lists(st.sampled_from(["aaa", "bbb"]), max_size=2)},
            optional={
                "SigningEnabled": st.booleans(),
                "Status": st.sampled_from(["SUCCESS", "PENDING", "FAILED"]),
                "SigningAttributesOrigin": st.sampled_from(["AWS_SES", "EXTERNAL"]),
                "SigningHostedZone": st.just("dkim.amazonses.com"),
            },
        ),
        "MailFromAttributes": st.fixed_dictionaries(
            {},
            optional={
                "MailFromDomain": st.sampled_from(["a.example", "bounce.example.com"]),
                "MailFromDomainStatus": st.sampled_from(["SUCCESS", "FAILED"]),
                "BehaviorOnMxFailure": st.sampled_from(["REJECT_MESSAGE", "USE_DEFAULT_VALUE"]),
            },
        ),
    }
)


def look(data: st.DataObject, dns: Drawn, said: object) -> tuple[Look, ...]:
    sender = sender_of(
        "news@mail.example.com",
        "eu-west-1",
        None if said is None else {"example.com": said},  # type: ignore[dict-item]
    )
    signing, mail_from = sender.signing, sender.mail_from
    keys = tuple(walked(see_key(signing, one), dns) for one in signing.selectors) if signing else ()
    route = judge_region(sender, keys, walked(see_envelope(mail_from), dns) if mail_from else None)
    domains = [sender.domain, *(part.domain for part in (signing, mail_from) if part)]
    dmarc = walked(see_dmarc(tuple(domains)), dns)
    verdict = judge_proofs(sender.domain, dmarc, route)
    own = judge_own_spf(walked(check_spf(sender.domain), dns))
    return (
        *judge_dmarc(sender.domain, dmarc),
        *told_by_route([(route, verdict)]),
        *([own] if own else []),
    )


@given(st.data(), st.one_of(st.none(), identity))
@settings(max_examples=examples(100))
def test_whatever_is_seen_is_said_with_a_remedy(data: st.DataObject, said: object) -> None:
    looks = look(data, Drawn(data), said)
    codes = [one.code for one in looks]
    assert codes.count("verdict") == codes.count("dmarc") == 1
    for one in looks:
        assert one.what.endswith(".")
        assert all(text.isprintable() for text in (one.what, one.remedy, *one.found)), one
        assert one.level == "ok" or one.plain.remedy.endswith("."), one
        assert Look.from_stored(one.to_stored()) == one
        assert one.state != "missing" or one.publish or "p=…" in one.remedy


@given(st.data(), st.lists(st.one_of(st.none(), identity), min_size=1, max_size=4))
@settings(max_examples=examples(20))
def test_only_what_was_there_can_vanish(data: st.DataObject, days: list[object]) -> None:
    watched, ever = Watched(), set[str]()
    for day, said in enumerate(days):
        looks = look(data, Drawn(data), said)
        now = f"2026-12-01T{6 * day:02}:00:00+00:00"
        news = compare(watched, looks, now, asked=said is not None)
        gone = {one.code for one in looks if one.state in ("missing", "wrong")}
        assert {alarm.code for alarm in news.vanished} <= ever & gone
        assert news.watched.there.keys().isdisjoint(news.watched.alarms)
        assert Watched.from_stored(news.watched.to_stored()) == news.watched
        ever |= {one.code for one in looks if one.state == "there"}
        watched = news.watched
