"""Which settings are secret, and what of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from urllib.parse import unquote

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from app.adapters.database.connection_string import read_connection_string
from app.environment.strength import is_left_to_fill_in

SHORTEST_SECRET = 8
"""A shorter password may be an ordinary word: nothing follows from where else it stands."""

_SHOWN_TO_US = frozenset(
    {
        "EXECUTOR_SHARED_SECRET",
        "UNSUBSCRIBE_SECRET",
        "UNSUBSCRIBE_OLD_SECRETS",
        "NOTION_WEBHOOK_VERIFICATION_TOKEN",
        "MAILGUN_WEBHOOK_SIGNING_KEY",
    }
)
"""By which we tell friends from strangers."""

_OF_ONE_ACCOUNT = {"MAILGUN_API_KEY", "MAILGUN_WEBHOOK_SIGNING_KEY"}
"""Older accounts at Mailgun have one for both."""

_PASSWORD_IN_URL = re.compile(r"://[^:@/]*:(.*)@")
_KEY_IN_ZONE = re.compile(r"[a-z0-9]{16,}")


def shared_secrets(settings: BaseSettings) -> Iterator[tuple[str, str]]:
    """Pairs of variables with the same secret, one of which opens something here: whoever is given
    the other could use it. That two others' doors have one key is theirs to judge."""
    found = secrets_by_setting(settings)
    for one, other in combinations(found, 2):
        same = {
            secret
            for secret in found[one] & found[other]
            if len(secret) >= SHORTEST_SECRET and not is_left_to_fill_in(secret)
        }
        if same and {one, other} & _SHOWN_TO_US and {one, other} != _OF_ONE_ACCOUNT:
            yield one, other


def secrets_by_setting(settings: BaseSettings) -> dict[str, set[str]]:
    """By the variable's name; of an address what is secret in it."""
    return {
        name.upper(): set().union(*(_secret_parts(name, value) for value in values))
        for name, values in _values(settings)
    }


def texts_to_hide(settings: BaseSettings) -> set[str]:
    """Whatever may be written nowhere: the secrets, and addresses that hold one, however spelt."""
    found = set().union(*secrets_by_setting(settings).values())
    for name, values in _values(settings):
        found |= set(values)
        for value in values:
            if spelt := _PASSWORD_IN_URL.search(value):
                found.add(spelt[1])
            if name == "database_url":
                found.add(read_connection_string(value).conninfo)
    return {text for text in found if len(text) >= SHORTEST_SECRET}


def _values(settings: BaseSettings) -> Iterator[tuple[str, list[str]]]:
    """Of each setting that is secret, or a part of it."""
    for name, value in settings:
        each = value if isinstance(value, tuple) else (value,)
        if name == "dnsbl_zones":
            yield name, [key for zone in each for key in _KEY_IN_ZONE.findall(zone)]
        elif secrets := [one.get_secret_value() for one in each if isinstance(one, SecretStr)]:
            yield name, secrets


def _secret_parts(name: str, value: str) -> set[str]:
    match name:
        case "database_url":
            return {read_connection_string(value).password or ""}
        case "rabbitmq_url":
            spelt = _PASSWORD_IN_URL.search(value)
            return {unquote(spelt[1])} if spelt else set()
        case "slack_webhook_url":
            return {value.rpartition("/")[2]}
    return {value}
