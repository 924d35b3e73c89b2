"""The account: sending rate, daily quota, and whether it may send at all."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from app.sandbox.config import SandboxConfig
from app.sandbox.errors import SesError, account_suspended, sending_paused

Clock = Callable[[], float]
Enforcement = Literal["HEALTHY", "PROBATION", "SHUTDOWN"]

DAY_SECONDS = 24 * 3600
SLOT_SECONDS = 60  # the 24 hours are kept by the minute


# How much rate must be left to let a call pass: one recipient, less a tolerance for the difference
# of two clocks and for the network.
LEAST_LEFT = 0.95


class Bucket:
    """A one-second rate. A call passes while any of it is left, and may take more than that; until
    the time for this debt has passed, no further call does.

    Source: SES's blog, "How to handle a throttling error": a call with several recipients
    passes when any rate is left; then sends are refused until the debt is paid.
    """

    def __init__(self, rate: float, clock: Clock = time.monotonic) -> None:
        """rate: per second. clock: seconds, monotonic."""
        self.rate, self._clock = rate, clock
        self._level, self._at = max(rate, 1.0), clock()

    def take(self, count: int) -> bool:
        """Take `count` if anything is left; say whether it was."""
        now = self._clock()
        self._level = min(max(self.rate, 1.0), self._level + (now - self._at) * self.rate)
        self._at = now
        if self._level < LEAST_LEFT:
            return False
        self._level -= count
        return True


class Account:
    """The figures of GetAccount, and the checks that follow from them.

    Changed in flight by `PUT /sandbox/account`.
    """

    def __init__(self, config: SandboxConfig, clock: Clock = time.monotonic) -> None:
        self._config, self._clock = config, clock
        self.reset()

    def reset(self) -> None:
        """As configured, with nothing sent yet."""
        self._rate = Bucket(self._config.max_send_rate, self._clock)
        self.max_24h_send = self._config.max_24h_send
        self.production_access = self._config.production_access
        self.verified = self._config.verified
        self.sending_enabled = True
        self.enforcement_status: Enforcement = "HEALTHY"
        self._slots: deque[tuple[int, int]] = deque()  # (minute, recipients)
        self._sent = 0

    @property
    def max_send_rate(self) -> float:
        return self._rate.rate

    @max_send_rate.setter
    def max_send_rate(self, rate: float) -> None:
        self._rate.rate = rate

    def ensure_sending(self) -> None:
        """Raises SesError when the account is shut down or paused."""
        if self.enforcement_status == "SHUTDOWN":
            raise account_suspended()
        if not self.sending_enabled:
            raise sending_paused()

    def take_rate(self, recipients: int) -> bool:
        """Use up rate for `recipients`; False when there is none left."""
        return self._rate.take(recipients)

    def sent_last_24h(self) -> int:
        """Recipients accepted in the last 24 hours, without the mailbox simulator's."""
        oldest = int((self._clock() - DAY_SECONDS) // SLOT_SECONDS)
        while self._slots and self._slots[0][0] < oldest:
            self._sent -= self._slots.popleft()[1]
        return self._sent

    def daily_left(self) -> float:
        """Recipients that may still be sent to now."""
        if self.max_24h_send < 0:
            return float("inf")
        return self.max_24h_send - self.sent_last_24h()

    def count(self, recipients: int) -> None:
        """Note `recipients` as accepted now."""
        minute = int(self._clock() // SLOT_SECONDS)
        before = self._slots.pop()[1] if self._slots and self._slots[-1][0] == minute else 0
        self._slots.append((minute, before + recipients))
        self._sent += recipients


def daily_quota_exceeded() -> SesError:
    return SesError("LimitExceededException", "Daily message quota exceeded.")
