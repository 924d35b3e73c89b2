"""Accepting mail: every check of SES on a call and on its entries, then log, keep and report."""

from __future__ import annotations

import base64
import binascii
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from app.sandbox.config import SandboxConfig
from app.sandbox.errors import SesError, bad_request, not_found, throttled
from app.sandbox.faults import FaultInjector, Faults
from app.sandbox.ses import limits
from app.sandbox.ses.addresses import Mailbox, parse_mailbox
from app.sandbox.ses.quota import Account, daily_quota_exceeded
from app.sandbox.ses.render import Template, UnsupportedTemplate, compile_template, missing_value
from app.sandbox.ses.sets import ConfigurationSets, check_trackers
from app.sandbox.ses.simulator import EVENTS_AFTER_SEND, Fate, fate_of, is_simulator
from app.sandbox.ses.suppression import SuppressionList
from app.sandbox.sns.publish import Publisher
from app.sandbox.store import Call, Mail, Store
from app.sandbox.tracking.audience import Audience

# SES's standard test of a virus scanner (SES developer guide, mailbox simulator).
EICAR = b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
NOT_IMITATED = ("TenantName", "ListManagementOptions")


class EntryRefused(Exception):
    """One entry is refused by itself: a `Status` of the model and the text beside it."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Sender:
    """The sending part of SES v2 for one account."""

    def __init__(
        self,
        config: SandboxConfig,
        account: Account,
        sets: ConfigurationSets,
        store: Store,
        suppression: SuppressionList,
        injector: FaultInjector,
        publisher: Publisher,
        readers: Audience,
    ) -> None:
        self._config, self._account, self._sets, self._store = config, account, sets, store
        self._suppression, self._injector, self._publisher = suppression, injector, publisher
        self._readers = readers

    def bulk(self, body: Mapping[str, Any], source_ip: str, faults: Faults) -> list[dict[str, Any]]:
        """SendBulkEmail: one BulkEmailEntryResult for each entry, in their order.

        body: checked against the model. Raises SesError when the whole call is refused.
        """
        self._account.ensure_sending()
        entries = body["BulkEmailEntries"]
        if not 1 <= len(entries) <= limits.MAX_ENTRIES:
            raise bad_request(f"A call takes 1 to {limits.MAX_ENTRIES} entries.")
        template = body["DefaultContent"].get("Template")
        if template is None:
            raise bad_request("DefaultContent.Template is missing.")
        call = self._template_call("SendBulkEmail", body, template, source_ip)
        drafts = [self._bulk_draft(call, entry, faults) for entry in entries]
        return [_entry_result(each) for each in self._accept(drafts, faults)]

    def single(self, body: Mapping[str, Any], source_ip: str, faults: Faults) -> str:
        """SendEmail: the message id. Raises SesError when the mail is refused."""
        self._account.ensure_sending()
        content = body["Content"]
        if len(content) != 1:
            raise bad_request("Content is exactly one of Simple, Raw and Template.")
        if "Raw" in content:
            raise bad_request("This sandbox takes Simple and Template content, not Raw.")
        if "Template" in content:
            call = self._template_call("SendEmail", body, content["Template"], source_ip)
        else:
            call = self._simple_call(body, content["Simple"], source_ip)
        try:
            draft = self._draft(call, body.get("Destination", {}), call.tags, (), {}, faults)
        except EntryRefused as refused:
            if refused.status == "MESSAGE_REJECTED":
                raise SesError("MessageRejected", refused.message) from refused
            raise bad_request(refused.message) from refused
        (outcome,) = self._accept([draft], faults)
        if isinstance(outcome, EntryRefused):  # only the quota refuses a draft
            raise daily_quota_exceeded()
        return outcome.message_id

    # The call

    def _template_call(
        self, operation: str, body: Mapping[str, Any], template: Mapping[str, Any], ip: str
    ) -> Call:
        given = {"TemplateName", "TemplateArn", "TemplateContent"} & template.keys()
        if len(given) != 1:
            raise bad_request("Give exactly one of TemplateName, TemplateArn and TemplateContent.")
        if "TemplateContent" not in template:
            raise not_found(f"Template {template[given.pop()]} does not exist.")
        content = template["TemplateContent"]
        if not content.get("Subject") or not (content.get("Html") or content.get("Text")):
            raise bad_request("TemplateContent needs a Subject, and Html or Text.")
        check_trackers(content.get("Html") or "")
        try:
            parts = {key.lower(): compile_template(text) for key, text in content.items() if text}
            data = _json_object(template.get("TemplateData"))
        except UnsupportedTemplate as exc:
            raise bad_request(str(exc)) from exc
        except EntryRefused as refused:
            raise bad_request(f"TemplateData: {refused.message}") from refused
        return self._call(operation, body, template, parts, data, ip)

    def _simple_call(self, body: Mapping[str, Any], simple: Mapping[str, Any], ip: str) -> Call:
        parts = {
            key.lower(): Template.literal(content["Data"])
            for key, content in simple["Body"].items()
        }
        if not parts:
            raise bad_request("Body needs Html or Text.")
        parts["subject"] = Template.literal(simple["Subject"]["Data"])
        return self._call("SendEmail", body, simple, parts, {}, ip)

    def _call(
        self,
        operation: str,
        body: Mapping[str, Any],
        content: Mapping[str, Any],
        parts: Mapping[str, Template],
        data: dict[str, Any],
        source_ip: str,
    ) -> Call:
        if unknown := [name for name in NOT_IMITATED if name in body]:
            raise bad_request(f"This sandbox does not imitate {unknown[0]}.")
        set_name = body.get("ConfigurationSetName") or self._config.default_set
        self._check_configuration_set(set_name)
        try:
            source = parse_mailbox(body.get("FromEmailAddress", ""))
            reply_to = tuple(
                parse_mailbox(each).header for each in body.get("ReplyToAddresses", ())
            )
            tags = limits.check_tags(body.get("DefaultEmailTags") or body.get("EmailTags") or ())
            headers = limits.check_headers(content.get("Headers", ()))
        except ValueError as exc:
            raise bad_request(str(exc)) from exc
        if any("\n" in text or "\r" in text for text in parts["subject"].literals):
            raise bad_request("Subject contains a line break.")
        if not limits.is_verified(source.address, self._account.verified):
            raise SesError("MessageRejected", self._not_verified(source.address))
        return Call(
            operation=operation,
            source=source.header,
            source_address=source.address,
            reply_to=reply_to,
            configuration_set=set_name,
            subject=parts["subject"],
            html=parts.get("html"),
            text=parts.get("text"),
            data=data,
            headers=headers,
            tags=tags,
            attachments=_attachments(content.get("Attachments", ())),
            source_ip=source_ip,
            names=frozenset(name for part in parts.values() for name in part.names),
            tracked=self._sets.tracked(set_name, body.get("ConfigurationOverrides")),
        )

    def _check_configuration_set(self, name: str | None) -> None:
        if name is not None and self._sets.get(name) is None:
            raise not_found(f"Configuration set <{name}> does not exist.")

    def _not_verified(self, address: str) -> str:
        return (
            "Email address is not verified. The following identities failed the check in region "
            f"{self._config.region.upper()}: {address}"
        )

    # The entries

    def _bulk_draft(
        self, call: Call, entry: Mapping[str, Any], faults: Faults
    ) -> Mail | EntryRefused:
        failure = faults.entry_failure
        if failure and self._injector.hits(failure.probability):
            status = self._injector.dice.choice(failure.statuses)
            return EntryRefused(status, f"The sandbox was told to answer {status}.")
        replacement = entry.get("ReplacementEmailContent", {}).get("ReplacementTemplate", {})
        try:
            data = _json_object(replacement.get("ReplacementTemplateData"))
            # Whether SES merges these with the default tags isn't documented; one vendor says
            # that defaults apply only when there are none, so a mail that relies on them fails.
            tags = limits.check_tags(entry.get("ReplacementTags", ())) or call.tags
            headers = limits.check_headers(entry.get("ReplacementHeaders", ()))
            return self._draft(call, entry["Destination"], tags, headers, data, faults)
        except ValueError as exc:
            return EntryRefused("INVALID_PARAMETER", str(exc))
        except EntryRefused as refused:
            return refused

    def _draft(
        self,
        call: Call,
        destination: Mapping[str, Any],
        tags: dict[str, str],
        headers: tuple[tuple[str, str], ...],
        data: dict[str, Any],
        faults: Faults,
    ) -> Mail:
        """A mail ready to be accepted. Raises EntryRefused."""
        to, cc, bcc = (_mailboxes(destination.get(f"{kind}Addresses")) for kind in _DESTINATIONS)
        addresses = [mailbox.address for mailbox in (*to, *cc, *bcc)]
        if not 1 <= len(addresses) <= limits.MAX_RECIPIENTS:
            raise EntryRefused(
                "INVALID_PARAMETER", f"A message takes 1 to {limits.MAX_RECIPIENTS} recipients."
            )
        if not faults.poison.isdisjoint(addresses):
            raise bad_request("The sandbox was told that an address poisons the whole call.")
        self._check_reachable(addresses)
        values = {**call.data, **data}
        if any(_breaks_line(values.get(name)) for name in call.subject.names):
            raise EntryRefused("INVALID_PARAMETER", "Subject contains a line break.")
        return Mail(
            message_id=f"0100{time.time_ns() // 1_000_000:012x}-{uuid.uuid4()}-000000",
            time=time.time(),
            call=call,
            to=tuple(mailbox.header for mailbox in to),
            cc=tuple(mailbox.header for mailbox in cc),
            data=data,
            replacement_headers=headers,
            tags=tags,
            fates=dict.fromkeys(addresses, Fate.DELIVERED),
            failure=missing_value(call.names, values),
        )

    def _check_reachable(self, addresses: Iterable[str]) -> None:
        if self._account.production_access:
            return
        for address in addresses:
            if not limits.may_receive_in_sandbox(address, self._account.verified):
                raise EntryRefused("MESSAGE_REJECTED", self._not_verified(address))

    # Acceptance

    def _accept(
        self, drafts: list[Mail | EntryRefused], faults: Faults
    ) -> list[Mail | EntryRefused]:
        """Take rate and quota, then log, keep and report. Raises SesError with nothing accepted."""
        mails = [draft for draft in drafts if isinstance(draft, Mail)]
        if mails and not self._account.take_rate(sum(len(mail.fates) for mail in mails)):
            raise throttled()
        outcomes = self._within_quota(drafts)
        accepted = [outcome for outcome in outcomes if isinstance(outcome, Mail)]
        if mails and not accepted:
            raise daily_quota_exceeded()
        for mail in accepted:
            self._decide_fates(mail, faults)
        self._store.add(accepted)
        for mail in accepted:
            self._account.count(_quota_recipients(mail))
            self._report(mail, faults)
        return outcomes

    def _within_quota(self, drafts: list[Mail | EntryRefused]) -> list[Mail | EntryRefused]:
        left = self._account.daily_left()
        outcomes: list[Mail | EntryRefused] = []
        for draft in drafts:
            if isinstance(draft, Mail):
                needed = _quota_recipients(draft)
                if needed > left:
                    draft = _OVER_QUOTA
                else:
                    left -= needed
            outcomes.append(draft)
        return outcomes

    def _decide_fates(self, mail: Mail, faults: Faults) -> None:
        whole: Fate | None = None
        if mail.failure:
            whole = Fate.RENDERING_FAILURE
        elif _has_virus(mail) or self._injector.hits(faults.reject):
            whole = Fate.REJECTED
        for address in mail.fates:
            mail.fates[address] = whole or self._fate(address)

    def _fate(self, address: str) -> Fate:
        fate = fate_of(
            address,
            suppressed=self._suppression.reason(address),
            bounce_share=self._config.bounce_share,
            complaint_share=self._config.complaint_share,
        )
        # SES adds whoever bounces or complains, but never a simulator address.
        if not is_simulator(address) and fate in (Fate.BOUNCED, Fate.COMPLAINED):
            self._suppression.put(address, "BOUNCE" if fate is Fate.BOUNCED else "COMPLAINT")
        return fate

    def _report(self, mail: Mail, faults: Faults) -> None:
        publisher = self._publisher
        fates = set(mail.fates.values())
        if Fate.RENDERING_FAILURE in fates:
            publisher.publish("Rendering Failure", mail, delay=publisher.pause())
            return
        if Fate.REJECTED in fates:
            publisher.publish("Reject", mail, delay=publisher.pause())
            return
        sent = publisher.pause()
        publisher.publish("Send", mail, delay=sent)
        for address, fate in mail.fates.items():
            kinds = EVENTS_AFTER_SEND[fate]
            if fate is Fate.DELIVERED and self._injector.hits(faults.delivery_delay):
                kinds = ("DeliveryDelay", *kinds)
            delay = sent
            for kind in kinds:
                delay += publisher.pause()
                publisher.publish(kind, mail, address, delay=delay)
            if fate is Fate.DELIVERED:
                self._readers.delivered(mail, address, delay=delay)


_DESTINATIONS = ("To", "Cc", "Bcc")
_OVER_QUOTA = EntryRefused("ACCOUNT_DAILY_QUOTA_EXCEEDED", "Daily message quota exceeded.")


def _mailboxes(addresses: Iterable[str] | None) -> tuple[Mailbox, ...]:
    try:
        return tuple(parse_mailbox(address) for address in addresses or ())
    except ValueError as exc:
        raise EntryRefused("INVALID_PARAMETER", str(exc)) from exc


def _json_object(text: str | None) -> dict[str, Any]:
    """Template data is a JSON object in a string. Raises EntryRefused."""
    if not text:
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise EntryRefused("INVALID_PARAMETER", "Template data is not valid JSON.") from exc
    if not isinstance(value, dict):
        raise EntryRefused("INVALID_PARAMETER", "Template data is not a JSON object.")
    return value


def _breaks_line(value: object) -> bool:
    return isinstance(value, str) and ("\n" in value or "\r" in value)


def _attachments(given: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    try:
        return tuple(
            {**each, "RawContent": base64.b64decode(each["RawContent"], validate=True)}
            for each in given
        )
    except binascii.Error as exc:
        raise bad_request("RawContent of an attachment is not base64.") from exc


def _has_virus(mail: Mail) -> bool:
    return any(EICAR in each["RawContent"] for each in mail.call.attachments)


def _quota_recipients(mail: Mail) -> int:
    return sum(not is_simulator(address) for address in mail.fates)


def _entry_result(outcome: Mail | EntryRefused) -> dict[str, Any]:
    if isinstance(outcome, Mail):
        return {"Status": "SUCCESS", "MessageId": outcome.message_id}
    return {"Status": outcome.status, "Error": outcome.message}
