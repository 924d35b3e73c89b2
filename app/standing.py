"""How the sender's standing is looked at: wiring for the service and the command line."""

from __future__ import annotations

from app.adapters.aws.standing import SesStanding
from app.outside import dns_resolver
from app.services.standing.collect import Lists
from app.services.standing.look import LookAtStanding
from app.settings import Settings
from app.store import Store


def standing_work(store: Store, settings: Settings) -> LookAtStanding | None:
    """None where sending isn't configured. Blocking: with block lists it loads the resolver."""
    if settings.missing_to_send():
        return None
    dns = dns_resolver(settings) if settings.dnsbl_zones else None
    lists = None if dns is None else Lists(dns, settings.dnsbl_zones)
    return LookAtStanding(store, settings, SesStanding, lists)
