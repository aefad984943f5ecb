"""What a missing unit costs each request: by UAV, by satellite, or if it never comes.

The last is the price of lost key, `demand.shortfall_cost`.  It is in every sum that ranks policies: without
it, whoever serves nobody is cheapest.  By default it is the same for all requests of a class, and twice
(assumed) what the dearest on-demand unit of any of them costs that can be bought, so that buying is always
better than losing.  Nothing is known here of how likely a medium is to serve, but for UAVs that never do: a
key that would be theirs is lost, and costs what lost key costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from emulator.build.demand import requests_of
from emulator.build.free_space import chains_of, is_unserved_by_uav
from emulator.build.setup import Setup, part
from emulator.config.demand import RequestItem
from emulator.config.experiment import Experiment
from global_manager.provisioning.prices import Prices
from global_manager.provisioning.routing import fiber_graph, hops_between

SHORTFALL_FACTOR = 2


@dataclass(frozen=True)
class UnitPrices:
    """The cost of one missing unit of a request, in monetary units."""

    uav: int
    satellite: int
    shortfall: int


def prices_of(experiment: Experiment) -> Prices:
    """Return the table of prices."""
    return Prices(**experiment.price_table.model_dump())


@part
def unit_prices_of(setup: Setup) -> tuple[UnitPrices, ...]:
    """Return the prices of all requests, in their order."""
    items, bought = requests_of(setup), list(_bought(setup))
    lost = _lost(setup.experiment, items, bought)

    def prices(item: RequestItem, uav: int | None, satellite: int) -> UnitPrices:
        shortfall = lost[item.application]
        return UnitPrices(shortfall if uav is None else uav, satellite, shortfall)

    return tuple(prices(item, *pair) for item, pair in zip(items, bought, strict=True))


def _bought(setup: Setup) -> Iterator[tuple[int | None, int]]:
    """Yield the price of a unit of each request by UAV, None if none ever serves, and by satellite."""
    prices, chains = prices_of(setup.experiment), chains_of(setup)
    names = (node.name for node in setup.topology.nodes)
    graph = fiber_graph(names, ((link.a, link.b, 1.0) for link in setup.topology.links))
    hops = hops_between(graph, [(item.source, item.target) for item in requests_of(setup)])
    for item in requests_of(setup):
        count = hops[item.source, item.target]
        uavs = chains.uavs(item.source, item.target) if chains else None
        flown = (
            None
            if is_unserved_by_uav(setup, item.source, item.target)
            else prices.uav_unit(count, uavs)
        )
        yield flown, prices.satellite_unit(count)


def _lost(
    experiment: Experiment, items: tuple[RequestItem, ...], bought: list[tuple[int | None, int]]
) -> dict[str, int]:
    """Return by class the price of lost key: as given, or the default."""
    dearest: dict[str, int] = {}
    for item, (uav, satellite) in zip(items, bought, strict=True):
        dearest[item.application] = max(dearest.get(item.application, 0), uav or 0, satellite)
    given = experiment.demand.shortfall_cost
    if isinstance(given, int):
        return dict.fromkeys(dearest, given)
    return {
        kind: (given or {}).get(kind, SHORTFALL_FACTOR * most) for kind, most in dearest.items()
    }
