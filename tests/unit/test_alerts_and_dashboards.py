"""Alerts, runbook and dashboards fit together, and ask only for metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from emulator.telemetry.metrics import FAMILIES

ROOT = Path(__file__).parents[2]
FILES = ROOT / "deploy" / "prometheus"
RUNBOOK = ROOT / "docs" / "runbook.md"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
METRICS = {f"qsagin_{name}" for family in FAMILIES for name in family.series}


def _alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load((FILES / "alerts.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {alert["alert"] for alert in _alerts()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


def test_every_alert_says_what_it_is_and_where_the_runbook_tells_what_to_do() -> None:
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    assert sorted(headings) == sorted(str(alert["alert"]) for alert in _alerts())
    for alert in _alerts():
        notes = alert["annotations"]
        assert isinstance(notes, dict)
        assert notes.keys() == {"summary", "description", "runbook"}
        assert notes["runbook"] == f"docs/runbook.md#{str(alert['alert']).lower()}"


def _asked(text: str) -> set[str]:
    return set(re.findall(r"\bqsagin(?:_|:)[\w:]+", text))


def _recorded() -> set[str]:
    groups = yaml.safe_load((FILES / "recording.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def test_rules_ask_only_for_what_there_is() -> None:
    for name in ("recording.yml", "alerts.yml"):
        assert _asked((FILES / name).read_text()) - METRICS - _recorded() == set()


def test_dashboards_ask_only_for_what_there_is() -> None:
    pages = [json.loads(path.read_text()) for path in DASHBOARDS.glob("*.json")]
    panels = [panel for page in pages for panel in page["panels"] if panel["type"] != "row"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    asked += [mark["expr"] for page in pages for mark in page["annotations"]["list"]]
    assert len(pages) == 7
    assert set().union(*map(_asked, asked)) - METRICS - _recorded() == set()


def test_every_recorded_rule_is_asked_for() -> None:
    texts = [path.read_text() for path in (*DASHBOARDS.glob("*.json"), FILES / "alerts.yml")]
    rules = (FILES / "recording.yml").read_text()
    used = {name for name in _recorded() if any(name in text for text in texts)}
    assert {name for name in _recorded() - used if rules.count(name) < 2} == set()


def test_every_metric_is_in_a_rule_or_on_a_dashboard() -> None:
    paths = (*DASHBOARDS.glob("*.json"), *FILES.glob("*.yml"))
    asked = set().union(*(_asked(path.read_text()) for path in paths))
    for family in FAMILIES:
        assert {f"qsagin_{name}" for name in family.series} & asked, family.name
