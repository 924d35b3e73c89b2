"""Negative controls: break one rule at a time in a copy of the tree, and see a short run go red.

    python -m tests.soak.controls [WORD …]     only those whose name has one of the words

A green control would mean that the runs can't see this fault. The unpatched tree comes first: it
has to be green, or the reds prove nothing. Sources: RELIABILITY (i) to (vii), and a few more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
COPIED = ("app", "migrations", "tests", "pyproject.toml")
TRIES = 2
"""A run finds a fault by chance: a green one is repeated with another seed."""

KILLS = "tests/soak/test_soak.py::test_kills_short"
PROVIDERS = "tests/soak/test_soak.py::test_two_regions_and_providers_short"
EVENTS = "tests/soak/test_soak.py::test_events_in_disorder_short"
FENCE = "tests/soak/test_fence.py::test_a_sender_stopped_beyond_its_lease_sends_nothing_with_it"
LATE = (
    "tests/integration/interleavings/test_records.py"
    "::test_a_late_answer_of_an_earlier_attempt_does_not_touch_the_next"
)
MODEL = "tests/integration/test_state_machines.py"

TWICE, LOST = "accepted twice (D)", "lost (L)"


@dataclass(frozen=True)
class Edit:
    """old: occurs exactly once in the file."""

    file: str
    old: str
    new: str

    def places(self, tree: Path) -> int:
        """How often the text to be replaced occurs: once, or the control is stale."""
        path = tree / self.file
        return path.read_text("utf-8").count(self.old) if path.exists() else 0

    def apply(self, tree: Path) -> None:
        """Raises SystemExit when the control is stale."""
        path = tree / self.file
        if self.places(tree) != 1:
            raise SystemExit(
                f"{self.file}: found {self.places(tree)} times instead of once:\n{self.old}"
            )
        path.write_text(path.read_text("utf-8").replace(self.old, self.new), "utf-8")


@dataclass(frozen=True)
class Control:
    """A broken rule, the test that has to notice, and what it has to complain of."""

    name: str
    test: str
    complaint: str
    edits: tuple[Edit, ...]


CONTROLS = (
    Control(
        "(i) rows of a lost sender are queued again, not unknown",
        KILLS,
        TWICE,
        (
            Edit(
                "migrations/functions/sending/recover_lost.sql",
                "set status = 'unknown', error_code = 'sender_lost'",
                "set status = 'queued', error_code = 'sender_lost'",
            ),
        ),
    ),
    Control(
        "(ii) boto3 retries as it does by default",
        KILLS,
        TWICE,
        (
            Edit(
                "app/adapters/aws/ses.py",
                'retries={"total_max_attempts": 1, "mode": "standard"},',
                "",
            ),
        ),
    ),
    Control(
        "(iii) the result is written before SES is asked",
        KILLS,
        LOST,
        (
            Edit(
                "app/services/sending/send_batch.py",
                "            delivery = await self._call(batch, lane, fence)\n",
                "            await self._store.record_results(\n"
                "                batch.attempt_id,\n"
                '                [Result(r.send_log_id, "sent") for r in batch.recipients],\n'
                "            )\n"
                "            delivery = await self._call(batch, lane, fence)\n",
            ),
        ),
    ),
    Control(
        "(iii) no intent is written: a claimed row stays queued behind a time-out",
        KILLS,
        TWICE,
        (
            Edit(
                "migrations/functions/sending/claim_batches.sql",
                "    return v_batches || v_rows || ",
                "    update send_logs set status = 'queued',\n"
                "           next_attempt_at = clock_timestamp() + interval '2 s'\n"
                "     where attempt_id = any (v_attempts) and status = 'sending';\n"
                "    return v_batches || v_rows || ",
            ),
            Edit(
                "migrations/functions/sending/record_results.sql",
                "when l.status not in ('sending', 'unknown') then l.status",
                "when l.status not in ('sending', 'unknown', 'queued') then l.status",
            ),
        ),
    ),
    Control(
        "(iv) a result counts for whatever attempt the row is at",
        LATE,
        "'queued': 1",
        (
            Edit(
                "migrations/functions/sending/record_results.sql",
                "l.id = r.id and l.attempt_id = r.attempt_id",
                "l.id = r.id",
            ),
        ),
    ),
    Control(
        "(v) who may be mailed is only looked at when the mailout starts",
        KILLS,
        "mailed after they left",
        (
            Edit(
                "migrations/functions/sending/claim_batches.sql",
                "set status = case when s.status = 'active' or p_test then 'sending' "
                "else 'skipped' end,",
                "set status = 'sending',",
            ),
            Edit(
                "migrations/functions/subscribers/subscriber_triggers.sql",
                "where id = v_log and status = 'queued';",
                "where false;",
            ),
        ),
    ),
    Control(
        "(vi) a doubled SNS message is stored again",
        EVENTS,
        "SNS messages stored twice",
        (
            Edit(
                "migrations/functions/events/apply_ses_events.sql",
                "e ->> 'sns_message_id' as sns_id,",
                "(e ->> 'sns_message_id') || gen_random_uuid() as sns_id,",
            ),
        ),
    ),
    Control(
        "(vii) an answer without results is read as not sent",
        KILLS,
        TWICE,
        (
            Edit(
                "app/adapters/aws/ses.py",
                "        return [_UNREADABLE] * entries\n",
                '        return [Answer("requeue", "no_results")] * entries\n',
            ),
        ),
    ),
    Control(
        "a 5xx is read as not accepted",
        KILLS,
        TWICE,
        (
            Edit(
                "app/domain/ses/answers.py",
                '    if not 300 <= http_status < 500:\n        return Answer("unknown", ',
                '    if not 300 <= http_status < 500:\n        return Answer("requeue", ',
            ),
        ),
    ),
    Control(
        "a provider's lost answer is read as not accepted",
        PROVIDERS,
        TWICE,
        (
            Edit(
                "app/domain/providers/answers.py",
                '    "unknown", "no_answer", "The connection ended before',
                '    "requeue", "no_answer", "The connection ended before',
            ),
        ),
    ),
    Control(
        "a lease has no fence",
        FENCE,
        "it sent with a lease that it had lost",
        (Edit("app/domain/sending/fence.py", "if age > self._max_age:", "if age > 1e9:"),),
    ),
    Control(
        "events are applied in the order in which they come",
        EVENTS,
        "end otherwise",
        (
            Edit(
                "migrations/functions/events/apply_ses_events.sql",
                "send_log_rank(m.status, m.bounce) > send_log_rank(b.status, b.bounce_type)",
                "send_log_rank(m.status, m.bounce) > 0",
            ),
        ),
    ),
    Control(
        "a transient bounce undoes a delivery",
        MODEL,
        "AssertionError",
        (
            Edit(
                "migrations/functions/events/states.sql",
                "when p_bounce_type = 'Permanent' then 50 else 30 end",
                "when p_bounce_type = 'Permanent' then 50 else 45 end",
            ),
        ),
    ),
    Control(
        "a mailout is finished while a batch is open",
        MODEL,
        "AssertionError",
        (
            Edit(
                "migrations/functions/mailouts/finish_mailout.sql",
                "        when exists (select from send_batches where mailout_id = p_mailout "
                "and recorded_at is null)\n        then true\n",
                "",
            ),
        ),
    ),
)


def run_test(edits: tuple[Edit, ...], test: str, seed: int) -> tuple[int, str]:
    """pytest's exit code and output for `test` in a patched copy of the tree."""
    folder = Path(tempfile.mkdtemp(prefix="amazonsender-control-"))
    folder.chmod(0o711)
    try:
        for name in COPIED:
            source = TREE / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / name, ignore=ignored)
            else:
                shutil.copy(source, folder / name)
        for edit in edits:
            edit.apply(folder)
        environment = {**os.environ, "SOAK_SEED": str(seed)}
        if any(edit.file.startswith("migrations/") for edit in edits):
            stamp = [sys.executable, "-m", "app.adapters.database.migrations", "stamp"]
            subprocess.run(stamp, cwd=folder, env=environment, check=True, capture_output=True)
        options = ["-q", "-m", "not soak", "-p", "no:cacheprovider", f"--basetemp={folder / 'tmp'}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", test, *options],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr
    finally:
        shutil.rmtree(folder)


def colour(control: Control) -> str:
    """`red` as it should be; anything else is a fault of the control or of the runs."""
    for seed in range(1, TRIES + 1):
        code, output = run_test(control.edits, control.test, seed)
        if code == 1:
            return "red" if control.complaint in output else f"red for another reason\n{output}"
        if code != 0:
            return f"broken\n{output}"
    return "GREEN"


def main(words: list[str]) -> int:
    """Run the controls and tell; 0 when all are as they should be."""
    chosen = [c for c in CONTROLS if not words or any(word in c.name for word in words)]
    failures = 0

    def tell(name: str, found: str, expected: str, began: float) -> None:
        nonlocal failures
        failures += found != expected
        sys.stdout.write(f"{name:<75} {found} ({time.monotonic() - began:.0f} s)\n")
        sys.stdout.flush()

    for test in dict.fromkeys(control.test for control in chosen):
        began = time.monotonic()
        code, output = run_test((), test, seed=1)
        found = "green" if code == 0 else f"NOT GREEN\n{output}"
        tell(f"unpatched: {test.rpartition('::')[2]}", found, "green", began)
    for control in chosen:
        began = time.monotonic()
        tell(control.name, colour(control), "red", began)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
