"""Runs over links with trusted repeaters, untrusted relays and quantum routers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from network import simulate

from emulator.build.loading import ExperimentError, read
from emulator.config.fiber import LinkKind
from emulator.results import ledger
from emulator.results.audit import audit
from emulator.results.links import alarms, with_blocks
from protos.core import KEY_MANAGER_PREFIX
from protos.facts import FactKind, LinkState
from protos.syntax import MediumCode

Write = Callable[..., Path]


@pytest.mark.parametrize("kind", ["trusted", "untrusted", "quantum-router"])
def test_a_link_is_one_hop_of_key_whatever_stands_on_it(
    write_experiment: Write, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "far.csv").write_text(f"source,target,length_km,kind\nA,B,120,{kind}\n")
    requests = [{"id": "r1", "class": "avatar", "source": "A", "target": "B"}]
    endless = {"untrusted": {"protocol": "mdi"}}
    path = write_experiment(network__topology="far.csv", demand__requests=requests, fiber=endless)
    setup = read(str(path))
    network, assembly = simulate(setup)
    network.write_journals(tmp_path / "run")
    book = ledger.read(
        tmp_path / "run",
        assembly.problem.requests,
        setup.experiment.clock.window_s,
        setup.experiment.demand.period_s,
    )
    assert sum(row.fiber_units for row in book.rows) > 0
    assert [name for name in network.cores if name.startswith(KEY_MANAGER_PREFIX)] == [
        "kme-A",
        "kme-B",
    ]
    facts = network.facts["kme-A"]
    bits = {
        kind: sum(fact.bits for _, fact in facts if fact.kind is kind)
        for kind in (FactKind.CREATED, FactKind.RELAYED)
    }
    assert bits[FactKind.RELAYED] == bits[FactKind.CREATED] > 0
    assert audit(tmp_path / "run").ok


def test_a_link_too_long_for_its_relay_carries_nothing_and_its_key_is_bought(
    write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "far.csv").write_text("source,target,length_km,kind\nA,B,120,\nB,C,500,untrusted\n")
    requests = [{"id": "r1", "class": "avatar", "source": "C", "target": "B"}]
    path = write_experiment(network__topology="far.csv", demand__requests=requests)
    setup = read(str(path))
    network, _ = simulate(setup)
    delivered = [f for f in network.all_facts() if f.kind is FactKind.DELIVERED]
    assert delivered
    assert "fiber" not in {fact.medium for fact in delivered}
    assert not [f for f in network.all_facts() if f.kind is FactKind.RESERVED]
    (down,) = [f for f in network.all_facts() if f.kind is FactKind.LINK]
    assert isinstance(down.details, LinkState)
    assert (down.details.link, down.text[:16]) == (("B", "C"), "down: qber 0.499")


def test_a_path_whose_second_hop_is_weaker_brings_what_that_can_carry(
    write_experiment: Write, tmp_path: Path
) -> None:
    dimmed = {"kind": "link-degraded", "link": ["B", "C"], "loss_db": 13, "at_s": 0}
    path = write_experiment(
        demand__requests=[{"id": "r1", "class": "avatar", "source": "A", "target": "C"}],
        satellite__probability=0.0,
        faults=[dimmed],
    )
    setup = read(str(path))
    network, assembly = simulate(setup)
    weak = assembly.world.sample(MediumCode.FIBER, "B", "C", 100.0).skr_bps
    (reserved,) = [f.units for f in network.all_facts() if f.kind is FactKind.RESERVED]
    key_bytes = setup.experiment.keys.unit_bits // 8
    carried = reserved * int(weak * setup.experiment.demand.period_s / 8) // key_bytes
    assert 0 < carried < reserved
    made = {
        end: [f.units for f in network.all_facts() if (f.kind, f.end) == (FactKind.CREATED, end)]
        for end in ("source", "target")
    }
    assert max(made["target"]) == carried < max(made["source"])
    network.write_journals(tmp_path / "run")
    result = audit(tmp_path / "run")
    assert result.ok
    assert result.totals["destroyed_bits"] > 0
    window_s, period_s = setup.experiment.clock.window_s, setup.experiment.demand.period_s
    book = ledger.read(tmp_path / "run", assembly.problem.requests, window_s, period_s)
    assert max(row.fiber_units for row in book.rows) >= carried
    assert sum(row.shortfall_units for row in book.rows) == 0


def test_the_city_uses_all_kinds_of_links_and_goes_round_its_eavesdropper(tmp_path: Path) -> None:
    setup = read("sagin-metro")
    fewer = {"avatar": 5, "digital-twin": 20, "ai-model": 25}
    demand = setup.experiment.demand.model_copy(update={"requests": fewer})
    experiment = setup.experiment.model_copy(update={"demand": demand})
    network, assembly = simulate(setup.with_experiment(experiment))
    network.write_journals(tmp_path / "run")
    assert audit(tmp_path / "run").ok
    links = with_blocks(tmp_path / "run", assembly.links)
    used = {kind: sum(row["blocks"] for row in links if row["kind"] == kind) for kind in LinkKind}
    assert min(used.values()) > 0
    noisy = [row for row in links if row["discarded_blocks"]]
    assert [row["link"] for row in noisy] == ["Hauptbahnhof-Landstrasse"]
    quiet = next(row for row in links if row["link"] == "Aspern-Erdberg")
    assert 1.5 * quiet["qber"] < quiet["measured_qber"] < setup.experiment.keys.qber_limit
    (alarm,) = alarms(tmp_path / "run", setup.experiment.clock.window_s)
    assert (alarm["link"], alarm["cleared_s"]) == ("Hauptbahnhof-Landstrasse", 2040)
    assert 1210 < alarm["raised_s"] <= 1210 + setup.experiment.fiber.monitor_s
    made = [
        window
        for window, fact in network.facts["kme-Landstrasse"]
        if fact.kind is FactKind.GENERATED and fact.peer == "Hauptbahnhof"
    ]
    gone = range(int(alarm["raised_s"]) + 5, int(alarm["cleared_s"]))
    assert not [window for window in made if window in gone]
    assert [window for window in made if window > alarm["cleared_s"]]


def test_an_operator_who_lights_classical_channels_takes_a_link_down_by_its_errors(
    write_experiment: Write,
) -> None:
    """10 dBm beside the quantum channel make noise of nearly every click; the controller tells the link."""
    lit = {"kind": "classical-power", "link": ["B", "C"], "launch_dbm": 10, "at_s": 0}
    network, assembly = simulate(read(str(write_experiment(faults=[lit]))))

    seen = assembly.world.sample(MediumCode.FIBER, "B", "C", 100.0)
    assert (seen.skr_bps, seen.qber > 0.4) == (0, True)
    assert assembly.world.sample(MediumCode.FIBER, "A", "B", 100.0).skr_bps > 0
    (down,) = [f for f in network.all_facts() if f.kind is FactKind.LINK]
    assert isinstance(down.details, LinkState)
    assert (down.details.link, down.text[:10]) == (("B", "C"), "down: qber")


def test_an_operator_cannot_light_the_fiber_of_routers(write_experiment: Write) -> None:
    lit = {"kind": "classical-power", "link": ["B", "C"], "launch_dbm": 10, "at_s": 0}
    path = write_experiment(faults=[lit], fiber={"repeaters": "quantum-router"})

    with pytest.raises(
        ExperimentError, match=r"faults\.0\.link.*cannot be lit with protocol router"
    ):
        read(str(path))
