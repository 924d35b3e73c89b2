"""Amazon SES v2 through boto3. Blocking: call it from threads, never from the event loop.

boto3's own retries are off, because one call with the defaults makes up to three HTTP requests
after a timeout or a reset, and SES has no idempotency token: each may be accepted.
"""

from __future__ import annotations

import math
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import orjson
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)

from app import __version__
from app.adapters.aws.answers import bound_answers
from app.adapters.aws.bulk_calls import MESSAGE_ID_MAX_CHARS, accepted_ids
from app.adapters.aws.clients.service_data import service_data
from app.adapters.aws.notice import bulk_request, single_request
from app.adapters.aws.prepared_calls import PreparedCalls, learn, teachable
from app.domain.content.render import Compiled
from app.domain.sending.batches import Account, Suppressed
from app.domain.sending.fence import Fence, LeaseLost
from app.domain.ses.answers import Answer, entry_answer, refused_call
from app.domain.ses.mail import (
    BulkEntry,
    Envelope,
    Mail,
    Notice,
    bulk_body,
    common_members,
    name_values,
)
from app.domain.ses.region import SesRegion
from app.domain.untrusted import page_words, plain
from app.errors import SesRefused, Unavailable
from app.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client
    from mypy_boto3_sns import SNSClient

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0


@dataclass
class _Call:
    """One request. left: it got past the fence, so bytes of it may be on their way. status, text:
    of the answer as it came, for those that boto3 can't read."""

    fence: Fence
    left: bool = False
    status: int = 0
    text: str = ""

    def leave(self) -> None:
        """Right before its bytes do. Raises LeaseLost."""
        self.fence.check()
        self.left = True

    def note(self, status: int, body: bytes) -> None:
        if status >= 300:
            self.status = status
            self.text = body[:_KEPT_BYTES].decode("utf-8", "replace")


def aws_client(settings: Settings, service: str, *, region: str | None, **config: Any) -> Any:
    """A boto3 client with this program's credentials, region and endpoint, retries off, its
    answers bounded."""
    known = settings.region(region or "")
    endpoint = {
        "sesv2": known.endpoint_url,
        "sns": known.sns_endpoint_url,
        "sqs": settings.aws_endpoint_url_sqs,
    }.get(service)
    core = botocore.session.get_session()
    core.register_component("data_loader", service_data())
    session = boto3.session.Session(
        botocore_session=core,
        aws_access_key_id=settings.aws_access_key_id,
        aws_secret_access_key=_reveal(settings.aws_secret_access_key),
        aws_session_token=_reveal(settings.aws_session_token),
        region_name=region,
        profile_name=settings.aws_profile,
    )
    client = session.client(  # type: ignore[call-overload]
        service,
        endpoint_url=endpoint,
        config=Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            user_agent_extra=f"amazonsender/{__version__}",
            **config,
        ),
    )
    bound_answers(client, service)
    return client


def sns_client(settings: Settings, region: str) -> SNSClient:
    client: SNSClient = aws_client(settings, "sns", region=region)
    return client


def _reveal(secret: Any) -> str | None:
    return secret.get_secret_value() if secret else None


class SesSender:
    """Sends mails by a region and asks for its account; one client for the life of the process."""

    def __init__(self, settings: Settings, region: SesRegion, *, max_connections: int) -> None:
        self._client: SESV2Client = aws_client(
            settings,
            "sesv2",
            region=region.name,
            max_pool_connections=max_connections,
            # The requests are built here and their limits checked before (domain/ses/mail.py);
            # checking each of 50 entries again costs about a third of the call.
            parameter_validation=False,
        )
        # SES's global endpoint, if there is one, takes both kinds of mails and nothing else.
        self._endpoint: dict[str, Any] = (
            {"EndpointId": region.endpoint_id} if region.endpoint_id else {}
        )
        self._local = threading.local()
        # Fires after signing, right before the bytes leave.
        self._client.meta.events.register("before-send.sesv2", self._check_fence)
        self._client.meta.events.register("before-parse.sesv2", self._note_answer)
        teachable(self._client)
        self._bulk: PreparedCalls | None = None

    def _check_fence(self, **_: Any) -> None:
        call: _Call | None = getattr(self._local, "call", None)
        if call is not None:
            call.leave()

    def _note_answer(self, response_dict: dict[str, Any], **_: Any) -> None:
        call: _Call | None = getattr(self._local, "call", None)
        if call is not None:
            call.note(response_dict["status_code"], response_dict["body"])

    @contextmanager
    def _fenced(self, call: _Call) -> Iterator[None]:
        self._local.call = call
        try:
            yield
        finally:
            self._local.call = None

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        """One SendBulkEmail call (domain/ses/mail.py: bulk_head); an answer per entry, in order."""
        if self._endpoint:
            head = orjson.dumps(self._endpoint)[:-1] + b"," + head[1:]
        call = _Call(fence)
        try:
            calls = self._bulk_calls()
            request = calls.request(bulk_body(head, entries))
            call.leave()
            answer = calls.send(request)
            call.note(answer.status_code, answer.content)
            if answer.status_code == HTTPStatus.OK and (
                ids := accepted_ids(answer.content, len(entries))
            ):
                return [Answer("sent", message_id=message_id) for message_id in ids]
            response = calls.read(answer)
        except Exception as exc:  # noqa: BLE001  every way a call can end is an answer
            return [_failed_call(exc, call, len(entries))] * len(entries)
        return entry_answers(response, len(entries))

    def _bulk_calls(self) -> PreparedCalls:
        if self._bulk is None:
            self._bulk = learn(
                self._client,
                lambda: self._client.send_bulk_email(
                    DefaultContent={}, BulkEmailEntries=[], **self._endpoint
                ),
            )
        return self._bulk

    def send_single(
        self, compiled: Compiled, envelope: Envelope, mail: Mail, fence: Fence
    ) -> Answer:
        """One SendEmail call with the finished text."""
        rendered = compiled.paste(mail.values)
        headers = (("List-Id", envelope.list_id), *mail.list_unsubscribe)
        request: dict[str, Any] = {
            "FromEmailAddress": envelope.from_mailbox,
            "Destination": {"ToAddresses": [mail.to]},
            "EmailTags": name_values(mail.tags),
            "Content": {
                "Simple": {
                    "Subject": {"Data": rendered.subject, "Charset": "UTF-8"},
                    "Body": {
                        "Html": {"Data": rendered.html, "Charset": "UTF-8"},
                        "Text": {"Data": rendered.text, "Charset": "UTF-8"},
                    },
                    "Headers": name_values(headers),
                }
            },
            **common_members(envelope),
            **self._endpoint,
        }
        call = _Call(fence)
        try:
            with self._fenced(call):
                response = self._client.send_email(**request)
        except Exception as exc:  # noqa: BLE001  every way a call can end is an answer
            return _failed_call(exc, call, 1)
        return _single_answer(response)

    def send_notice(
        self,
        notice: Notice,
        *,
        from_mailbox: str,
        to: str,
        tags: Sequence[tuple[str, str]],
        bulk: bool,
        fence: Fence,
    ) -> Answer:
        """One mail of our own, by SendEmail or as the only entry of a SendBulkEmail call.

        Without a configuration set: nobody waits for its events.
        """
        build = bulk_request if bulk else single_request
        request = build(notice, from_mailbox, to, tags) | self._endpoint
        call = _Call(fence)
        try:
            with self._fenced(call):
                if not bulk:
                    return _single_answer(self._client.send_email(**request))
                [answer] = entry_answers(self._client.send_bulk_email(**request), 1)
        except Exception as exc:  # noqa: BLE001  every way a call can end is an answer
            return _failed_call(exc, call, 1)
        return answer

    def suppressed_page(self, token: str | None) -> tuple[list[Suppressed], str | None]:
        """Up to 1,000 addresses of the account's suppression list, and the next page's token.

        Raises Unavailable.
        """
        page: dict[str, Any] = {"PageSize": 1000} | ({"NextToken": token} if token else {})
        try:
            response = self._client.list_suppressed_destinations(**page)
            listed = response.get("SuppressedDestinationSummaries", [])
            found = [Suppressed(plain(each["EmailAddress"]), each["LastUpdateTime"])
                     for each in listed]  # fmt: skip
        except Exception as exc:  # a strange answer is one with members missing
            raise _not_answered("ListSuppressedDestinations", exc) from exc
        return found, response.get("NextToken")

    def get_account(self) -> Account:
        """Raises Unavailable, in plain words, when SES gives no answer, or one that makes no sense,
        and SesRefused when it refuses."""
        call = _Call(Fence(math.inf))
        try:
            with self._fenced(call):
                response = self._client.get_account()
        except Exception as exc:
            refused = _failed_call(exc, call, 1).halt != "unreachable"
            raise _not_answered("GetAccount", exc, refused=refused) from exc
        try:
            return account_of(response)
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            # A cut answer parses as one with members missing.
            raise _not_answered("GetAccount", exc) from exc

    def identity(self, name: str) -> dict[str, Any] | None:
        """GetEmailIdentity; None when the account doesn't have it. Raises Unavailable."""
        return self._look_up("get_email_identity", EmailIdentity=name)

    def event_destinations(self, configuration_set: str) -> list[dict[str, Any]] | None:
        """GetConfigurationSetEventDestinations; None without such a set. Raises Unavailable."""
        found = self._look_up(
            "get_configuration_set_event_destinations", ConfigurationSetName=configuration_set
        )
        return None if found is None else list(found.get("EventDestinations", []))

    def configuration_set(self, name: str) -> dict[str, Any] | None:
        """GetConfigurationSet; None without such a set. Raises Unavailable."""
        return self._look_up("get_configuration_set", ConfigurationSetName=name)

    def _look_up(self, operation: str, **arguments: str) -> dict[str, Any] | None:
        try:
            return dict(getattr(self._client, operation)(**arguments))
        except self._client.exceptions.NotFoundException:
            return None
        except Exception as exc:
            raise _not_answered(operation, exc) from exc


_KEPT_BYTES = 20_000
"""How much is kept of an answer that boto3 can't read: what it says stands near its start."""

_UNREADABLE = Answer(
    "unknown",
    "unreadable_answer",
    "SES's answer was cut or does not match the call.",
    halt="unreachable",
)


def entry_answers(response: Mapping[str, Any], entries: int) -> list[Answer]:
    """An answer for each entry of a bulk call."""
    results = response.get("BulkEmailEntryResults")
    if not isinstance(results, list) or len(results) != entries:
        # A cut answer parses as a success without results. SES may have accepted all.
        return [_UNREADABLE] * entries
    return [_entry_answer(result) for result in results]


def _entry_answer(result: object) -> Answer:
    if not isinstance(result, dict):
        return _UNREADABLE
    return entry_answer(
        plain(result.get("Status")),
        _message_id(result.get("MessageId")),
        plain(result.get("Error")) or None,
    )


def _single_answer(response: Mapping[str, Any]) -> Answer:
    message_id = _message_id(response.get("MessageId"))
    return Answer("sent", message_id=message_id) if message_id else _UNREADABLE


def _message_id(value: object) -> str | None:
    """None for what can't be an id of SES: its events could never be found by it."""
    if not isinstance(value, str) or not 0 < len(value) <= MESSAGE_ID_MAX_CHARS:
        return None
    return value if value.isascii() and value.isprintable() and " " not in value else None


def account_of(response: Mapping[str, Any]) -> Account:
    """Raises KeyError, TypeError, ValueError for an answer that makes no sense."""
    quota = response["SendQuota"]
    rate, daily = float(quota["MaxSendRate"]), float(quota["Max24HourSend"])
    used = float(quota.get("SentLast24Hours", 0))
    if not (math.isfinite(rate) and math.isfinite(daily) and math.isfinite(used)):
        raise ValueError("a quota is not a number")
    return Account(
        max_send_rate=rate,
        max_24h_send=daily,
        sent_last_24h=used,
        sending_enabled=bool(response.get("SendingEnabled", True)),
        enforcement_status=plain(response.get("EnforcementStatus", "HEALTHY")),
        production_access=bool(response.get("ProductionAccessEnabled", True)),
        engagement_metrics=_engagement_metrics(response.get("VdmAttributes")),
    )


def _engagement_metrics(vdm: Any) -> bool | None:
    if not isinstance(vdm, dict) or vdm.get("VdmEnabled") != "ENABLED":
        return None
    return bool(vdm.get("DashboardAttributes", {}).get("EngagementMetrics") == "ENABLED")


def _not_answered(operation: str, exc: Exception, *, refused: bool = False) -> Unavailable:
    why = page_words(str(exc)) or type(exc).__name__
    return (SesRefused if refused else Unavailable)(f"SES did not answer {operation}: {why}")


def _failed_call(exc: Exception, call: _Call, entries: int) -> Answer:
    """A call that gave no result: certainly not accepted, refused, or unknown."""
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", call.status)
        return refused_call(
            plain(error.get("Code")), status, page_words(error.get("Message")), entries
        )
    if 300 <= call.status < 500:  # boto3 can't read it, because it isn't of AWS's form
        return refused_call("", call.status, page_words(call.text), entries)
    if isinstance(exc, LeaseLost):
        return Answer("requeue", "lease_lost", str(exc))
    if isinstance(exc, (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)):
        return Answer("requeue", "not_connected", "SES can't be reached.", halt="unreachable")
    if isinstance(exc, SSLError) and _is_certificate_error(exc):
        return Answer(
            "requeue", "certificate", "SES's certificate was refused.", halt="unreachable"
        )
    if not call.left:  # no credentials, no region, an unusable request
        return Answer(
            "requeue", "not_prepared", plain(f"{type(exc).__name__}: {exc}"), halt="configuration"
        )
    return Answer(
        "unknown", "no_answer", "The connection ended before SES answered.", halt="unreachable"
    )


def _is_certificate_error(exc: SSLError) -> bool:
    cause: object = exc.kwargs.get("error")
    while isinstance(cause, BaseException):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        reason = getattr(cause, "reason", None)
        cause = (
            reason if isinstance(reason, BaseException) else cause.__cause__ or cause.__context__
        )
    return False
