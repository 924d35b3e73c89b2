"""The signature of a call whose head is the same each time but for the time itself: 118 µs where
botocore makes it anew, 21 here.

Source: IAM user guide, "Create a signed AWS API request" (Signature Version 4).
tests/queues/test_sqs_lines.py compares with what botocore sends.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from botocore.awsrequest import AWSPreparedRequest
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^,]+/\d{8}/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request, "
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), Signature=[0-9a-f]{64}"
)
_TOKEN, _DATE = "x-amz-security-token", "x-amz-date"
_SIGNED = frozenset({"content-type", "host", _DATE, _TOKEN, "x-amz-target", "x-amzn-query-mode"})
"""What botocore signs of these calls. Another signer's (awscrt, say) may be of the body, too."""
_OF_EACH_CALL = frozenset(
    {_TOKEN, _DATE, "authorization", "amz-sdk-invocation-id", "content-length"}
)


@dataclass(frozen=True)
class SignedHead:
    """begins: the lines that are always the same. signed: the headers that are signed, in their
    order; those of each call without their values. has_token: credentials of a role have one."""

    begins: str
    signed: tuple[tuple[str, str], ...]
    region: str
    service: str
    has_token: bool

    @classmethod
    def of(cls, request: AWSPreparedRequest) -> SignedHead | None:
        """request: signed by botocore. None: it looks unlike the calls of SQS."""
        url = urlsplit(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        names = found["names"].split(";") if found else []
        if found is None or not _SIGNED.issuperset(names):
            return None
        if url.path != "/" or url.query or "@" in url.netloc:
            return None
        fixed = {name: value for name, value in headers.items() if name not in _OF_EACH_CALL}
        named = {"host": url.netloc, **fixed}
        signed = tuple((name, named.get(name, "")) for name in names)
        lines = [f"{request.method} / HTTP/1.1", f"Host: {url.netloc}", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in fixed.items()]
        begins = "".join(f"{line}\r\n" for line in lines)
        return cls(begins, signed, found["region"], found["service"], _TOKEN in headers)

    def request(self, body: bytes, credentials: ReadOnlyCredentials) -> bytes | None:
        """Head and body as they go over the wire. None: the head is another with these."""
        if bool(credentials.token) is not self.has_token:
            return None
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        each = {_DATE: now, _TOKEN: credentials.token or ""}
        names = ";".join(name for name, _ in self.signed)
        lines = "".join(f"{name}:{each.get(name, value)}\n" for name, value in self.signed)
        asked = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
        scope = f"{now[:8]}/{self.region}/{self.service}/aws4_request"
        told = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{sha256(asked.encode()).hexdigest()}"
        key = f"AWS4{credentials.secret_key}".encode()
        signature = reduce(_hmac, (*scope.split("/"), told), key).hex()
        token = f"X-Amz-Security-Token: {credentials.token}\r\n" if self.has_token else ""
        head = (
            f"{self.begins}X-Amz-Date: {now}\r\n{token}"
            f"Authorization: AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}\r\n"
            f"amz-sdk-invocation-id: {uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def ready_credentials(client: Any) -> ReadOnlyCredentials | None:
    """Those of a boto3 client. None: there are none, or they are to be fetched anew, for which one
    has to wait."""
    credentials = client._request_signer._credentials  # noqa: SLF001
    if credentials is None:
        return None
    if isinstance(credentials, RefreshableCredentials) and credentials.refresh_needed():
        return None
    frozen: ReadOnlyCredentials = credentials.get_frozen_credentials()
    return frozen


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
