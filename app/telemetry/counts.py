"""Counters in memory that several processes share, so that one page tells of all of them.

A supervisor makes a `Board` before it starts its processes. Each process counts in the row of its
role, and the process that shows the page adds the rows up. The rows outlive the processes: a
process that is started again goes on from where the killed one stopped, so that no counter ever
falls.

A cell is one C double, written whole by its one writer, so readers need no lock. Only threads of
the same process must not add at the same time.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from threading import Lock

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

ALONE = "all"
"""The role of a process without a supervisor."""

_CELLS = 4_096  # in a row: some 400, and 40 for each region; 32 KB
_DOUBLE = 8  # bytes
_PID, _RESTARTS, _EARLIER_CPU, _STATE, _BEATS, _FIRST_COUNT = range(6)


class Row:
    """What is known of one role: its process, and what all its processes have counted."""

    def __init__(self, cells: memoryview[float]) -> None:
        self.cells = cells

    @property
    def pid(self) -> int:
        """The process that has the role now; 0: none."""
        return int(self.cells[_PID])

    @property
    def restarts(self) -> int:
        return int(self.cells[_RESTARTS])

    @property
    def earlier_cpu_seconds(self) -> float:
        """Of the processes that had the role before."""
        return self.cells[_EARLIER_CPU]

    @property
    def state(self) -> int:
        """A number whose meaning the process chooses (metrics.py: the breaker's state); 0 at its
        start.
        """
        return int(self.cells[_STATE])

    @state.setter
    def state(self, number: int) -> None:
        self.cells[_STATE] = number

    @property
    def beats(self) -> int:
        """How often its processes said that they still work."""
        return int(self.cells[_BEATS])

    def beat(self) -> None:
        self.cells[_BEATS] += 1

    def began(self, pid: int, restarts: int) -> None:
        """The supervisor has started this process."""
        self.cells[_RESTARTS] = restarts
        self.cells[_PID] = pid

    def ended(self, cpu_seconds: float) -> None:
        """The process is gone; what it counted stays."""
        self.cells[_PID] = 0
        self.cells[_STATE] = 0
        self.cells[_EARLIER_CPU] += cpu_seconds


class Board:
    """A row of cells per role, all zero, in memory that processes forked later share."""

    def __init__(self, roles: Sequence[str] = (ALONE,)) -> None:
        size = _CELLS * _DOUBLE
        cells = memoryview(mmap.mmap(-1, size * len(roles))).cast("d")
        self.rows: Mapping[str, Row] = {
            role: Row(cells[_CELLS * number : _CELLS * (number + 1)])
            for number, role in enumerate(roles)
        }

    @property
    def is_supervised(self) -> bool:
        return ALONE not in self.rows


class CellAllocator:
    """Assigns cells to instruments. Every process makes its instruments in the same order, so a
    cell belongs to the same one in each.
    """

    def __init__(self, board: Board, role: str) -> None:
        self._rows = [row.cells for row in board.rows.values()]
        self._own = board.rows[role].cells
        self._next = _FIRST_COUNT
        self._lock = Lock()

    def take(self, count: int = 1) -> int:
        """The first of `count` cells in a row."""
        first, self._next = self._next, self._next + count
        assert self._next <= _CELLS
        return first

    def add(self, cell: int, amount: float) -> None:
        with self._lock:
            self._own[cell] += amount

    def total(self, cell: int) -> float:
        """The sum over all roles."""
        return sum(cells[cell] for cells in self._rows)


class Cell:
    """What one combination of label values counts."""

    def __init__(self, allocator: CellAllocator, cell: int) -> None:
        self._allocator = allocator
        self._cell = cell

    def inc(self, amount: float = 1.0) -> None:
        self._allocator.add(self._cell, amount)

    @property
    def total(self) -> float:
        return self._allocator.total(self._cell)


class Counter(Collector):
    """A counter whose label values are known from the start; others are counted as `other`.

    The place of each value in the shared memory is fixed, so none can be added later.
    """

    def __init__(
        self,
        allocator: CellAllocator,
        name: str,
        about: str,
        labels: Sequence[str] = (),
        known: Iterable[Sequence[str]] = (),
    ) -> None:
        self._name, self._about, self._labels = name, about, labels
        values = [tuple(each) for each in known] if labels else [()]
        self._cells = {each: Cell(allocator, allocator.take()) for each in values}
        self._other = Cell(allocator, allocator.take())

    def labels(self, *values: str) -> Cell:
        return self._cells.get(values, self._other)

    def inc(self, amount: float = 1.0) -> None:
        self.labels().inc(amount)

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for values, cell in self._cells.items():
            family.add_metric(values, cell.total)
        if self._other.total:
            family.add_metric(["other"] * len(self._labels), self._other.total)
        yield family


class Buckets:
    """What one combination of label values has observed. bounds: upper ones, the last infinite."""

    def __init__(self, allocator: CellAllocator, bounds: Sequence[float]) -> None:
        self._allocator, self._bounds = allocator, bounds
        self._first = allocator.take(len(bounds))
        self._sum = allocator.take()

    def observe(self, value: float) -> None:
        self._allocator.add(self._first + bisect_left(self._bounds, value), 1)
        self._allocator.add(self._sum, value)

    @property
    def sum(self) -> float:
        return self._allocator.total(self._sum)

    @property
    def counts(self) -> list[tuple[str, float]]:
        """How many values were not above each bound."""
        each = (self._allocator.total(self._first + place) for place in range(len(self._bounds)))
        names = ("+Inf" if bound == float("inf") else str(float(bound)) for bound in self._bounds)
        return list(zip(names, accumulate(each), strict=True))


class Histogram(Collector):
    """buckets: their upper bounds, rising; one without a bound is added. Label values: as
    Counter."""

    def __init__(
        self,
        allocator: CellAllocator,
        name: str,
        about: str,
        buckets: Sequence[float],
        labels: Sequence[str] = (),
        known: Iterable[Sequence[str]] = (),
    ) -> None:
        self._name, self._about, self._labels = name, about, labels
        bounds = (*buckets, float("inf"))
        values = [tuple(each) for each in known] if labels else [()]
        self._buckets = {each: Buckets(allocator, bounds) for each in values}
        self._other = Buckets(allocator, bounds)

    def labels(self, *values: str) -> Buckets:
        return self._buckets.get(values, self._other)

    def observe(self, value: float) -> None:
        self.labels().observe(value)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for values, buckets in self._buckets.items():
            family.add_metric(values, buckets.counts, buckets.sum)
        if self._other.counts[-1][1]:
            other = ["other"] * len(self._labels)
            family.add_metric(other, self._other.counts, self._other.sum)
        yield family


class Processes(Collector):
    """CPU time, memory and files of each process under a supervisor, and how often it was started
    again. The CPU time of a role is that of all its processes."""

    def __init__(self, board: Board) -> None:
        self._rows = board.rows
        self._processes = {role: _process(row) for role, row in board.rows.items()}

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        restarts = CounterMetricFamily(
            "amazonsender_process_restarts",
            "How often a process ended unasked and was started again.",
            labels=["process"],
        )
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for role, row in self._rows.items():
            restarts.add_metric([role], row.restarts)
            for one in self._processes[role].collect():
                kind = CounterMetricFamily if one.type == "counter" else GaugeMetricFamily
                family = families.setdefault(
                    one.name, kind(one.name, one.documentation, labels=["process"])
                )
                earlier = row.earlier_cpu_seconds if one.name == "process_cpu_seconds" else 0.0
                family.add_metric([role], one.samples[0].value + earlier)
        yield restarts
        yield from families.values()


def _process(row: Row) -> ProcessCollector:
    return ProcessCollector(pid=lambda: row.pid, registry=None)
