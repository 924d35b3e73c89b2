"""The dispatcher of a route: claims batches of the mailouts that are sending, in turns, and
launches each as a task (send_batch.py). What it may claim, and how fast, the database says
(claim_batches.sql)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal
from uuid import UUID, uuid4

import structlog

from app.domain.sending.batches import Batch, Idle
from app.domain.sending.fairness import Fairness
from app.domain.sending.fence import Fence
from app.domain.sending.lanes import Lane
from app.errors import DatabaseError, Unavailable
from app.running.loops import FAULT, Trouble
from app.running.stopping import Stopping
from app.services.sending.housekeeping import Housekeeping
from app.services.sending.pausing import Guards, Pausing
from app.services.sending.recording.record import RECORD_SECONDS
from app.services.sending.send_batch import (
    FAST_RATE,
    SINGLE_BATCH,
    SINGLE_BATCHES,
    SendBatch,
    bulk_calls,
)
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

CAREFUL_BATCH = 10
"""After a call whose outcome is unknown, until one succeeds: fewer recipients at stake."""
CLAIMED_AT_ONCE = 8
"""Batches: beyond some thousand recipients a second, a commit per batch is what takes longest."""
QUICK_SECONDS = 1.0
"""A mailout whose last batch took less may claim several in its turn, however many others take
turns: for ten, 16 places are one each, and that would be a claim for every 50 recipients."""
FROM_THE_START = 50
"""After a claim that looked from a mailout's first row on, so many times as long goes by until the
next such one, in which those are found that are to be tried again. It reads past all rows that were
claimed since the last vacuum; while a backup runs nothing is vacuumed, and of ten million
recipients those are millions."""
STUCK_SECONDS = 300.0
"""A batch that is under way for longer hangs, or the database is away for its results."""
POLL_SECONDS = 1.0
"""How often the sender looks for work of which nobody told it, and the longest that it waits for
anything before it looks again."""


Turn = Literal["taken", "waited", "full", "unready", "shut", "over"]
"""waited: its tokens weren't due yet. full: as much of the mailout is under way as may be. unready:
its content is being prepared. shut: SES throttles or is silent. over: there is nothing to do for it
now."""
UNTRIED = frozenset[Turn]({"full", "unready", "shut"})
"""Nobody was asked for: whether it would go well isn't known."""


class Dispatcher:
    def __init__(
        self,
        sender_id: UUID,
        store: Store,
        settings: Settings,
        stopping: Stopping,
        metrics: Metrics,
        *,
        region: str,
        send: SendBatch,
        pausing: Pausing,
        guards: Guards,
        housekeeping: Housekeeping,
        work_to_send: asyncio.Event,
        takes_tests: Callable[[], bool] = lambda: True,
    ) -> None:
        """region: the route for which it claims. work_to_send: set when there is more to do at once
        than the next poll would find. takes_tests: whether test mails go by this route now."""
        self._sender_id = sender_id
        self._store = store
        self._settings = settings
        self._region = region
        self._takes_tests = takes_tests
        self._stopping = stopping
        self._metrics = metrics
        self._send = send
        self._breaker = send.breaker
        self._lanes = send.lanes
        self._pausing = pausing
        self._guards = guards
        self._housekeeping = housekeeping
        self._work_to_send = work_to_send
        self._taken = Counter[Lane]()  # places of each lane
        self._rate = 0.0  # what the route is granted, as of the last claim
        self._claiming: dict[asyncio.Task[Turn], tuple[UUID, bool]] = {}  # whose turns
        self._in_flight: dict[asyncio.Task[None], float] = {}  # since when, monotonic
        self._under_way = Counter[UUID]()  # batches of each mailout
        self._quick: set[UUID] = set()  # mailouts whose last batch didn't take long
        self._turns = 0  # mailouts that take turns, but for those with nothing to do
        self._waits: set[UUID] = set()  # mailouts whose last claim found nobody
        self._fairness = Fairness()
        self._reached: dict[UUID, int] = {}
        """Of each mailout, the last row claimed in this round: the next claim looks behind it."""
        self._from_the_start_at = 0.0  # monotonic
        self._failing: dict[tuple[UUID, bool], Trouble] = {}  # turns that failed the last time

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Of single mailouts and batches: the others go on."""
        longest = time.monotonic() - min(self._in_flight.values(), default=float("inf"))
        if longest <= STUCK_SECONDS:
            return tuple(self._failing.values())
        detail = f"One has been under way for {longest / 60:.0f} minutes"
        stuck = Trouble("batches", detail, is_fault=True, is_vital=False)
        return (*self._failing.values(), stuck)

    async def send_what_is_due(self) -> None:
        """Send until there is nothing to do now; mailouts take turns, claim by claim, and each
        gets as much as the others. Raises Unavailable."""
        work = await self._store.sender_work()
        turns = [(i, True) for i in work.testing] + [(i, False) for i in work.sending]
        self._turns = len(turns)
        sending = set(work.sending)
        self._fairness.keep(sending)
        self._quick &= sending
        self._waits &= sending
        for over in self._failing.keys() - turns:
            del self._failing[over]
        looked = time.monotonic()
        if looked >= self._from_the_start_at:  # those that are to be tried again have their turn
            self._reached.clear()
        full: set[tuple[UUID, bool]] = set()
        claiming = self._claiming
        try:
            while (turns or claiming) and not self._stopping.asked:
                if time.monotonic() - looked > POLL_SECONDS:
                    self._work_to_send.set()  # look for new work, and go on
                    return
                if turns and len(full) == len(turns):
                    if self._in_flight:
                        await self._one_landed()
                    full.clear()
                # One of several is claimed for once at a time, so that each gets as much.
                ahead = () if len(turns) == 1 else claiming.values()
                others = [turn for turn in turns if turn not in full and turn not in ahead]
                if others:
                    turn = min(others, key=self._standing)
                    claiming[asyncio.create_task(self._try_turn(*turn))] = turn
                    if len(claiming) < self._claims_at_once():
                        continue
                await asyncio.wait(claiming, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in claiming if task.done()]:
                    came = task.result()
                    turn = claiming.pop(task)
                    if came in {"unready", "over"} and turn in turns:
                        turns.remove(turn)
                    elif came == "full":
                        full.add(turn)
                    else:
                        full.clear()
        except asyncio.CancelledError:
            await self._give_up_claims()
            raise
        finally:
            await self._end_claims()
        if self._in_flight and not self._stopping.asked:
            # The last results may free more work (retries, a mailout to finish).
            await self._one_landed()
            self._work_to_send.set()

    async def _end_claims(self) -> None:
        """Whoever is being claimed is launched before this returns, or given back: nobody else
        knows of them."""
        try:
            if self._claiming:
                await asyncio.wait(self._claiming)
        except asyncio.CancelledError:  # at the deadline of a stop
            await self._give_up_claims()
            raise
        # What keeps one from claiming is met by the next look, too.
        _ = [task.cancelled() or task.exception() for task in self._claiming]
        self._claiming.clear()

    async def _give_up_claims(self) -> None:
        for task in self._claiming:
            task.cancel()
        if self._claiming:
            await asyncio.wait(self._claiming)

    def _standing(self, turn: tuple[UUID, bool]) -> tuple[bool, int]:
        """Tests are next, then whoever got least: also when tokens had to be waited for, or new
        work was looked for in between."""
        mailout_id, test = turn
        return not test, self._fairness.standing(mailout_id)

    async def drain(self) -> None:
        """At the stop: wait until the calls in flight have ended and are recorded, by the stop's
        deadline at the latest."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=self._stopping.left + RECORD_SECONDS)

    async def _try_turn(self, mailout_id: UUID, test: bool) -> Turn:
        """A turn, without letting one mailout's trouble become the others'."""
        try:
            came = await self._take_turn(mailout_id, test)
        except Unavailable:
            raise
        except Exception:
            log.exception("sender_step_failed", step="turn", mailout_id=str(mailout_id))
            name = f"mailout {mailout_id}"
            trouble = Trouble(name, FAULT, is_fault=True, is_vital=False)
            self._failing[mailout_id, test] = trouble
            return "over"
        if came not in UNTRIED:
            self._failing.pop((mailout_id, test), None)
        return came

    async def _take_turn(self, mailout_id: UUID, test: bool) -> Turn:
        """Claim and launch a mailout's next batches."""
        # Who waits, as for a wave, is asked for without its content: where more wait than are kept,
        # each look would prepare anew what the one before put away.
        waits = not test and mailout_id in self._waits and not self._send.keeps(mailout_id)
        if not (test or waits or self._send.is_ready(mailout_id, self._work_to_send.set)):
            return "unready"
        lane = await self._open_lane()
        if lane is None:
            return "shut"
        share = self._share(mailout_id, lane)
        if share < 1:
            return "full"
        while not (free := self._places(lane) - self._taken[lane]) > 0:
            await self._one_landed()
            if self._stopping.asked:
                return "over"
            if self._breaker.wait(time.monotonic()):  # it opened meanwhile
                return "shut"
        # The attempts' ids are chosen here, so that a claim without an answer can be given back.
        most = 1 if waits else self._claims()
        attempts = [uuid4() for _ in range(min(most, share, free))]
        self._taken[lane] += len(attempts)
        launched = 0
        try:
            # The fence counts from before the claim: the process may be stopped while it waits for
            # the answer.
            fence = Fence(self._settings.lease_seconds / 2)
            claim = await self._claim(mailout_id, attempts, lane, test=test)
            if isinstance(claim, Idle):
                if (
                    not test
                    and claim.reason in {"empty", "ahead", "limits"}
                    and self._reached.pop(mailout_id, 0)
                ):
                    return "taken"  # look once more, from the mailout's first row on
                if claim.reason == "wait":
                    await self._wait_for_tokens(claim.seconds)
                    return "waited"
                more = await self._idle(mailout_id, claim)
                if more and not test:
                    self._fairness.serve(
                        mailout_id, self._limit(lane)
                    )  # it took a claim's time all the same
                self._turns -= not more and mailout_id not in self._under_way
                if not more and not test:
                    self._waits.add(mailout_id)
                return "taken" if more else "over"
            self._rate = claim[0].rate
            if not test:
                self._waits.discard(mailout_id)
                self._reached[mailout_id] = claim[-1].recipients[-1].send_log_id
                self._fairness.serve(mailout_id, sum(len(batch.recipients) for batch in claim))
            for batch in claim:
                self._launch(batch, lane, fence)
                launched += 1
            return "taken"
        finally:
            self._taken[lane] -= len(attempts) - launched

    async def _open_lane(self) -> Lane | None:
        """The lane for the next call. None after a wait, for a throttled or silent SES: of
        POLL_SECONDS at most, since SES may be silent for longer than a step of a loop may take
        (loops.py), and work may be over or new meanwhile."""
        now = time.monotonic()
        wait = self._breaker.wait(now)
        if wait == 0 and self._breaker.probing and self._taken.total():
            await self._one_landed()  # the probe goes alone, and nobody is claimed beside it
            return None
        lane: Lane | None = None
        if wait == 0:
            lane, wait = self._lanes.choose(now)
        if lane is None:
            await self._stopping.sleep(min(wait, POLL_SECONDS))
        return lane

    def _share(self, mailout_id: UUID, lane: Lane) -> int:
        """How many more batches a mailout may have under way: each of those that take turns has as
        many places, so that one whose mails take long to make leaves the others theirs. One whose
        batches are soon over keeps nobody waiting: it may have half of the places for one claim."""
        places = self._places(lane)
        if self._turns < 2:
            return places
        under_way = self._under_way[mailout_id]
        if mailout_id in self._quick and not under_way:
            return max(1, places // 2)
        return max(1, places // self._turns) - under_way

    def _places(self, lane: Lane) -> int:
        """How many batches may be under way by a lane."""
        return bulk_calls(self._rate) if lane == "bulk" else SINGLE_BATCHES

    def _claims(self) -> int:
        """How many batches one claim may take at most, if tokens are due for them. Just one until
        SES has answered, so that an outage costs few, or while bulk calls are a second apart."""
        limited = self._lanes.limited(time.monotonic())
        return CLAIMED_AT_ONCE if self._breaker.trusted and not limited else 1

    async def _claim(
        self, mailout_id: UUID, attempts: list[UUID], lane: Lane, *, test: bool
    ) -> tuple[Batch, ...] | Idle:
        after, began = self._reached.get(mailout_id, 0), time.monotonic()
        try:
            claim = await self._store.claim_batches(
                mailout_id,
                self._sender_id,
                attempts=attempts,
                region=self._region,
                test=test,
                limit=self._limit(lane),
                guards=self._guards.limits,
                after=after,
                kept_only=test and not self._takes_tests(),
            )
        except BaseException as exc:
            # A refusal with a code is the database's own: nothing was committed.
            if not (isinstance(exc, DatabaseError) and exc.sqlstate):
                self._housekeeping.note_unanswered(attempts)
            raise
        if not after and not test:
            now = time.monotonic()
            again = now + FROM_THE_START * (now - began)
            self._from_the_start_at = max(self._from_the_start_at, again)
        return claim

    def _claims_at_once(self) -> int:
        """How many are under way. Of a claim's 20 ms half is its commit, its way and the wait for
        Python's lock, so at rates beyond what SES grants the next one begins meanwhile: one `serve`
        sent a sixth more (docs/performance.md, "What the limit is")."""
        return 2 if self._rate >= FAST_RATE and self._claims() > 1 else 1

    def _limit(self, lane: Lane) -> int:
        """Recipients per batch."""
        if self._breaker.probing:
            return 1
        size = self._settings.batch_size if lane == "bulk" else SINGLE_BATCH
        return min(size, CAREFUL_BATCH) if self._breaker.failures else size

    def _launch(self, batch: Batch, lane: Lane, fence: Fence) -> None:
        """Send it as a task, which frees its place when it has ended."""
        self._lanes.started(lane, time.monotonic())
        task = asyncio.create_task(self._send(batch, lane, fence))
        self._in_flight[task] = time.monotonic()
        self._under_way[batch.mailout_id] += 1
        task.add_done_callback(lambda done: self._landed(done, batch.mailout_id, lane))

    def _landed(self, done: asyncio.Task[None], mailout_id: UUID, lane: Lane) -> None:
        took = time.monotonic() - self._in_flight.pop(done)
        if took < QUICK_SECONDS:
            self._quick.add(mailout_id)
        else:
            self._quick.discard(mailout_id)
        self._under_way[mailout_id] -= 1
        if not self._under_way[mailout_id]:
            del self._under_way[mailout_id]
        self._taken[lane] -= 1
        if not done.cancelled() and (error := done.exception()):
            log.error("batch_failed", exc_info=error)

    async def _one_landed(self) -> None:
        """Wait until one of the batches in flight has ended, or a claim beside one's own, which
        may have all places, for POLL_SECONDS at most."""
        await asyncio.wait(
            {*self._in_flight, *self._claiming} - {asyncio.current_task()},
            return_when=asyncio.FIRST_COMPLETED,
            timeout=POLL_SECONDS,
        )

    async def _wait_for_tokens(self, seconds: float) -> None:
        started = time.monotonic()
        await self._stopping.sleep(min(seconds, POLL_SECONDS))
        self._metrics.waited_for_tokens(time.monotonic() - started)

    async def _idle(self, mailout_id: UUID, idle: Idle) -> bool:
        """Nothing was claimed: finish or pause. True: ask again."""
        if idle.reason == "skipped":
            return True
        if idle.reason == "canary":
            return not await self._store.advance_canary(mailout_id, self._guards.limits)
        if idle.reason == "guard":
            await self._guards.enforce(mailout_id)
        if idle.reason in {"empty", "guard"}:
            status = await self._store.finish_mailout(mailout_id)
            if status in {"sent", "failed"}:
                log.info("mailout_finished", mailout_id=str(mailout_id), status=status)
        elif idle.reason == "lease":
            await self._housekeeping.heartbeat()
        elif idle.reason == "quota":
            await self._pausing.for_quota(mailout_id)
        elif idle.reason == "account":
            await self._pausing.for_stopped_account(mailout_id)
        elif idle.reason == "elsewhere" and idle.kept is not None:
            await self._pausing.for_missing_route(mailout_id, idle.kept)
        return False
