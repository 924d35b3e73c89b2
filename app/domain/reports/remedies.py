"""What a person may do about recipients that a mailout did not reach. Pure.

They are found by the row's status, then by its bounce type and subtype or its error code. Sources:
SES developer guide, "Bounce types" and "Errors returned by Amazon SES"; domain/ses/answers.py for
our own codes.
"""

from __future__ import annotations

import re

from app.domain.addresses import mask_address

_NOTHING = "Nothing to do."
_RESEND = "Resend to those who failed when the cause is gone."

_REMEDIES = {
    "bounced/Permanent": (
        "Nothing to do: these addresses get no more mail. Many at once point to an old or bought "
        "list; clean it before the next mailout."
    ),
    "bounced/Permanent/Suppressed": (
        "Nothing to do, unless a reader says that the address works: then take it off the "
        "suppression list in the SES console."
    ),
    "bounced/Permanent/OnAccountSuppressionList": (
        "Nothing to do, unless a reader says that the address works: then take it off your "
        "account's suppression list, in the SES console or with the provider that had the mail."
    ),
    "bounced/Permanent/UnsubscribedRecipient": _NOTHING,
    "bounced/Transient": "Nothing to do: they stay on the list and get the next mailout.",
    "bounced/Transient/MessageTooLarge": "Make the next mail smaller.",
    "bounced/Transient/ContentRejected": (
        "Look at links and wording, and run `amazonsender doctor`: a missing DKIM signature is a "
        "common reason."
    ),
    "bounced/Transient/AttachmentRejected": "Look at links and wording of the mail.",
    "bounced": "Nothing to do: they stay on the list and get the next mailout.",
    "complained": (
        "Nothing to do: they get no more mail. Many at once: write only to people who asked for "
        "it, and put the unsubscribe link where it is seen."
    ),
    "failed/invalid_address": "Correct the addresses and import them again, then resend.",
    "failed/render_error": (
        "Look at these subscribers' fields; a dry run names each. Then resend to those who failed."
    ),
    "failed/too_large": "Shorten the mail or these subscribers' fields.",
    "failed/TRANSIENT_FAILURE": _RESEND,
    "failed/FAILED": _RESEND,
    "failed/not_connected": f"Check this machine's way to SES, or to the provider. {_RESEND}",
    "failed/certificate": f"Check this machine's clock and its certificates. {_RESEND}",
    "failed/reject": "Check the mail for links that look like malware before you send again.",
    "failed/rendering_failure": "Please report this: our mails need no rendering by SES.",
    "failed/MessageRejected": (
        "Read SES's words. In the SES sandbox only verified addresses get mail: request "
        "production access in the SES console."
    ),
    "failed": f"Read the words of the refusal and correct what they name. {_RESEND}",
    "unknown": (
        "Wait 20 minutes: events mostly settle this. Whoever is still unknown then was probably "
        "not mailed, and you may resend to them."
    ),
    "skipped/hour_passed": (
        "Nothing to do: so it was chosen. To reach them, send a copy to their zones' audience."
    ),
    "skipped": "Nothing to do: they left the list in time.",
    "queued": "Nothing to do: they are tried again by themselves.",
}


def remedy(
    status: str, error_code: str | None, bounce_type: str | None, bounce_subtype: str | None
) -> str:
    """A sentence for the owner; the most specific that is known."""
    what = f"{bounce_type}/{bounce_subtype}" if status == "bounced" else f"{error_code}"
    keys = (f"{status}/{what}", f"{status}/{what.partition('/')[0]}", status)
    return next((_REMEDIES[key] for key in keys if key in _REMEDIES), "")


_MAILOUT_REMEDIES = {
    "person": "Resume or cancel it in the dashboard when you like.",
    "account": "Nothing else is to do: it goes on by itself as soon as SES lets the account send.",
    "quota": (
        "Nothing is to do: it goes on by itself as the quota frees. Ask for a higher one in the "
        "SES console if this happens often."
    ),
    "guard": "It waits for you: nothing more is sent until a person resumes it in the dashboard.",
    "held": "Correct what the reason names, then resume it in the dashboard.",
    "sent": (
        "Deliveries, bounces and complaints keep coming in for some days; the dashboard has the "
        "present figures."
    ),
    "failed": (
        "Correct what the reason names, then resend to those who failed. `amazonsender statement` "
        "lists every recipient with their reason."
    ),
}


def mailout_remedy(status: str, pause_code: str | None) -> str | None:
    """What a person may do about a mailout that is paused, failed or sent."""
    return _MAILOUT_REMEDIES.get(str(pause_code) if status == "paused" else status)


# Mail servers quote the address in their answers, with or without angle brackets.
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=]+@[^\s<>()\[\]\"',;:=]+")


def without_addresses(text: str) -> str:
    """`text` with every address in it masked."""
    return _ADDRESS.sub(lambda match: mask_address(match[0]), text)
