"""Bars over time as SVG. Pure.

The SVG holds neither style nor script: the page's style sheet colours it (`.serie-0` is the first
series), so that a strict Content-Security-Policy holds and dark mode works.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache, partial
from xml.etree.ElementTree import Element

WIDTH, HEIGHT = 340, 170
"""In the drawing's own units; the page scales it."""
LABEL_SIZE = 12


@dataclass(frozen=True)
class Series:
    """name: for people. values: one per step."""

    name: str
    values: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.values)


def bars_over_time(
    title: str, series: tuple[Series, ...], start: datetime, step: timedelta, zone: tzinfo
) -> str:
    """`stacked_bars` of equal steps. zone: in which times are told."""
    labels = step_labels(start, step, len(series[0].values), zone)
    return stacked_bars(title, series, tuple(labels))


@lru_cache(64)
def stacked_bars(title: str, series: tuple[Series, ...], labels: tuple[str, ...]) -> str:
    """Stacked bars, the first series lowest. All text is escaped.

    title: what a screen reader says instead of reading the drawing. labels: one per bar, of which
    some are shown.
    """
    # Imported here, for who looks at a chart: it takes a megabyte, and 0.03 s of each start.
    import pygal
    from pygal.style import Style

    steps = len(labels)
    amounts = _ticks(max(1, *map(sum, zip(*(one.values for one in series), strict=True))))
    chart = pygal.StackedBar(
        width=WIDTH,
        height=HEIGHT,
        margin_top=8,
        margin_right=4,
        margin_bottom=6,
        margin_left=4,
        spacing=0,
        js=(),
        css=(),
        classes=("chart",),
        show_legend=False,
        truncate_label=-1,
        x_labels_major_every=-(-steps // (4 if len(labels[0]) < 9 else 3)),
        show_minor_x_labels=False,
        y_labels=amounts,
        range=(0, amounts[-1]),
        style=Style(label_font_size=LABEL_SIZE, major_label_font_size=LABEL_SIZE),
        formatter=lambda value: f"{value:,.0f}",
        value_formatter=_short,
        no_prefix=True,
        disable_xml_declaration=True,
    )
    chart.x_labels = list(labels)
    for one in series:
        chart.add(one.name, one.values)
    chart.add_xml_filter(partial(_plain, title, series))
    svg: str = chart.render(is_unicode=True)
    return svg


def step_labels(start: datetime, step: timedelta, steps: int, zone: tzinfo) -> list[str]:
    """When each step begins, no more exact than needed to tell them apart."""
    times = [(start + n * step).astimezone(zone) for n in range(steps)]
    if step >= timedelta(days=1):
        return [f"{at.day} {at:%b}" for at in times]
    if times[-1].date() != times[0].date():
        return [f"{at.day} {at:%b %H:%M}" for at in times]
    return [f"{at:%H:%M:%S}" if step < timedelta(minutes=1) else f"{at:%H:%M}" for at in times]


def _plain(title: str, series: tuple[Series, ...], svg: Element) -> Element:
    """The drawing without pygal's styles, scripts and tooltips. Each bar gets a title, which
    browsers show as a tooltip."""
    svg.attrib.pop("id")
    svg.set("role", "img")
    svg.set("aria-label", title)
    for child in list(svg):
        if child.tag != "g":  # comments, styles and scripts, the title
            svg.remove(child)
    for group in svg.iter("g"):
        for child in list(group):
            if child.get("class") == "plot tooltip-overlay":
                group.remove(child)
    for number, one in enumerate(series):
        for bars in svg.iterfind(f".//g[@class='series serie-{number} color-{number}']/g"):
            for bar, value in zip(list(bars), one.values, strict=True):
                if value:
                    _name(bar, one.name)
                else:
                    bars.remove(bar)
    return svg


def _name(bar: Element, name: str) -> None:
    notes = bar.findall("desc")
    words = {note.get("class"): note.text for note in notes}
    for note in notes:
        bar.remove(note)
    # Made by the bar itself: pygal's elements are lxml's where that is installed.
    title = bar.makeelement("title", {})
    title.text = f"{words['x_label']}: {words['value']} {name}"
    bar.append(title)


def _ticks(highest: int) -> list[int]:
    """Round numbers from 0 to `highest` or a little above, at most six."""
    size = 10 ** max(0, len(str(highest)) - 2)
    step = next(n * size for n in (1, 2, 5, 10, 20, 50) if n * size * 5 >= highest)
    return list(range(0, highest + step, step))


def _short(value: float) -> str:
    """For an axis: 1500 is 1.5k."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
