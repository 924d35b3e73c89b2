"""Counters of several processes on one board."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from app.domain.ses.answers import Answer, Halt
from app.telemetry.counts import Board
from app.telemetry.metrics import CALL_RESULTS, Metrics, call_result

ROLES = ("web", "work")
HOME, AWAY = "eu-west-1", "us-east-1"
BOUNDS = ("0.025", "0.05", "30.0", "+Inf")


def shown(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("amazonsender_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.page().decode())
        for sample in family.samples
    }


def counted(board: Board, role: str) -> Metrics:
    return Metrics(board, role, (HOME, AWAY))


def test_each_shows_what_all_have_counted() -> None:
    board = Board(ROLES)
    web, work = (Metrics(board, role) for role in ROLES)
    web.recipients_lost(2)
    work.recipients_lost(3)
    for one in (web, work):
        assert shown(one)["recipients_total", "unknown"] == 5


def test_one_that_is_started_again_counts_on() -> None:
    board = Board(ROLES)
    Metrics(board, "work").recipients_lost(3)
    board.rows["work"].ended(1.5)
    again = Metrics(board, "work")
    assert shown(again)["recipients_total", "unknown"] == 3
    again.recipients_lost(1)
    assert shown(Metrics(board, "web"))["recipients_total", "unknown"] == 4


def test_histograms_add_up() -> None:
    board = Board(ROLES)
    for role in ROLES:
        for seconds in (0.025, 0.026, 100.0):
            counted(board, role).call_ended(HOME, "SendEmail", [Answer("sent")], seconds)
    counted(board, "work").call_ended(AWAY, "SendEmail", [Answer("sent")], 1)
    samples = shown(counted(board, "web"))
    shares = {bound: samples["ses_call_seconds_bucket", bound, HOME] for bound in BOUNDS}
    assert list(shares.values()) == [2, 4, 4, 6]  # a bucket holds its bound
    assert samples["ses_call_seconds_count", HOME] == 6
    assert round(samples["ses_call_seconds_sum", HOME], 3) == 200.102
    assert samples["ses_call_seconds_count", AWAY] == 1


def test_calls_count_for_their_region_whichever_process_made_them() -> None:
    board = Board(ROLES)
    for role, region in product(ROLES, (HOME, AWAY, AWAY)):
        answers = [Answer("sent"), Answer("requeue", halt="throttled")]
        counted(board, role).call_ended(region, "SendBulkEmail", answers, 0.1)
        counted(board, role).asked(region, "GetAccount", answered=region == HOME)
    samples = shown(counted(board, "web"))
    for region, calls in ((HOME, 2), (AWAY, 4)):
        assert samples["ses_calls_total", "SendBulkEmail", region, "ok"] == calls
        assert samples["ses_recipients_total", region] == calls
        assert samples["ses_throttled_recipients_total", region] == calls
    assert samples["ses_calls_total", "GetAccount", HOME, "ok"] == 2
    assert samples["ses_calls_total", "GetAccount", AWAY, "unknown"] == 4


def test_there_is_room_for_every_region_of_ses() -> None:
    """SES is in about thirty; a service must not fail to start for having many."""
    regions = [f"xx-somewhere-{number}" for number in range(60)]
    metrics = Metrics(Board(ROLES), "web", regions)
    metrics.call_ended(regions[-1], "SendEmail", [Answer("sent")], 1)
    assert shown(metrics)["ses_recipients_total", regions[-1]] == 1


def test_the_breaker_is_that_of_the_sender_and_gone_with_its_process() -> None:
    board = Board(ROLES)
    web, work = (Metrics(board, role) for role in ROLES)
    assert ("ses_breaker_state", "open") not in shown(web)
    work.breaker_is("open")
    assert shown(web)["ses_breaker_state", "open"] == 1
    assert shown(web)["ses_breaker_state", "closed"] == 0
    board.rows["work"].ended(0.0)
    assert ("ses_breaker_state", "open") not in shown(web)


def test_a_value_that_nobody_foresaw_is_counted_as_other() -> None:
    """A count must never be the reason why a call to SES seems to have failed."""
    metrics = Metrics()
    metrics.message_refused("never heard of")
    samples = shown(metrics)
    assert samples["sns_messages_refused_total", "other"] == 1
    assert ("bounces_total", "other") not in samples


def test_whatever_ses_answers_there_is_a_result_to_count() -> None:
    results = {call_result([Answer("retry", halt=halt)]) for halt in get_args(Halt)}
    assert results <= set(CALL_RESULTS)


def test_threads_of_a_process_lose_no_count() -> None:
    metrics = Metrics()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: metrics.recipients_lost(1), range(20_000)))
    assert shown(metrics)["recipients_total", "unknown"] == 20_000


def test_what_a_killed_process_has_counted_stays() -> None:
    script = """
import os, signal
from app.telemetry.counts import Board
from app.telemetry.metrics import Metrics
board = Board(("web", "work"))
for _ in range(3):
    if not (pid := os.fork()):
        Metrics(board, "work").recipients_lost(7)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
print(Metrics(board, "web").totals()["amazonsender_recipients_total", ("unknown",)])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "21.0\n"
