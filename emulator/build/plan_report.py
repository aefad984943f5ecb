"""A plan for its readers: as a JSON document, and on what its figures rest.

The *basis* tells how demand became scenarios, and what that lost; it follows from the experiment and its
problem, and depends on no plan or run.  `qsagin plan` and a run's plan.json have the same document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import fsum
from pathlib import Path
from statistics import fmean
from typing import Any

from emulator.build.demand_process import drawn_factors, tail_mass
from emulator.build.skies import grounded_share
from emulator.config.demand import Demand
from emulator.config.experiment import Experiment
from emulator.config.risk import WassersteinOptions
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.model import OwnPolicy, Plan, Policy, Problem
from global_manager.provisioning.own_policy import PolicyError, source_of
from global_manager.provisioning.recourse import expected_unit_cost
from global_manager.provisioning.scenario_reduction import wasserstein_units
from global_manager.provisioning.sensitivities import sensitivities
from global_manager.provisioning.shared_recourse import has_pools
from protos.facts import label_of


def policy_source(policy: Policy | OwnPolicy) -> dict[str, Any]:
    """Return where a policy of one's own comes from; nothing for one that is built in."""
    if not isinstance(policy, OwnPolicy):
        return {}
    try:
        return {"policy_source": asdict(source_of(policy))}
    except PolicyError as error:
        return {"policy_source": {"problem": error.reason}}


def fields(plan: Plan) -> dict[str, Any]:
    """Return the plan's fields under their public names."""
    return {
        "policy": plan.policy.value,
        **policy_source(plan.policy),
        "termination": plan.termination.value,
        "objective": plan.objective,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        **_beside(plan),
        "first_stage_cost": plan.first_stage_cost,
        "expected_recourse_cost": plan.expected_recourse_cost,
        "expected_shortfall_units": plan.expected_shortfall_units,
        "unplaced_units": sum(
            item.units - len(item.wavelengths) * item.units_per_wavelength
            for item in plan.allocations
        ),
        "displaced_units": plan.displaced_units,
        "reserved_units": sum(item.units for item in plan.allocations),
        "allocations": [
            {
                "request": item.request,
                "source": item.source,
                "target": item.target,
                "path": list(item.path),
                "wavelengths": list(item.wavelengths),
                "units": item.units,
            }
            for item in plan.allocations
        ],
    }


def expected_cost(document: Mapping[str, Any]) -> float:
    """Return the mean cost of a period by a plan's document; with a risk the objective is another."""
    return float(document.get("expected_cost", document["objective"]))


def _beside(plan: Plan) -> dict[str, float]:
    """Return the mean cost of a period where the objective is another, and what that is made of."""
    if plan.cvar is not None:
        return {"expected_cost": plan.expected_cost, "cvar": plan.cvar}
    if plan.worst_case_cost is not None:
        lacks = {"lacking_units": plan.lacking_units} if plan.lacking_units else {}
        return {
            "expected_cost": plan.expected_cost,
            "worst_case_cost": plan.worst_case_cost,
            **lacks,
        }
    if plan.lacking_units:
        return {"expected_cost": plan.expected_cost, "lacking_units": plan.lacking_units}
    return {}


def document(plan: Plan) -> str:
    """Return the plan as JSON text; equal plans give equal text."""
    return json.dumps(fields(plan), sort_keys=True)


def basis_of(experiment: Experiment, problem: Problem) -> dict[str, Any]:
    """Return what a reader must know to trust a plan for this problem.

    `mean_units` is the mean over requests; `tail_mass` the chance of more demand than any scenario has, at
    the busiest hour of the busiest class; `reduction_error` bounds, in monetary units per period, by how
    much the expected cost of any plan is wrong because scenarios were reduced; `satellites` says where
    the mean `satellite_probability`, that an order is served from orbit, comes from; `uavs_grounded` is the
    mean share of periods at whose start no UAV flies.
    """
    demand, orbits = experiment.demand, experiment.satellite.orbits
    law = demand.distribution.model_dump(by_alias=True, exclude_none=True)
    source = law.pop("fitted_from", None)
    factors = drawn_factors(experiment)
    whole = (  # reduced only where there is neither a process nor a forecast
        problem.scenarios
        if factors or demand.forecast
        else demand.distribution.scenarios(demand.scenarios)
    )
    keys = experiment.keys
    kept = demand.kept(whole) if keys.matters_to_plan else problem.scenarios
    moved_units = wasserstein_units(whole, kept)
    return {
        "seed": experiment.seed,
        "law": law,
        "fitted_from": source,
        "correlated": demand.correlation,
        "laws": {
            kind: own.model_dump(by_alias=True, exclude_none=True)
            for kind, own in demand.laws.items()
        },
        "joint": demand.joint and Path(demand.joint).name,
        "trace": demand.trace and Path(demand.trace).name,
        "scenarios": len(kept),
        "store_units": 0 if keys.store_units == "reserved" else keys.store_units,
        "lifetime_periods": keys.lifetime_periods,
        "keeping_cost": keys.keeping_cost,
        "mean_units": fmean(mean_units(problem.demand_of(item)) for item in problem.requests),
        "tail_from_units": demand.scenarios,
        "tail_mass": _tail_mass(demand, factors),
        "hours": sorted(demand.hours),
        "by_hour": experiment.plan.by_hour,
        "process": demand.process and demand.process.model_dump(exclude_none=True),
        "forecast": demand.forecast and demand.forecast.method.value,
        "reduced_from": len(whole),
        "reduction_distance_units": moved_units,
        "reduction_error": moved_units * _dearest_unit_of_all(problem),
        "limits": asdict(problem.pools) if problem.pools else None,
        "shortfall_cost": shortfall_costs_of(problem),
        "joint_futures": len(problem.futures),
        "risk": risk_of(experiment),
        "service_levels": dict(experiment.plan.service_levels),
        "satellites": "assumed" if orbits is None else orbits.mode.value,
        "elements_from": orbits and orbits.elements_from,
        "satellite_probability": fmean(
            item.on_demand.satellite_probability for item in problem.requests
        ),
        "uavs_grounded": grounded_share(problem.requests),
    }


def _tail_mass(demand: Demand, factors: tuple[float, ...]) -> float:
    """Return the chance of more demand than any scenario has."""
    if factors:
        return tail_mass(demand.distribution, factors, demand.scenarios)
    return demand.distribution.scaled(demand.busiest).tail_mass(demand.scenarios)


def _in_time(basis: dict[str, Any]) -> Iterator[str]:
    """Yield how demand changes in time, and what the plan knows of that."""
    if basis["hours"]:
        kinds = ", ".join(basis["hours"])
        sees = "the mixture over all periods" if not basis["by_hour"] else "that of each hour"
        yield (
            f"Demand of {kinds} follows the hours of the day: the plan sees {sees}, "
            "applications draw from the law of the hour."
        )
    if basis["process"]:
        yield "The mean of demand changes in time, as demand.process says."
    if basis["forecast"]:
        yield f"The plan goes by a forecast ({basis['forecast']}), and not by the law."
    elif basis["process"]:
        yield "The plan sees the mixture over paths of the process."
    yield from _kept(basis)


def _kept(basis: dict[str, Any]) -> Iterator[str]:
    """Yield what stores keep, for how long and at which price."""
    sizes = basis["store_units"]
    if sizes:
        named = sizes.items() if isinstance(sizes, dict) else ()
        upto = ", ".join(f"{size} units of {name}" for name, size in named)
        yield (
            f"Stores keep up to {upto or f'{sizes} units of a request'} beyond those of a period: "
            "what quiet periods leave serves busy ones, and the plan expects what is missing then."
        )
    if basis["lifetime_periods"] is not None:
        yield f"Key may serve in {basis['lifetime_periods']} periods; then it expires."
    if basis["keeping_cost"]:
        yield f"To keep a unit for the next period costs {basis['keeping_cost']:,}."


def sentences(basis: dict[str, Any]) -> Iterator[str]:
    """Yield a basis as sentences for a reader."""
    yield _drawn(basis)
    if basis["laws"]:
        yield f"A law of their own have {', '.join(sorted(basis['laws']))}."
    if basis["trace"]:
        yield f"A run replays {basis['trace']}, which the plan does not know."
    yield from _in_time(basis)
    yield (
        f"Cut off: demand of {basis['tail_from_units']} units or more, "
        f"which has a chance of {basis['tail_mass']:.2g}{' at the busiest hour' * bool(basis['hours'])}."
    )
    if basis["scenarios"] < basis["reduced_from"]:
        yield (
            f"Reduced from {basis['reduced_from']} scenarios, "
            f"{basis['reduction_distance_units']:.4g} units away (1-Wasserstein): the expected cost of "
            f"any plan is wrong by at most {basis['reduction_error']:,.0f}."
        )
    prices = ", ".join(f"{price:,} for {kind}" for kind, price in basis["shortfall_cost"].items())
    yield f"A unit that never comes is priced at {prices}."
    chance = f"{basis['satellite_probability']:.2%} of orders on average"
    if basis["satellites"] == "assumed":
        yield f"Satellites are assumed to serve {chance}."
    else:
        yield (
            f"Satellites ({basis['satellites']}) serve {chance}, as estimated from orbits, contacts, "
            "forecasts and clouds at the starts of all periods."
        )
    if basis["uavs_grounded"]:
        yield f"Fog, wind or daylight keep UAVs from {basis['uavs_grounded']:.2%} of orders."
    if basis["elements_from"]:
        yield f"{basis['elements_from']}."
    if basis["fitted_from"]:
        yield _fitted(basis)
    if basis["limits"]:
        yield _limited(basis["limits"])
    if basis["service_levels"]:
        levels = ", ".join(
            f"{share:g} of {kind}" for kind, share in basis["service_levels"].items()
        )
        yield f"Reserved units serve at least this share of periods in full: {levels}."
    yield from _priced_over(basis["risk"], basis["joint_futures"])


def risk_of(experiment: Experiment) -> dict[str, Any] | None:
    """Return `plan.risk` as the plan takes it; None without."""
    wanted = experiment.plan.risk
    if wanted is None:
        return None
    told = wanted.model_dump()
    if isinstance(wanted, WassersteinOptions):
        told["most_units"] = wanted.largest(experiment.demand.scenarios)
    return told


def shortfall_costs_of(problem: Problem) -> dict[str, int]:
    """Return by class what a unit costs that never comes."""
    return {item.application: item.on_demand.shortfall_cost for item in problem.requests}


def more_of(problem: Problem) -> dict[str, Any]:
    """Return what one more of what is scarce is worth in a period, as public fields."""
    found = sensitivities(problem)
    wavelengths = [{"link": [a, b], "value": value} for a, b, value in found.wavelengths]
    return {"sensitivities": {"wavelengths": wavelengths, "pools": found.pools}}


def worth(values: dict[str, Any]) -> str:
    """Return `sensitivities` in words, the most valuable first; empty where nothing is scarce."""
    parts = [
        f"a wavelength of {label_of(tuple(item['link']))} {item['value']:,.0f}"
        for item in values["wavelengths"][:3]
    ]
    names = {
        "satellite_units": "a unit by satellite",
        "uav_units": "a unit by UAV",
        "uavs": "a UAV",
    }
    parts += [f"{names[name]} {value:,.0f}" for name, value in values["pools"].items() if value]
    return f"One more would be worth, per period: {', '.join(parts)}." if parts else ""


def _drawn(basis: dict[str, Any]) -> str:
    """Return how demand comes about."""
    mean, seed = f"mean {basis['mean_units']:.4g} units", f"seed {basis['seed']}"
    if basis["joint"]:
        return f"Joint futures of demand from {basis['joint']}, {mean}; {seed}."
    shared = {0.0: "a draw for each request", 1.0: "one draw for all requests"}
    draw = shared.get(basis["correlated"], f"draws of correlation {basis['correlated']:g}")
    return f"{basis['scenarios']} scenarios of demand, {mean}, {draw}; {seed}."


def _fitted(basis: dict[str, Any]) -> str:
    source, law = basis["fitted_from"], next(iter(basis["law"]))
    head = f"From {source['file']}, {source['periods']} periods"
    if source.get("aic") is None:
        return f"{head}, as they were."
    p_value = source.get("p_value")
    fit = "too few periods to test the fit" if p_value is None else f"p-value {p_value:.2g}"
    return f"{head}: {law} by maximum likelihood, {fit}."


def _priced_over(risk: dict[str, Any] | None, futures: int) -> Iterator[str]:
    if not risk and futures:
        yield (
            f"Priced over {futures} joint futures of demand and sky, drawn: bound and gap "
            "are proven for these, and estimates for all others."
        )
    if not risk:
        return
    if risk["measure"] == "wasserstein":
        yield _known_nearly(risk)
        return
    if not risk["weight"]:
        yield "Risk has no weight: the plan minimises the mean cost of a period."
        return
    yield (
        f"The plan minimises {1 - risk['weight']:g} of the mean cost of a period and {risk['weight']:g} "
        f"of its CVaR at {risk['level']:g}, over {futures:,} joint futures of demand and sky; bound and "
        "gap are for these."
    )


def _known_nearly(risk: dict[str, Any]) -> str:
    radius = risk["radius_units"]
    if isinstance(radius, dict):
        far = ", ".join(f"{units:g} units for {kind}" for kind, units in sorted(radius.items()))
    else:
        far = f"{radius:g} units"
    return (
        "The plan minimises the mean cost of a period under the worst laws of demand within a type-1 "
        f"Wasserstein distance of {far}, of at most {risk['most_units']:,} units."
    )


def _limited(limits: dict[str, Any]) -> str:
    names = {"satellite_units": "by satellite", "uav_units": "by UAV"}
    parts = (f"{limits[k]:,} units {words}" for k, words in names.items() if limits[k] is not None)
    shared = " and ".join(parts) or "any number of units"
    uavs = limits["uavs"]
    fleet = "" if uavs is None else f", with {uavs:,} UAVs that can take off"
    return f"All requests together can buy {shared} per period{fleet}."


def _dearest_unit_of_all(problem: Problem) -> float:
    """Return by how much recourse changes at most when every request needs one unit more."""
    if has_pools(problem):
        return float(sum(request.on_demand.shortfall_cost for request in problem.requests))
    return fsum(expected_unit_cost(request.on_demand) for request in problem.requests)
