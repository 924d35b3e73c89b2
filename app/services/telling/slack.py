"""Tells the owner's Slack what the owner is told by mail, and how far a mailout is.

A loop of its own, with a queue of its own (`slack_messages`): Slack may refuse, be slow, or be away
for hours; then it is told the latest, and after a day of failures no more. Nothing that sends knows
of it.

One process at a time tells of a mailout, by a lease. Who dies between Slack's taking a message and
our noting that is followed by another that tells it again: so at that moment alone a message may be
doubled. What a bot has posted is changed from then on, and never posted anew while it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import structlog

from app.domain.reports.so_far import Mailout
from app.domain.sending.backoff import backoff_seconds
from app.domain.slack.news import Due, Place, Step, Words, bots_step, next_look, webhooks_step
from app.errors import AppError, SlackAway, SlackMessageGone, SlackRefused, Unavailable
from app.ports import Slack
from app.running.loops import Loops
from app.settings import Settings
from app.store import Store
from app.store.telling.slack import Settled
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
GAP_SECONDS = 1.1
"""Between two requests of all processes: Slack takes about one message a second."""
LEASE_SECONDS = 60.0
"""Longer than one request may take (CALL_SECONDS of adapters/slack/client.py)."""
AWAY_SECONDS, AWAY_CAP_SECONDS = 5.0, 600.0
"""How long Slack is left alone that is away and doesn't say for how long; twice as long for each
further time."""
REFUSED_SECONDS, REFUSED_CAP_SECONDS = 60.0, 3_600.0
"""The same where it refuses, and where an answer was lost: each try may be a message more then."""
LONGEST_REST_SECONDS = 86_400.0
GIVEN_UP_SECONDS = 86_400.0


class TellSlack:
    """now: tells the time."""

    def __init__(
        self,
        store: Store,
        slack: Slack,
        settings: Settings,
        metrics: Metrics,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._slack = slack
        self._words = Words(settings.app_base_url, ZoneInfo(settings.timezone))
        self._metrics = metrics
        self._now = now
        self._unsettled: tuple[Due, Settled] | None = None

    def start(self, loops: Loops) -> None:
        loops.start("slack", self.step, POLL_SECONDS, kind="slack", to_the_end=True)

    async def step(self) -> None:
        """Look at what is due until Slack was asked once. Raises Unavailable, DatabaseError of the
        database."""
        if self._unsettled is not None:  # the database was away
            await self._settle(*self._unsettled)
        while await self._look():
            pass

    async def _look(self) -> bool:
        """Whether there may be more to do at once."""
        due = await self._store.claim_slack_message(LEASE_SECONDS, GAP_SECONDS)
        if due is None:
            return False
        mailout = await self._store.slack_facts(due.mailout_id)
        step = None if mailout is None else self._step(due, mailout)
        if mailout is None or step is None:
            done = Settled(due.place, due.told, next_seconds=self._next(mailout))
        else:
            done = await self._do(due, step, mailout)
        await self._settle(due, done)
        return step is None

    async def _settle(self, due: Due, done: Settled) -> None:
        self._unsettled = None
        try:
            ours = await self._store.settle_slack_message(due, done)
        except Unavailable:
            self._unsettled = (due, done)
            raise
        if not ours:
            log.info("slack_message_lost", mailout_id=str(due.mailout_id))

    def _step(self, due: Due, mailout: Mailout) -> Step | None:
        choose = webhooks_step if self._slack.channel is None else bots_step
        return choose(due, mailout, self._words, self._now())

    def _next(self, mailout: Mailout | None) -> float | None:
        if mailout is None or self._slack.channel is None:
            return None
        return next_look(mailout, self._now())

    async def _do(self, due: Due, step: Step, mailout: Mailout) -> Settled:
        """Ask Slack, and give what came of it."""
        about = {"mailout_id": str(due.mailout_id), "status": mailout["status"]}
        try:
            place = await self._ask(due, step)
        except SlackMessageGone as exc:
            self._metrics.slack_asked("refused")
            log.info("slack_message_gone", **about, error=exc.extra.get("slack_error"))
            return Settled(None, due.told, next_seconds=0.0, rest_seconds=GAP_SECONDS)
        except (SlackAway, SlackRefused) as exc:
            return self._failed(due, exc)
        except Unavailable:
            raise  # the database: the lease ends by itself
        except Exception:
            log.exception("slack_failed", **about)
            return self._failed(due, AppError("A fault of ours; the log has it."))
        self._metrics.slack_asked("told")
        log_it = log.debug if step.act == "update" else log.info
        log_it("slack_told", **about, act=step.act)
        again = 0.0 if step.more else self._next(mailout)
        return Settled(place, step.told, next_seconds=again, rest_seconds=GAP_SECONDS)

    async def _ask(self, due: Due, step: Step) -> Place | None:
        match step.act, due.place:
            case "update", Place() as place:
                await self._update(place, step)
                return place
            case "reply", Place() as place:
                await self._slack.post(step.message, under=place)
                return place
            case _:
                return await self._slack.post(step.message)

    async def _update(self, place: Place, step: Step) -> None:
        try:
            await self._slack.update(place, step.message)
        except SlackRefused as exc:
            moved = place.asked_for != self._slack.channel
            if moved and exc.extra.get("is_of_channel"):
                raise SlackMessageGone(exc.detail, **exc.extra) from None
            raise

    def _failed(self, due: Due, exc: AppError) -> Settled:
        log_it = log.warning if due.error != exc.detail else log.debug
        log_it("slack_not_told", mailout_id=str(due.mailout_id), error=exc.detail)
        is_away = isinstance(exc, SlackAway)
        self._metrics.slack_asked("away" if is_away else "refused")
        concerns_all = is_away or bool(exc.extra.get("concerns_all"))
        failures = 1 + (due.slack_failures if concerns_all else due.failures)
        asked = exc.extra.get("retry_after")
        if asked is not None:
            rest = min(float(asked), LONGEST_REST_SECONDS)
        elif is_away and not exc.extra.get("is_unsure"):
            rest = backoff_seconds(failures, 1.0, base=AWAY_SECONDS, cap=AWAY_CAP_SECONDS)
        else:
            rest = backoff_seconds(failures, 1.0, base=REFUSED_SECONDS, cap=REFUSED_CAP_SECONDS)
        again: float | None = rest
        if due.error_age >= GIVEN_UP_SECONDS:
            again = None
            log.warning("slack_given_up", mailout_id=str(due.mailout_id), error=exc.detail)
        return Settled(
            due.place,
            due.told,
            error=exc.detail,
            next_seconds=again,
            rest_seconds=max(GAP_SECONDS, rest if concerns_all else 0.0),
            concerns_all=concerns_all,
        )
