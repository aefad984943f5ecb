"""Demand that shifts keeps its law: what applications draw, and what the manager expects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from emulator.build.assembly import assemble
from emulator.build.loading import ExperimentError, read
from emulator.build.manager_role import planner_of, scenarios_of_mean
from emulator.world.events import DemandShift
from global_manager.provisioning.demand import mean_units, poisson_scenarios
from global_manager.provisioning.model import Scenario

Write = Callable[..., Path]
LAWS: dict[str, dict[str, Any]] = {
    "poisson": {"poisson": {"mean_units": 2.0}},
    "negative-binomial": {"negative-binomial": {"mean_units": 2.0, "variance": 6.0}},
    "empirical": {"empirical": {"counts": {0: 30, 1: 10, 7: 10}}},
}


def shifted(write: Write, law: str, mean: float = 3.0, **changes: Any) -> tuple[Scenario, ...]:
    """Return the law from which applications draw after a shift."""
    event = {"kind": "demand-shift", "from_period": 4, "mean_units": mean}
    path = write(demand__distribution=LAWS[law], demand__scenarios=60, faults=[event], **changes)
    (shift,) = assemble(read(str(path))).world.schedule.of(DemandShift)
    return tuple(Scenario(*chance) for chance in shift.demand)


def dispersion(scenarios: Sequence[Scenario]) -> float:
    mean = mean_units(scenarios)
    return sum(s.probability * (s.units - mean) ** 2 for s in scenarios) / mean


def test_poisson_demand_stays_poisson(write_experiment: Write) -> None:
    assert shifted(write_experiment, "poisson") == poisson_scenarios(3.0, 60)


def test_negative_binomial_demand_stays_as_dispersed_as_its_law_says(
    write_experiment: Write,
) -> None:
    law = shifted(write_experiment, "negative-binomial")
    assert mean_units(law) == pytest.approx(3.0, rel=1e-6)
    assert dispersion(law) == pytest.approx(1 + (6.0 / 2.0 - 1) * 3.0 / 2.0, rel=1e-5)


def test_what_was_seen_as_it_was_is_stretched(write_experiment: Write) -> None:
    law = shifted(write_experiment, "empirical", mean=3.2)
    assert law == (Scenario(0, 0.6), Scenario(2, 0.2), Scenario(14, 0.2))


@pytest.mark.parametrize("law", LAWS)
def test_the_world_shifts_whole_laws_and_the_manager_expects_them_reduced(
    write_experiment: Write, law: str
) -> None:
    reduced = {"demand__distribution": LAWS[law], "demand__reduce_to": 3}
    setup = read(str(write_experiment(**reduced)))
    expected = planner_of(setup.experiment).expect(assemble(setup).problem, 2.5)
    assert len(expected.scenarios) <= 3
    assert shifted(write_experiment, law, demand__reduce_to=3) == shifted(write_experiment, law)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("count", [12, 60])
def test_the_manager_expects_the_mean_that_it_saw_by_the_law_that_it_knew(
    write_experiment: Write, law: str, count: int
) -> None:
    path = write_experiment(demand__distribution=LAWS[law], demand__scenarios=count)
    setup = read(str(path))
    problem = assemble(setup).problem
    expected = planner_of(setup.experiment).expect(problem, 2.5)
    assert mean_units(expected.scenarios) == pytest.approx(2.5, rel=1e-6)
    assert max(s.units for s in expected.scenarios) < count
    assert (dispersion(expected.scenarios) > 1.2) == (law != "poisson")


def test_a_mean_beyond_the_cut_is_expected_as_near_as_it_can_be(write_experiment: Write) -> None:
    experiment = read(
        str(write_experiment(demand__distribution={"empirical": {"counts": {2: 1}}}))
    ).experiment
    assert mean_units(scenarios_of_mean(experiment.demand, 50.0)) == pytest.approx(4.0)


def test_a_shift_that_the_law_cannot_follow_is_named(write_experiment: Write) -> None:
    event = {"kind": "demand-shift", "from_period": 4, "mean_units": 9.0}
    law = {"empirical": {"counts": {0: 9}}}
    with pytest.raises(ExperimentError, match=r"faults\.0\.mean_units: .* cannot have this mean"):
        read(str(write_experiment(demand__distribution=law, faults=[event])))
