"""Words by which lists say who may be mailed, in English and the languages of Europe. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from app.domain.states import SubscriberStatus

STRICTNESS: Mapping[SubscriberStatus, int] = {
    "active": 0, "pending": 1, "bounced": 2, "unsubscribed": 3, "complained": 4,
}  # fmt: skip
"""In the order of the database's `subscriber_rank`: of two words the stricter one counts."""

_ACTIVE = (
    "active", "subscribed", "subscriber", "confirmed", "enabled", "opted in", "opt in", "optin",
    "express", "explicit", "implicit", "aktiv", "abonniert", "bestätigt", "actif", "abonné",
    "inscrit", "activo", "suscrito", "confirmado", "ativo", "inscrito", "attivo", "iscritto",
    "actief", "ingeschreven", "aktywny", "subskrybent", "prenumererar", "tilmeldt", "påmeldt",
    "tilaaja", "aktivní", "přihlášen", "aktív", "feliratkozott", "abonat",
)  # fmt: skip
_LEFT = (
    "unsubscribed", "unsubscribe", "inactive", "cancelled", "canceled", "removed", "blocklisted",
    "blacklisted", "blocked", "disabled", "non subscribed", "nonsubscribed", "opted out", "opt out",
    "optout", "deleted", "suppressed", "archived", "not subscribed", "never subscribed",
    "not opted in", "do not mail", "do not email", "do not contact", "no permission",
    "no permissions set", "banned", "abgemeldet", "abbestellt", "ausgetragen", "gesperrt",
    "gekündigt", "inaktiv", "désabonné", "désinscrit", "inactif", "dado de baja", "baja",
    "inactivo", "desuscrito", "cancelado", "descadastrado", "inativo", "disiscritto", "cancellato",
    "inattivo", "afgemeld", "uitgeschreven", "inactief", "wypisany", "nieaktywny", "avregistrerad",
    "avprenumererad", "afmeldt", "avmeldt", "peruttu", "odhlášen", "neaktivní", "leiratkozott",
    "inaktív", "dezabonat",
)  # fmt: skip
_BOUNCED = (
    "bounced", "bounce", "cleaned", "hard bounced", "hard bounce", "invalid", "undeliverable",
    "unzustellbar", "rebotado", "rimbalzato",
)  # fmt: skip
_COMPLAINED = (
    "complained", "complaint", "junk", "spam", "marked as spam", "reported spam", "spam complaint",
    "spam report", "reported as spam", "abuse",
)  # fmt: skip
_PENDING = (
    "pending", "unconfirmed", "not confirmed", "awaiting confirmation", "needs confirmation",
    "confirmation pending", "needs approval", "waiting", "validating", "unbestätigt",
    "ausstehend", "en attente",
    "non confirmé", "pendiente", "pendente", "in attesa", "in afwachting", "oczekujący",
)  # fmt: skip

STATUSES: Mapping[str, SubscriberStatus] = {
    **dict.fromkeys(_ACTIVE, "active"),
    **dict.fromkeys(_LEFT, "unsubscribed"),
    **dict.fromkeys((*_BOUNCED, "soft bounced", "soft bounce"), "bounced"),
    **dict.fromkeys(_COMPLAINED, "complained"),
    **dict.fromkeys(_PENDING, "pending"),
}
"""Other tools' words for the states, as `plain` gives them."""

_TRANSIENT = frozenset({"soft bounced", "soft bounce"})
_YES = frozenset(
    {"true", "yes", "y", "1", "t", "on", "ja", "j", "oui", "sí", "si", "sì", "sim", "tak", "x",
     "wahr", "vrai", "verdadero", "kyllä", "ano", "igen", "da", "✓", "✔"}
)  # fmt: skip
_NO = frozenset(
    {"false", "no", "n", "0", "f", "off", "nein", "non", "não", "nee", "nie", "nej", "nei",
     "falsch", "faux", "falso", "ei", "ne", "nem", "nu"}
)  # fmt: skip
_NOTHING = frozenset(
    {"", "null", "none", "nil", "-", "n/a", "never", "0000-00-00", "0000-00-00 00:00:00"}
)


def _spellings(words: Iterable[str]) -> Iterator[str]:
    """As files have them, so that a look-up is all it takes for each cell."""
    for word in words:
        for spelled in (word, word.replace(" ", "-"), word.replace(" ", "_")):
            yield from (spelled, spelled.capitalize(), spelled.upper(), spelled.title())


# Words that also mean something else; beside one for `active` they don't.
_AMBIGUOUS = frozenset({"waiting", "invalid", "blocked", "baja", "abuse"})
_TELLING = {*_LEFT, *_BOUNCED, *_COMPLAINED, *_PENDING, *_TRANSIENT} - _AMBIGUOUS

Hint = Literal["told", "ambiguous", "active"]
HINTS: Mapping[str, Hint] = {
    **dict.fromkeys(_spellings(_ACTIVE), "active"),
    **dict.fromkeys(_spellings(_AMBIGUOUS), "ambiguous"),
    **dict.fromkeys(_spellings(_TELLING), "told"),
}
"""Cells that say who gets mail, whatever the column's title. `told`: by themselves."""

# Parts of titles, without accents and in lower case (`unaccented`).
_OUT_TITLE = re.compile(
    r"unsub|opt(?:ed)?[ _-]?out|bounce|complain|spam|suppress|block(?:ed|list)|black ?list|deleted"
    r"|disabled|inactive|cleaned|cancel|\bleft\b|\bremoved\b"
    r"|do[ _-]?not|\bdnc\b|\bdne\b|no[ _-]?(?:e?mail|contact)"
    r"|abgemeld|abmeld|abbestell|ausgetragen|austrag|gesperrt|widerruf|inaktiv|desabonn|desinscri"
    r"|baja\b|desuscri|cancelad|descadastr|disiscri|cancellat|afgemeld|uitgeschreven|wypisan"
    r"|rezygnacj|avregistr|avanmal|afmeld|avmeld|peruut|odhlas|leiratkoz|dezabon|отпис|удал"
)
_DOUBTFUL_TITLE = re.compile(
    _OUT_TITLE.pattern + r"|status|subscri(?!ber(?:[ _-]?(?:e-?mail|id|name|number|since))?$)"
    r"|opt(?:ed)?[ _-]?in\b|consent|permission|marketing|newsletter|\bactive\b|\bgdpr\b|dsgvo|rgpd"
    r"|einwillig|zustimm|angemeldet|abonn|statut|consentement|suscri|suscrip|consentim|estado de"
    r"|consenso|\biscri|inscri|toestemming|ingeschreven|zgoda|samtycke|prenumer|samtykke|tilmeld"
    r"|pameld|suostumus|tilaus|souhlas|hozzajarul|feliratkoz|abonat|consimt|подпис|согласи|статус"
)


def plain(value: str) -> str:
    """A word as it is looked up: lower case, single spaces for whatever separates."""
    return " ".join(value.lower().replace("_", " ").replace("-", " ").split())


def unaccented(text: str) -> str:
    """In lower case, without accents: `Désabonné` is `desabonne`."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(char for char in parts if not unicodedata.combining(char))


def title_is_doubtful(title: str) -> bool:
    """Whether a column's name may say who is not to be mailed."""
    return bool(_DOUBTFUL_TITLE.search(unaccented(title)))


def title_says_out(title: str) -> bool:
    """Whether a `yes` under this name would mean that somebody left."""
    return bool(_OUT_TITLE.search(unaccented(title)))


def read_status(value: str) -> tuple[SubscriberStatus, str | None] | None:
    """A state and the bounce's type, by a tool's word; None: not known."""
    word = plain(value)
    status = STATUSES.get(word)
    if status is None:
        return None
    if status != "bounced":
        return status, None
    return status, "Transient" if word in _TRANSIENT else "Permanent"


def read_flag(value: str) -> bool | None:
    """yes or no; None: neither."""
    word = value.strip().lower()
    return True if word in _YES else False if word in _NO else None


def says_nothing(value: str) -> bool:
    """Whether a cell that would hold the time of something says that it never was."""
    word = value.strip().lower()
    return word in _NOTHING or word in _NO


def are_flags(values: Iterable[str]) -> bool:
    return all(read_flag(value) is not None for value in values)
