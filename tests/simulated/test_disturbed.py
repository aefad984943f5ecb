"""A network that plans again while messages are lost and a node sleeps: the books agree all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from network import simulate

from emulator.build.loading import read
from emulator.chaos.actions import NETWORKS
from emulator.results.audit import audit

POWER = {"kind": "power-cut", "node": "12", "at_s": 380, "until_s": 440}
SLEEP = {"kind": "outage", "entity": "12", "at_s": 380, "until_s": 440}
CUT = {"kind": "fiber-cut", "link": ["11", "12"], "at_s": 370, "until_s": 460}
BAD = {
    "kind": "message-fault",
    "at_s": 360,
    "until_s": 600,
    "drop": 0.1,
    "duplicate": 0.1,
    "corrupt": 0.05,
    "delay_s": 3,
    "reorder": True,
}


@pytest.mark.parametrize("faults", [[POWER, BAD], [SLEEP, CUT, BAD]], ids=["power", "sleep"])
def test_reservations_moved_by_lost_and_late_messages_leave_no_key_behind(
    tmp_path: Path, faults: list[dict[str, Any]]
) -> None:
    fields = yaml.safe_load((NETWORKS / "country.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "country.yaml"
    path.write_text(yaml.safe_dump(fields | {"faults": faults}), encoding="utf-8")
    network, assembly = simulate(read(str(path)))
    network.write_journals(tmp_path / "run")
    found = audit(tmp_path / "run")
    assert found.ok
    assert found.half_made_bits < found.totals["generated_bits"] / 100
    assert network.window < assembly.timeline.end_s + 60
