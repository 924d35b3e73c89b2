"""Wall times and zones to instants, over daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.schedules.outlook import Capacity, look_ahead, warn_of
from app.domain.schedules.plan import ScheduleInvalid, Wave, plan, read_schedule
from app.domain.schedules.times import NoWallTime, instant, wall_time
from app.domain.schedules.zones import UnknownZone, find_zone, zone_names
from tests.support.wide import examples

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wall", "zone", "utc", "said"),
    [
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:00", "it goes at 03:00"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30", "goes at the first"),
        ("2027-03-14T02:00", "America/New_York", "2027-03-14T07:00", "it goes at 03:00"),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30", "goes at the first"),
        ("2026-10-04T02:10", "Australia/Lord_Howe", "2026-10-03T15:30", "it goes at 02:30"),
        ("2027-04-04T01:40", "Australia/Lord_Howe", "2027-04-03T14:40", "goes at the first"),
        ("2018-11-04T00:00", "America/Sao_Paulo", "2018-11-04T03:00", "it goes at 01:00"),
        ("2011-12-30T09:00", "Pacific/Apia", "2011-12-30T10:00", "at 2011-12-31 00:00"),
        ("2026-12-01T09:00", "Europe/Berlin", "2026-12-01T08:00", None),
    ],
)
def test_a_wall_time_is_one_instant(wall: str, zone: str, utc: str, said: str | None) -> None:
    found = instant(wall_time(wall), find_zone(zone))
    assert found.at == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert (said is None) == (found.note is None)
    assert said is None or (found.note is not None and said in found.note)


@given(
    wall=st.integers(0, 60 * 365 * 24 * 4).map(
        lambda quarters: wall_time("1976-01-01T00:00") + timedelta(minutes=15 * quarters)
    ),
    zone=st.sampled_from(
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo",
         "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "America/St_Johns"]
    ),
)  # fmt: skip
@settings(max_examples=examples(50))
def test_the_clocks_there_show_it_or_have_just_jumped_over_it(wall: datetime, zone: str) -> None:
    place = ZoneInfo(zone)
    found = instant(wall, place)
    local = found.at.astimezone(place)
    if local.replace(tzinfo=None) == wall:
        before = found.at - timedelta(hours=2)  # no earlier instant shows it, too
        again = [before + timedelta(minutes=m) for m in range(120)]
        assert wall not in [a.astimezone(place).replace(tzinfo=None) for a in again]
        assert (found.note is not None) == (
            wall.replace(tzinfo=place).utcoffset() != wall.replace(tzinfo=place, fold=1).utcoffset()
        )
        return
    assert found.note is not None and "doesn't exist" in found.note
    assert local.replace(tzinfo=None) > wall
    a_second_before = (found.at - timedelta(seconds=1)).astimezone(place)
    assert a_second_before.replace(tzinfo=None) < wall


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-12-01", "2026-02-30T09:00", "2026-12-01T09:00Z", "2026-12-01T25:00",
     "2026-12-01T09:00+01:00", "0001-01-01T00:00", "9999-12-31T23:59", "2026-12-01T09:00\0"],
)  # fmt: skip
def test_what_is_no_wall_time_is_refused(text: str) -> None:
    with pytest.raises(NoWallTime, match="2026-12-01T09:00"):
        wall_time(text)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Berlin", "Europe/Berlin"), ("europe/berlijn", "Europe/Berlin"),
     ("new york", "America/New_York")],
)  # fmt: skip
def test_an_unknown_zone_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(UnknownZone, match=meant):
        find_zone(name)


def test_names_that_only_look_like_zones_are_none() -> None:
    for name in ("localtime", "posixrules", "Factory", "Europe", "../etc/passwd", "/UTC", ""):
        with pytest.raises(UnknownZone):
            find_zone(name)
    assert find_zone("europe/kiev ").key == "Europe/Kiev"
    assert {"UTC", "Pacific/Kiritimati"} <= set(zone_names())


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"at": "soon"}, "at"),
        ({"at": "2026-12-01T09:00", "zone": "Mars/Base"}, "zone"),
        ({"at": "2026-12-01T09:00", "zone": "recipient", "fallback": "Mars"}, "fallback"),
        ({"at": "2026-12-01T09:00", "zone": "recipient", "passed": "later"}, "passed"),
        ({"at": "2026-12-01T09:00", "zone": "UTC", "passed": "now"}, "passed"),
        ({"at": "2026-12-01T09:00", "fallback": "UTC"}, "fallback"),
        ({"at": "2026-11-26T12:00"}, "at"),
        ({"at": "2020-01-01T00:00", "zone": "recipient"}, "at"),
        ({"at": "2028-01-01T00:00"}, "at"),
    ],
)
def test_a_schedule_that_cannot_be_names_its_field(given: dict[str, str], field: str) -> None:
    with pytest.raises(ScheduleInvalid) as refused:
        plan(read_schedule(given, "UTC"), {"": 1}, NOW)
    assert refused.value.field == field


class TestPlan:
    """At 09:00 by each recipient's clock on 27 November; now it is 12:00 UTC the day before."""

    PEOPLE: ClassVar = {
        "asia/tokyo": 3,
        "europe/berlin": 5,
        "pacific/kiritimati": 1,
        "": 2,
        "moon": 4,
    }

    def wish(self, at: str, **changes: str) -> dict[str, str]:
        return {"at": at, "zone": "recipient", "fallback": "Europe/Berlin"} | changes

    def test_waves_stand_in_the_order_of_time(self) -> None:
        made = plan(read_schedule(self.wish("2026-11-27T09:00"), "UTC"), self.PEOPLE, NOW)
        assert [(w.at.isoformat(), w.zones, w.recipients, w.unknown) for w in made.waves] == [
            ("2026-11-26T19:00:00+00:00", ("Pacific/Kiritimati",), 1, 0),
            ("2026-11-27T00:00:00+00:00", ("Asia/Tokyo",), 3, 0),
            ("2026-11-27T08:00:00+00:00", ("Europe/Berlin",), 11, 6),
        ]
        assert made.starts_at == made.waves[0].at
        assert len(made.zone_times) > 400  # who moves there in the meantime has a time, too

    @pytest.mark.parametrize(
        ("passed", "first", "skipped"),
        [("now", NOW, 0), ("next_day", datetime(2026, 11, 27, 8, tzinfo=UTC), 0),
         ("skip", datetime(2026, 11, 27, 8, tzinfo=UTC), 4)],
    )  # fmt: skip
    def test_where_the_hour_has_passed(self, passed: str, first: datetime, skipped: int) -> None:
        now = datetime(2026, 11, 27, 1, 30, tzinfo=UTC)  # Tokyo's 10:30
        wish = read_schedule(self.wish("2026-11-27T09:00", passed=passed), "UTC")
        made = plan(wish, self.PEOPLE, now)
        expected = now if passed == "now" else first
        assert (made.starts_at, made.skipped) == (expected, skipped)
        if passed == "next_day":
            assert made.zone_times["asia/tokyo"].at == datetime(2026, 11, 28, 0, tzinfo=UTC)

    def test_an_hour_is_an_hour_long(self) -> None:
        now = datetime(2026, 11, 27, 0, 59, tzinfo=UTC)  # Tokyo's 09:59
        wish = read_schedule(self.wish("2026-11-27T09:00", passed="skip"), "UTC")
        assert plan(wish, {"asia/tokyo": 1, "europe/berlin": 1}, now).skipped == 0

    def test_daylight_saving_is_told_for_zones_with_somebody(self) -> None:
        wish = read_schedule(self.wish("2027-03-28T02:30"), "UTC")
        assert plan(wish, {"asia/tokyo": 1}, NOW).notes == ()
        [note] = plan(wish, {"moon": 1}, NOW).notes  # the fallback's
        assert "02:30 doesn't exist on 2027-03-28 in Europe/Berlin" in note


def test_the_outlook_of_waves() -> None:
    """10 a second; 50,000 a day, of which 30,000 are left now."""
    hour = timedelta(hours=1)
    waves = [
        Wave(NOW + hour, ("Asia/Tokyo",), 18_000),
        Wave(NOW + 1.5 * hour, ("Asia/Kolkata",), 18_000),
        Wave(NOW + 40 * hour, ("Europe/Berlin",), 20_000),
    ]
    capacity = Capacity(rate=10, quota_left=30_000, daily_quota=50_000)
    first, second, third = look_ahead(waves, capacity, NOW)
    assert (first.ends_at, first.over_quota) == (NOW + 1.5 * hour, 0)
    assert (second.ends_at, second.over_quota) == (NOW + 2 * hour, 6_000)
    assert third.over_quota == 0
    warnings = warn_of(waves, [first, second, third], 50_000)
    assert len(warnings) == 1 and "6,000 recipients" in warnings[0]
    assert look_ahead(waves, Capacity(), NOW)[2].ends_at is None
    slow = look_ahead(waves, Capacity(rate=1), NOW)
    assert (
        "13:00 UTC (18,000 recipients) is out about 5 hours after its time"
        in warn_of(waves, slow, None)[0]
    )
