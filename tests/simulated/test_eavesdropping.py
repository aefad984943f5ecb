"""Runs in which somebody listens: blocks are measured, discarded, told of, and gone round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from network import SimulatedNetwork, simulate

from controllers.key_store import name_keys
from emulator.build.assembly import Assembly
from emulator.build.loading import read
from emulator.results import ledger
from emulator.results.audit import audit
from emulator.results.ledger import Ledger
from protos.facts import Fact, FactKind
from protos.syntax import MediumCode

Write = Callable[..., Path]
RING = "source,target,length_km\nA,B,40\nB,C,40\nC,D,40\nD,A,40\n"


def _run(
    write_experiment: Write, tmp_path: Path, fraction: float, network: str = RING, **changes: Any
) -> tuple[Ledger, SimulatedNetwork, Assembly]:
    """Listen to A-B from 200 to 400 s, and let the first request go from A to B."""
    (tmp_path / "net.csv").write_text(network)
    faults: list[dict[str, Any]] = [
        {
            "kind": "eavesdropper",
            "link": ["A", "B"],
            "fraction": fraction,
            "at_s": 200,
            "until_s": 400,
        }
    ]
    path = write_experiment(
        network__topology="net.csv",
        demand__requests=[{"id": "r", "class": "avatar", "source": "A", "target": "B"}],
        demand__periods=30,
        satellite__probability=0.0,
        prices={"on_demand_transmitter": 60_000},
        faults=faults if fraction else [],
        **changes,
    )
    setup = read(str(path))
    simulated, assembly = simulate(setup)
    folder = tmp_path / f"run-{fraction}-{len(changes)}"
    simulated.write_journals(folder)
    assert audit(folder).ok
    book = ledger.read(
        folder,
        assembly.problem.requests,
        setup.experiment.clock.window_s,
        setup.experiment.demand.period_s,
    )
    return book, simulated, assembly


def _blocks(network: SimulatedNetwork, node: str, peer: str) -> Iterator[Fact]:
    for _, fact in network.facts[f"kme-{node}"]:
        if fact.kind is FactKind.GENERATED and fact.medium == "fiber" and fact.peer == peer:
            yield fact


def _notes(network: SimulatedNetwork, kind: FactKind) -> list[str]:
    return [fact.text for fact in network.all_facts() if fact.kind is kind]


def _qber(block: Fact) -> float:
    return float(block.text.split("qber ")[1].split(",")[0])


def test_traffic_goes_round_an_eavesdropper_and_comes_back(
    write_experiment: Write, tmp_path: Path
) -> None:
    book, network, _ = _run(write_experiment, tmp_path, 0.5)
    down, up = _notes(network, FactKind.LINK)
    assert down.startswith("down: qber 0.1")
    assert up == "up"
    assert _notes(network, FactKind.REPLANNED) == [
        "fiber A-B is down with too many errors",
        "fiber A-B is up",
    ]
    reserved = [f for f in network.all_facts() if f.kind is FactKind.RESERVED and f.units]
    assert [fact.cost / 5440 / fact.units for fact in reserved] == [1, 3, 1]
    costs = {row.period: row.reservation_cost for row in book.rows}
    assert costs[0] == costs[29] != costs[12]
    assert sum(row.shortfall_units for row in book.rows) == 0
    assert any(row.fiber_units for row in book.rows if row.period == 12)


@pytest.mark.parametrize("replan", [True, False])
def test_no_key_of_a_block_that_was_listened_to_is_ever_delivered(
    write_experiment: Write, tmp_path: Path, replan: bool
) -> None:
    slow = {"monitor_s": 60}  # so that blocks are ready before the controller looks
    changes = {"plan": {"replan": replan}, "fiber": slow}
    _, network, assembly = _run(write_experiment, tmp_path, 0.5, **changes)
    noisy = [block for block in _blocks(network, "A", "B") if block.text.endswith("discarded")]
    period_s = assembly.timeline.period_s
    assert len(noisy) >= (1 if replan else 9)
    for block in noisy:
        assert block.bits == 0
        assert _qber(block) > 0.11
        assert block.serial * period_s > 200
    lost = {
        key.id
        for block in noisy
        for material in [assembly.world.fresh("A", 0, block.serial, 64 * 32)]
        for key in name_keys(0, MediumCode.FIBER, block.serial, material, 32)
    }
    facts = (fact for fact in network.all_facts() if fact.kind is FactKind.DELIVERED)
    delivered = {name for fact in facts for name in fact.key_id.split()}
    assert delivered
    assert not delivered & lost
    used = {(f.serial, f.peer) for _, f in network.facts["kme-A"] if f.kind is FactKind.RELAYED}
    assert not {(block.serial, "B") for block in noisy} & used


def test_what_cannot_go_round_is_bought_until_the_eavesdropper_is_gone(
    write_experiment: Write, tmp_path: Path
) -> None:
    line = "source,target,length_km\nA,B,40\nB,C,40\n"
    book, network, _ = _run(write_experiment, tmp_path, 0.5, line)
    during = [row for row in book.rows if 10 <= row.period <= 15]
    assert sum(row.fiber_units for row in during) == 0
    assert sum(row.uav_units for row in during) > 0
    assert sum(row.fiber_units for row in book.rows if row.period > 22) > 0
    assert _notes(network, FactKind.LINK)[-1] == "up"


def test_below_the_limit_less_key_is_made_but_it_is_good(
    write_experiment: Write, tmp_path: Path
) -> None:
    book, network, assembly = _run(write_experiment, tmp_path, 0.08)
    alone, quiet, _ = _run(write_experiment, tmp_path, 0.0)
    rates = [
        assembly.world.sample(MediumCode.FIBER, "A", "B", at_s).skr_bps for at_s in (100, 300, 500)
    ]
    assert 0 < rates[1] < rates[0] == rates[2]
    assert _notes(network, FactKind.LINK) == []
    measured = [_qber(block) for block in _blocks(network, "A", "B")]
    assert max(measured) > 1.4 * max(_qber(block) for block in _blocks(quiet, "A", "B"))
    assert max(measured) < 0.11
    assert [row.fiber_units for row in book.rows] == [row.fiber_units for row in alone.rows]


def test_both_ends_measure_the_same_errors_and_blocks_differ(
    write_experiment: Write, tmp_path: Path
) -> None:
    _, network, _ = _run(write_experiment, tmp_path, 0.08)
    here, there = ([b.text for b in _blocks(network, *ends)] for ends in (("A", "B"), ("B", "A")))
    assert here == there
    assert len(set(here)) > 10
