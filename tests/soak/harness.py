"""One run: a mailout, everything that goes wrong while it is sent, and the verdict.

The seed decides what goes wrong and at which progress; a red run is repeated with SOAK_SEED.
"""

from __future__ import annotations

import asyncio
import csv
import io
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from tests.soak.judge import Accepted, Shown, Verdict, accepted_at, fullest_second, judge
from tests.soak.plan import Plan, faults_met, unreadable
from tests.soak.world import Executor, World, world
from tests.support.service import command

LOOK_SECONDS = 0.05
# What a request may take from the fence to SES on a busy machine, beside SES's own time.
ON_ITS_WAY_SECONDS = 1.5
CUT_SECONDS = 0.2
"""What is claimed so long after a region went down may have found the door just closing."""


@dataclass
class Run:
    """A running mailout and what was done to it. Times: unix seconds."""

    world: World
    mailout: UUID
    kills: list[tuple[str, float]] = field(default_factory=list)  # label, when
    stops: int = 0
    restarts: int = 0
    outages: list[tuple[str, float]] = field(default_factory=list)  # region, when
    dark: bool = False  # all regions are shut, until a provider has gone on
    provider_faults: int = 0
    gave_up: int = 0
    unsubscribed: dict[str, float] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.world.plan

    async def until(self, look: Callable[[], Awaitable[Any]], what: str) -> Any:
        """Look again and again until it is true; gives what was seen.

        Fails when SES has neither accepted anybody nor got rid of an event for `patience` seconds.
        """
        before = await self.movement()
        deadline = time.monotonic() + self.plan.patience
        while not (seen := await look()):
            if time.monotonic() > deadline:
                after = await self.movement()
                if after == before:
                    raise AssertionError(
                        f"seed {self.plan.seed}: never came: {what}\n{await self.state()}"
                    )
                before, deadline = after, time.monotonic() + self.plan.patience
            await asyncio.sleep(LOOK_SECONDS)
        return seen

    async def movement(self) -> tuple[int, int]:
        """Recipients accepted and events taken so far."""
        posted = 0
        for remote in self.world.remotes.values():
            posted += (await asyncio.to_thread(remote.stats))["events"]["posted"]
        return self.world.log.read(), posted

    async def state(self) -> str:
        """What to look at after a run that got stuck."""
        lines = [f"accepted {self.world.log.read()}, kills {len(self.kills)}"]
        async with self.world.sql() as sql:
            for query in (
                "select status, count(*) from send_logs group by 1",
                "select status, status_reason from mailouts",
                "select attempt_id, executor_id, claimed_at, clock_timestamp() - claimed_at as age "
                "from send_batches where recorded_at is null",
                "select e.*, is_alive(e) from executors e order by heartbeat_at desc limit 6",
                "select pid, state, wait_event_type, wait_event, left(query, 80) as query "
                "from pg_stat_activity where backend_type = 'client backend'",
            ):
                lines += [str(row) for row in await (await sql.execute(query)).fetchall()]
        lines += [f"{e.command} {e.label}: {e.process.log[-1500:]}" for e in self.world.executors]
        return "\n".join(lines)

    async def progress(self, point: int) -> None:
        async def reached() -> bool:
            return self.world.log.read() >= point

        await self.until(reached, f"{point} recipients accepted")

    async def victim(self, dice: Any) -> Executor:
        """One of those that take part in sending now; once the mailout is over, anyone: on a quick
        machine that may be before the last fault."""

        async def sending() -> list[Executor]:
            found = [e for e in self.world.executors if e.is_sending]
            return found or (list(self.world.executors) if await self.finished() else [])

        found: Executor = dice.choice(await self.until(sending, "an executor that sends"))
        return found

    # What goes wrong

    async def kill(self) -> None:
        dice = self.plan.dice("kills")
        for point in self.plan.points():
            await self.progress(point)
            await asyncio.sleep(dice.uniform(0, 0.5))
            victim = await self.victim(dice)
            self.kills.append((victim.label, time.time()))
            if victim.command == "serve" and dice.random() < 0.5:
                victim.kill_work()
                continue
            victim.kill()
            victim.start()

    async def stop(self) -> None:
        """Stop processes for longer than their lease, several at once if it comes so."""
        dice = self.plan.dice("stops")
        least, most = self.plan.stop_leases
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.stops):
                span = self.plan.until * self.plan.recipients / self.plan.stops
                await self.progress(round((self.stops + dice.random()) * span))
                victim = await self.victim(dice)
                self.stops += 1
                seconds = dice.uniform(least, most) * self.plan.lease
                group.create_task(self.pause_process(victim, seconds))

    async def pause_process(self, victim: Executor, seconds: float) -> None:
        process = victim.process
        with suppress(ProcessLookupError):  # a kill may hit a stopped process
            process.signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            process.signal(signal.SIGCONT)

    async def restart(self, done: asyncio.Event) -> None:
        if self.plan.restarts is None:
            return
        dice = self.plan.dice("restarts")
        while not done.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), dice.uniform(*self.plan.restarts))
                return
            await asyncio.to_thread(self.world.restart_postgres)
            self.restarts += 1

    async def fail_regions(self) -> None:
        """One region at a time, or several, refuses everybody for a while."""
        dice = self.plan.dice("outages")
        async with asyncio.TaskGroup() as group:
            for number in range(self.plan.outages):
                span = self.plan.until * self.plan.recipients / self.plan.outages
                await self.progress(round((number + dice.random()) * span))
                region = dice.choice(self.plan.regions)
                self.outages.append((region, time.time()))
                group.create_task(self.shut(region, dice.uniform(*self.plan.outage_seconds)))

    async def shut(self, region: str, seconds: float) -> None:
        door = self.world.doors[region]
        await door.shut()
        await asyncio.sleep(seconds)
        if not self.dark:
            await door.open()

    async def black_out(self) -> None:
        """All regions refuse everybody until a provider has gone on for a while, which loses
        answers meanwhile. In the second blackout the first provider refuses its key, so that the
        next one has to."""
        dice, plan = self.plan.dice("blackouts"), self.plan
        for number in range(plan.blackouts):
            span = plan.until * plan.recipients / plan.blackouts
            await self.progress(round((number + 0.5 * dice.random()) * span))
            self.outages += [(region, time.time()) for region in plan.regions]
            refuses = plan.providers[0] if number == 1 and len(plan.providers) > 1 else None
            if refuses:
                await asyncio.to_thread(self.world.trouble, refuses, {"status": 401})
            self.dark = True
            for region in plan.regions:
                await self.world.doors[region].shut()
            for fault in plan.provider_faults(number):
                await self.provider_goes_on()
                for name in set(plan.providers) - {refuses}:
                    await asyncio.to_thread(self.world.trouble, name, fault)
                    self.provider_faults += 1
            await self.provider_goes_on()
            if refuses:
                await asyncio.to_thread(self.world.trouble, refuses, {})
            self.dark = False
            for region in plan.regions:
                await self.world.doors[region].open()

    async def provider_goes_on(self) -> None:
        """Until one has accepted a batch more, or the mailout is over."""
        before = await self.accepted_by_providers()

        async def looked() -> bool:
            now = await self.accepted_by_providers()
            return now >= before + self.plan.batch or bool(await self.finished())

        await self.until(looked, "a provider that goes on")

    async def accepted_by_providers(self) -> int:
        self.world.log.read()
        return sum(line["route"] in self.plan.providers for line in self.world.log.lines)

    async def unsubscribe(self) -> None:
        dice = self.plan.dice("unsubscribes")
        readers = dice.sample(range(1, self.plan.recipients + 1), self.plan.unsubscribes)
        for number, reader in enumerate(readers):
            await self.progress(round(number / len(readers) * 0.5 * self.plan.recipients))
            address = f"reader{reader}@example.com"

            async def left(address: str = address) -> bool:
                with suppress(psycopg.OperationalError):  # PostgreSQL is just restarting
                    async with self.world.sql() as sql:
                        await sql.execute(
                            "update subscribers set status = 'unsubscribed' where email = %s",
                            [address],
                        )
                    return True
                return False

            await self.until(left, f"{address} off the list")
            self.unsubscribed[address] = time.time()

    async def everything(self) -> None:
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            restarts = group.create_task(self.restart(done))
            actors = (
                self.kill(), self.stop(), self.fail_regions(), self.black_out(), self.unsubscribe()
            )  # fmt: skip
            works = [group.create_task(actor) for actor in actors]
            await asyncio.gather(*works)
            done.set()
            await restarts

    async def supervise(self) -> None:
        """Start again what ended by itself, as systemd and Docker do."""
        while True:
            for executor in self.world.executors:
                if executor.process.child.poll() is not None:
                    self.gave_up += 1
                    executor.kill()
                    executor.start()
            await asyncio.sleep(1)

    # What comes of it

    async def finished(self) -> dict[str, Any] | None:
        shown = await self.world.show(self.mailout)
        over = shown and shown["status"] in {"sent", "failed"}
        return shown if over else None

    async def shown(self) -> Shown:
        """The closing statement and the counts, as an outsider gets them."""
        world = self.world
        done = await asyncio.to_thread(
            command, world.folder, world.variables, "statement", str(self.mailout)
        )
        assert done.returncode == 0, done.stderr
        mailout = await self.until(lambda: world.show(self.mailout), "an answer of the front")
        return Shown.read(list(csv.DictReader(io.StringIO(done.stdout))), mailout)

    async def calls_in_flight(self) -> int:
        """Attempts that were open when their process was killed, over all kills."""
        async with self.world.sql() as sql:
            found = 0
            for label, at in self.kills:
                row = await (
                    await sql.execute(
                        "select count(*) as n from send_batches b "
                        "join executors e on e.id = b.executor_id where e.label = %s "
                        "and (b.recorded_at is null or b.recorded_at > to_timestamp(%s))",
                        [label, at],
                    )
                ).fetchone()
                assert row is not None
                found += row["n"]
        return found

    async def calls_cut(self) -> int:
        """Attempts that were on their way to a region when its connections were cut."""
        async with self.world.sql() as sql:
            found = 0
            for region, at in self.outages:
                done = await sql.execute(
                    "select count(*) as n from send_batches where region = %s "
                    "and claimed_at <= to_timestamp(%s) "
                    "and (recorded_at is null or recorded_at > to_timestamp(%s))",
                    [region, at + CUT_SECONDS, at],
                )
                row = await done.fetchone()
                assert row is not None
                found += row["n"]
        return found

    async def token_windows(self, region: str, verdict: Verdict) -> None:
        """By the database's clock: no second with more tokens than the rate and one batch."""
        async with self.world.sql() as sql:
            done = await sql.execute(
                "select extract(epoch from token_at)::float8 as due, "
                "extract(epoch from claimed_at)::float8 as claimed, "
                "cardinality(send_log_ids) as tokens from send_batches where region = %s",
                [region],
            )
            rows = await done.fetchall()
        most = round(self.plan.rate) + self.plan.batch
        due = fullest_second((row["due"], row["tokens"]) for row in rows)
        where = f" by {region}" if len(self.plan.regions) > 1 else ""
        verdict.expect(f"most tokens due in one second{where}", due, at_most=most)
        # A batch is claimed up to 0.05 s before its last token falls due (claim_batches.sql).
        claimed = fullest_second((row["claimed"], row["tokens"]) for row in rows)
        early = round(0.05 * self.plan.rate) + 1
        verdict.expect(f"most claimed in one second{where}", claimed, at_most=most + early)

    async def late_requests(self, verdict: Verdict) -> None:
        """Nothing is accepted of a claim whose lease was over: who was stopped is fenced."""
        async with self.world.sql() as sql:
            done = await sql.execute(
                "select attempt_id::text as id, extract(epoch from claimed_at)::float8 as at "
                "from send_batches"
            )
            claimed = {row["id"]: row["at"] async for row in done}
        most = self.plan.lease + self.plan.latency[1] + ON_ITS_WAY_SECONDS
        late = {
            attempt: f"{line['route']} {age:.1f} s at {line['time']}"
            for line in self.world.log.lines
            if (age := accepted_at(line) - claimed[attempt := line["tags"]["attempt"]]) > most
        }
        if late:
            verdict.figures["which"] = "; ".join(late.values())
        verdict.expect("calls accepted with a lease long lost", len(late))

    def mailed_after_leaving(self, accepted: Accepted) -> int:
        """Recipients accepted later than any call can be that was claimed before they left."""
        grace = self.plan.lease / 2 + self.plan.latency[1] + ON_ITS_WAY_SECONDS
        return sum(
            max(accepted.times.get(address, [0.0])) > left + grace
            for address, left in self.unsubscribed.items()
        )


async def run(plan: Plan, folder: Path) -> Verdict:
    """Carry `plan` out in `folder` and judge. Raises AssertionError when the run gets stuck."""
    began = time.monotonic()
    async with world(plan, folder) as running:
        one = Run(running, await _start(running))
        supervisor = asyncio.create_task(one.supervise())
        try:
            await one.everything()
            await one.until(one.finished, "the end of the mailout")
            sending = time.monotonic() - began
            verdict = await _judge(one)
        finally:
            supervisor.cancel()
        verdict.figures |= {
            "seconds until the mailout was over": round(sending),
            "seconds in all": round(time.monotonic() - began),
        }
    return verdict


async def _start(running: World) -> UUID:
    async with running.sql() as sql:
        row = await (
            await sql.execute(
                "insert into mailouts (subject, body_html, status) "
                "values ('Hello {{ name }}', '<p>Hi {{ name }}</p>', 'ready') returning id"
            )
        ).fetchone()
    assert row is not None
    mailout: UUID = row["id"]
    deadline = time.monotonic() + 60
    while True:
        answer = await running.ask("POST", "/send-mailout", {"mailout_id": str(mailout)})
        if answer is not None:
            assert answer.status_code == 202, answer.text
            return mailout
        assert time.monotonic() < deadline, "the front doesn't start"
        await asyncio.sleep(LOOK_SECONDS)


async def _judge(one: Run) -> Verdict:
    plan, running = one.plan, one.world
    verdict = Verdict({"run": plan.name, "seed": plan.seed, "recipients": plan.recipients})
    readers = [f"reader{n}@example.com" for n in range(1, plan.recipients + 1)]
    before = await one.shown()
    running.log.read()
    accepted = Accepted.read(running.log.lines, str(one.mailout))
    met_calls: list[dict[str, Any]] = []
    for name, remote in running.remotes.items():
        left = remote.control.get("/sandbox/faults").raise_for_status().json().get("next", [])
        calls = plan.calls(name)
        met_calls += calls[: len(calls) - len(left)]
    met, open_calls, cut = faults_met(met_calls), await one.calls_in_flight(), await one.calls_cut()
    by_route = Counter(line["route"] for line in running.log.lines)
    verdict.figures |= {
        "SIGKILL": len(one.kills),
        "calls in flight at the kills": open_calls,
        "SIGSTOP beyond the lease": one.stops,
        "immediate restarts of PostgreSQL": one.restarts,
        "processes that gave up by themselves": one.gave_up
        + sum(executor.ended_inside for executor in running.executors),
        "outages of a region": len(one.outages),
        "calls cut by them": cut,
        "accepted by route": " / ".join(f"{name} {n}" for name, n in sorted(by_route.items())),
        "send calls": len(met_calls),
        "calls throttled / without a readable answer": f"{met['throttle']} / {unreadable(met)}",
        "accepted": len(accepted),
        "failed": len(before.with_status("failed")),
        "skipped": len(before.with_status("skipped")),
    }
    judge(verdict, readers, accepted, before, final=False)
    if plan.blackouts:
        turns = plan.providers[: plan.blackouts]
        verdict.figures["faults of providers"] = one.provider_faults
        verdict.expect("providers that did not go on", sum(by_route[name] == 0 for name in turns))
    unknown = before.with_status("unknown")
    unsure = open_calls + cut + unreadable(met) + one.provider_faults
    verdict.expect("unknown (U)", len(unknown), at_most=plan.batch * unsure)
    verdict.figures["of these accepted by SES"] = len([a for a in unknown if a in accepted])
    if one.unsubscribed:
        verdict.figures["left in mid-send"] = len(one.unsubscribed)
        verdict.expect("mailed after they left", one.mailed_after_leaving(accepted))
    for name in (*plan.regions, *plan.providers):
        await one.token_windows(name, verdict)
    if plan.stops:  # a busy machine alone makes calls late
        await one.late_requests(verdict)

    release = {"shuffle": True, "duplicate": 0.1, "seed": plan.seed}
    # Signing them all takes the sandbox a while.
    for remote in running.remotes.values():
        await asyncio.to_thread(
            remote.control.post, "/sandbox/events/release", json=release, timeout=600
        )
    unproven = len([a for a in unknown if a not in accepted])

    async def settled() -> bool:
        mailout = await running.show(one.mailout)
        if mailout is None:
            return False
        counts: dict[str, int] = mailout["counts"]
        return counts["unknown"] <= unproven and counts["delivered"] >= len(accepted)

    with suppress(AssertionError):  # then the figures below say what is missing
        await one.until(settled, "the events")
    judge(verdict, readers, accepted, await one.shown(), final=True)
    return verdict
