from __future__ import annotations

import pytest

from app.domain.sending.lanes import PROBE_SECONDS, Lanes


@pytest.mark.parametrize(
    ("mode", "lane"), [("bulk", "bulk"), ("single", "single"), ("auto", "bulk")]
)
def test_the_usual_lane_of_each_mode(mode: str, lane: str) -> None:
    assert Lanes(mode).choose(0.0) == (lane, 0.0)  # type: ignore[arg-type]


def test_a_throttled_lane_pauses_longer_each_time_and_recovers() -> None:
    lanes = Lanes("bulk")
    now, pauses = 0.0, []
    for _ in range(4):
        lanes.finished("bulk", throttled=True, now=now, chance=0.999)
        lane, wait = lanes.choose(now)
        assert lane is None
        pauses.append(wait)
        now += wait
    assert pauses == sorted(pauses)
    assert pauses[-1] < 16
    lanes.finished("bulk", throttled=False, now=now, chance=0)
    assert lanes.choose(now) == ("bulk", 0.0)


def test_a_burst_of_throttled_calls_counts_once() -> None:
    lanes = Lanes("bulk")
    for _ in range(16):
        lanes.finished("bulk", throttled=True, now=0.0, chance=0.5)
    assert lanes.choose(0.0)[1] < 2


def limited() -> tuple[Lanes, float]:
    """After some seconds in which SES refused more than half of the bulk calls."""
    lanes = Lanes("auto")
    now = 0.0
    for call in range(12):
        now += 0.5
        lanes.finished("bulk", throttled=call % 4 != 0, now=now, chance=0.0)
    assert lanes.limited_until is not None
    return lanes, now + 2


def test_auto_falls_back_to_one_bulk_call_a_second_and_single_calls_between() -> None:
    lanes, now = limited()
    seen = []
    for _ in range(5):
        lane, _ = lanes.choose(now)
        assert lane is not None
        lanes.started(lane, now)
        lanes.finished(lane, throttled=False, now=now, chance=0)
        seen.append(lane)
        now += 0.25
    assert seen == ["bulk", "single", "single", "single", "bulk"]


def test_the_limit_is_probed_again_later() -> None:
    lanes, now = limited()
    later = now + PROBE_SECONDS
    for _ in range(3):
        assert lanes.choose(later) == ("bulk", 0.0)
        lanes.started("bulk", later)


def test_some_throttling_does_not_change_lanes() -> None:
    lanes = Lanes("auto")
    for call in range(40):
        lanes.finished("bulk", throttled=call % 4 == 0, now=call * 0.5, chance=0.0)
    assert lanes.limited_until is None


def test_refusals_of_long_ago_are_forgotten() -> None:
    """Each remembered for twelve seconds: later, few refused calls among many are few."""
    lanes = Lanes("auto")
    now = 0.0
    for call in range(200):
        now += 0.5
        lanes.finished("bulk", throttled=call % 4 == 0, now=now, chance=0.0)
    assert lanes.limited_until is None


def test_a_call_that_begins_shortens_no_pause() -> None:
    """One was throttled, and its lane pauses, while another one's mails were prepared."""
    lanes, now = limited()
    lanes._open_at["bulk"] = now + 5
    lanes.started("bulk", now)
    assert lanes.choose(now) == ("single", 0.0)
    assert lanes._open_at["bulk"] == now + 5


def test_after_a_call_that_was_taken_pauses_begin_small_again() -> None:
    lanes = Lanes("bulk")
    for call in range(4):
        lanes.finished("bulk", throttled=True, now=call * 20.0, chance=0.999)
    assert lanes.choose(60.0)[1] > 8
    lanes.finished("bulk", throttled=False, now=80.0, chance=0)
    lanes.finished("bulk", throttled=True, now=81.0, chance=0.999)
    assert lanes.choose(81.0)[1] < 2


def test_in_mode_bulk_there_is_no_second_lane() -> None:
    lanes = Lanes("bulk")
    for call in range(40):
        lanes.finished("bulk", throttled=True, now=float(call * 20), chance=0.0)
    assert lanes.choose(1e6) == ("bulk", 0.0)
    assert lanes.limited_until is None
