"""Time zones by their IANA names. The data are the system's, else the package tzdata's."""

from __future__ import annotations

import difflib
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_NO_PLACES = {"Factory", "localtime", "posixrules"}
"""Names in the data that say nothing of where somebody is."""


class UnknownZone(Exception):
    """Carries a sentence with the remedy."""


def find_zone(name: str) -> ZoneInfo:
    """Old names such as Europe/Kiev stay valid; the case doesn't matter. Raises UnknownZone."""
    known = _names().get(name.strip().casefold())
    if known is None:
        raise UnknownZone(_unknown(name))
    return ZoneInfo(known)


def zone_names() -> tuple[str, ...]:
    """For a person to choose from, in the order of the alphabet."""
    return tuple(sorted(_names().values()))


@cache
def _names() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones() - _NO_PLACES}


def _unknown(name: str) -> str:
    names = _names()
    wanted = name.strip().replace(" ", "_").casefold()
    cities = {key.rsplit("/", 1)[-1]: key for key in names}
    close = cities.get(wanted) or next(iter(difflib.get_close_matches(wanted, names, n=1)), None)
    hint = f" Did you mean {names[close]}?" if close else ""
    shown = name[:40] if name.isprintable() else "This"
    return f"{shown} is no time zone: use a name such as Europe/Berlin or America/New_York.{hint}"
