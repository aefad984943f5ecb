"""What a plan's figures rest on: recomputed from the laws, and bounds that hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import exp, factorial
from pathlib import Path

import pytest

from emulator.build.loading import read
from emulator.build.plan_report import basis_of, sentences
from emulator.build.problem import problem_of
from global_manager.provisioning import evaluate, solve

Write = Callable[..., Path]


def test_what_is_cut_off_is_the_tail_of_the_law(write_experiment: Write) -> None:
    setup = read(str(write_experiment()))
    basis = basis_of(setup.experiment, problem_of(setup))
    kept = sum(exp(-1.5) * 1.5**k / factorial(k) for k in range(5))
    assert basis["tail_mass"] == pytest.approx(1 - kept)
    assert basis["scenarios"] == basis["reduced_from"] == 5
    assert basis["reduction_distance_units"] == basis["reduction_error"] == 0
    assert basis["law"] == {"poisson": {"mean_units": 1.5}}
    assert not [line for line in sentences(basis) if line.startswith("Reduced")]


@pytest.mark.parametrize("limits", [None, {"uav_units": 3}])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_plan_is_priced_more_wrongly_than_the_stated_error(
    write_experiment: Write, n: int, limits: dict[str, int] | None
) -> None:
    changes = {"limits": limits, "demand__correlated": True} if limits else {}
    whole = problem_of(read(str(write_experiment(**changes))))
    setup = read(str(write_experiment(demand__reduce_to=n, **changes)))
    reduced = problem_of(setup)
    error = basis_of(setup.experiment, reduced)["reduction_error"]
    assert error > 0
    for plan in (solve(whole), solve(reduced), solve(replace(reduced, fibers=()))):
        costs = (evaluate(problem, plan.allocations).total for problem in (whole, reduced))
        assert abs(next(costs) - next(costs)) <= error * (1 + 1e-9)  # it is attained


def test_a_history_is_named_with_how_good_its_fit_is(
    write_experiment: Write, tmp_path: Path
) -> None:
    (tmp_path / "past.csv").write_text("units\n" + "\n".join("0123" * 15))
    said = {}
    for fit in ("poisson", "empirical"):
        history = {"history": {"file": "past.csv", "fit": fit}}
        setup = read(str(write_experiment(demand__distribution=history)))
        basis = basis_of(setup.experiment, problem_of(setup))
        assert basis["fitted_from"]["periods"] == 60
        said[fit] = list(sentences(basis))[-1]
    assert said["poisson"].startswith("From past.csv, 60 periods: poisson by maximum likelihood")
    assert said["empirical"] == "From past.csv, 60 periods, as they were."
