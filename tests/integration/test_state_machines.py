"""Both state machines against a model of a few lines, by Hypothesis, on the real functions.

What happens in which order is drawn; after each step the ledger, the mailout and the reader must
be what the model says.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg.rows import dict_row

from app.adapters.database.postgres import PostgresDatabase
from app.domain.sending.batches import Batch, Outcome, Result
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account, living_sender, try_claim
from tests.support.state_model import EVENTS, RANK, SUBSCRIBER_RANK, SUPPRESSES, Model, Row

T = TypeVar("T")

READERS = 3
ROUTES = (REGION, "eu-west-1")


class Bench:
    """A database and a loop, shared by all examples."""

    def __init__(self, dsn: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.database = PostgresDatabase(dsn)
        self.sql = self.wait(
            psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)
        )

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.wait(self.sql.close())
        self.wait(self.database.close())
        self.loop.close()


class Machine(RuleBasedStateMachine):
    """Each example has a mailout and readers of its own."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.wait = bench.wait
        self.store = Store(bench.database)
        self.sql = bench.sql
        self.arrange = Arrange(bench.sql)
        self.model = Model()

    @initialize(kept=st.sampled_from([None, None, *ROUTES]))
    def start(self, kept: str | None) -> None:
        """A mailout to READERS people, started and queued."""
        self.wait(
            self.sql.execute("truncate mailouts, mailout_queues, send_batches, executors cascade")
        )
        tag = uuid4().hex
        for number in range(READERS):
            email = f"{number}-{tag}@example.com"
            # Recipients are queued in the order of these ids: the same in every replay.
            reader = UUID(f"{number:08x}{tag[8:]}")
            self.wait(self.arrange.subscriber(email, tags=[tag], id=reader))
            self.model.readers[email] = "active"
        # Those subscribed before the start are mailed.
        self.mailout = self.wait(self.arrange.mailout(audience={"tags": [tag]}, region=kept))
        self.model.kept = kept
        for route in ROUTES:
            self.wait(self.store.record_account(route, an_account()))
        self.sender = self.wait(living_sender(self.store, lease=3_600))
        found = self.wait(self.store.find_mailout(self.mailout))
        assert found is not None
        claims = [
            self.wait(
                self.store.claim_mailout(
                    self.mailout, found.content_hash, request_key=None, request_hash=None
                )
            ).outcome
            for _ in range(2)
        ]
        assert claims == ["claimed", "not_ready"]
        self.model.mailout = "sending"
        while not self.wait(self.store.queue_recipients(self.mailout, 2))[1]:
            pass
        done = self.wait(
            self.sql.execute(
                "select id, email from send_logs where mailout_id = %s", [self.mailout]
            )
        )
        for row in self.wait(done.fetchall()):
            self.model.rows[row["email"]] = Row(row["id"])
        assert self.model.rows.keys() == self.model.readers.keys()

    # Sending

    @rule(limit=st.integers(1, READERS), route=st.sampled_from(ROUTES))
    def claim(self, limit: int, route: str) -> None:
        model = self.model
        found = self.wait(
            try_claim(self.store, self.mailout, self.sender, limit=limit, region=route)
        )
        due = sorted(
            (row.id, email) for email, row in model.rows.items() if row.status == "queued"
        )[:limit]
        if (refusal := model.refusal(route)) or not due:
            assert not isinstance(found, Batch)
            assert found.reason == (refusal or "empty")
            return
        mailed = [email for _, email in due if model.readers[email] == "active"]
        for _, email in due:
            row = model.rows[email]
            row.status = "sending" if email in mailed else "skipped"
        if not mailed:
            assert not isinstance(found, Batch)
            assert found.reason == "skipped"
            return
        assert isinstance(found, Batch)
        assert [r.email for r in found.recipients] == mailed
        for email in mailed:
            row = model.rows[email]
            assert row.returned, "claimed twice without proof that the first was not accepted"
            row.attempt, row.returned = found.attempt_id, False
        model.open[found.attempt_id] = found

    @precondition(lambda self: self.model.open or self.model.closed)
    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        """An answer comes: in time, late, or once more."""
        model = self.model
        attempts = [*model.open, *model.closed]
        attempt = data.draw(st.sampled_from(attempts), label="attempt")
        batch = (model.open | model.closed)[attempt]
        outcomes: st.SearchStrategy[Outcome] = st.sampled_from(
            ["sent", "failed", "retry", "requeue", "unknown"]
        )
        results = [
            Result(
                recipient.send_log_id,
                outcome := data.draw(outcomes, label="outcome"),
                message_id=message_id(attempt, recipient.send_log_id)
                if outcome == "sent"
                else None,
            )
            for recipient in batch.recipients
        ]
        model.closed[attempt] = model.open.pop(attempt, batch)
        for result in results:
            self._expect(attempt, result)
        model.finish()
        assert self.wait(self.store.record_results(attempt, results)) == model.mailout

    def _expect(self, attempt: UUID, result: Result) -> None:
        _, row = self.model.row(result.send_log_id)
        if row.attempt != attempt:
            return
        if row.status in {"sending", "unknown"}:
            if result.outcome in {"sent", "failed", "unknown"}:
                row.status = result.outcome
            elif self.model.mailout in {"sending", "paused"}:
                row.status, row.returned = "queued", True
            else:
                row.status = "cancelled" if self.model.mailout == "cancelled" else "failed"
            row.message_id = row.message_id or result.message_id
        elif row.status == "queued" and result.outcome == "sent":
            row.status, row.message_id = "sent", row.message_id or result.message_id
        elif row.message_id is None:
            row.message_id = result.message_id

    @precondition(lambda self: self.model.open)
    @rule()
    def crash(self) -> None:
        """The sender dies; another recovers what it had in flight, once."""
        old, self.sender = self.sender, uuid4()
        # Not living_sender(), which says of the account that it may send.
        self.wait(
            self.store.heartbeat(
                self.sender, region=REGION, label="next", lease_seconds=3_600, rate_limit=1e6
            )
        )
        self.wait(
            self.sql.execute(
                "update executors set heartbeat_at = now() - interval '2 hours' where id = %s",
                [old],
            )
        )
        assert self.wait(self.store.recover_lost(self.sender)) == 0, "it is too young to judge"
        self.wait(
            self.sql.execute(
                "update executors set alive_since = now() - interval '2 hours' where id = %s",
                [self.sender],
            )
        )
        self.wait(
            self.sql.execute("update send_batches set claimed_at = now() - interval '2 hours'")
        )
        lost = 0
        for attempt, batch in list(self.model.open.items()):
            self.model.closed[attempt] = self.model.open.pop(attempt)
            for recipient in batch.recipients:
                _, row = self.model.row(recipient.send_log_id)
                if row.attempt == attempt and row.status == "sending":
                    row.status, lost = "unknown", lost + 1
        assert self.wait(self.store.recover_lost(self.sender)) == lost
        assert self.wait(self.store.recover_lost(self.sender)) == 0

    @rule()
    def finish(self) -> None:
        self.model.finish()
        assert self.wait(self.store.finish_mailout(self.mailout)) == self.model.mailout

    # Routes

    @rule(route=st.sampled_from(ROUTES))
    def block(self, route: str) -> None:
        """The route refuses the mailout; it is paused when no other is left for it. One
        that is kept to another route isn't touched."""
        model = self.model
        moved = self.wait(
            self.store.block_route(self.mailout, route, "account", "refused", routes=ROUTES)
        )
        self.wait(self.sql.execute("update mailout_blocks set until = 'infinity'"))
        if model.mailout == "sending" and model.kept in {None, route}:
            model.blocked.add(route)
            if all(model.refusal(each) for each in ROUTES):
                model.mailout, model.code = "paused", "account"
                assert moved.changed, self._routes()
                return
        assert not moved.changed, self._routes()

    def _routes(self) -> str:
        """What model and database say of them."""
        done = self.wait(
            self.sql.execute(
                "select r.region, r.rate, r.account, r.taken_since_check, "
                "       b.until from send_rates r left join mailout_blocks b using (region)"
            )
        )
        return f"{self.model}; {self.wait(done.fetchall())}"

    @rule(route=st.sampled_from(ROUTES), can_send=st.booleans())
    def account(self, route: str, can_send: bool) -> None:
        """What SES says of a route's account; when it may send, what waited for it goes on."""
        model = self.model
        self.wait(self.store.record_account(route, an_account(sending_enabled=can_send)))
        if not can_send:
            model.stopped.add(route)
            return
        model.stopped.discard(route)
        model.blocked.discard(route)
        resumed = self.wait(self.store.resume_waiting_mailouts(route))
        waited = (model.mailout, model.code) == ("paused", "account")
        if goes_on := waited and model.kept in {None, route}:
            model.mailout = "sending"
        assert resumed == [self.mailout] * goes_on

    # People

    @rule()
    def pause(self) -> None:
        model = self.model
        changed = self.wait(self.store.pause_mailout(self.mailout, "person", "wait")).changed
        by_itself = (model.mailout, model.code) == ("paused", "account")
        assert changed == (by_itself or model.mailout == "sending")
        if changed:
            model.mailout, model.code = "paused", "person"

    @rule()
    def resume(self) -> None:
        changed = self.wait(self.store.resume_mailout(self.mailout)).changed
        self._move(changed, {"paused"}, "sending")
        if changed:
            self.model.blocked.clear()

    @precondition(lambda self: len(self.model.closed) > 1)
    @rule()
    def cancel(self) -> None:
        changed = self.wait(self.store.cancel_mailout(self.mailout)).changed
        self._move(changed, {"sending", "paused"}, "cancelled")
        if changed:
            for row in self.model.rows.values():
                row.status = "cancelled" if row.status == "queued" else row.status

    def _move(self, changed: bool, sources: set[str], target: str) -> None:
        assert changed == (self.model.mailout in sources)
        if changed:
            self.model.mailout = target

    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        email = data.draw(st.sampled_from(sorted(self.model.readers)), label="reader")
        reader = self.wait(self.store.find_subscriber(email=email))
        assert reader is not None
        self.wait(self.store.unsubscribe(UUID(reader["id"]), self.mailout))
        if self.model.readers[email] != "complained":
            self.model.leave(email, "unsubscribed")

    @rule(
        statuses=st.sampled_from([["failed"], ["unknown"], ["failed", "unknown"]]),
        force=st.booleans(),
    )
    def resend(self, statuses: list[str], force: bool) -> None:
        model = self.model
        young = not force and "unknown" in statuses
        # Whether an unknown row is old enough depends on the clock: crash() makes all old.
        assume(not (young and any(row.status == "unknown" for row in model.rows.values())))
        answer = self.wait(self.store.resend_mailout(self.mailout, statuses, force=force))
        missed = [row for row in model.rows.values() if row.status in statuses]
        allowed = model.mailout in {"sent", "failed"}
        assert answer.get("requeued", 0) == (len(missed) if allowed else 0)
        if allowed and missed:
            model.mailout = "sending"
            for row in missed:
                row.status, row.returned, row.message_id = "queued", True, None

    # SES

    @precondition(lambda self: self.model.open or self.model.closed)
    @rule(
        data=st.data(),
        kinds=st.lists(st.sampled_from(sorted(EVENTS)), min_size=1, max_size=4),
        twice=st.booleans(),
    )
    def events(self, data: st.DataObject, kinds: list[str], twice: bool) -> None:
        """Any events of any attempt, at any time and in any order, perhaps doubled."""
        batches = self.model.open | self.model.closed
        attempt = data.draw(st.sampled_from(list(batches)), label="attempt")
        recipient = data.draw(st.sampled_from(batches[attempt].recipients), label="recipient")
        for kind in kinds:
            matched = self._expect_event(attempt, recipient.send_log_id, kind)
            event = self._event(attempt, recipient.send_log_id, kind)
            for new in [1, 0][: 1 + twice]:
                counts = self.wait(self.store.apply_ses_events([event]))
                assert (counts["new"], counts["matched"]) == (new, new * matched)

    def _expect_event(self, attempt: UUID, send_log_id: int, kind: str) -> bool:
        """What the event does in the model; whether it fits the row."""
        email, row = self.model.row(send_log_id)
        message = message_id(attempt, row.id)
        if attempt == row.attempt and row.message_id not in {None, message}:
            return False
        if RANK[EVENTS[kind]] > RANK.get(row.status, 0):
            row.status = EVENTS[kind]
            if attempt == row.attempt:  # an earlier one's message id would shut out the latest's
                row.message_id = row.message_id or message
        suppresses = SUPPRESSES.get(kind)
        before = SUBSCRIBER_RANK[self.model.readers[email]]
        if suppresses and before < SUBSCRIBER_RANK[suppresses]:
            self.model.leave(email, suppresses)
        return True

    def _event(self, attempt: UUID, send_log_id: int, kind: str) -> dict[str, Any]:
        return {
            "sns_message_id": str(uuid4()),
            "type": "bounce" if kind in {"soft", "hard"} else kind,
            "message_id": message_id(attempt, send_log_id),
            "occurred_at": "2026-11-24T12:00:00+00:00",
            "mailout_id": str(self.mailout),
            "send_log_id": str(send_log_id),
            "attempt": str(attempt),
            "bounce_type": {"soft": "Transient", "hard": "Permanent"}.get(kind),
            "bounce_subtype": None,
            "suppresses": SUPPRESSES.get(kind),
            "detail": None,
            "payload": {},
        }

    # What always holds

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        model = self.model
        if not model.rows:
            return
        shown = self.wait(self.store.show_mailout(self.mailout))
        assert shown["status"] == model.mailout
        assert sum(shown["counts"].values()) == READERS, "the statement doesn't add up"
        statuses = Counter(row.shown for row in model.rows.values())
        assert {name: n for name, n in shown["counts"].items() if n} == statuses
        done = self.wait(
            self.sql.execute(
                "select l.email, l.status, s.status as reader from send_logs l "
                "join subscribers s on s.id = l.subscriber_id where l.mailout_id = %s",
                [self.mailout],
            )
        )
        found = {row["email"]: (row["status"], row["reader"]) for row in self.wait(done.fetchall())}
        assert found == {e: (row.shown, model.readers[e]) for e, row in model.rows.items()}
        if model.mailout in {"sent", "failed"}:
            assert not {"queued", "sending"} & {row.status for row in model.rows.values()}


def message_id(attempt: UUID, send_log_id: int) -> str:
    return f"0100-{attempt}-{send_log_id}"


@pytest.mark.parametrize(
    "examples",
    [
        15,
        pytest.param(40, marks=pytest.mark.short),
        pytest.param(1_000, marks=[pytest.mark.soak, pytest.mark.timeout(3_600)]),
    ],
    ids=["few", "some", "many"],
)
def test_both_state_machines_follow_the_model(dsn: str, examples: int) -> None:
    bench = Bench(dsn)
    try:
        run_state_machine_as_test(
            cast(type[RuleBasedStateMachine], partial(Machine, bench)),
            settings=settings(
                max_examples=examples,
                stateful_step_count=25,
                deadline=None,
                database=None,
                # Each step is a round trip: making a failing example small would take minutes.
                phases=[Phase.generate],
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        bench.close()
