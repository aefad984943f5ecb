"""What stores that bridge periods change for the plan: the demand that it sees of each request.

With `keys.store_units`, or a price of keeping, a plan sees bridged demands
(`global_manager.provisioning.stores`): by the laws of all periods in their order, of a long run the first
`MOST_PERIODS_SEEN`.  What cannot be stated so is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from emulator.build.demand import as_scenarios, plan_profile_of, requests_of, scenarios_of
from emulator.build.environment import timeline_of
from emulator.build.faults import Mistakes
from emulator.build.setup import Setup, part
from emulator.config.fiber import Wavelength
from global_manager.provisioning.ages import TooManyAgesError
from global_manager.provisioning.model import Request
from global_manager.provisioning.stores import Law, Store, bridged, follow_ages, seen_through

MOST_PERIODS_SEEN = 2_000
MOST_LEVELS = 200
"""Of a store: the largest demand and what is kept beyond a period's units."""


@part
def stores_of(setup: Setup) -> tuple[Store, ...]:
    """Return the store of every request."""
    keys = setup.experiment.keys
    return tuple(
        Store(
            keys.bridging_units(item.id, item.application),
            keys.lifetime_periods,
            keys.keeping_cost,
        )
        for item in requests_of(setup)
    )


def seen_through_stores(setup: Setup, law: Law) -> Law:
    """Return the demand that a plan sees of all requests alike, if this is the law of every period.

    Where stores differ, or keeping has a price, every request has a demand of its own instead.
    """
    store = _common(setup)
    if store is None or store.is_plain:
        return law
    return bridged([law] * _periods(setup), store.beyond_units, store.lifetime_periods)


def with_stores(setup: Setup, requests: Sequence[Request]) -> tuple[Request, ...]:
    """Return requests with what is seen through their stores, by their own laws or the common one."""
    profile, timeline = plan_profile_of(setup), timeline_of(setup)
    periods, common = _periods(setup), _common(setup)
    if profile is None and common is not None and common.lifetime_periods is None:
        return tuple(requests)
    begins_s = [timeline.begins_s(period) for period in range(periods)]
    usual: Sequence[Law] = [scenarios_of(setup)] * periods

    def of(index: int, item: Request, store: Store) -> Request:
        laws = [profile.law(index, at_s) for at_s in begins_s] if profile else []
        own = [as_scenarios(law) for law in laws if law is not None]
        if not own and common is not None:
            return replace(seen_through(item, usual, store), scenarios=item.scenarios)
        return seen_through(item, own or usual, store)

    pairs = zip(requests, stores_of(setup), strict=True)
    return tuple(of(index, item, store) for index, (item, store) in enumerate(pairs))


def mistakes(setup: Setup) -> Mistakes:
    """Refuse stores of nobody, whose worth for the plan is not known, or that are too much work."""
    yield from _unknown(setup)
    keys = setup.experiment.keys
    if keys.lifetime_periods is not None and keys.lifetime_s is not None:
        yield "keys.lifetime_periods", "is a lifetime too; leave out keys.lifetime_s"
        return
    if not keys.matters_to_plan:
        return
    field = "keys.store_units" if keys.most_bridging_units else "keys.keeping_cost"
    for other in _not_with_stores(setup):
        yield field, f"cannot be combined with {other} yet; leave out one of them"
        return
    scenarios, beyond = setup.experiment.demand.scenarios, keys.most_bridging_units
    if scenarios - 1 + beyond > MOST_LEVELS:
        most = max(0, MOST_LEVELS + 1 - scenarios)
        yield field, f"must be at most {most} with {scenarios} scenarios"
        return
    try:
        for store in dict.fromkeys(stores_of(setup)):
            follow_ages(store, scenarios - 1)
    except TooManyAgesError as error:
        yield "keys.lifetime_periods", f"is too much for the plan: {error}; make it shorter"


def _unknown(setup: Setup) -> Mistakes:
    given = setup.experiment.keys.store_units
    known = {name for item in requests_of(setup) for name in (item.id, item.application)}
    for name in sorted(given.keys() - known) if isinstance(given, dict) else ():
        kinds = ", ".join(sorted({item.application for item in requests_of(setup)}))
        yield f"keys.store_units.{name}", f"no class or request has this name; classes are {kinds}"


def _not_with_stores(setup: Setup) -> Iterator[str]:
    """Yield the fields that a plan which knows of stores does not go with."""
    experiment, demand = setup.experiment, setup.experiment.demand
    others = {
        "limits": experiment.limits is not None,
        "uav.fleet": experiment.uav.fleet is not None,
        "demand.joint": demand.joint is not None,
        "demand.process": demand.process is not None,
        "demand.forecast": demand.forecast is not None,
        "plan.by_hour": experiment.plan.by_hour,
        "plan.look_every_periods": experiment.plan.look_every_periods > 0,
        "keys.lifetime_s": experiment.keys.lifetime_s is not None,
        "uav.weather": bool(demand.hours) and experiment.uav.weather is not None,
        "satellite.orbits": bool(demand.hours) and experiment.satellite.orbits is not None,
        "fiber.wavelength: key-rate": experiment.keys.keeping_cost > 0
        and experiment.fiber.wavelength is not Wavelength.UNIT,
        "plan.risk": experiment.plan.risk is not None
        and (experiment.keys.keeping_cost > 0 or experiment.keys.lifetime_periods is not None),
    }
    return (field for field, is_there in others.items() if is_there)


def _periods(setup: Setup) -> int:
    return min(timeline_of(setup).periods, MOST_PERIODS_SEEN)


def _common(setup: Setup) -> Store | None:
    """Return the store that all requests have; None where they differ, or keeping has a price."""
    stores = set(stores_of(setup))
    (store,) = stores if len(stores) == 1 else (None,)
    return None if store is None or store.keeping_cost else store
