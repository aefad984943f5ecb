"""Demand that follows the hours of the day: what applications draw, and what the plan knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import fsum, sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from network import simulate

from emulator.build.assembly import assemble
from emulator.build.demand import plan_profile_of
from emulator.build.loading import ExperimentError, read
from emulator.build.plan_report import basis_of
from emulator.build.problem import problem_of
from emulator.config.demand import Distribution
from emulator.world.demand import DemandProfile, Law
from global_manager.provisioning import Scenario, solve
from global_manager.provisioning.check import evaluate
from protos.core import Timeline
from protos.facts import FactKind

Write = Callable[..., Path]
OFFICE = [0.0] * 7 + [0.5, 1.5, 2.0, 2.0, 1.5, 1.5, 2.0, 2.0, 1.5, 1.0] + [0.25] * 7
NIGHT = OFFICE[12:] + OFFICE[:12]
MODEL, AVATAR = 0, 1  # rows of laws, in the order in which the file has them: sorted here


def mean(law: Law) -> float:
    return fsum(units * probability for units, probability in law)


def variance(law: Law) -> float:
    return fsum(units**2 * probability for units, probability in law) - mean(law) ** 2


@pytest.fixture
def daily(write_experiment: Write) -> Write:
    """Write `tiny` over two days, its avatars busy by day, its AI models by night, all in UTC."""

    def write(**changes: Any) -> Path:
        days = {"periods": 48, "period_s": 3600, "hours": {"avatar": OFFICE, "ai-model": NIGHT}}
        own = {f"demand__{name}": value for name, value in days.items()}
        return write_experiment(**(own | {"clock__window_s": 60} | changes))

    return write


@given(
    factors=st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.5]), min_size=24, max_size=24),
    hour_at_0=st.floats(0, 23.99),
    period_s=st.sampled_from([900.0, 3600.0, 5000.0]),
    periods=st.integers(1, 60),
)
def test_the_marginal_is_the_mixture_of_what_applications_draw_from(
    factors: list[float], hour_at_0: float, period_s: float, periods: int
) -> None:
    base = Distribution.model_validate({"poisson": {"mean_units": 1.5}})
    laws = tuple(
        tuple((s.units, s.probability) for s in base.scaled(factor).scenarios(8))
        for factor in factors
    )
    profile, timeline = DemandProfile((laws,), ((0, hour_at_0),)), Timeline(77.0, period_s, periods)

    marginal = dict(profile.marginal(0, timeline) or ())

    hours = [int(hour_at_0 + timeline.begins_s(p) / 3600) % 24 for p in range(periods)]
    for units in range(8):
        drawn = fsum(dict(laws[hour]).get(units, 0.0) for hour in hours) / periods
        assert marginal.get(units, 0.0) == pytest.approx(drawn, abs=1e-12)
    assert fsum(marginal.values()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 3.0])
@pytest.mark.parametrize(
    "law",
    [{"poisson": {"mean_units": 2.0}}, {"negative-binomial": {"mean_units": 2.0, "variance": 5.0}}],
)
def test_a_factor_scales_the_mean_and_keeps_the_mixture_what_it_is(
    law: dict[str, Any], factor: float
) -> None:
    scaled = Distribution.model_validate(law).scaled(factor).scenarios(400)
    plain = tuple((s.units, s.probability) for s in scaled)

    excess = (
        3.0 if "negative-binomial" in law else 0.0
    )  # of the Gamma-distributed mean: its variance
    assert mean(plain) == pytest.approx(2.0 * factor)
    assert variance(plain) == pytest.approx(2.0 * factor + excess * factor**2, abs=1e-9)


def test_the_hour_is_that_of_the_sun_at_the_source(daily: Write) -> None:
    path = daily()
    (path.parent / "tiny.nodes.csv").write_text("node,lat,lon\nA,40,-90\nB,0,0\nC,40,135\n")
    setup = read(str(path))
    profile = assemble(setup).world.demand.profile
    assert profile is not None

    avatar_at_a, twin_at_b, model_at_c = profile.requests

    assert avatar_at_a == (AVATAR, 18.0)  # midnight UTC is six in the evening at 90 W,
    assert model_at_c == (MODEL, 9.0)  # and nine in the morning at 135 E
    assert twin_at_b is None
    noon_at_a_s = 18 * 3600.0
    assert profile.law(0, noon_at_a_s) == profile.laws[AVATAR][12]


def test_without_coordinates_the_hour_is_utc(daily: Write) -> None:
    profile = assemble(read(str(daily()))).world.demand.profile
    assert profile is not None
    assert profile.requests == ((AVATAR, 0.0), None, (MODEL, 0.0))


def test_what_the_plan_expects_is_the_mean_over_the_hours_whatever_is_reserved(
    daily: Write,
) -> None:
    setup = read(str(daily()))
    assembly = assemble(setup)
    problem, profile = assembly.problem, plan_profile_of(setup)
    assert profile is not None
    plan = solve(problem, gap=1e-6)
    assert sum(item.units for item in plan.allocations) > 0

    by_period = []
    for period in range(48):
        at_s = assembly.timeline.begins_s(period)
        then = replace(
            problem,
            requests=tuple(
                replace(item, scenarios=as_scenarios(profile.law(place, at_s)))
                for place, item in enumerate(problem.requests)
            ),
        )
        by_period.append(evaluate(then, plan.allocations).total)

    assert fsum(by_period) / 48 == pytest.approx(plan.objective, rel=1e-12)
    assert max(by_period) > 1.2 * min(by_period)


def as_scenarios(law: Law | None) -> tuple[Scenario, ...] | None:
    return law and tuple(Scenario(units, probability) for units, probability in law)


def test_a_run_demands_as_much_as_its_hours_say_within_sampling_error(daily: Write) -> None:
    setup = read(str(daily()))
    network, assembly = simulate(setup)
    world, timeline = assembly.world, assembly.timeline
    facts = [fact for fact in network.all_facts() if fact.kind is FactKind.DEMANDED]
    assert len(facts) == 3 * 48

    for request in (0, 2):
        assert world.demand.profile is not None
        drawn = sum(fact.units for fact in facts if fact.request == request)
        laws = [
            world.demand.profile.law(request, timeline.begins_s(period)) or ()
            for period in range(48)
        ]
        sigma = sqrt(fsum(map(variance, laws)))
        assert abs(drawn - fsum(map(mean, laws))) < 4 * sigma
        silent = [
            fact.units for fact in facts if fact.request == request and not mean(laws[fact.period])
        ]
        assert silent
        assert not any(silent)
    plan_mean = basis_of(setup.experiment, assembly.problem)["mean_units"]
    everything = sum(fact.units for fact in facts) / len(facts)
    assert everything == pytest.approx(plan_mean, rel=0.25)


def test_a_correlated_draw_is_one_quantile_of_every_law(daily: Write) -> None:
    world = assemble(read(str(daily(demand__correlated=True)))).world
    assert world.demand.profile is not None
    twin = replace(world.demand.profile, requests=((0, 0.0), (0, 0.0), (1, 0.0)))
    both = replace(world, demand=replace(world.demand, profile=twin))
    assert [both.demanded_units(0, p) for p in range(48)] == [
        both.demanded_units(1, p) for p in range(48)
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"demand__hours": {"avatar": OFFICE[:23]}}, "demand.hours.avatar: give 24 factors"),
        ({"demand__hours": {"avatar": [*OFFICE[:23], -1]}}, "demand.hours.avatar.23: "),
        ({"demand__hours": {"robot": OFFICE}}, "demand.hours.robot: no request is of this class"),
        (
            {"demand__distribution": {"empirical": {"counts": {1: 3}}}},
            "demand.hours: scale the mean",
        ),
        ({"demand__reduce_to": 3}, "demand.reduce_to: would reduce every hour's law apart"),
        ({"plan": {"look_every_periods": 4}}, "plan.look_every_periods: cannot tell a drift"),
        (
            {"faults": [{"kind": "demand-shift", "from_period": 3, "mean_units": 2.0}]},
            "faults.0: would replace the laws of all hours by one",
        ),
    ],
)
def test_what_does_not_go_with_hours_is_refused_in_one_line(
    daily: Write, changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(str(daily(**changes)))
    assert len(caught.value.mistakes) == 1, str(caught.value)
    assert f"{caught.value.mistakes[0].field}: {caught.value.mistakes[0].message}".startswith(fault)


def test_an_experiment_without_hours_is_planned_as_before(write_experiment: Write) -> None:
    problem = problem_of(read(str(write_experiment())))
    assert not problem.has_own_demands
