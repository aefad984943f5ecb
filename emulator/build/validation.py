"""The rules that an experiment must keep, beyond what each of its sections says of itself.

A rule yields what is wrong and what would be right.  It names the fields that it reads: where one of them
is broken itself, the rule has nothing to say, and all other rules still have.  So one check tells
everything that can be told.  `RULES` lists them all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from emulator.build import access_rules, demand_rules, risk_rules, run_limits, stores, tenants
from emulator.build.demand import requests_of
from emulator.build.environment import lead_windows, recording_of, sites_of
from emulator.build.faults import (
    FAULT_KINDS,
    FIBERS,
    LAW,
    NETWORK,
    FaultKind,
    Mistakes,
    without_place,
)
from emulator.build.faults import Check as FaultCheck
from emulator.build.quantum_links import equip
from emulator.build.setup import Setup
from emulator.config.demand import RequestItem
from emulator.config.error_messages import Mistake
from emulator.config.fiber import LinkKind
from emulator.input_checks import ParameterError
from emulator.world.orbits import astray
from emulator.world.weather_replay import WeatherError
from protos.facts import label_of


@dataclass(frozen=True)
class Rule:
    """Yields (field, what would be right) for a setup whose fields that it `reads` are sound."""

    mistakes: Callable[[Setup], Mistakes]
    reads: tuple[str, ...]

    def applies(self, broken: Collection[str]) -> bool:
        """Return whether everything that it reads is sound."""
        return not any(_overlap(ours, theirs) for ours in self.reads for theirs in broken)


def check(setup: Setup, broken: Collection[str] = ()) -> list[Mistake]:
    """Return all mistakes in a setup; fields that are known to be `broken` are told elsewhere."""
    return _told(RULES, setup, broken)


def check_schedule(setup: Setup) -> list[Mistake]:
    """Return the mistakes in the schedule of a setup that is sound but for it."""
    return _told(SCHEDULE_RULES, setup, ())


def _told(rules: Iterable[Rule], setup: Setup, broken: Collection[str]) -> list[Mistake]:
    return [
        Mistake(field=field, message=message)
        for rule in rules
        if rule.applies(broken)
        for field, message in rule.mistakes(setup)
    ]


def _overlap(one: str, other: str) -> bool:
    """Return whether one of two fields is the other or inside it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


# Demand


def _pairs_of_requests(setup: Setup) -> Mistakes:
    """Refuse requests between nodes whose names, joined by a hyphen, read like those of another pair."""
    seen: dict[str, tuple[str, str]] = {}
    for item in requests_of(setup):
        pair = (item.source, item.target)
        other = seen.setdefault(label_of(pair), pair)
        if other != pair:
            words = f"{label_of(pair)} may be {' to '.join(pair)} or {' to '.join(other)}"
            yield "demand.requests", f"{words}, which cannot be kept apart; rename a node"
            return


def _requests(setup: Setup) -> Mistakes:
    requests = setup.experiment.demand.requests
    if not (sum(requests.values()) if isinstance(requests, dict) else requests):
        yield "demand.requests", "at least one request is needed"
    seen = set()
    for index, item in enumerate(_listed(setup)):
        if item.id in seen:
            yield f"demand.requests.{index}.id", f"{item.id} is used twice"
        seen.add(item.id)
        if item.source == item.target:
            yield f"demand.requests.{index}.target", "must differ from the source"


def _ends_of_requests(setup: Setup) -> Mistakes:
    names = {node.name for node in setup.topology.nodes}
    for index, item in enumerate(_listed(setup)):
        for end, node in (("source", item.source), ("target", item.target)):
            if node not in names:
                yield f"demand.requests.{index}.{end}", f"no node {node} in the network"


def _listed(setup: Setup) -> list[RequestItem]:
    requests = setup.experiment.demand.requests
    return [] if isinstance(requests, dict) else requests


def _applications(setup: Setup) -> Mistakes:
    experiment = setup.experiment
    requests = experiment.demand.requests
    classes = set(requests) if isinstance(requests, dict) else experiment.demand.kinds
    for name in experiment.applications:
        if name not in classes:
            known = ", ".join(sorted(classes))
            yield f"applications.{name}", f"no request is of this class; there are {known}"


def _uses_of_keys(setup: Setup) -> Mistakes:
    experiment = setup.experiment
    for name, use in experiment.applications.items():
        problem = use.problem(experiment.keys.unit_bits, experiment.demand.period_s)
        if problem:
            yield f"applications.{name}", problem


# Time


def _windows_of_a_period(setup: Setup) -> Mistakes:
    period_s, window_s = setup.experiment.demand.period_s, setup.experiment.clock.window_s
    windows = period_s / window_s
    if abs(windows - round(windows)) > 1e-9:
        right = f"must be a whole number of windows of {window_s:g} s, not {period_s:g}"
        yield "demand.period_s", right


def _time_to_cross(setup: Setup) -> Mistakes:
    window_s, period_s = setup.experiment.clock.window_s, setup.experiment.demand.period_s
    lead = lead_windows(setup.topology)
    if period_s / window_s < lead + 2:
        most_s = period_s / (lead + 2)
        right = f"a period must hold at least {lead + 2} windows here, so at most {most_s:g} s"
        yield "clock.window_s", right


def _lifetime(setup: Setup) -> Mistakes:
    lead_s = lead_windows(setup.topology) * setup.experiment.clock.window_s
    lifetime_s = setup.experiment.keys.lifetime_s
    if lifetime_s is not None and lifetime_s <= lead_s:
        right = f"must be more than {lead_s:g} s here, or keys are gone before their period"
        yield "keys.lifetime_s", right


# Fibers


def _kinds_of_links(setup: Setup) -> Mistakes:
    right = ", ".join(LinkKind)
    for link in setup.topology.links:
        if link.kind and link.kind not in list(LinkKind):
            yield (
                "network.topology",
                f"link {link.a}-{link.b}: kind must be one of {right}, not {link.kind}",
            )


def _special_links(setup: Setup) -> Mistakes:
    """Check what the fiber section says of single links, and that their devices can do it."""
    fiber = setup.experiment.fiber
    links = {frozenset((link.a, link.b)): link for link in setup.topology.links}
    seen = set()
    for index, item in enumerate(fiber.links):
        field, ends = f"fiber.links.{index}", frozenset(item.link)
        if ends not in links:
            yield f"{field}.link", f"no link {'-'.join(item.link)} in the network"
            continue
        if ends in seen:
            yield f"{field}.link", "is named before; keep one"
        seen.add(ends)
        try:
            equip(fiber, links[ends], item)
        except ParameterError as error:
            yield f"{field}.parameters", str(error)
        except ValueError:
            continue  # the topology names an unknown kind


def _lit_links(setup: Setup) -> Mistakes:
    """Refuse classical channels in fibers whose devices' noise is not modelled."""
    fiber = setup.experiment.fiber
    special = {frozenset(item.link) for item in fiber.links}
    for link in setup.topology.links if fiber.coexistence else ():
        is_strange = link.kind and link.kind not in list(LinkKind)
        if is_strange or frozenset((link.a, link.b)) in special:
            continue  # told elsewhere
        try:
            equip(fiber, link)
        except ParameterError as error:
            yield "fiber.coexistence", f"link {link.a}-{link.b}: {error}"
            return


# Sky and air


def _sites_under_orbits(setup: Setup) -> Mistakes:
    needs = without_place(setup.topology)
    if setup.experiment.satellite.orbits is not None and needs:
        yield "satellite.orbits", needs


def _elements(setup: Setup) -> Mistakes:
    """Refuse elements of satellites that come down before the end, or that diverge."""
    orbits, demand = setup.experiment.satellite.orbits, setup.experiment.demand
    if orbits is None or orbits.elements is None:
        return
    end_s = (demand.periods + 2) * demand.period_s + orbits.max_wait_s
    satellites = orbits.constellation()
    for error in astray(satellites.orbits, satellites.epoch, end_s).values():
        yield "satellite.orbits.elements", str(error)


def _recorded_weather(setup: Setup) -> Mistakes:
    needs = without_place(setup.topology)
    if setup.experiment.weather.replay is not None and needs:
        yield "weather.replay", needs
    try:
        recording_of(setup)
    except WeatherError as error:
        yield "weather.replay", str(error)


def _lit_sites(setup: Setup) -> Mistakes:
    places = {site.name for site in sites_of(setup.topology)}
    for name in setup.experiment.weather.light.site_glow:
        if name not in places:
            yield f"weather.light.site_glow.{name}", "is no node with coordinates"


def _fleet(setup: Setup) -> Mistakes:
    uav, deploy_s = setup.experiment.uav, setup.experiment.uav.setup_s
    if uav.fleet is not None and uav.fleet.endurance_s <= 2 * deploy_s:
        right = f"must exceed twice uav.setup_s ({deploy_s:g} s), the way out and back"
        yield "uav.fleet.endurance_s", right
    if uav.rate == "assumed" and uav.chain is not None:
        yield "uav.chain", "is for a computed rate; leave it out, or set uav.rate to computed"
    if uav.rate == "computed" and uav.fleet is not None and uav.fleet.uavs_per_order > 1:
        yield "uav.fleet.uavs_per_order", "follows from the length of the chain; leave it out"


def _sites_under_chains(setup: Setup) -> Mistakes:
    needs = without_place(setup.topology)
    if setup.experiment.uav.rate == "computed" and needs:
        yield "uav.rate", needs
    if setup.experiment.uav.max_chain_km is not None and needs:
        yield "uav.max_chain_km", needs


def _of_kind(kind: FaultKind[Any], check: FaultCheck[Any]) -> Rule:
    """Return a check of a kind of faults as a rule of the whole schedule."""

    def mistakes(setup: Setup) -> Mistakes:
        for index, event in enumerate(setup.experiment.faults):
            if isinstance(event, kind.event):
                for field, problem in check.mistakes(setup, event):
                    yield f"faults.{index}{field and '.'}{field}", problem

    return Rule(mistakes, ("faults", *check.reads))


_TIME = ("demand.period_s", "clock.window_s")
_RUN = (*_TIME, "demand.periods", NETWORK)

SCHEDULE_RULES = tuple(_of_kind(kind, check) for kind in FAULT_KINDS for check in kind.checks)
RULES = (
    Rule(demand_rules.scenarios, (*LAW, "demand.laws")),
    Rule(_requests, ("demand.requests",)),
    Rule(
        tenants.mistakes, ("demand.requests", "demand.cost_sharing", "limits", "uav.fleet", NETWORK)
    ),
    Rule(run_limits.rows, ("demand.requests", "demand.periods", NETWORK)),
    Rule(
        run_limits.recourse,
        (
            "demand.requests",
            "demand.scenarios",
            "limits",
            "uav.fleet",
            "plan",
            "keys.unit_bits",
            NETWORK,
        ),
    ),
    Rule(run_limits.duration, (*_RUN,)),
    Rule(run_limits.looks, (*_RUN, "fiber.monitor_s", "management.rotation_s", "uav.weather")),
    Rule(run_limits.costs, (*_RUN, *FIBERS, "demand.requests", "demand.scenarios", "prices")),
    Rule(run_limits.lengths, (NETWORK, "network.link_km")),
    Rule(run_limits.orbits, (*_RUN, "satellite.orbits")),
    Rule(
        run_limits.sifted_bits,
        (*FIBERS, "network.wavelengths", "demand.scenarios", "demand.period_s"),
    ),
    Rule(run_limits.random_faults, ("faults",)),
    Rule(_ends_of_requests, ("demand.requests", NETWORK)),
    Rule(_pairs_of_requests, ("demand.requests", NETWORK)),
    Rule(_windows_of_a_period, _TIME),
    Rule(_time_to_cross, (*_TIME, NETWORK)),
    Rule(
        stores.mistakes,
        ("keys", "demand", "plan", "limits", "uav", "satellite", "fiber.wavelength", NETWORK),
    ),
    Rule(_lifetime, ("keys.lifetime_s", "clock.window_s", NETWORK)),
    Rule(_kinds_of_links, (NETWORK,)),
    Rule(_special_links, FIBERS),
    Rule(_lit_links, FIBERS),
    Rule(_applications, ("applications", "demand.requests")),
    Rule(
        demand_rules.price_of_lost_key,
        ("demand.shortfall_cost", "demand.requests", "prices", "uav", NETWORK),
    ),
    Rule(access_rules.external_requests, ("demand.requests", "access", NETWORK)),
    Rule(access_rules.snmp_names, ("access",)),
    Rule(access_rules.saes, ("access", NETWORK)),
    Rule(_uses_of_keys, ("applications", "keys.unit_bits", "demand.period_s")),
    Rule(_sites_under_orbits, ("satellite.orbits", NETWORK)),
    Rule(_elements, ("satellite.orbits", "demand.periods", "demand.period_s")),
    Rule(_recorded_weather, ("weather.replay", NETWORK)),
    Rule(_lit_sites, ("weather.light", NETWORK)),
    *SCHEDULE_RULES,
    Rule(_fleet, ("uav",)),
    Rule(_sites_under_chains, ("uav.rate", "uav.max_chain_km", NETWORK)),
    Rule(
        demand_rules.hours,
        ("demand", "limits", "plan"),
    ),
    Rule(
        risk_rules.risk,
        ("demand", "limits", "plan", "uav", "satellite.orbits", "keys.store_units", NETWORK),
    ),
    Rule(
        risk_rules.service_levels,
        ("demand", "limits", "plan", "uav.fleet", "keys.store_units", NETWORK),
    ),
    Rule(demand_rules.by_hour, ("demand", "plan", "clock", NETWORK)),
    Rule(demand_rules.by_class, ("demand.hours", "demand.laws", "demand.requests")),
    Rule(demand_rules.drift, ("demand.laws", "demand.joint", "plan.look_every_periods")),
    Rule(demand_rules.joint, ("demand", NETWORK)),
    Rule(demand_rules.process, ("demand", "seed")),
    Rule(demand_rules.forecast, ("demand", "seed", "plan", "clock", NETWORK)),
    Rule(demand_rules.trace, ("demand", NETWORK)),
)
