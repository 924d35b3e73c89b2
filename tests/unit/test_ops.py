"""`ops/`: rules and dashboard ask for what the program shows, and their own tools take them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from app.store import Store
from app.telemetry.counts import Board
from app.telemetry.database_gauges import DatabaseGauges
from app.telemetry.metrics import Metrics

ROOT = Path(__file__).parent.parent.parent
OPS = ROOT / "ops"
DASHBOARD = json.loads((OPS / "grafana-dashboard.json").read_text("utf-8"))

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs Debian's package prometheus"
)

SNAPSHOT = {
    "queued": 1,
    "unknown": 0,
    "senders": 1,
    "notion_oldest_due_seconds": 0,
    "hooks": {"waiting": 0, "dead": 0, "failing": 0, "ended": 0, "oldest_seconds": 0},
    "mailouts": {"sending": 1},
    "paused": {},
    "fallback": None,
    "paces": [{"region": "us-east-1", "provider": "Gmail", "rate": 2.5}],
    "warmups": [{"region": "us-east-1", "cap": 50, "used": 7, "day": 1}],
    "regions": [
        {
            "region": "us-east-1",
            "rate": 12.6,
            "tokens": 12,
            "max_rate": 14,
            "quota": -1,
            "quota_used": 0,
            "sending_enabled": True,
            "enforcement_status": "HEALTHY",
            "checked_at": 1_769_850_000,
            "breaker_open": False,
        }
    ],
}


class Answering(Store):
    """A database that always says the same."""

    def __init__(self) -> None:
        pass

    async def metrics_snapshot(self) -> dict[str, Any]:
        return SNAPSHOT

    async def watchdog_figures(self, patience_seconds: float) -> dict[str, Any]:
        return {
            "silent": 0, "silent_mailouts": [], "silent_regions": [], "unopened_mailouts": [],
            "unasked": {"events": 0, "mailout_id": None},
            "unmatched": 0, "refused": {}, "suppression": [],
        }  # fmt: skip

    async def standing_alarms(self) -> dict[str, Any]:
        return {"looked_at": 1_769_850_000, "alarms": []}

    async def provider_figures(self, windows: Sequence[int], days: int) -> dict[str, Any]:
        counts = {"delivered": 1_000, "bounced": 1, "soft_bounced": 0, "suppressed": 0,
                  "complained": 1, "delayed": 0}  # fmt: skip
        row = {"window": 7, "provider": "Yahoo and AOL"} | counts
        return {"windows": [row], "days": [], "complained": ["Yahoo and AOL"]}


@pytest.fixture
async def shown() -> set[str]:
    """The names of all samples that a service shows."""
    metrics = Metrics(Board(("web", "work")), "work", ["us-east-1"])
    metrics.breaker_is("closed")
    await DatabaseGauges(Answering(), metrics).refresh()
    return {name for name, _ in metrics.totals()}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((OPS / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def dashboard_expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:job:)?amazonsender_\w+(?::\w+)?", expression))


def test_rules_and_dashboard_ask_for_nothing_that_is_not_there(shown: set[str]) -> None:
    expressions = [*(rule["expr"] for rule in rules()), *dashboard_expressions()]
    asked = set().union(*map(metrics_in, expressions))
    assert len(asked) > 20
    assert asked <= shown | recorded()


def test_every_metric_of_the_program_is_looked_at_and_written_about(shown: set[str]) -> None:
    """What nobody looks at need not be counted."""
    text = " ".join([*(rule["expr"] for rule in rules()), *dashboard_expressions()])
    document = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    for name in families:
        if not name.startswith("amazonsender_"):
            continue
        assert f"`{name}" in document, name
        if name not in {
            "amazonsender_build_info",  # for queries of one's own
            "amazonsender_ses_max_rate_recipients_per_second",
        }:
            assert name in text, name


def test_each_alert_says_what_to_do_and_stands_in_the_handbook() -> None:
    document = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    for alert in alerts():
        assert set(alert["annotations"]) == {"summary", "description"}
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert f"| `{alert['alert']}` |" in document


def test_each_alert_has_a_test_that_fires_it() -> None:
    tests = yaml.safe_load((OPS / "alerts_test.yml").read_text("utf-8"))["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {alert["alert"] for alert in alerts()}


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        ["check", "rules", "alerts.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_takes_the_rules(command: list[str]) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=OPS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_can_read_each_expression_of_the_dashboard(tmp_path: Path) -> None:
    """As recording rules, with Grafana's variables filled in."""
    known = {"$__rate_interval": "1m", "$job": "amazonsender"}
    filled = []
    for number, expression in enumerate(dashboard_expressions()):
        for variable, value in known.items():
            expression = expression.replace(variable, value)
        filled.append({"record": f"panel:expression:{number}", "expr": expression})
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": filled}]}), "utf-8")
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_can_be_imported_anywhere() -> None:
    """Its data source is a variable, each panel has a number of its own, none covers another."""
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {
        "datasource",
        "job",
    }
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) == 23
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_files_are_tidy() -> None:
    yamllint = Path(sys.executable).parent / "yamllint"
    subprocess.run([yamllint, "--strict", "ops"], cwd=ROOT, check=True)
