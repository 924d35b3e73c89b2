"""The SES v2 API (rest-json): sending, account, identities, sets and the suppression list."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from app.sandbox.auth import check_signature, is_asymmetric
from app.sandbox.errors import (
    SesError,
    account_suspended,
    bad_request,
    forbidden,
    not_found,
    sending_paused,
)
from app.sandbox.errors import throttled as rate_exceeded
from app.sandbox.faults import Decision, ServerError
from app.sandbox.model import MAX_TEMPLATED_BODY_BYTES, parse_body
from app.sandbox.ses.quota import Bucket
from app.sandbox.ses.sets import ConfigurationSet, set_json
from app.sandbox.ses.wire import Cut, Dropped, Hanging
from app.sandbox.standing.api import StandingApi
from app.sandbox.state import Sandbox

# "40 MB per message after base64 encoding" (SES quotas, API v2).
MAX_BODY_BYTES = 40 * 1024 * 1024

Operation = Callable[[Request, bytes], Awaitable[dict[str, Any]]]


class SesApi:
    """Each method is one operation of the model, named after it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._bulk_calls = Bucket(rate=1)  # for the fault `bulk_one_per_second`

    def routes(self) -> list[Route]:
        addresses = "/v2/email/suppression/addresses"
        sets = "/v2/email/configuration-sets/{name}"
        return [
            self._sending("/v2/email/outbound-bulk-emails", "SendBulkEmail"),
            self._sending("/v2/email/outbound-emails", "SendEmail"),
            self._route("GET", "/v2/email/account", "GetAccount", self._get_account),
            self._route(
                "GET", "/v2/email/identities/{name}", "GetEmailIdentity", self._get_identity
            ),
            self._route("GET", sets, "GetConfigurationSet", self._get_set),
            self._route(
                "GET",
                f"{sets}/event-destinations",
                "GetConfigurationSetEventDestinations",
                self._get_destinations,
            ),
            self._route("PUT", addresses, "PutSuppressedDestination", self._put_suppressed),
            self._route("GET", addresses, "ListSuppressedDestinations", self._list_suppressed),
            self._route(
                "GET", f"{addresses}/{{name}}", "GetSuppressedDestination", self._get_suppressed
            ),
            self._route(
                "DELETE",
                f"{addresses}/{{name}}",
                "DeleteSuppressedDestination",
                self._delete_suppressed,
            ),
            *StandingApi(self._sandbox).routes(self._route),
            Route("/v2/{rest:path}", self._unknown, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    def _route(self, method: str, path: str, name: str, handler: Operation) -> Route:
        async def answer(request: Request) -> Response:
            return _json(await handler(request, await self._body(request)))

        return Route(path, self._counted(name, answer), methods=[method])

    def _sending(self, path: str, name: str) -> Route:
        async def answer(request: Request) -> Response:
            return await self._send(name, request)

        return Route(path, self._counted(name, answer), methods=["POST"])

    def _counted(
        self, name: str, handler: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._sandbox.requests[name] += 1
            try:
                response, code = await handler(request), "OK"
            except SesError as error:
                response, code = _error(error), error.code
            except ClientDisconnect:  # killed while it asked
                return Response()
            self._sandbox.answers[name][code] += 1
            return response

        return endpoint

    async def _body(self, request: Request) -> bytes:
        body = await request.body()
        if len(body) > MAX_BODY_BYTES:
            raise SesError("RequestEntityTooLargeException", "The request is too large.", 413)
        config = self._sandbox.config
        check_signature(request, body, "ses", config.region, config.credentials)
        return body

    async def _unknown(self, request: Request) -> Response:
        return _error(
            SesError("UnknownOperationException", f"No operation at {request.url.path}.", 404)
        )

    # Sending, and what goes wrong with it

    async def _send(self, name: str, request: Request) -> Response:
        body = await self._body(request)
        decision = self._sandbox.injector.decide()
        await asyncio.sleep(decision.before_seconds)
        if refusal := self._fails_before(name, decision):
            return refusal
        answer = self._accept(name, request, body, decision)
        await asyncio.sleep(decision.after_seconds)
        return self._fails_after(decision, answer)

    def _fails_before(self, name: str, decision: Decision) -> Response | None:
        """Failures before anything is accepted. Raises SesError for those with an answer."""
        faults = decision.faults
        if faults.account_suspended:
            raise account_suspended()
        if faults.sending_paused:
            raise sending_paused()
        if faults.bulk_one_per_second and name == "SendBulkEmail" and not self._bulk_calls.take(1):
            raise rate_exceeded("Rate exceeded")
        if decision.kind == "throttle":
            raise rate_exceeded()
        if decision.kind == "server_error" and faults.server_error:
            if not faults.server_error.accept:
                raise _server_error(faults.server_error)
        elif decision.kind == "drop_before_accept" and faults.drop_before_accept:
            return Dropped(reset=faults.drop_before_accept.reset)
        elif decision.kind == "hang" and faults.hang and not faults.hang.accept:
            return Hanging(faults.hang.seconds)
        return None

    def _accept(
        self, name: str, request: Request, body: bytes, decision: Decision
    ) -> dict[str, Any]:
        content = parse_body(name, body)
        if "EndpointId" in content and not is_asymmetric(request):
            raise forbidden(
                "SignatureDoesNotMatch", "A global endpoint takes signatures of SigV4A alone."
            )
        bulk = name == "SendBulkEmail"
        if (bulk or "Template" in content["Content"]) and len(body) > MAX_TEMPLATED_BODY_BYTES:
            raise bad_request(f"The input JSON is {len(body)} bytes; 1 MB is the most.")
        source_ip = request.client.host if request.client else "127.0.0.1"
        sender = self._sandbox.sender
        if bulk:
            return {"BulkEmailEntryResults": sender.bulk(content, source_ip, decision.faults)}
        return {"MessageId": sender.single(content, source_ip, decision.faults)}

    def _fails_after(self, decision: Decision, answer: dict[str, Any]) -> Response:
        """Failures after the mail was accepted; without one, the answer."""
        faults, results = decision.faults, answer.get("BulkEmailEntryResults", [])
        match decision.kind:
            case "server_error" if faults.server_error:
                raise _server_error(faults.server_error)
            case "accept_then_drop" if faults.accept_then_drop:
                return Dropped(reset=faults.accept_then_drop.reset)
            case "hang" if faults.hang:
                return Hanging(faults.hang.seconds)
            case "cut_answer" if faults.cut_answer:
                return Cut(_json(answer), faults.cut_answer.bytes)
            case "short_results" if results:
                results.pop()
            case "long_results" if results:
                results.append(results[-1])
            case "reordered_results":
                self._sandbox.injector.dice.shuffle(results)
        return _json(answer)

    # The account and what belongs to it

    async def _get_account(self, _request: Request, _body: bytes) -> dict[str, Any]:
        account = self._sandbox.account
        shut_down = account.enforcement_status == "SHUTDOWN"
        metrics = self._sandbox.sets.account_metrics
        vdm = {
            "VdmEnabled": "ENABLED",
            "DashboardAttributes": {"EngagementMetrics": metrics},
            "GuardianAttributes": {"OptimizedSharedDelivery": "DISABLED"},
        }
        return {
            "SendQuota": {
                "Max24HourSend": account.max_24h_send,
                "MaxSendRate": account.max_send_rate,
                "SentLast24Hours": account.sent_last_24h(),
            },
            "SendingEnabled": account.sending_enabled and not shut_down,
            "ProductionAccessEnabled": account.production_access,
            "EnforcementStatus": account.enforcement_status,
            "DedicatedIpAutoWarmupEnabled": False,
            "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
            "Details": {"MailType": "MARKETING"},
            **({"VdmAttributes": vdm} if metrics else {}),
        }

    async def _get_identity(self, request: Request, _body: bytes) -> dict[str, Any]:
        name = request.path_params["name"]
        verified = self._sandbox.account.verified
        if verified and name.lower() not in verified:
            raise not_found(f"Email identity {name} does not exist.")
        default = self._sandbox.config.default_set
        return {
            "IdentityType": "EMAIL_ADDRESS" if "@" in name else "DOMAIN",
            "FeedbackForwardingStatus": True,
            "VerifiedForSendingStatus": True,
            "VerificationStatus": "SUCCESS",
            "DkimAttributes": {
                "SigningEnabled": True,
                "Status": "SUCCESS",
                "Tokens": ["sandboxa", "sandboxb", "sandboxc"],
                "SigningAttributesOrigin": "AWS_SES",
            },
            "Policies": {},
            "Tags": [],
            **({"ConfigurationSetName": default} if default else {}),
        }

    def _known_set(self, request: Request) -> ConfigurationSet:
        name: str = request.path_params["name"]
        found = self._sandbox.sets.get(name)
        if found is None:
            raise not_found(f"Configuration set <{name}> does not exist.")
        return found

    async def _get_set(self, request: Request, _body: bytes) -> dict[str, Any]:
        return set_json(self._known_set(request))

    async def _get_destinations(self, request: Request, _body: bytes) -> dict[str, Any]:
        found = self._known_set(request)
        if not self._sandbox.publisher.subscriptions:
            return {"EventDestinations": []}
        destination = {
            "Name": "sandbox",
            "Enabled": found.enabled,
            "MatchingEventTypes": list(found.events),
            "SnsDestination": {"TopicArn": self._sandbox.config.topic_arn},
        }
        return {"EventDestinations": [destination]}

    # The suppression list

    async def _put_suppressed(self, _request: Request, body: bytes) -> dict[str, Any]:
        if not self._sandbox.account.production_access:
            raise bad_request("The suppression list needs production access.")
        content = parse_body("PutSuppressedDestination", body)
        self._sandbox.suppression.put(content["EmailAddress"], content["Reason"])
        return {}

    async def _get_suppressed(self, request: Request, _body: bytes) -> dict[str, Any]:
        found = self._sandbox.suppression.get(request.path_params["name"])
        if found is None:
            raise _not_suppressed(request)
        return {"SuppressedDestination": found.to_json()}

    async def _delete_suppressed(self, request: Request, _body: bytes) -> dict[str, Any]:
        if not self._sandbox.suppression.remove(request.path_params["name"]):
            raise _not_suppressed(request)
        return {}

    async def _list_suppressed(self, request: Request, _body: bytes) -> dict[str, Any]:
        query = request.query_params
        try:
            start, size = int(query.get("NextToken", 0)), int(query.get("PageSize", 1000))
            earliest, latest = (_unix(query.get(name)) for name in ("StartDate", "EndDate"))
        except ValueError as exc:
            raise bad_request(f"The query is malformed: {exc}") from exc
        reasons = query.getlist("Reason") or ["BOUNCE", "COMPLAINT"]
        listed = [
            each.to_json()
            for each in self._sandbox.suppression.all()
            if each.reason in reasons
            and (earliest is None or each.time >= earliest)
            and (latest is None or each.time <= latest)
        ]
        page: dict[str, Any] = {"SuppressedDestinationSummaries": listed[start : start + size]}
        if start + size < len(listed):
            page["NextToken"] = str(start + size)
        return page


def _unix(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


def _not_suppressed(request: Request) -> SesError:
    return not_found(f"Email address {request.path_params['name']} is not suppressed.")


def _server_error(fault: ServerError) -> SesError:
    code = "InternalServiceErrorException" if fault.status == 500 else "ServiceUnavailableException"
    return SesError(code, "The sandbox was told to fail.", fault.status)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    return Response(orjson.dumps(content), status, headers, "application/json")


def _error(error: SesError) -> Response:
    response = _json({"message": error.message}, error.status)
    response.headers["x-amzn-ErrorType"] = error.code
    return response
