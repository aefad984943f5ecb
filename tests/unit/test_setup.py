"""What follows from an experiment is computed once, and only if somebody asks for it."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.build import environment, fiber_faults, free_space, quantum_links
from emulator.build.assembly import assemble
from emulator.build.demand import requests_of, scenarios_of
from emulator.build.loading import read
from emulator.build.problem import problem_of, unused_of
from emulator.build.quantum_links import links_of
from emulator.build.setup import Setup, part
from protos.core import key_manager_of

DAY: dict[str, Any] = {
    "network__topology": "usnet",
    "demand__requests": {"avatar": 6},
    "demand__periods": 3,
    "demand__period_s": 60,
    "satellite__orbits": {"walker": {"satellites": 2, "planes": 1, "phasing": 0}},
    "uav__weather": {},
    "weather__replay": "weather.csv",
    "faults": [
        {"kind": "eavesdropper", "link": ["1", "2"], "fraction": 0.5, "at_s": 10},
        {"kind": "fog", "sites": ["1"], "at_s": 20, "until_s": 30},
    ],
}
BUILDERS = {
    environment: ("Sky", "read_recording"),
    quantum_links: ("equip",),
    free_space: ("contacts", "SatelliteLinks"),
    fiber_faults: ("Eavesdropper",),
}


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each builder has been called since the experiment was read."""
    calls = Counter[str]()

    def counted(name: str, build: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **named: Any) -> Any:
            calls[name] += 1
            return build(*words, **named)

        return call

    for module, names in BUILDERS.items():
        for name in names:
            monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    return calls


@pytest.fixture
def day(write_experiment: Callable[..., Path], tmp_path: Path) -> Setup:
    """An experiment with satellites, recorded weather and a schedule."""
    (tmp_path / "weather.csv").write_text("site,start_s,opaque\n1,0,0.5\n")
    return read(str(write_experiment(**DAY)))


def test_planning_and_assembling_compute_every_part_once(day: Setup, built: Counter[str]) -> None:
    day = Setup(day.experiment, day.topology)  # has computed nothing yet
    problem, unused = problem_of(day), unused_of(day)
    assembly = assemble(day)

    assert assembly.problem is problem
    assert assembly.links is links_of(day)
    assert unused_of(day) is unused
    assert built == {
        "equip": len(day.topology.links),
        "contacts": 1,
        "SatelliteLinks": 1,
        "Sky": 2,  # what happens, and what the plan foresees of it
        "read_recording": 1,
        "Eavesdropper": 1,
    }


def test_an_experiment_that_has_been_checked_is_not_looked_into_again(
    day: Setup, built: Counter[str]
) -> None:
    links_of(day)
    assemble(day)
    assert "read_recording" not in built
    assert "equip" not in built


def test_requests_cost_no_satellites_and_no_weather(day: Setup, built: Counter[str]) -> None:
    day = Setup(day.experiment, day.topology)
    assert len(requests_of(day)) == 6
    assert scenarios_of(day)
    assert not built


def test_another_experiment_on_the_same_network_shares_no_parts(day: Setup) -> None:
    before = requests_of(day)
    other = day.with_experiment(day.experiment.model_copy(update={"seed": 77}))

    assert requests_of(other) != before
    assert requests_of(day) is before


def test_a_setup_is_pickled_without_its_parts(day: Setup) -> None:
    fresh = Setup(day.experiment, day.topology)
    assemble(day)

    assert pickle.dumps(day) == pickle.dumps(fresh)
    assert pickle.loads(pickle.dumps(day)) == day


def test_a_part_that_is_nothing_is_remembered_too(day: Setup) -> None:
    asked = []

    @part
    def nothing(_setup: Setup) -> None:
        asked.append(1)

    nothing(day)
    nothing(day)
    assert asked == [1]


@pytest.mark.parametrize("names", [("A", "B", "C"), ("z", "m", "a"), ("10", "9", "x/y")])
def test_renaming_nodes_changes_nothing_but_names(
    write_experiment: Callable[..., Path], tmp_path: Path, names: tuple[str, str, str]
) -> None:
    kinds = ["fiber-cut", "power-cut", "outage", "eavesdropper"]
    path = write_experiment(
        network__topology="renamed.csv",
        demand__requests={"avatar": 5, "robot": 4},
        demand__correlated=False,
        satellite__probability=0.5,
        limits={"satellite_units": 2, "uav_units": 3},
        demand__shortfall_cost=90_000,
        faults=[{"kind": "random", "count": 12, "kinds": kinds}],
    )

    def told(*wanted: str) -> str:
        """Return what planner and world are told, with nodes by number."""
        a, b, c = wanted
        text = f"source,target,length_km\n{a},{b},80\n{b},{c},120\n{a},{c},90\n"
        (tmp_path / "renamed.csv").write_text(text)
        setup = read(str(path))
        assembly = assemble(setup)
        problem, events = assembly.problem, assembly.world.schedule
        assert problem.futures
        words = repr((problem, assembly.flights, assembly.world.fibers, events))
        words += repr([(item.node, item.applications) for item in assembly.key_managers])
        for number, name in enumerate(wanted, 1):
            words = words.replace(f"'{key_manager_of(name)}'", f"<kme {number}>")
            words = words.replace(f"'{name}'", f"<{number}>")
        return words

    assert told(*names) == told("P", "Q", "R")
