"""Exports in the shape of each tool (made up): they become what their owner expects, unedited."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from app.domain.lists.people import Person
from app.services.lists.list_file import ListFile

EXPORTS = Path(__file__).parent / "exports"

Expected = dict[str, dict[str, Any]]
LEFT, BOUNCED = {"status": "unsubscribed"}, {"status": "bounced", "bounce_type": "Permanent"}
COMPLAINED, PENDING = {"status": "complained"}, {"status": "pending"}


def name(full: str, first: str = "", last: str = "", **other: str) -> dict[str, Any]:
    """First and last name become the name, and are kept."""
    given = {"first_name": first, "last_name": last, **other}
    return {"name": full, "fields": {key: text for key, text in given.items() if text}}


def people_of(file: Path) -> tuple[ListFile, Expected]:
    """What differs from somebody of whom nothing but the address is known."""
    unset = Person(line=0, email="")
    found: Expected = {}
    with file.open("rb") as opened:
        listed = ListFile(opened)
        assert listed.questions == ()
        for row in listed.rows():
            assert isinstance(row, Person), row
            found[row.email.removesuffix("@example.com")] = {
                each.name: getattr(row, each.name)
                for each in fields(Person)
                if each.name not in {"line", "email"}
                and getattr(row, each.name) != getattr(unset, each.name)
            }
    return listed, found


CASES: dict[str, tuple[str, Expected]] = {
    "mailchimp_subscribed": (
        "Mailchimp",
        {
            "ann": {
                **name("Ann Berg", "Ann", "Berg", CC="de", REGION="be"),
                "tags": ["VIP", "Berlin 2024"],
                "timezone": "Europe/Berlin",
                "created_at": "2019-03-01T10:15:00+00:00",
            },
            "bob": {
                **name("Bob", "Bob", NOTES="met in Ulm, 2020"),
                "tags": ["Friends, family", "VIP"],
                "created_at": "2020-06-30T23:59:59+00:00",
            },
            "cy": {
                "tags": ["VIP", "Berlin"],
                "fields": {"TIMEZONE": "Mars/Olympus"},
                "created_at": "2021-01-01T00:00:00+00:00",
            },
        },
    ),
    "mailchimp_unsubscribed": (
        "Mailchimp",
        {
            "dan": {
                **name(
                    "Dan Dale", "Dan", "Dale", UNSUB_CAMPAIGN_TITLE="May letter",
                    UNSUB_REASON="NORMAL", UNSUB_REASON_OTHER="too often",
                ),
                **LEFT,
                "created_at": "2019-03-01T10:15:00+00:00",
            },
            "eve": {
                **name("Eve Ek", "Eve", "Ek"),
                **LEFT,
                "created_at": "2019-03-01T10:15:00+00:00",
            },
        },
    ),
    "mailchimp_cleaned": (
        "Mailchimp",
        {
            "fay": {
                **name("Fay Falk", "Fay", "Falk", CLEAN_CAMPAIGN_TITLE="May letter"),
                **BOUNCED,
                "tags": ["VIP"],
                "created_at": "2019-03-01T10:15:00+00:00",
            }
        },
    ),
    "substack": (
        "Substack",
        {
            "ann": {
                "fields": {
                    "active_subscription": "true", "expiry": "2027-01-01T00:00:00.000Z",
                    "plan": "yearly", "first_payment_at": "2021-06-01T12:00:00.000Z",
                },
                "created_at": "2021-05-01T12:00:00+00:00",
            },
            "bob": {
                "fields": {"active_subscription": "false"},
                **LEFT,
                "created_at": "2021-05-02T12:00:00+00:00",
            },
            "cy": {
                "fields": {"active_subscription": "false", "plan": "other"},
                "created_at": "2021-05-03T12:00:00+00:00",
            },
        },
    ),
    "ghost": (
        "Ghost",
        {
            "ann": {
                "name": "Ann Berg",
                "tags": ["VIP", "Berlin"],
                "fields": {"complimentary_plan": "false"},
                "created_at": "2022-03-04T05:06:07+00:00",
            },
            "bob": {
                "name": "Bob",
                "fields": {"note": "wrote, once", "complimentary_plan": "false"},
                **LEFT,
                "created_at": "2022-03-05T05:06:07+00:00",
            },
            "cy": {
                "fields": {"complimentary_plan": "false"},
                **LEFT,
                "created_at": "2022-03-06T05:06:07+00:00",
            },
            "dan": {
                "fields": {"complimentary_plan": "false"},
                **LEFT,
                "created_at": "2022-03-06T05:06:07+00:00",
            },
        },
    ),
    "beehiiv": (
        "Beehiiv",
        {
            who: {**base, "created_at": f"2024-01-{day}T10:00:00+00:00", **status}
            for who, day, base, status in (
                (
                    "ann", 15,
                    name("Ann", "Ann", **{"Subscription Tier": "free", "Favourite colour": "blue"}),
                    {},
                ),
                ("bob", 16, {"fields": {"Subscription Tier": "free"}}, LEFT),
                ("cy", 17, {"fields": {"Subscription Tier": "free"}}, PENDING),
                ("dan", 17, {"fields": {"Subscription Tier": "premium"}}, LEFT),
                ("eve", 17, {"fields": {"Subscription Tier": "free"}}, PENDING),
            )
        },
    ),
    "kit": (
        "Kit",
        {
            who: {
                **name(who.title(), who.title()), "created_at": "2023-01-05T14:22:33+00:00", **more,
            }
            for who, more in (
                ("ann", {"tags": ["VIP", "Course"]}), ("bob", LEFT), ("cy", BOUNCED),
                ("dan", COMPLAINED), ("eve", LEFT),
            )
        },
    ),
    "mailerlite": (
        "MailerLite",
        {
            "ann": {
                **name(
                    "Ann Berg", "Ann", "Berg", Sent="12", Opens="3", Clicks="1", Country="Germany"
                ),
                "tags": ["VIP", "Berlin"],
                "created_at": "2021-01-01T10:00:00+00:00",
            },
            "bob": {
                **name("Bob", "Bob", Sent="1", Opens="0", Clicks="0"),
                **LEFT,
                "created_at": "2021-01-01T10:00:00+00:00",
            },
            "cy": {
                "fields": {"Sent": "1", "Opens": "0", "Clicks": "0"},
                **BOUNCED,
                "created_at": "2021-01-01T10:00:00+00:00",
            },
            "dan": {
                "fields": {"Sent": "1", "Opens": "0", "Clicks": "0"},
                **COMPLAINED,
                "created_at": "2021-01-01T10:00:00+00:00",
            },
            "eve": {"fields": {"Sent": "0", "Opens": "0", "Clicks": "0"}, **PENDING},
        },
    ),
    "sendy": (
        "Sendy",
        {
            "ann": {"name": "Ann Berg"},
            "bob": {"name": "Bob", **LEFT},
            "cy": {"name": "Cy", **BOUNCED},
            "dan": {"name": "Dan", "status": "bounced", "bounce_type": "Transient"},
            "eve": {"name": "Eve", **COMPLAINED},
            "fay": {"name": "Fay", **PENDING},
        },
    ),
    "constant_contact": (
        "Constant Contact",
        {
            "ann": {**name("Ann Berg", "Ann", "Berg", Company="Berg Ltd"), "tags": ["VIP"]},
            "bob": {**name("Bob", "Bob"), **LEFT},
            "cy": {**name("Cy", "Cy"), **LEFT},
            "dan": PENDING,
        },
    ),
    "shopify": (
        "Shopify",
        {
            "ann": {
                **name(
                    "Ann Berg", "Ann", "Berg",
                    **{
                        "Customer ID": "'7001", "Default Address City": "Berlin",
                        "Accepts SMS Marketing": "no", "Total Spent": "12.00",
                    },
                ),
                "tags": ["VIP", "wholesale"],
            },
            "bob": {
                **name(
                    "Bob", "Bob",
                    **{"Customer ID": "'7002"},
                    **{"Accepts SMS Marketing": "no", "Total Spent": "0.00"},
                ),
                **LEFT,
            },
            "cy": {
                **name(
                    "Cy", "Cy",
                    **{"Customer ID": "'7003"},
                    **{"Accepts SMS Marketing": "no", "Total Spent": "0.00"},
                ),
                **LEFT,
            },
        },
    ),
    "listmonk": (
        "listmonk",
        {
            "ann": {
                "name": "Ann Berg",
                "fields": {"city": "Berlin", "orders": 3},
                "created_at": "2022-02-02T10:00:00+05:30",
            },
            "bob": {"name": "Bob", **LEFT, "created_at": "2022-02-02T10:00:00+00:00"},
            "cy": {"name": "Cy", **LEFT, "created_at": "2022-02-02T10:00:00+00:00"},
        },
    ),
    "amazonsender": (
        "AmazonSender",
        {
            who: {"created_at": "2022-02-02T10:00:00+00:00", **more}
            for who, more in (
                (
                    "ann",
                    {
                        "name": "Ann Berg",
                        "tags": ["VIP", "Berlin"],
                        "timezone": "Europe/Berlin",
                        "consent": {"source": "sign-up"},
                        "fields": {"city": "Berlin", "status": "gold", "age": 41},
                    },
                ),
                ("bob", {"name": "Bob", **LEFT}),
                ("cy", {"name": "Cy", **BOUNCED}),
                ("dan", {"fields": {"status": "=1+1"}, **COMPLAINED}),
                ("eve", {"fields": {"age": [1, None]}, **PENDING}),
            )
        },
    ),
    "amazonsender_1_0": (
        "AmazonSender",
        {
            "ann": {"name": "Ann Berg", "tags": ["VIP", "Berlin"], "fields": {"city": "Berlin"}},
            "bob": {"name": "Bob", **LEFT},
            "cy": {"name": "Cy", **BOUNCED},
            "dan": COMPLAINED,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("export", CASES)
def test_an_export_is_read_as_its_owner_expects(export: str) -> None:
    """Its tool is recognised, and who left there is not mailed here."""
    tool, expected = CASES[export]
    listed, found = people_of(EXPORTS / f"{export}.csv")
    assert listed.preset == tool
    assert (listed.encoding, listed.delimiter) == ("UTF-8", ",")
    assert found == expected


def test_every_export_has_its_expectations() -> None:
    assert {path.stem for path in EXPORTS.glob("*.csv")} == set(CASES)
