"""Messages that nobody thought of: nothing is ever a fault of ours, and nobody's state changes
unless the event is genuine and about them."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security.sns.amazon import Sns, bounce
from tests.support.wide import examples

FEW = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\0", "\ud800", "\n", "\u2028", "x" * 300, "1", "2"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("Type", "MessageId", "TopicArn", "Message", "Subject", "Timestamp", "SignatureVersion",
          "Signature", "SigningCertURL", "Token", "SubscribeURL", "UnsubscribeURL")  # fmt: skip
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
HEADERS = ("x-amz-sns-message-type", "x-amz-sns-topic-arn", "x-amz-sns-rawdelivery")


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """Bytes changed, cut out, doubled or put in."""
    changed = bytearray(body)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(changed) - 1)))
        what = draw(st.sampled_from(("flip", "cut", "double", "put")))
        if what == "flip" and changed:
            changed[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del changed[at : at + draw(st.integers(1, 40))]
        elif what == "double":
            changed[at:at] = changed[at : at + draw(st.integers(1, 60))]
        else:
            changed[at:at] = draw(st.binary(min_size=1, max_size=8))
    return bytes(changed)


def meaning(body: bytes) -> Any:
    """What a reader finds in it, unless it isn't one thing."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def signature(message: dict[str, Any]) -> bytes | None:
    """Its bytes: the last sign of base64 has bits that say nothing."""
    try:
        return base64.b64decode(message["Signature"], validate=True)
    except (KeyError, TypeError, ValueError):
        return None


@FEW
@given(data=st.data())
async def test_a_message_that_was_changed_is_never_a_row(sns: Sns, data: st.DataObject) -> None:
    genuine = data.draw(
        st.sampled_from(
            [sns.notification({"eventType": "Send", "mail": {"a": 1}}), sns.confirmation()]
        )
    )
    if data.draw(st.booleans()):
        body = data.draw(mutated(json.dumps(genuine).encode()))
    else:
        members = dict(genuine)
        for name in data.draw(st.lists(st.sampled_from(FIELDS), min_size=1, max_size=3)):
            value = data.draw(VALUES)
            members[name] = value
        body = json.dumps(members).encode()
    counts = (*SIGNED[genuine["Type"]], "SignatureVersion", "SigningCertURL")
    read = meaning(body)
    if (
        isinstance(read, dict)
        and all(read.get(name) == genuine.get(name) for name in counts)
        and signature(read) == signature(genuine)
    ):
        return  # only what isn't signed was changed
    headers = {
        name: data.draw(st.sampled_from(["Notification", "x", "true", genuine["TopicArn"]]))
        for name in data.draw(st.sets(st.sampled_from(HEADERS)))
    }
    events = "select count(*) from ses_events"
    before, confirmed = await sns.fortress.arrange.one(events), len(sns.amazon.confirmations)
    answer = await sns.post(body, headers)
    # a certificate that can't be had, if the port of its address was changed by chance
    assert answer.status_code in {400, 403, 413, 429, 503}, answer.text
    if answer.status_code == 503:
        assert answer.json()["code"] == "certificate_unavailable"
    assert await sns.fortress.arrange.one(events) == before
    assert len(sns.amazon.confirmations) == confirmed


@FEW
@given(data=st.data())
async def test_a_genuine_message_may_say_anything(sns: Sns, data: st.DataObject) -> None:
    """Of two recipients only the one moves whom the event's tags or its message id name."""
    mine, other = await sns.mail(), await sns.mail()
    for mail in (mine, other):
        await sns.fortress.sql.execute(
            "update send_logs set message_id = %s where id = %s", [f"m-{mail.log}", mail.log]
        )
    event: Any = bounce(mine)
    kind = data.draw(st.sampled_from(["Bounce", "Complaint", "Delivery", "Open", "Click", "Send",
        "Reject", "Rendering Failure", "DeliveryDelay", "Subscription", "Other"]))  # fmt: skip
    event["eventType"] = kind
    for name in ("complaint", "delivery", "open", "click", "reject", "failure", "deliveryDelay"):
        event[name] = {"timestamp": "2026-11-24T12:00:00Z"}
    places = [
        (event, name) for name in ("eventType", "notificationType", "mail", "bounce", "complaint")
    ]
    places += [(event["mail"], name) for name in ("messageId", "timestamp", "destination", "tags")]
    places += [(event["mail"]["tags"], name) for name in ("mailout_id", "send_log_id", "attempt")]
    places += [(event["bounce"], name) for name in ("bounceType", "bouncedRecipients")]
    odd = VALUES | st.sampled_from(
        [[str(mine.log)], [str(mine.mailout)], f"m-{mine.log}", [str(mine.log), str(other.log)]]
    )
    for parent, name in data.draw(st.lists(st.sampled_from(places), max_size=3)):
        parent[name] = data.draw(odd)
    try:
        message = json.dumps(event)
        message.encode()
    except (ValueError, UnicodeEncodeError):
        return
    answer = await sns.post(sns.notification(message))
    assert answer.status_code in {200, 400}, answer.text
    states = {row["id"]: row for row in await sns.states()}
    assert (states[other.log]["status"], states[other.log]["person"]) == ("sent", "active")
    tags, said = event.get("mail"), f"m-{mine.log}"
    about_mine = isinstance(tags, dict) and (
        tags.get("tags") == bounce(mine)["mail"]["tags"] or tags.get("messageId") == said
    )
    if not about_mine:
        assert (states[mine.log]["status"], states[mine.log]["person"]) == ("sent", "active")
