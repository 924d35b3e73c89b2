"""Who counts as one client, and how often a client may be refused."""

from __future__ import annotations

import pytest

from app.domain.clients.networks import network_of, trusted_proxies
from app.domain.clients.refusals import ALL, BUDGETS, MAX_CLIENTS, Kind, Refusals


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:1", "2001:db8::/64"),
        ("2001:DB8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("1" * 10_000, "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_network(host: str, client: str) -> None:
    assert network_of(host) == client


@pytest.mark.parametrize("text", ["127.0.0.1", "172.18.0.0/16, ::1", "*", ""])
def test_proxies_are_addresses_and_networks(text: str) -> None:
    assert trusted_proxies(text).split(",") == text.split(", ")


@pytest.mark.parametrize(
    "text", ["caddy", "172.18.0.1/16", "10.0.0", "127.0.0.1;10.0.0.1", "*,::1"]
)
def test_what_nobody_would_believe_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither an IP address nor a network"):
        trusted_proxies(text)


@pytest.mark.parametrize("kind", BUDGETS)
def test_a_budget_is_used_up_and_comes_back(kind: Kind) -> None:
    refusals, budget = Refusals(), BUDGETS[kind]
    for _ in range(int(budget.burst)):
        assert refusals.wait("a", kind, 5.0) == 0
        assert refusals.count("a", kind, 5.0) == 0
    wait = refusals.count("a", kind, 5.0)
    assert wait == refusals.wait("a", kind, 5.0) == pytest.approx(1 / budget.per_second)
    assert refusals.count("b", kind, 5.0) == 0
    # More of the same meanwhile make nobody wait longer.
    assert refusals.count("a", kind, 5.0) == wait
    later = 5.01 + wait
    assert refusals.count("a", kind, later) == 0
    assert refusals.count("a", kind, later) > 0


def test_many_clients_have_a_budget_together() -> None:
    refusals = Refusals()
    answers = [refusals.count(f"client {n}", "other", 0.0) for n in range(int(ALL.burst) + 1)]
    assert not any(answers[:-1])
    assert answers[-1] > 0
    assert refusals.wait("somebody else", "other", 0.0) == 0  # what they ask is done all the same


def test_memory_is_bounded() -> None:
    refusals = Refusals()
    for number in range(MAX_CLIENTS + 100):
        refusals.count(f"client {number}", "other", float(number))
    assert len(refusals._buckets) == MAX_CLIENTS
