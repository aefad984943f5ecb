"""What deploy/prometheus and deploy/alertmanager say is understood by the tools, and tested."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from live_network import LiveNetwork, within
from monitoring import DEPLOY, tool

from emulator.metrics import FAMILIES

pytestmark = pytest.mark.system
FILES = DEPLOY / "prometheus"
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"


def _ask(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool(command[0]), *command[1:]],
        cwd=FILES,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _alerts() -> list[dict[str, object]]:
    groups = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "config", "prometheus.yml"),
        ("promtool", "check", "rules", "recording.yml", "alerts.yml"),
        ("promtool", "test", "rules", "alerts.test.yml"),
        ("amtool", "check-config", "../alertmanager/alertmanager.yml"),
    ],
    ids=" ".join,
)
def test_the_tools_find_nothing_wrong(command: tuple[str, ...]) -> None:
    done = _ask(*command)
    assert done.returncode == 0, done.stdout + done.stderr


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


def test_rules_ask_only_for_metrics_that_there_are() -> None:
    known = {f"qsagin_{name}" for family in FAMILIES for name in family.series}
    for name in ("recording.yml", "alerts.yml"):
        asked = set(re.findall(r"\bqsagin_\w+", (FILES / name).read_text()))
        assert asked - known == set()


def test_promtool_has_no_complaint_but_that_key_is_in_bits(tmp_path: Path) -> None:
    """Bits are the unit of key, also in the names that others rely on; promtool would have bytes."""

    async def scrape() -> str:
        network = LiveNetwork(tmp_path, 2)
        await network.start()
        await network.run()
        for host in network.hosts.values():
            await host._reporter.report()
        text = network.exporter._text()
        await network.stop()
        return text

    done = _ask("promtool", "check", "metrics", text=within(60, scrape()))
    complaints = done.stderr.splitlines()
    in_bits = [f"qsagin_{family.name}" for family in FAMILIES if "_bits" in family.name]
    allowed = [f'{name} use base unit "bytes" instead of "bits"' for name in in_bits]
    assert sorted(complaints) == sorted(allowed)
