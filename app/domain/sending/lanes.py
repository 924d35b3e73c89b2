"""Which SES operation carries the next mails. Pure: the clock is passed in.

AWS's quota page throttles "all actions except SendEmail, SendRawEmail, SendTemplatedEmail" to one
call a second and doesn't say whether that holds for SendBulkEmail. So in mode `auto` bulk calls go
as fast as the tokens allow, until SES refuses more than half of them for some seconds although
the recipients are within the rate; then one bulk call a second goes and SendEmail carries the
rest. Now and then the limit is probed again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from app.domain.sending.backoff import backoff_seconds

Lane = Literal["bulk", "single"]
Mode = Literal["auto", "bulk", "single"]

WINDOW_SECONDS = 3.0
"""Bulk calls have to be observed for this long before they count as limited; each is remembered for
four times as long."""
MIN_CALLS = 4
"""Observed bulk calls below which nothing is concluded."""
PROBE_SECONDS = 120.0
"""How long bulk calls count as limited, until the limit is probed again."""
LIMITED_SPACING_SECONDS = 1.0
THROTTLE_CAP_SECONDS = 15.0
QUICK_RETRIES = 3
"""Throttled bulk calls in a row, in mode `auto`, after which the lane pauses for less than half a
second; only further ones back off."""


@dataclass
class Lanes:
    """The choice, and each lane's pause after SES throttled it. Times: seconds, monotonic."""

    mode: Mode
    limited_until: float | None = None
    _calls: deque[tuple[float, bool]] = field(default_factory=deque)
    _refused: int = 0
    _throttled: dict[Lane, int] = field(default_factory=lambda: {"bulk": 0, "single": 0})
    _open_at: dict[Lane, float] = field(default_factory=lambda: {"bulk": 0.0, "single": 0.0})

    def choose(self, now: float) -> tuple[Lane | None, float]:
        """The lane for the next mails, or None and the seconds to wait."""
        lanes: tuple[Lane, ...]
        if self.mode == "single":
            lanes = ("single",)
        elif self.mode == "bulk" or not self.limited(now):
            lanes = ("bulk",)
        else:
            lanes = ("bulk", "single")
        for lane in lanes:
            if self._open_at[lane] <= now:
                return lane, 0.0
        return None, min(self._open_at[lane] for lane in lanes) - now

    def limited(self, now: float) -> bool:
        """Whether bulk calls have to be a second apart."""
        return self.limited_until is not None and now < self.limited_until

    def started(self, lane: Lane, now: float) -> None:
        """A call begins: while limited, the next bulk call is a second away."""
        if lane == "bulk" and self.limited(now):
            self._open_at["bulk"] = max(self._open_at["bulk"], now + LIMITED_SPACING_SECONDS)

    def finished(self, lane: Lane, *, throttled: bool, now: float, chance: float) -> None:
        """A call ended. chance: uniform in [0, 1), for the jitter of the pause."""
        # Of calls in flight that are throttled together, only the first lengthens the pause.
        if throttled and now >= self._open_at[lane]:
            self._throttled[lane] += 1
            self._open_at[lane] = now + self._pause(lane, chance)
        elif not throttled:
            self._throttled[lane] = 0
        if lane == "bulk" and self.mode == "auto":
            self._observe(now, throttled)

    def _pause(self, lane: Lane, chance: float) -> float:
        """Seconds after a throttled call. In mode `auto` the first few bulk calls in a row come
        back soon: backing off at once would hide that only every call a second is refused."""
        times = self._throttled[lane]
        if self.mode == "auto" and lane == "bulk":
            if times <= QUICK_RETRIES:
                return 0.15 + 0.25 * chance
            times -= QUICK_RETRIES
        return 0.5 + backoff_seconds(times, chance, base=1.0, cap=THROTTLE_CAP_SECONDS)

    def _observe(self, now: float, throttled: bool) -> None:
        self._calls.append((now, throttled))
        self._refused += throttled
        while self._calls and self._calls[0][0] < now - 4 * WINDOW_SECONDS:
            self._refused -= self._calls.popleft()[1]
        spans = now - self._calls[0][0] >= WINDOW_SECONDS
        if len(self._calls) >= MIN_CALLS and spans and self._refused * 2 > len(self._calls):
            self.limited_until = now + PROBE_SECONDS
            self._calls.clear()
            self._refused = 0
            self._throttled["bulk"] = 0
            self._open_at["bulk"] = now + LIMITED_SPACING_SECONDS
