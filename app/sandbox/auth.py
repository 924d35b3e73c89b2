"""Signature Version 4 as a service checks it; of SigV4A, its form.

Source: IAM guide, "Elements of an AWS API request signature" and its troubleshooting page.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.requests import Request

from app.sandbox.errors import forbidden

MAX_SKEW = timedelta(minutes=5)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/\s]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/"
    r"(?P<service>[a-z0-9]+)/aws4_request, ?SignedHeaders=(?P<signed>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)
_ASYMMETRIC = re.compile(
    r"AWS4-ECDSA-P256-SHA256 Credential=(?P<key>[^/\s]+)/(?P<day>\d{8})/(?P<service>[a-z0-9]+)/"
    r"aws4_request, ?SignedHeaders=(?P<signed>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]+)"
)


def is_asymmetric(request: Request) -> bool:
    """Whether it is signed for several regions at once (SigV4A)."""
    return _ASYMMETRIC.fullmatch(request.headers.get("authorization", "")) is not None


def check_signature(
    request: Request, body: bytes, service: str, region: str, credentials: Mapping[str, str]
) -> None:
    """Refuse a request that isn't signed for `service` in `region` now.

    credentials: secret by access key; empty: the header's form and its time are checked, the
    signature is not, nor ever one of SigV4A. Raises SesError (403).
    """
    header = request.headers.get("authorization")
    if not header:
        raise forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
    asymmetric = _ASYMMETRIC.fullmatch(header)
    match = asymmetric or _AUTHORIZATION.fullmatch(header)
    if match is None:
        raise forbidden("IncompleteSignatureException", "The Authorization header is malformed.")
    if match["service"] != service:
        raise forbidden(
            "SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'."
        )
    scope = match["region"] if asymmetric is None else request.headers.get("x-amz-region-set", "")
    if scope not in (region, "*" if asymmetric else region):
        raise forbidden(
            "SignatureDoesNotMatch",
            f"Credential should be scoped to a valid region, not '{scope}'. ",
        )
    _check_time(request.headers.get("x-amz-date", ""), match["day"])
    if not credentials or asymmetric:
        return
    if match["key"] not in credentials:
        raise forbidden(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        )
    expected = _signature(request, body, match, credentials[match["key"]])
    if not hmac.compare_digest(expected, match["signature"]):
        raise forbidden(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )


def _check_time(stamp: str, day: str) -> None:
    try:
        signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as exc:
        raise forbidden(
            "IncompleteSignatureException", "X-Amz-Date is missing or malformed."
        ) from exc
    now = datetime.now(UTC)
    if not stamp.startswith(day):
        raise forbidden("SignatureDoesNotMatch", "Date in Credential scope does not match.")
    if abs(now - signed) > MAX_SKEW:
        tense = "expired" if signed < now else "not yet current"
        raise forbidden(
            "SignatureDoesNotMatch", f"Signature {tense}: {stamp} is not within 5 min of {now}."
        )


def _signature(request: Request, body: bytes, match: re.Match[str], secret: str) -> str:
    path = request.scope["raw_path"].decode()
    query = request.scope["query_string"].decode()
    host = request.headers.get("host", "")
    signed = {name: request.headers.get(name, "") for name in match["signed"].split(";")}
    original = AWSRequest(
        method=request.method,
        url=f"http://{host}{path}" + (f"?{query}" if query else ""),
        headers=signed,
        data=body,
    )
    original.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(match["key"], secret), match["service"], match["region"])
    canonical: str = signer.canonical_request(original)
    return str(signer.signature(signer.string_to_sign(original, canonical), original))
