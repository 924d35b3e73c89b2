"""The exports of known tools: how each is recognised and what its columns mean. Pure.

Nobody promises these columns and they change now and then, so they are matched by name, in any
order and case; what a tool adds is read as everybody's columns are. Where they were found:
docs/imports.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from app.domain.states import SubscriberStatus

Meaning = Literal[
    "email",
    "name",
    "first_name",
    "last_name",
    "tags",
    "timezone",
    "created_at",
    "status",  # a word for the state
    "opted_in",  # yes or no: no means that the person left
    "opted_out",  # yes or no: yes means that the person left
    "left_at",  # anything at all means that the person left
    "bounced_at",  # anything at all means that mail bounced for good
    "attributes",  # a JSON object of fields
    "consent",  # of our own exports
    "json",  # a field's value as JSON, of our own exports
    "field",
    "ignore",
]
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)


@dataclass(frozen=True, slots=True)
class Preset:
    """marks: titles that together tell the tool. columns: what its titles mean, in lower case.
    everyone: titles of which one alone tells the state of all in the file."""

    name: str
    marks: frozenset[str]
    columns: Mapping[str, Meaning]
    everyone: Mapping[str, SubscriberStatus] = field(default_factory=dict)


def _preset(
    tool: str,
    /,
    *marks: str,
    everyone: Mapping[str, SubscriberStatus] | None = None,
    **columns: str,
) -> list[Preset]:
    """marks: `title|title`, any of them suffices. columns: meaning=`title|title`."""
    meanings: dict[str, Meaning] = {
        title: meaning
        for meaning in MEANINGS
        for title in columns.get(meaning, "").split("|")
        if title
    }
    return [Preset(tool, frozenset(each.split("|")), meanings, everyone or {}) for each in marks]


OWN = "AmazonSender"
OWN_COLUMNS = ("email", "name", "status", "tags", "timezone", "created_at", "consent")
_OWN_OF_1_0 = OWN_COLUMNS[:4]

# The first that fits is taken.
PRESETS: tuple[Preset, ...] = (
    *_preset(
        OWN, "|".join(OWN_COLUMNS),
        email="email", name="name", status="status", tags="tags", timezone="timezone",
        created_at="created_at", consent="consent",
    ),
    *_preset(
        "Mailchimp", "leid|euid", "member_rating|optin_time", "optin_time|last_changed",
        "unsub_time", "clean_time",
        # One file each of those who are subscribed, who left and whom no mail reached.
        everyone={"unsub_time": "unsubscribed", "clean_time": "bounced"},
        email="email address", first_name="first name", last_name="last name", tags="tags",
        timezone="timezone", created_at="optin_time", left_at="unsub_time",
        bounced_at="clean_time", status="status",
        field="address|phone number|birthday|notes|region|cc|unsub_reason|unsub_reason_other"
              "|unsub_campaign_title|clean_campaign_title",
        ignore="leid|euid|member_rating|optin_ip|confirm_time|confirm_ip|latitude|longitude|gmtoff"
               "|dstoff|last_changed|unsub_campaign_id|clean_campaign_id",
    ),
    *_preset(
        "Substack", "email|active_subscription|email_disabled", "email|email_disabled|created_at",
        email="email", opted_out="email_disabled", created_at="created_at", name="name",
        field="active_subscription|expiry|plan|first_payment_at|prefer_digests|type|country",
    ),
    *_preset(
        "Ghost", "email|subscribed_to_emails",
        email="email", name="name", opted_in="subscribed_to_emails", left_at="deleted_at",
        tags="labels", created_at="created_at", ignore="id",
        field="note|complimentary_plan|stripe_customer_id|tiers|products|gift_id",
    ),
    *_preset(
        "Beehiiv", "email|status|subscription tier", "email|status|subscription premium tier names",
        "email|status|subscriber_id|created_at",
        email="email", status="status", created_at="created at|created_at",
        first_name="first name|first_name", last_name="last name|last_name", tags="tags",
        field="subscription tier|subscription premium tier names",
    ),
    *_preset(
        "Kit", "email_address|state",
        email="email_address", first_name="first_name", last_name="last_name", status="state",
        created_at="created_at", tags="tags", ignore="id",
    ),
    *_preset(
        "MailerLite", "subscriber|status", "email|status|groups", "email|status|subscribed",
        email="subscriber|email", name="name", last_name="last name", status="status",
        created_at="subscribed", tags="groups",
        field="sent|opens|clicks|subscribe ip|signup ip|country|city|state|z_i_p|zip|phone|company"
              "|opt-in date|opt-in ip|updated|location", left_at="unsubscribed",
    ),
    *_preset(
        "Sendy", "email|status|last activity",
        email="email", name="name", status="status", ignore="last activity",
    ),
    *_preset(
        "Constant Contact", "email address|email status", "email address|email permission status",
        email="email address", first_name="first name", last_name="last name",
        status="email status|email permission status", tags="tags|email lists|lists",
        created_at="created at|email created at",
    ),
    *_preset(
        "Shopify", "email|accepts email marketing", "email|accepts marketing",
        email="email", first_name="first name", last_name="last name",
        opted_in="accepts email marketing|accepts marketing", tags="tags",
        field="accepts sms marketing|customer id|total spent|total orders|note|tax exempt",
    ),
    *_preset(
        "listmonk", "uuid|email|attributes|status",
        email="email", name="name", status="status", created_at="created_at",
        attributes="attributes", ignore="uuid|updated_at|id",
    ),
)  # fmt: skip

# What everybody calls them, also elsewhere than in English.
COMMON: dict[str, Meaning] = {
    **dict.fromkeys(
        ("email", "e-mail", "email address", "e-mail address", "email_address", "emailaddress",
         "e-mail 1 - value", "email 1 - value", "mail", "email id", "your email",
         "subscriber email", "primary email", "contact email", "e-post", "epost",
         "e-postadress", "e-postadresse",
         "e-mail-adresse", "email-adresse", "emailadresse", "e-mailadresse", "mailadresse",
         "correo electrónico", "correo electronico", "correo", "adresse e-mail", "adresse email",
         "adresse mail", "adresse électronique", "courriel", "e-mailadres", "emailadres",
         "e-mail adres", "indirizzo email", "indirizzo e-mail", "endereço de e-mail",
         "endereço de email", "adres e-mail", "adres email", "sähköposti", "sähköpostiosoite",
         "e-mailová adresa", "e-mail cím", "adresă de e-mail", "электронная почта",
         "адрес электронной почты"), "email"),
    **dict.fromkeys(
        ("name", "full name", "full_name", "fullname", "display name", "your name",
         "subscriber name", "nombre completo", "nom complet", "nome completo", "vollständiger name",
         "volledige naam"), "name"),
    **dict.fromkeys(
        ("first name", "first_name", "firstname", "given name", "fname", "vorname", "prénom",
         "prenom", "nombre", "nome", "voornaam", "imię", "förnamn", "fornavn", "etunimi"),
        "first_name"),
    **dict.fromkeys(
        ("last name", "last_name", "lastname", "surname", "family name", "lname", "nachname",
         "familienname", "nom de famille", "apellido", "apellidos", "cognome", "sobrenome",
         "achternaam", "nazwisko", "efternamn", "etternavn", "efternavn", "sukunimi"), "last_name"),
    **dict.fromkeys(("tags", "tag", "labels", "groups", "schlagwörter", "etiquetas"), "tags"),
    **dict.fromkeys(("timezone", "time zone", "time_zone", "zeitzone"), "timezone"),
    **dict.fromkeys(
        ("created_at", "created at", "created", "date added", "date created", "optin_time",
         "signup date", "sign up date", "signed up", "signed up at", "signup_date", "subscribed at",
         "subscribed_at", "subscription date", "subscribe date", "subscribed on",
         "date subscribed", "date d'inscription", "fecha de suscripción", "anmeldedatum"),
        "created_at"),
    "status": "status",
}  # fmt: skip


def fitting(titles: Sequence[str]) -> Preset | None:
    """The tool that a header is of; titles: in lower case."""
    there = set(titles)
    for preset in PRESETS:
        if preset.marks <= there:
            return preset
    return PRESETS[0] if tuple(titles[: len(_OWN_OF_1_0)]) == _OWN_OF_1_0 else None
