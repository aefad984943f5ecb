"""Whose law demand follows, and how far requests share their draws; futures and traces that users bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from math import sqrt
from pathlib import Path
from statistics import correlation, fmean

import pytest

from emulator.build.assembly import assemble
from emulator.build.loading import ExperimentError, read, write
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.world.demand import mixed
from global_manager.provisioning import solve
from global_manager.provisioning.check import evaluate
from global_manager.provisioning.model import Policy

Write = Callable[..., Path]
PERIODS = 4_000


def drawn(setup: Setup, periods: int = PERIODS) -> list[list[int]]:
    """Return what the requests of `tiny` need, by request and period."""
    world = assemble(setup).world
    return [[world.demanded_units(r, p) for p in range(periods)] for r in range(3)]


def saved(path: Path, text: str) -> str:
    """Write a file beside the experiment; return its name."""
    path.write_text(text)
    return path.name


def test_each_class_has_its_own_law_in_plan_and_world(write_experiment: Write) -> None:
    laws = {"avatar": {"poisson": {"mean_units": 3}}, "ai-model": {"empirical": {"counts": {2: 1}}}}
    setup = read(str(write_experiment(demand__laws=laws, demand__scenarios=12)))

    avatar, twin, model = drawn(setup)
    planned = [
        sum(s.units * s.probability for s in problem_of(setup).demand_of(request))
        for request in problem_of(setup).requests
    ]

    assert set(model) == {2}
    assert fmean(avatar) == pytest.approx(3, abs=5 * sqrt(3 / PERIODS))
    assert fmean(twin) == pytest.approx(1.5, abs=5 * sqrt(1.5 / PERIODS))
    assert planned == pytest.approx([3, 1.5, 2], abs=1e-3)


def test_what_the_plan_cuts_off_happens_in_the_world(write_experiment: Write) -> None:
    law = {"poisson": {"mean_units": 3}}
    setup = read(str(write_experiment(demand__distribution=law, demand__scenarios=4)))

    seen = Counter(units for units in drawn(setup)[0] if units >= 4)

    assert max(s.units for s in problem_of(setup).scenarios) == 3
    assert seen[4] / PERIODS == pytest.approx(0.168, abs=0.03)
    assert max(seen) > 7


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8, 1.0])
def test_requests_share_their_draws_as_far_as_stated(write_experiment: Write, rho: float) -> None:
    law = {"poisson": {"mean_units": 40}}  # so many units that counts are nearly normal
    changes = {"demand__distribution": law, "demand__scenarios": 80, "demand__correlated": rho}
    setup = read(str(write_experiment(**changes)))

    units = drawn(setup)

    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert correlation(units[one], units[other]) == pytest.approx(rho, abs=0.07)
    for each in units:
        assert fmean(each) == pytest.approx(40, abs=5 * sqrt(40 / PERIODS))


@pytest.mark.parametrize(("common", "own"), list(product([0.0, 0.2, 0.9, 1.0], repeat=2)))
def test_a_mixture_of_draws_is_one_of_them_at_either_end(common: float, own: float) -> None:
    assert mixed(common, own, 1.0) == pytest.approx(common, abs=1e-9)
    assert mixed(common, own, 0.0) == pytest.approx(own, abs=1e-9)


@pytest.mark.parametrize("rho", [0.5, True])
def test_the_futures_of_a_plan_share_draws_as_the_world_does(
    write_experiment: Write, rho: float
) -> None:
    changes = {"demand__correlated": rho, "limits": {"uav_units": 2, "futures": 2_000}}
    sky = {"satellite__sky": "each-pair", "demand__distribution": {"poisson": {"mean_units": 4}}}
    setup = read(str(write_experiment(demand__scenarios=14, **changes, **sky)))
    units = drawn(setup)

    planned = list(zip(*(future.units for future in problem_of(setup).futures), strict=True))

    seen, expected = (correlation(rows[0], rows[2]) for rows in (units, planned))
    assert seen == pytest.approx(expected, abs=0.07)


JOINT = """scenario,probability,request,units
quiet,0.75,r1,0
quiet,0.75,r2,1
quiet,0.75,r3,0
busy,0.25,r1,4
busy,0.25,r2,1
busy,0.25,r3,6
"""


def test_joint_futures_are_drawn_whole_and_planned_for(write_experiment: Write) -> None:
    path = write_experiment(demand__joint="futures.csv", limits={"uav_units": 3})
    saved(path.parent / "futures.csv", JOINT)
    setup = read(str(path))

    seen = Counter(zip(*drawn(setup), strict=True))
    problem = problem_of(setup)

    assert set(seen) == {(0, 1, 0), (4, 1, 6)}
    assert seen[4, 1, 6] / PERIODS == pytest.approx(0.25, abs=0.03)
    assert {future.units for future in problem.futures} == set(seen)
    busy = sum(future.probability for future in problem.futures if future.units[0] == 4)
    assert busy == pytest.approx(0.25, abs=0.02)
    assert [max(s.units for s in problem.demand_of(r)) for r in problem.requests] == [4, 1, 6]
    stochastic, nothing = (
        evaluate(problem, solve(problem, policy).allocations)
        for policy in (Policy.STOCHASTIC, Policy.NONE)
    )
    assert stochastic.total < nothing.total


TRACE = "period,class,units\n" + "".join(
    f"{period},{kind},{period * factor % 7}\n"
    for period in range(12)
    for kind, factor in (("avatar", 1), ("digital-twin", 2), ("ai-model", 3))
)


def test_a_trace_is_replayed_and_unknown_to_the_plan(
    write_experiment: Write, tmp_path: Path
) -> None:
    path = write_experiment(demand__trace="seen.csv")
    saved(path.parent / "seen.csv", TRACE)
    setup, plain = read(str(path)), read(str(write_experiment(demand__trace=None)))

    assert drawn(setup, 12) == [[p * factor % 7 for p in range(12)] for factor in (1, 2, 3)]
    assert problem_of(setup) == problem_of(plain)

    folder = tmp_path / "written"
    folder.mkdir()
    again = read(str(write(setup, folder)))
    (path.parent / "seen.csv").unlink()
    assert drawn(again, 12) == drawn(setup, 12)


@pytest.mark.parametrize(
    ("field", "text", "fault"),
    [
        ("joint", "", "header: must be scenario, probability, request or class, and units"),
        ("joint", "scenario,probability,units\n", "header: must be"),
        ("joint", "scenario,probability,request,class,units\n", "header: must be"),
        ("joint", "scenario,probability,request,units\n", "rows: there are none"),
        ("joint", JOINT.replace("0.25", "0.3"), "probability: of all scenarios add up to 1.05"),
        ("joint", JOINT.replace("busy,0.25,r3", "busy,0.2,r3"), "row 7, probability: differs"),
        (
            "joint",
            JOINT.replace("busy,0.25,r3,6\n", ""),
            "scenario busy: says nothing of request r3",
        ),
        ("joint", JOINT.replace("r3,6", "r9,6"), "row 7, request: no request 'r9'"),
        ("joint", JOINT.replace("r3,6", "r3,1.5"), "row 7, units: '1.5' are no whole units"),
        ("joint", JOINT + "busy,0.25,r3,6\n", "row 8: says again"),
        ("joint", JOINT + "busy,0.25\n", "row 8: has 2 values for 4 columns"),
        ("trace", TRACE.replace("11,avatar,4\n", ""), "period 11: says nothing of request r1"),
        (
            "trace",
            TRACE[: TRACE.index("7,avatar")],
            "period: there is no period 7; set demand.periods",
        ),
        ("trace", TRACE.replace("\n3,", "\n3.5,"), "no period; write 0, 1, 2"),
        ("trace", TRACE.replace("\n3,", "\n-3,"), "no period; write 0, 1, 2"),
    ],
)
def test_a_file_of_demand_that_is_wrong_is_named_with_row_and_remedy(
    write_experiment: Write, field: str, text: str, fault: str
) -> None:
    path = write_experiment(**{f"demand__{field}": "demand.csv"})
    saved(path.parent / "demand.csv", text)

    with pytest.raises(ExperimentError) as caught:
        read(str(path))

    assert f"demand.{field}: demand.csv: " in str(caught.value)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"demand__trace": "none.csv"}, "demand.trace: none.csv: file: cannot be read"),
        (
            {"demand__laws": {"nobody": {"poisson": {"mean_units": 1}}}},
            "demand.laws.nobody: no request",
        ),
        (
            {"demand__correlated": 1.5},
            "demand.correlated: must be true, false, or a number from 0 to 1",
        ),
        (
            {
                "demand__laws": {"avatar": {"poisson": {"mean_units": 1}}},
                "plan__look_every_periods": 2,
            },
            "plan.look_every_periods: knows one law for all requests",
        ),
        (
            {
                "demand__laws": {"avatar": {"poisson": {"mean_units": 1}}},
                "faults": [{"kind": "demand-shift", "from_period": 3, "mean_units": 2.0}],
            },
            "faults.0: would replace the laws of all classes by one law",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    write_experiment: Write, changes: dict[str, object], fault: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(str(write_experiment(**changes)))

    assert fault in str(caught.value)
