"""Laws of demand that are known only nearly (`plan.risk`: wasserstein): what is planned and told."""

from __future__ import annotations

from typing import Any

from emulator.build.plan_report import risk_of
from emulator.build.setup import Setup
from emulator.config.experiment import Experiment
from emulator.config.risk import WassersteinOptions
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import Ball, Plan, Problem
from global_manager.provisioning.robust import planned_demand


def ball_of(experiment: Experiment, application: str) -> Ball | None:
    """Return the laws of demand that a class may have; None if its law is certain."""
    wanted = experiment.plan.risk
    if not isinstance(wanted, WassersteinOptions):
        return None
    radius_units = wanted.radius(application)
    if radius_units is None:
        return None
    return Ball(radius_units, wanted.largest(experiment.demand.scenarios))


def worst_case_fields(setup: Setup, problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return mean and worst case of what a period costs under a plan, and each class's laws.

    Nothing if no ball of laws is asked for.
    """
    if not isinstance(setup.experiment.plan.risk, WassersteinOptions):
        return {}
    own = {
        "mean": plan.expected_cost,
        "worst_case": plan.objective,
        "classes": _by_class(problem),
    }
    return {"risk": (risk_of(setup.experiment) or {}) | own}


def _by_class(problem: Problem) -> list[dict[str, Any]]:
    """Return radius and mean demand, as given and at worst, by class; requests of a class count alike."""
    rows = []
    for name in dict.fromkeys(item.application for item in problem.requests):
        own = [item for item in problem.requests if item.application == name]
        given, worst = (
            sum(mean_units(law) for law in laws) / len(own)
            for laws in (
                [problem.demand_of(item) for item in own],
                [planned_demand(problem, item) for item in own],
            )
        )
        radius = own[0].ball.radius_units if own[0].ball else None
        rows.append(
            {"class": name, "requests": len(own), "radius_units": radius}
            | {"mean_units": given, "worst_case_mean_units": worst}
        )
    return rows
