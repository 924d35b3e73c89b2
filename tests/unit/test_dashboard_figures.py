"""What the dashboard makes of figures: progress, words, charts."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.dashboard.pages import pace, percent, with_code
from app.domain.reports.charts import Series, bars_over_time, step_labels
from app.domain.reports.progress import Progress, Rates
from app.domain.reports.remedies import remedy, without_addresses
from app.services.dashboard.answer_cache import AT_ONCE, AnswerCache

START = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)


class TestProgress:
    def test_everybody_is_somewhere(self) -> None:
        counts = {"queued": 10, "sending": 2, "sent": 3, "delivered": 20, "bounced": 4}
        counts |= {"complained": 1, "failed": 5, "unknown": 6, "skipped": 7, "cancelled": 8}
        progress = Progress(counts, unsubscribed=2, expected=100)
        assert progress.audience == 100
        assert progress.unqueued == 34
        assert progress.waiting == 46
        assert progress.settled == 54
        assert progress.accepted == 28
        assert progress.delivered == 21
        assert progress.missed == 11
        assert progress.seconds_left(4.6) == pytest.approx(10)
        assert progress.seconds_left(0) is None

    def test_an_empty_audience_is_no_division_by_zero(self) -> None:
        assert Progress({}).share(0) == 0
        assert Rates(0, 0, 0).bounce_rate == 0

    def test_a_rate_needs_a_hundred_mails(self) -> None:
        assert not Rates(99, 99, 99).enough
        assert Rates(100, 0, 0).enough


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"), (1, "100 %"), (0.9999, "99.9 %"), (0.976, "97.6 %"), (0.05, "5 %"),
        (0.0146, "1.5 %"), (0.001, "0.1 %"), (0.0005, "0.05 %"), (0.00008, "0.008 %"),
        (0.000_000_1, "<0.001 %"),
    ],
)  # fmt: skip
def test_a_share_has_the_digits_that_tell(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0, "0 a second"), (0.9, "0.9 a second"), (12.6, "12.6 a second"), (14, "14 a second"),
     (4_321.9, "4,322 a second")],
)  # fmt: skip
def test_a_pace_too(rate: float, words: str) -> None:
    assert pace(rate) == words


def test_code_is_marked_and_everything_else_is_text() -> None:
    assert with_code("Run `a <b>` & <i>") == "Run <code>a &lt;b&gt;</code> &amp; &lt;i&gt;"


class TestRemedies:
    @pytest.mark.parametrize(
        ("status", "code", "bounce", "words"),
        [
            ("bounced", "Permanent", ("Permanent", "General"), "get no more mail"),
            ("bounced", "Transient", ("Transient", "MessageTooLarge"), "smaller"),
            ("bounced", "Undetermined", ("Undetermined", "Undetermined"), "stay on the list"),
            ("bounced", None, (None, None), "stay on the list"),
            ("failed", "MessageRejected", (None, None), "production access"),
            ("failed", "SomethingNew", (None, None), "Read the words of the refusal"),
            ("unknown", "sender_lost", (None, None), "20 minutes"),
        ],
    )
    def test_the_most_specific_is_said(
        self, status: str, code: str | None, bounce: tuple[str | None, str | None], words: str
    ) -> None:
        assert words in remedy(status, code, *bounce)

    @pytest.mark.parametrize(
        "text",
        [
            "550 5.1.1 <jane.doe@example.com>: unknown",
            "rcpt=jane.doe@example.com;jane.doe@example.com",
            'no "jane.doe@bücher.example" here',
        ],
    )
    def test_addresses_are_masked(self, text: str) -> None:
        assert "jane.doe" not in without_addresses(text)
        assert "•••@" in without_addresses(text)

    @given(st.text(st.characters(exclude_characters="@"), max_size=50))
    def test_other_text_stays(self, text: str) -> None:
        assert without_addresses(text) == text


class TestCharts:
    def test_a_chart_has_neither_style_nor_script(self) -> None:
        series = (Series("a <b> & c", (1, 0, 30)), Series("d", (0, 2, 0)))
        svg = bars_over_time('Title "x" <y>', series, START, timedelta(seconds=10), UTC)
        root = ET.fromstring(svg)
        names = {element.tag.partition("}")[2] for element in root.iter()}
        assert names == {"svg", "g", "rect", "path", "text", "title"}
        assert not [one for one in root.iter() if "style" in one.attrib or "id" in one.attrib]
        assert root.get("aria-label") == 'Title "x" <y>'
        titles = [one.text for one in root.iter() if one.tag.endswith("title")]
        assert "22:00:20: 30 a <b> & c" in titles
        assert "22:00:10: 2 d" in titles

    @given(st.lists(st.integers(0, 10**7), min_size=1, max_size=48))
    def test_bars_fit_and_there_is_one_per_value(self, values: list[int]) -> None:
        svg = bars_over_time("t", (Series("n", tuple(values)),), START, timedelta(minutes=1), UTC)
        bars = [
            one for one in ET.fromstring(svg).iter()
            if one.tag.endswith("rect") and "reactive" in one.get("class", "")
        ]  # fmt: skip
        assert len(bars) == sum(value > 0 for value in values)
        assert all(float(bar.get("y", "-1")) >= 0 for bar in bars)

    @pytest.mark.parametrize(
        ("step", "labels"),
        [
            (timedelta(seconds=10), ["22:00:00", "22:00:10"]),
            (timedelta(minutes=5), ["22:00", "22:05"]),
            (timedelta(hours=3), ["24 Nov 22:00", "25 Nov 01:00"]),
            (timedelta(days=1), ["24 Nov", "25 Nov"]),
        ],
    )
    def test_times_are_as_exact_as_needed(self, step: timedelta, labels: list[str]) -> None:
        assert step_labels(START, step, 2, UTC) == labels

    def test_times_are_those_of_the_place(self) -> None:
        """Over a change of the clocks, too: 02:00 is left out."""
        start, zone = datetime(2026, 3, 29, 0, 30, tzinfo=UTC), ZoneInfo("Europe/Berlin")
        labels = step_labels(start, timedelta(minutes=30), 3, zone)
        assert labels == ["01:30", "03:00", "03:30"]


class TestAnswerCache:
    async def test_askers_at_the_same_time_share_one_search(self) -> None:
        cache, searches = AnswerCache(), 0

        async def find() -> int:
            nonlocal searches
            searches += 1
            await asyncio.sleep(0)
            return searches

        asked = [cache.get("key", find, keep_seconds=60) for _ in range(5)]
        assert await asyncio.gather(*asked) == [1] * 5
        assert await cache.get("key", find, keep_seconds=60) == 1
        assert await cache.get("other", find, keep_seconds=60) == 2

    async def test_a_failed_search_is_not_remembered(self) -> None:
        cache, failing = AnswerCache(), True

        async def find() -> str:
            if failing:
                raise ValueError("no")
            return "found"

        with pytest.raises(ValueError, match="no"):
            await cache.get("key", find, keep_seconds=60)
        failing = False
        assert await cache.get("key", find, keep_seconds=60) == "found"

    async def test_between_the_slices_of_a_long_search_others_find_theirs(self) -> None:
        cache, ended = AnswerCache(), asyncio.Event()

        async def long() -> str:
            while not ended.is_set():
                async with cache.turns:
                    await asyncio.sleep(0)
            return "long"

        async def short() -> str:
            return "short"

        searches = [cache.get(n, long, keep_seconds=60, in_slices=True) for n in range(AT_ONCE + 1)]
        assert await cache.get("short", short, keep_seconds=60) == "short"
        ended.set()
        assert await asyncio.gather(*searches) == ["long"] * (AT_ONCE + 1)
        assert cache.is_kept("short") and not cache.is_kept("nothing")

    async def test_what_nobody_waits_for_ends_with_the_service(self) -> None:
        cache = AnswerCache()
        asked = cache.get("key", asyncio.Event().wait, keep_seconds=60)
        await asyncio.sleep(0)
        await cache.close()
        assert asked.cancelled()
