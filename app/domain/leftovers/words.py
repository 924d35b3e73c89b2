"""What to write here for another program's variable. Pure.

The names are those of Mailchimp, Brevo, Klaviyo, HubSpot, Mailgun, SendGrid, MailerLite, Campaign
Monitor, Ghost, Kit, listmonk, Mautic, Mailjet and Salesforce, from their documentation of merge
tags, as far as they agree; whatever is unknown is a field.
"""

from __future__ import annotations

import re

_NAME = "{{ name }}, or {{ fields.first_name }} where your list has it"
_UNSUBSCRIBE = "{{ unsubscribe_url }} as the link's address; the footer has that link anyway"
_FOOTER = "nothing: the footer shows ORG_NAME and ORG_ADDRESS"
_NO_PAGE = "nothing: a mail has no page on the web here, so take that link out"
_YEAR = '{{ "now" | date: "%Y" }}'

# By names without their case, blanks and marks.
_KNOWN: dict[str, str] = {
    **dict.fromkeys(
        ("name", "fname", "firstname", "first", "fullname", "username", "nickname", "givenname",
         "displayname", "recipientname", "toname", "subscribername", "contactname", "vorname",
         "firstnamefix"),
        _NAME,
    ),
    **dict.fromkeys(
        ("lname", "lastname", "last", "surname", "familyname", "nachname"),
        "{{ fields.last_name }}",
    ),
    **dict.fromkeys(
        ("email", "emailaddress", "emailaddr", "mail", "recipientemail", "toemail", "useremail"),
        "{{ email }}",
    ),
    **dict.fromkeys(
        ("unsub", "unsubscribe", "unsubscribeurl", "unsubscribelink", "unsubscribetext", "unsuburl",
         "unsublink", "unsublinken", "linkunsubscribe", "unsubscriberawurl", "asmgroupunsubscribe",
         "asmgroupunsubscriberawurl", "tagunsubscribeurl", "mailinglistunsubscribeurl", "optout",
         "optouturl", "optoutlink", "pmunsubscribe", "pmunsubscribeurl", "unsubscribecenterurl",
         "asmpreferences", "asmpreferencesrawurl", "asmglobalunsubscribe",
         "asmglobalunsubscriberawurl", "abmelden", "abmeldelink", "manageurl", "preferences",
         "preferencesurl", "preferencecenterurl", "updateprofile", "manageprefs",
         "managepreferences", "manageurlunsubscribe", "managesubscriptionurl"),
        _UNSUBSCRIBE,
    ),
    **dict.fromkeys(
        ("listaddress", "listaddresshtml", "listcompany", "listname", "listdescription",
         "listphone", "listaddressvcard", "listaddressvcardhref", "organizationname",
         "organizationfulladdress",
         "organizationaddress", "companyname", "companyaddress", "postaladdress", "physicaladdress",
         "sendername", "senderaddress", "senderaddress1", "sendercity", "senderstate", "senderzip",
         "sitesettingscompanyname", "accountaddress", "memberaddr", "membercity"),
        _FOOTER,
    ),
    **dict.fromkeys(
        ("archive", "archivepage", "archivelinkshort", "webversion", "webview", "webviewurl",
         "webviewtext", "viewinbrowser", "viewinbrowserurl", "viewemailurl", "viewasawebpagelink",
         "viewaspageurl", "mirror", "mirrorurl", "browserlink", "messageurl", "weblink",
         "onlineversion", "forward", "forwardtoafriend", "rewards", "rewardstext", "translate",
         "sharelink", "track", "permalink"),
        _NO_PAGE,
    ),
    **dict.fromkeys(
        ("subject", "mcsubject", "campaignsubject", "emailsubject", "messagesubject"),
        "{{ mailout.subject }}",
    ),
    **dict.fromkeys(("year", "currentyear", "thisyear", "dateyear", "dateyyyy"), _YEAR),
    **dict.fromkeys(("today", "date", "currentdate", "now"), '{{ "now" | date: "%d %B %Y" }}'),
    **dict.fromkeys(("mcpreviewtext", "previewtext", "preheader"), "it into the preheader"),
}  # fmt: skip
# What some put before a name for "the person who reads it".
_OWNERS = frozenset(
    {"recipient", "subscriber", "contact", "contactfield", "user", "person", "customer", "member",
     "merge", "data", "var", "params", "param", "attributes", "attribute", "lead", "profile",
     "metadata", "attribs", "event", "individual"}
)  # fmt: skip


def is_known(name: str) -> bool:
    """Whether it is what other programs call a name, an address, a link to unsubscribe, …"""
    return bool({_key(name), _key(" ".join(_without_owner(_words(name))))} & _KNOWN.keys())


def names_a_person(name: str) -> bool:
    """Whether it begins as `contact.city` and `recipient.city` do."""
    words = _words(name)
    return words != _without_owner(words)


def instead(name: str) -> str:
    """What to write here for a variable of that name: `{{ name }}`, `{{ fields.city }}`, …"""
    words = _without_owner(_words(name))
    for each in (name, " ".join(words)):
        if _key(each) in _KNOWN:
            return _KNOWN[_key(each)]
    return field("_".join(words).lower()) if words else "what is meant"


def field(name: str) -> str:
    """An output of that field."""
    return f"{{{{ {field_path(name)} }}}}"


def field_path(name: str) -> str:
    plain = re.fullmatch(r"[^\W\d][\w-]*", name)
    return f"fields.{name}" if plain else f'fields["{name}"]'


def _words(name: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"\w+", apart.replace("_", " "))


def _without_owner(words: list[str]) -> list[str]:
    while len(words) > 1 and words[0].lower() in _OWNERS:
        words = words[1:]
    return words


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()
