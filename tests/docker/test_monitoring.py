"""docker/monitoring: the rules hold; they and the dashboard name only metrics and states that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from service.observability.metrics import Metrics
from service.records.jobs import JobState
from tests.docker.named import DOCKER, ROOT, SETTINGS

FOLDER = DOCKER / "monitoring"
RULES = (FOLDER / "rules.yaml").read_text("utf-8")
DASHBOARD = (FOLDER / "dashboard.json").read_text("utf-8")
ALERTS = ROOT / "tests" / "docker" / "alerts.yaml"
SUFFIXES = {
    "counter": ["_total"],
    "histogram": ["_bucket", "_sum", "_count"],
    "gauge": [""],
    "info": ["_info"],
}
OTHERS = {"up"}
"""What Prometheus itself adds."""


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD)["panels"]
    return found


def expressions() -> list[str]:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + shown


def exposed() -> Iterator[str]:
    """The names of all samples that a process can have."""
    for metric in Metrics().registry.collect():
        yield from (metric.name + suffix for suffix in SUFFIXES[metric.type])


def test_every_metric_is_one_that_there_is() -> None:
    ours = {*exposed(), *OTHERS, *(rule["record"] for rule in rules() if "record" in rule)}
    named = set(re.findall(r"\b(?:turnwise|process)[:_][\w:]+|\bup\b", "\n".join(expressions())))
    assert "turnwise_jobs" in named
    assert named <= ours


def test_every_state_is_one_that_there_is() -> None:
    matched = re.findall(r'\bstate=~?"([^"]*)"', "\n".join(expressions()))
    assert {state for states in matched for state in states.split("|")} <= {*JobState}


def test_every_alert_says_what_to_do_and_is_seen_to_fire() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert all({"summary", "description"} == rule["annotations"].keys() for rule in alerts)
    assert {rule["labels"]["severity"] for rule in alerts} == {"critical", "warning"}
    fired = set(re.findall(r'alertname="(\w+)"', ALERTS.read_text("utf-8")))
    assert fired == {rule["alert"] for rule in alerts}


def test_settings_are_real() -> None:
    assert set(re.findall(r"\bTURNWISE_\w+", RULES + DASHBOARD)) <= SETTINGS


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here (Debian: prometheus)")
@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", FOLDER / "prometheus.yaml"),
        ("check", "rules", FOLDER / "rules.yaml"),
        ("test", "rules", ALERTS),
    ],
    ids=str,
)
def test_prometheus_takes_them(words: tuple[object, ...]) -> None:
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_two_panels_lie_on_one_another() -> None:
    taken = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels())
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in panels()}) == len(panels())
