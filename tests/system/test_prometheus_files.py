"""What deploy/prometheus and deploy/alertmanager say is understood by their tools."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from live_network import LiveNetwork, within
from monitoring import DEPLOY, tool

from emulator.telemetry.metrics import FAMILIES

pytestmark = pytest.mark.system
FILES = DEPLOY / "prometheus"


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


def test_promtool_has_no_complaint_but_that_key_is_in_bits(tmp_path: Path) -> None:
    """Bits are the unit of key, also in the names that others rely on; promtool would have bytes."""

    async def scrape() -> str:
        network = LiveNetwork(tmp_path, 2)
        await network.start()
        await network.run()
        for host in network.hosts.values():
            await host._reporter.report()
        text = network.exporter._reports.text()
        await network.stop()
        return text

    done = _ask("promtool", "check", "metrics", text=within(60, scrape()))
    complaints = done.stderr.splitlines()
    in_bits = [f"qsagin_{family.name}" for family in FAMILIES if "_bits" in family.name]
    allowed = [f'{name} use base unit "bytes" instead of "bits"' for name in in_bits]
    assert sorted(complaints) == sorted(allowed)
