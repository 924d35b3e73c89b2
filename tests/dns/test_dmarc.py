"""DMARC as receivers read it (RFC 9989)."""

from __future__ import annotations

import pytest

from app.domain.dns.dmarc import (
    MAX_QUERIES,
    TreeWalk,
    aligned,
    dmarc_records,
    read_dmarc,
    walk_domains,
    walk_tree,
)
from app.domain.dns.questions import walked
from tests.dns.zones import Zone, asked_of


def walk(start: str, **records: str) -> TreeWalk:
    """records: by domain, with `_` for the dots."""
    zone = {f"_dmarc.{name.replace('_', '.')}": record for name, record in records.items()}
    return walked(walk_tree(start), asked_of(zone))


def test_only_the_exact_version_counts() -> None:
    good = ["v=DMARC1", "v = DMARC1 ;p=none", "v=DMARC1; p=none"]
    bad = ["v=DMARC10; p=none", "v=dmarc1; p=none", " v=DMARC1", "p=none; v=DMARC1", "V=DMARC1"]
    assert dmarc_records([*good, *bad]) == good


def test_tags_are_read_with_their_defaults() -> None:
    record = read_dmarc("v=DMARC1; p=reject")
    assert (record.policy, record.subdomains, record.absent) == ("reject", None, None)
    assert (record.dkim, record.spf, record.testing, record.psd) == ("r", "r", False, "u")
    record = read_dmarc(
        "v=DMARC1;P=Quarantine;sp=none;np=reject;adkim=s;aspf=S;t=y;psd=n;"
        "rua=mailto:a@example.com,mailto:b@example.com!10m;"
    )
    assert (record.policy, record.subdomains, record.absent) == ("quarantine", "none", "reject")
    assert (record.dkim, record.spf, record.testing, record.psd) == ("s", "s", True, "n")
    assert record.reports_to == ("mailto:a@example.com", "mailto:b@example.com!10m")
    assert record.problems == ()


@pytest.mark.parametrize(
    ("record", "policy"),
    [
        ("v=DMARC1; p=rejected", None),
        ("v=DMARC1; p=rejected; rua=mailto:a@example.com", "none"),
        ("v=DMARC1; rua=mailto:a@example.com", "none"),
        ("v=DMARC1", None),
        ("v=DMARC1; p=reject; sp=x", None),
        ("v=DMARC1; p=reject; np=x; rua=nonsense", None),
        ("v=DMARC1; p=reject; t=maybe; aspf=z; fo=99; colour=blue; ;;", "reject"),
        ("v=DMARC1; p=reject; p=none", "reject"),
        ("v=DMARC1 p=reject", None),
    ],
)
def test_errors_fall_back_as_the_rules_say(record: str, policy: str | None) -> None:
    assert read_dmarc(record).policy == policy


def test_what_was_removed_is_named_and_has_no_effect() -> None:
    record = read_dmarc("v=DMARC1; p=reject; pct=0; rf=afrf; ri=86400")
    assert record.policy == "reject"
    assert record.removed == ("pct", "rf", "ri")
    assert record.problems == ()


def test_the_walk_asks_at_most_eight_names() -> None:
    assert walk_domains("a.mail.example.com") == [
        "a.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]
    long = walk_domains("a.b.c.d.e.f.g.h.i.j.mail.example.com")
    assert len(long) == MAX_QUERIES
    assert long[0] == "a.b.c.d.e.f.g.h.i.j.mail.example.com"
    assert long[1] == "g.h.i.j.mail.example.com"
    assert long[-1] == "com"


def test_the_organizational_domain_has_the_fewest_labels() -> None:
    found = walk(
        "a.mail.example.com",
        mail_example_com="v=DMARC1; p=none",
        example_com="v=DMARC1; p=reject; sp=quarantine",
    )
    assert found.organizational == "example.com"
    assert found.policy() == "quarantine", "of the organizational domain, not of the one between"
    assert walk("a.example.com").organizational == "a.example.com"


def test_a_public_suffix_is_recognised() -> None:
    suffix = {"co_uk": "v=DMARC1; p=reject; sp=quarantine; np=reject; psd=y"}
    found = walk("a.example.co.uk", **suffix)
    assert found.organizational == "example.co.uk"
    assert found.policy() == "quarantine"
    assert found.policy(exists=False) == "reject"
    own = walk("a.example.co.uk", example_co_uk="v=DMARC1; p=none", **suffix)
    assert own.organizational == "example.co.uk"
    assert own.policy() == "none"


def test_psd_n_ends_the_walk() -> None:
    found = walk(
        "a.b.example.com", b_example_com="v=DMARC1; p=none; psd=n", example_com="v=DMARC1; p=reject"
    )
    assert found.organizational == "b.example.com"
    assert [domain for domain, _ in found.records] == ["b.example.com"]


def test_a_policy_in_test_is_one_step_milder() -> None:
    assert walk("example.com", example_com="v=DMARC1; p=reject; t=y").policy() == "quarantine"
    assert walk("example.com", example_com="v=DMARC1; p=quarantine; t=y").policy() == "none"


def test_two_records_at_one_name_are_none() -> None:
    twice = {"TXT": ["v=DMARC1; p=reject", "v=DMARC1; p=none"]}
    zone: Zone = {"_dmarc.example.com": twice, "_dmarc.com": "?"}
    found = walked(walk_tree("example.com"), asked_of(zone))
    assert found.applied is None
    assert found.several == ("example.com",)
    assert [domain for domain, _ in found.unknown] == ["com"]


@pytest.mark.parametrize(
    ("mode", "author", "other", "agrees"),
    [
        ("r", "example.com", "mail.example.com", True),
        ("r", "news.example.com", "mail.example.com", True),
        ("s", "example.com", "mail.example.com", False),
        ("s", "mail.example.com", "mail.example.com", True),
        ("r", "example.com", "amazonses.com", False),
        ("r", "example.com", "example.com.evil.org", False),
        ("r", "notexample.com", "example.com", False),
    ],
)
def test_alignment(mode: str, author: str, other: str, agrees: bool) -> None:
    zone = {"_dmarc.example.com": "v=DMARC1; p=none", "_dmarc.evil.org": "v=DMARC1; p=none"}
    walks = [walked(walk_tree(domain), asked_of(zone)) for domain in (author, other)]
    assert aligned(mode, *walks) is agrees  # type: ignore[arg-type]


def test_without_records_a_subdomain_stands_alone() -> None:
    """RFC 9989: nothing says that they are of one organization."""
    walks = [walked(walk_tree(domain), asked_of({})) for domain in ("example.com", "m.example.com")]
    assert not aligned("r", *walks)
