"""Plans by the hour for their readers: the mean over all periods, and every hour by itself.

Costs are per provisioning period; `allocations` are those of the first hour, which a run begins with, and
`hours` has those of all.
"""

from __future__ import annotations

from math import fsum
from typing import Any

from emulator.build.futures import fresh_cost_of
from emulator.build.plan_report import fields
from emulator.build.problem import periods_by_hour, utc_hour_of
from emulator.build.setup import Setup
from global_manager.provisioning.hourly import HourlyPlan, hours_changed
from global_manager.provisioning.model import Termination

_WORST = (
    Termination.OPTIMAL,
    Termination.GAP_LIMIT,
    Termination.NOT_OPTIMIZED,
    Termination.WORK_LIMIT,
    Termination.TIME_LIMIT,
)


def hourly_fields(setup: Setup, plan: HourlyPlan) -> dict[str, Any]:
    """Return plans by the hour under the public names of one plan, and `hours`."""
    first = plan.plans[0]
    return fields(first) | {
        "termination": max((each.termination for each in plan.plans), key=_WORST.index).value,
        "objective": plan.objective,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "first_stage_cost": plan.mean(lambda each: each.first_stage_cost),
        "expected_recourse_cost": plan.mean(lambda each: each.expected_recourse_cost),
        "change_cost": plan.change_cost,
        "changes": plan.changes,
        "expected_shortfall_units": plan.mean(lambda each: each.expected_shortfall_units),
        "displaced_units": plan.mean(lambda each: each.displaced_units),
        "reserved_units": plan.mean(lambda each: sum(a.units for a in each.allocations)),
        "hours": _hours(setup, plan),
    }


def hourly_fresh(setup: Setup, plan: HourlyPlan) -> dict[str, Any]:
    """Return what plans by the hour cost on other futures, changes included; nothing if none were drawn."""
    if not all(problem.futures for problem in plan.hours.problems):
        return {}
    periods = periods_by_hour(setup)
    found = [
        fresh_cost_of(setup, problem, own, among)
        for problem, own, among in zip(plan.hours.problems, plan.plans, periods, strict=True)
    ]
    shares = [len(among) / len(plan.hours.hour_of) for among in periods]
    pairs = list(zip(shares, found, strict=True))
    error = fsum((share * each.standard_error) ** 2 for share, each in pairs) ** 0.5
    return {
        "fresh": {
            "futures": sum(each.futures for each in found),
            "cost": fsum(share * each.cost for share, each in pairs) + plan.change_cost,
            "standard_error": error,
            "shortfall_units": fsum(share * each.shortfall_units for share, each in pairs),
        }
    }


def _hours(setup: Setup, plan: HourlyPlan) -> list[dict[str, Any]]:
    rows = zip(periods_by_hour(setup), plan.plans, hours_changed(plan), strict=True)
    return [
        {
            "hour": utc_hour_of(setup, periods[0]),
            "periods": len(periods),
            "changed": count,
            **{name: value for name, value in fields(each).items() if name != "policy"},
        }
        for periods, each, count in rows
    ]
