"""Runs in which blocks of finite keys take several periods to fill.

The oracle does not know such links; what they must do is computed here from the lengths of blocks alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from network import SimulatedNetwork, simulate

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.build.manager_role import actors_of
from emulator.build.problem import problem_of
from emulator.build.quantum_links import link_fields
from emulator.build.setup import Setup
from emulator.environments.periods import PeriodWorld
from emulator.results import ledger
from emulator.results.audit import audit
from global_manager.provisioning import solve
from protos.core import key_manager_of
from protos.facts import Fact, FactKind, Shares

Write = Callable[..., Path]

LINKS = "source,target,length_km\nA,B,10\nB,C,20\n"
NEAR, FAR = 5, 7  # periods until the first block of each link is full
PERIODS = 24


def gathering(write_experiment: Write, tmp_path: Path, **changes: Any) -> Setup:
    """Three nodes in a row, with MDI relays whose links gather for five and seven periods."""
    (tmp_path / "row.csv").write_text(LINKS)
    fields: dict[str, Any] = {
        "network__topology": "row.csv",
        "demand__periods": PERIODS,
        "demand__period_s": 60,
        "demand__requests": [
            {"id": "near", "class": "avatar", "source": "A", "target": "B"},
            {"id": "far", "class": "avatar", "source": "C", "target": "A"},
        ],
        "fiber": {"repeaters": "untrusted", "block_bits": 2e7},
        "plan__replan": False,
        "faults": [],
    }
    return read(str(write_experiment(**(fields | changes))))


def made_units(network: SimulatedNetwork, node: str, peer: str, request: int) -> list[int]:
    """Units that a hop has for a reservation, by epoch."""
    return [
        bits // 256
        for _, fact in network.facts[key_manager_of(node)]
        if (fact.kind, fact.peer) == (FactKind.GENERATED, peer) and isinstance(fact.details, Shares)
        for number, bits in zip(fact.details.requests, fact.details.bits, strict=True)
        if number == request
    ]


def test_a_link_has_no_key_before_its_first_block_is_full_and_all_that_is_planned_afterwards(
    write_experiment: Write, tmp_path: Path
) -> None:
    setup = gathering(write_experiment, tmp_path)
    near, far = link_fields(setup)
    assert [near["first_key_s"], far["first_key_s"]] == [60 * NEAR, 60 * FAR]
    assert [ceil(row["block_s"] / 60) for row in (near, far)] == [NEAR, FAR]

    network, _ = simulate(setup)
    network.write_journals(tmp_path / "run")

    planned = {
        fact.request: fact.units for fact in network.all_facts() if fact.kind is FactKind.RESERVED
    }
    assert min(planned.values()) > 0
    for node, peer, request, first in (
        ("A", "B", 0, NEAR),
        ("B", "A", 1, NEAR),
        ("C", "B", 1, FAR),
    ):
        made = made_units(network, node, peer, request)
        assert made[: first - 1] == [0] * (first - 1)
        assert set(made[first - 1 : PERIODS]) == {planned[request]}
    assert audit(tmp_path / "run").ok


def test_the_audit_finds_key_that_no_full_block_has_brought(
    write_experiment: Write, tmp_path: Path
) -> None:
    network, _ = simulate(gathering(write_experiment, tmp_path))
    network.facts = {
        entity: list(map(_too_early, noted)) for entity, noted in network.facts.items()
    }
    network.write_journals(tmp_path / "run")

    result = audit(tmp_path / "run")

    assert result.early_bits > 0
    assert not result.ok


def _too_early(noted: tuple[int, Fact]) -> tuple[int, Fact]:
    """The same fact of blocks that were never full."""
    window, fact = noted
    if not isinstance(fact.details, Shares) or not fact.details.filled:
        return noted
    filled = (0.5,) * len(fact.details.filled)
    return window, fact._replace(details=replace(fact.details, filled=filled))


DISTURBED = [
    {"kind": "fiber-cut", "link": ["A", "B"], "at_s": 500, "until_s": 640},
    {"kind": "eavesdropper", "link": ["B", "C"], "fraction": 1.0, "at_s": 900, "until_s": 970},
]


@pytest.mark.parametrize("faults", [[], DISTURBED])
def test_environments_gather_as_runs_do(
    write_experiment: Write, tmp_path: Path, faults: list[dict[str, Any]]
) -> None:
    setup = gathering(write_experiment, tmp_path, faults=faults)
    network, assembly = simulate(setup)
    network.write_journals(tmp_path / "run")
    book = ledger.read(tmp_path / "run", assembly.problem.requests, 1.0, 60.0)
    world, plan = PeriodWorld(setup), solve(problem_of(setup))
    offers = [world.list_offers(at) for at in range(2)]

    played = [world.play(plan.allocations, offers) for _ in range(PERIODS)]

    served = {(row.period, row.request): row.fiber_units for row in book.rows}
    names = [request.id for request in assembly.problem.requests]
    assert sum(served.values()) > 0
    assert served == {
        (period, name): outcome.fiber[at]
        for period, outcome in enumerate(played)
        for at, name in enumerate(names)
    }


def test_a_cut_pauses_gathering_and_an_eavesdropper_has_it_begin_anew(
    write_experiment: Write, tmp_path: Path
) -> None:
    network, _ = simulate(gathering(write_experiment, tmp_path, faults=DISTURBED))
    network.write_journals(tmp_path / "run")

    near, far = (
        [number for number, units in enumerate(made, 1) if not units]
        for made in (made_units(network, "A", "B", 0), made_units(network, "C", "B", 1))
    )
    # Epochs 9 and 10 end in the cut; the block begun in epoch 6 goes on in 11 and is full in 12.
    assert near == [1, 2, 3, 4, 10, 11]
    # The third block of the far link is begun in epoch 15; the tap voids it until 17, and again it takes 7.
    assert far == [1, 2, 3, 4, 5, 6, 21, 22, 23]
    assert audit(tmp_path / "run").ok


@pytest.mark.parametrize("seed", range(3))
def test_late_repeated_and_lost_messages_leave_both_ends_with_the_same_blocks(
    write_experiment: Write, tmp_path: Path, seed: int
) -> None:
    setup = gathering(write_experiment, tmp_path, faults=DISTURBED)
    network, _ = simulate(setup, late=0.3, twice=0.3, lost=0.2, seed=seed)
    network.write_journals(tmp_path / "run")

    assert made_units(network, "A", "B", 0) == made_units(network, "B", "A", 0)
    assert made_units(network, "C", "B", 1) == made_units(network, "B", "C", 1)
    found = audit(tmp_path / "run")
    assert (found.ok, found.early_bits, found.mismatched_keys) == (True, 0, 0)


def test_a_crash_forgets_nothing_that_was_gathered(write_experiment: Write, tmp_path: Path) -> None:
    setup = gathering(write_experiment, tmp_path)
    steady, _ = simulate(setup)
    assembly = assemble(setup)
    roles = actors_of(setup.experiment, assembly).everybody
    crashed = SimulatedNetwork({role.entity: role.build() for role in roles}, 1.0)
    crashed.checkpoint("kme-B")
    for window in range(100, 1500, 100):
        crashed.run(window)
        crashed.crash("kme-B")
        crashed.checkpoint("kme-B")
    crashed.run(round(assembly.timeline.end_s))

    for peer, request in (("A", 0), ("A", 1), ("C", 1)):
        assert made_units(crashed, "B", peer, request) == made_units(steady, "B", peer, request)


@pytest.mark.parametrize(("cut_s", "moves"), [(300, True), (1200, False)])
def test_nothing_is_reserved_again_where_no_block_could_be_full_in_time(
    write_experiment: Write, tmp_path: Path, cut_s: int, moves: bool
) -> None:
    (tmp_path / "ring.csv").write_text(
        "source,target,length_km,kind\nA,B,10,trusted\nB,C,20,untrusted\nA,C,10,untrusted\n"
    )
    setup = gathering(
        write_experiment,
        tmp_path,
        network__topology="ring.csv",
        demand__requests=[{"id": "r", "class": "avatar", "source": "A", "target": "B"}],
        fiber={"block_bits": 2e7, "monitor_s": 1},
        faults=[{"kind": "fiber-cut", "link": ["A", "B"], "at_s": cut_s}],
        plan__replan=True,
        prices={"on_demand_satellite": 10**6, "on_demand_uav": 10**6},
    )
    network, _ = simulate(setup)
    network.write_journals(tmp_path / "run")

    made = made_units(network, "C", "B", 0)
    assert bool(made) == moves
    assert any(made) == moves
    assert audit(tmp_path / "run").ok
