"""The short way of a bulk call beside boto3's own: the same request, and the same answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from botocore.awsrequest import AWSPreparedRequest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.aws.bulk_calls import accepted_ids
from app.adapters.aws.ses import SesSender, entry_answers
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import BulkEntry, bulk_body
from tests.support.service import settings_for

SETTINGS = settings_for("postgresql://unused", "http://127.0.0.1:9")
SES = SesSender(SETTINGS, SETTINGS.home, max_connections=1)
HEAD, ENTRIES = b'{"BulkEmailEntries":[', [BulkEntry(n, b'{"n":%d}' % n) for n in range(2)]


class Wire:
    """In the place of the client's session: it keeps what leaves."""

    def __init__(self) -> None:
        self.left: list[AWSPreparedRequest] = []

    def send(self, request: AWSPreparedRequest) -> Any:
        self.left.append(request)
        raise ConnectionResetError


def shown(request: AWSPreparedRequest) -> dict[str, Any]:
    headers = {name: str(value) for name, value in request.headers.items()}
    del headers["amz-sdk-invocation-id"]
    # It tells which of its features boto3 used on the way.
    headers["User-Agent"] = " ".join(
        word for word in headers["User-Agent"].split() if not word.startswith("m/")
    )
    return {"method": request.method, "url": request.url, "body": request.body} | headers


def test_it_sends_what_boto3_would(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now)
    ses, wire = SesSender(SETTINGS, SETTINGS.home, max_connections=1), Wire()
    client: Any = ses._client
    client._endpoint.http_session = wire
    ses.send_bulk(HEAD, ENTRIES, Fence(60))
    ses.send_bulk(HEAD, ENTRIES, Fence(60))

    def put_body(params: dict[str, Any], **_: Any) -> None:
        params["body"] = bulk_body(HEAD, ENTRIES)

    client.meta.events.register("before-call.sesv2.SendBulkEmail", put_body)
    with pytest.raises(ConnectionResetError):
        client.send_bulk_email(DefaultContent={}, BulkEmailEntries=[])
    first, second, by_boto3 = wire.left
    assert shown(first) == shown(second) == shown(by_boto3)
    ids = {str(request.headers["amz-sdk-invocation-id"]) for request in wire.left}
    assert len(ids) == 3


message_ids: st.SearchStrategy[object] = st.sampled_from(["0100-a", "b" * 255]) | st.sampled_from(
    ["", "c" * 256, "é", "two words", "line\n", "\x7f", None, 7, ["d"], {}]
)
entry = st.one_of(
    st.builds(lambda i: {"Status": "SUCCESS", "MessageId": i}, message_ids),
    st.builds(
        lambda status, i, rest: {"Status": status, "MessageId": i} | rest,
        st.sampled_from(["SUCCESS", "SUCCESS", " SUCCESS", "FAILED", "success", None, 1]),
        message_ids,
        st.sampled_from([{}, {"Error": "why"}, {"Error": None}, {"Other": [1]}]),
    ),
    st.sampled_from([{}, None, "SUCCESS", [], {"Status": "SUCCESS"}]),
)
answers = st.one_of(
    st.lists(entry, max_size=3).map(lambda found: {"BulkEmailEntryResults": found}),
    st.lists(st.sampled_from([{"Status": "SUCCESS", "MessageId": "x"}]), max_size=3).map(
        lambda found: {"BulkEmailEntryResults": found, "More": 1}
    ),
    st.sampled_from([{}, [], None, "text", 1, {"BulkEmailEntryResults": {"a": 1}}]),
).map(orjson.dumps)


def by_boto3(body: bytes) -> list[Answer] | None:
    """None: its parser fails, and nobody can say."""
    client: Any = SES._client
    response = {"status_code": 200, "headers": {}, "body": body, "context": {}}
    model = client.meta.service_model.operation_model("SendBulkEmail")
    try:
        return entry_answers(client._response_parser.parse(response, model.output_shape), 2)
    except Exception:  # noqa: BLE001  however it fails
        return None


@given(answers | st.binary(max_size=20), st.integers(0, 100))
def test_it_reads_what_boto3_reads(body: bytes, cut: int) -> None:
    """Also of an answer that is cut."""
    for text in (body, body[: -cut or None]):
        ids = accepted_ids(text, 2)
        if ids is not None:
            assert [Answer("sent", message_id=i) for i in ids] == by_boto3(text)


def test_it_reads_what_ses_says_when_it_takes_all() -> None:
    results = [{"Status": "SUCCESS", "MessageId": i} for i in ("0100-a", "0100-b")]
    assert accepted_ids(orjson.dumps({"BulkEmailEntryResults": results}), 2) == ["0100-a", "0100-b"]
    assert accepted_ids(orjson.dumps({"BulkEmailEntryResults": results}), 3) is None
