"""What a worker of pytest-xdist tells the process that shows the results."""

from __future__ import annotations

from typing import Any

import pytest

UNSEEN = {"logstart", "logfinish"}
"""Shown by none but `-v` without workers; who was at which test when it died is known without."""


def report_less(config: pytest.Config) -> None:
    """Of a test that passes the call alone: of seven messages a test, 2.6 ms of the processor, two
    are left besides. Not where all times are asked for (`--durations`)."""
    if config.getoption("durations") is not None:
        return
    for worker in config.pluginmanager.get_plugins():
        if type(worker).__name__ == "WorkerInteractor":  # of a module that has no name
            _leave_out(worker)


def _leave_out(worker: Any) -> None:
    send = worker.sendevent

    def sendevent(name: str, **facts: object) -> None:
        if name not in UNSEEN and not (name == "testreport" and _says_nothing(facts["data"])):
            send(name, **facts)

    worker.sendevent = sendevent


def _says_nothing(report: object) -> bool:
    """Arranging and clearing up that went well."""
    assert isinstance(report, dict)
    return bool(report["when"] != "call" and report["outcome"] == "passed")
