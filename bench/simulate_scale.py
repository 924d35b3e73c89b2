"""Where the machine ends: what was measured here, carried on to other machines and sizes.

`python -m bench.simulate_scale`: first each model beside what was measured, with its error; then
the machines. Two models:

Sending is simulated event by event: workers that claim, wait for the line, for the bucket's lock
and for a core, call SES and record. Storage is computed: sizes by the row, random pages by how much
of an index lies in the cache, full pages in the WAL by how many different pages are touched between
two checkpoints. The costs and the measured points are those of docs/scale.md; nothing is fitted to
the results.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field

PAGE = 8192
BATCH, CLAIMED, SLOTS = 50, 8, 16  # dispatch.py, send_batch.py
GROUP = 20  # batches that are recorded in one call: recording/groups.py


@dataclass(frozen=True)
class Costs:
    """Of the program: microseconds of CPU a mail; bytes a row."""

    worker: float = 60.0
    queue: float = 8.0
    claim: float = 18.0
    record: float = 13.3
    record_call: float = 1_290.0  # beside that, of each call
    event: float = 128.0
    flush: float = 900.0  # microseconds of a commit's fdatasync
    wal: float = 3_950.0  # bytes a mail, its delivery event included, without full pages
    ledger: float = 383.0  # its share of send_batches included
    event_row: float = 1_765.0
    person: float = 190.0  # the table of subscribers
    message_id: float = 27.0  # bytes of the hash index
    sns_id: float = 80.0  # bytes of the unique index on SNS's message ids


COSTS = Costs()


# Sending, event by event


class Clock:
    """Virtual seconds; runs what is due, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Step]] = []
        self._numbers = itertools.count()

    def start(self, step: Step, after: float = 0.0) -> None:
        heapq.heappush(self._due, (self.now + after, next(self._numbers), step))

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.now, _, step = heapq.heappop(self._due)
            self.go_on(step)

    def go_on(self, step: Step) -> None:
        """A step gives seconds to wait, or a pool of which it wants one."""
        for wants in step:
            if isinstance(wants, Pool):
                if wants.free == 0:
                    wants.waiting.append(step)
                    return
                wants.free -= 1
            else:
                self.start(step, wants)
                return


@dataclass
class Pool:
    """Cores, slots, a lock: taken by yielding it, first come, first served."""

    clock: Clock
    free: int
    waiting: deque[Step] = field(default_factory=deque)

    def release(self) -> None:
        if self.waiting:
            self.clock.start(self.waiting.popleft())
        else:
            self.free += 1


Step = Generator["float | Pool", None, None]


@dataclass(frozen=True)
class Site:
    """workers, each able to use one core of `worker_cores`; cores: of PostgreSQL, None: the same
    ones. one_way, ses: seconds. rate: recipients a second, None: no limit."""

    workers: int
    one_way: float
    worker_cores: int
    cores: int | None = None
    ses: float = 0.08
    rate: float | None = None
    costs: Costs = COSTS


@dataclass
class Results:
    """A worker's, of batches that SES answered. written: a call for some of them is under way."""

    waiting: int = 0
    written: bool = False


def mails_a_second(site: Site, seconds: float = 20.0) -> float:
    clock = Clock()
    lock = Pool(clock, 1)  # the row of the token bucket
    hosts = Pool(clock, site.worker_cores)
    server = hosts if site.cores is None else Pool(clock, site.cores)
    cost = site.costs
    sent = 0
    next_token = 0.0

    def compute(cores: Pool, micros: float) -> Step:
        yield cores
        yield micros / 1e6
        cores.release()

    def dispatcher() -> Step:
        slots, own, results = Pool(clock, SLOTS), Pool(clock, 1), Results()
        nonlocal next_token
        while True:
            yield slots
            held = 1
            while held < CLAIMED and slots.free:
                slots.free -= 1
                held += 1
            yield site.one_way
            yield lock
            batches, wait = held, 0.0
            if site.rate is not None:
                size = min(BATCH, int(site.rate))
                start = max(next_token, clock.now - size / site.rate)
                due = (clock.now + 0.05 - start) * site.rate
                batches = min(held, int(due // size))
                if batches == 0:
                    wait = (size - due) / site.rate
                else:
                    next_token = start + batches * size / site.rate
            yield from compute(server, 300 + cost.claim * BATCH * batches)
            if batches:
                yield cost.flush / 1e6
            lock.release()
            yield site.one_way
            for _ in range(batches):
                clock.start(batch(slots, own, results))
            for _ in range(held - batches):
                slots.release()
            if wait:
                yield wait

    def batch(slots: Pool, own: Pool, results: Results) -> Step:
        nonlocal sent
        yield own  # Python's lock
        yield from compute(hosts, cost.worker * BATCH)
        own.release()
        yield site.ses
        sent += BATCH
        results.waiting += 1
        if not results.written:
            results.written = True
            yield from write(slots, results)

    def write(slots: Pool, results: Results) -> Step:
        """Whoever comes meanwhile is of the next group."""
        while results.waiting:
            group = min(results.waiting, GROUP)
            results.waiting -= group
            yield site.one_way
            yield from compute(server, cost.record_call + cost.record * BATCH * group)
            yield cost.flush / 1e6
            yield site.one_way
            for _ in range(group):
                slots.release()
        results.written = False

    for number in range(site.workers):
        clock.start(dispatcher(), number * 0.001)
    clock.run(seconds / 4)
    before = sent
    clock.run(seconds)
    return (sent - before) / (seconds * 3 / 4)


# Storage, computed


@dataclass(frozen=True)
class Scattered:
    """An index that is touched at random places. entry: bytes of a row that are really there."""

    size: float
    touches: float  # of each mail
    entry: float
    rows: float

    @property
    def pages(self) -> float:
        return max(1.0, self.size / PAGE)


def misses(cache: float, indexes: Sequence[Scattered], other: float) -> list[float]:
    """Pages a mail that each index has to read. cache: bytes. other: pages that other tables read.

    A page stays for as long as it takes until the cache has been filled anew (Che's
    approximation); it is missed when it isn't touched again meanwhile.
    """
    low, high = 0.0, 1e12  # for how many mails a page stays
    for _ in range(200):
        stays = (low + high) / 2
        kept = [-math.expm1(-stays * i.touches / i.pages) for i in indexes]
        held = sum(k * i.pages for k, i in zip(kept, indexes, strict=True)) + stays * other
        low, high = (low, stays) if held > cache / PAGE else (stays, high)
    return [i.touches * (1 - k) for k, i in zip(kept, indexes, strict=True)]


def full_pages(index: Scattered, mails: float, before: float = 0.0) -> float:
    """Bytes of WAL a mail for pages written whole, as they are touched the first time since a
    checkpoint. before: mails since that checkpoint. What of a page is empty isn't written."""
    first = index.pages * (
        math.exp(-before * index.touches / index.pages)
        - math.exp(-(before + mails) * index.touches / index.pages)
    )
    fill = min(1.0, index.entry * index.rows / index.size)
    return first * PAGE * fill / mails


@dataclass(frozen=True)
class Machine:
    name: str
    cores: int
    ram_gb: float
    iops: float
    disk_mb_s: float  # what it writes and reads steadily
    read_ms: float = 0.5  # one page from a network disk


MACHINES = (
    Machine("2 vCPU, 8 GB, gp3 with 3,000 IOPS, 125 MB/s", 2, 8, 3_000, 125),
    Machine("8 vCPU, 64 GB, gp3 with 12,000 IOPS, 500 MB/s", 8, 64, 12_000, 500),
    Machine("32 vCPU, 256 GB, io2 with 40,000 IOPS, 1,000 MB/s", 32, 256, 40_000, 1_000),
    Machine("64 vCPU, 512 GB, io2 with 64,000 IOPS, 2,000 MB/s", 64, 512, 64_000, 2_000),
)


@dataclass(frozen=True)
class Use:
    """A list, and how it is used. months, event_months: how long rows are kept."""

    recipients: float
    mailouts_a_month: float = 4
    months: float = 13
    event_months: float = 1
    events_a_mail: float = 1.5
    partitions_by_month: bool = True
    checkpoint_seconds: float = 900

    @property
    def rows(self) -> float:
        return self.recipients * self.mailouts_a_month * self.months

    @property
    def events(self) -> float:
        return self.recipients * self.mailouts_a_month * self.event_months * self.events_a_mail

    @property
    def disk(self) -> float:
        return self.rows * COSTS.ledger + self.events * COSTS.event_row

    def scattered(self) -> list[Scattered]:
        """What is touched at random places, the indexes as far as one partition has them. People
        are read in the order of their ids when they are queued and when they are claimed. A
        message id is touched when it is recorded and by each event that moves the row."""
        rows = self.rows / (self.months if self.partitions_by_month else 1)
        events = self.events / (self.event_months if self.partitions_by_month else 1)
        return [
            Scattered(self.recipients * COSTS.person, 2, 0, 0),
            Scattered(rows * COSTS.message_id, 2, 20, rows),
            Scattered(events * COSTS.sns_id, self.events_a_mail, 52, events),
        ]


@dataclass(frozen=True)
class Ends:
    """Mails a second, their events included, at which each part of a machine is used up."""

    cpu: float
    reads: float
    wal: float
    bucket: float

    @property
    def first(self) -> str:
        return min(vars(self), key=vars(self).__getitem__)

    @property
    def rate(self) -> float:
        return min(self.cpu, self.reads, self.wal, self.bucket)


def ends(machine: Machine, use: Use, costs: Costs = COSTS) -> Ends:
    micros = costs.queue + costs.claim + costs.record + costs.event * use.events_a_mail
    micros += costs.record_call / (BATCH * CLAIMED)
    people, *indexes = scattered = use.scattered()
    # Of what PostgreSQL and the system keep, a quarter is left to other reads.
    missed = misses(machine.ram_gb * 2**30 * 0.75, scattered, 0.0)
    # A claim of eight batches holds the bucket's row, and reads its people's pages one by one.
    mails_of_claim = BATCH * CLAIMED
    read = missed[0] / people.touches
    held = 300 + costs.flush + mails_of_claim * (costs.claim + read * machine.read_ms * 1e3)
    rate = machine.cores * 0.7 / micros * 1e6
    for _ in range(50):  # the more mails between two checkpoints, the fewer full pages for each
        mails = max(1.0, rate * use.checkpoint_seconds)
        wal = costs.wal * (1 + use.events_a_mail) / 2
        wal += sum(full_pages(index, mails) for index in indexes)
        # Half of what the disk writes is left to the data itself.
        rate = (rate + machine.disk_mb_s * 1e6 * 0.5 / wal) / 2
    return Ends(
        cpu=machine.cores * 0.7 / micros * 1e6,
        # A page of an index goes back to the disk, too.
        reads=machine.iops * 0.7 / max(1e-9, missed[0] + 2 * sum(missed[1:])),
        wal=machine.disk_mb_s * 1e6 * 0.5 / wal,
        bucket=mails_of_claim / held * 1e6,
    )


# Against what was measured


@dataclass(frozen=True)
class Check:
    what: str
    measured: float
    model: float

    @property
    def row(self) -> str:
        error = (self.model - self.measured) / self.measured
        return f"| {self.what} | {self.measured:,.2f} | {self.model:,.2f} | {error:+.0%} |"


CACHE = 128 * 2**20
SENT = 20_000  # mails of a mailout in bench/scale.py
RECORD_WAL = 604.0  # bytes a mail without full pages

# Rows, bytes a row of the index, WAL of recording (first after a checkpoint, and again), pages a
# mail that recording missed of the index and of the table (the first time).
POINTS = (
    (1e6, 38, 1_344, 627, 0.31, 1.56),
    (3e6, 34, 3_170, 875, 0.24, 0.0),
    (5e6, 27, 4_222, 1_740, 0.83, 2.83),
    (10e6, 27, 5_320, 3_166, 0.91, 2.84),
)


def checks() -> Iterator[Check]:
    """The measured ones are those of docs/scale.md."""
    for rows, each, first, again, index_missed, heap_missed in POINTS:
        index, name = Scattered(rows * each, 1, 20, rows), f"{rows / 1e6:.0f} million rows: "
        yield Check(
            name + "WAL of full pages a mail, after a checkpoint",
            first - RECORD_WAL,
            full_pages(index, SENT),
        )
        if again > RECORD_WAL:
            yield Check(
                name + "the same, of the next mails",
                again - RECORD_WAL,
                full_pages(index, SENT, SENT),
            )
        # Until the cache has been filled once, what was never touched is missed as well.
        cold = index.pages * -math.expm1(-SENT / index.pages) / SENT
        yield Check(
            name + "pages of the message ids' index missed a mail",
            index_missed,
            max(cold, misses(CACHE, [index], heap_missed)[0]),
        )

    index = Scattered(3e6 * 34, 1, 20, 3e6)
    yield Check(
        "3 million rows: WAL of a mail, all of it, after a checkpoint",
        453 + 508 + 3_170 + 2_394,
        COSTS.wal + full_pages(index, SENT),
    )

    for workers, measured in ((1, 12_470), (2, 12_435)):  # docs/performance.md
        yield Check(
            f"{workers} worker{'s' * (workers > 1)} on two cores, SES answers at once: mails/s",
            measured,
            mails_a_second(Site(workers, 0.0, worker_cores=2, ses=0.0)),
        )


def main() -> None:
    print("| what | measured | model | error |\n|---|---|---|---|")
    for check in checks():
        print(check.row)
    print("\n| workers | ms to the database | cores of the database | mails/s |\n|---|---|---|---|")
    for workers, one_way, cores in itertools.product((1, 8, 32), (0.0005, 0.005), (8, 32)):
        site = Site(workers, one_way, worker_cores=workers, cores=cores)
        print(f"| {workers} | {one_way * 2000:g} | {cores} | {mails_a_second(site):,.0f} |")
    print(
        "\n| recipients | ledger | events | machine | mails/s at most | by | hours a mailout |"
        "\n|---|---|---|---|---|---|---|"
    )
    for recipients, parted, machine in itertools.product((1e7, 1e8), (False, True), MACHINES):
        use = Use(recipients, partitions_by_month=parted)
        end = ends(machine, use)
        print(
            f"| {recipients / 1e6:.0f} million{', partitions by month' if parted else ''} "
            f"| {use.rows * COSTS.ledger / 1e9:,.0f} GB "
            f"| {use.events * COSTS.event_row / 1e9:,.0f} GB | {machine.name} "
            f"| {end.rate:,.0f} | {end.first} | {recipients / end.rate / 3600:.1f} |"
        )


if __name__ == "__main__":
    main()
