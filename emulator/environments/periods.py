"""An experiment played period by period: demand, sky, offers and prices of its run; no keys, no messages.

It is the model of docs/design.md, sections 3 and 4.  A store begins a period with what its reservation
has made in the epoch before, at most as much as there is room for, and with what was left.  What demand
finds there is served; the rest is ordered from one medium after the other.  Orders are decided by the
controllers of the run, at the times at which they would read them, and key that comes after its period
is paid for in vain.  Demand, links and sky are asked of the world of the run, by the same questions; so
with the same reservations from the first period on, it costs by request what the run's ledger says.

A reservation that changes does so between two epochs, at once, and makes key for the whole of the next.
In a run its first epoch is shorter by the windows of setting up, which shows only where links make hardly
enough key, or blocks of finite keys are hardly full.  What is not modelled (shared limits, orbits, fleets,
outages, ...) is refused by `PeriodWorld`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from controllers.channel import fiber_channel
from controllers.gathering import Gathering
from controllers.ports import LinkSample
from controllers.satellite import SatelliteController
from controllers.uav import UavController
from emulator.build.assembly import Assembly, assemble
from emulator.build.environment import lead_windows
from emulator.build.setup import Setup
from emulator.input_checks import BadInputError
from emulator.world.events import Dimming, Eavesdropper, FiberCut
from global_manager.orders import new_order
from global_manager.provisioning.model import Allocation, Medium, Request
from global_manager.provisioning.recourse import largest_demand
from global_manager.reservations import cost, kept_units, unit_costs_of
from protos.mib import OrderRow
from protos.syntax import MediumCode

Ints = NDArray[np.int64]
Offers = Sequence[tuple[Medium, int]]
"""Media in the order in which to ask them, and what a unit costs."""

_FAULTS = {
    "eavesdropper", "fiber-cut", "link-degraded", "satellite-loss", "uav-loss", "demand-shift",
    "storm", "fog", "cloud",
}  # fmt: skip
_NEAR_SIGMAS = 9.0  # from the limit; nearer than this the errors of a block are drawn


class UnmodelledError(BadInputError):
    """An experiment has something that the model by periods does not know."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(field, what)
        self.field, self.what = field, what

    def __str__(self) -> str:
        return f"{self.field}: environments do not know {self.what}; leave it out, or run the experiment"


@dataclass(frozen=True)
class Outcome:
    """What a period brought and cost; arrays are by request, in units of key and monetary units.

    demanded = fiber + satellite + uav + shortfall.  Orders that failed are refunded.
    """

    demanded: Ints
    fiber: Ints
    satellite: Ints
    uav: Ints
    reservation_cost: Ints
    satellite_cost: Ints
    uav_cost: Ints
    shortfall_cost: Ints

    @property
    def shortfall(self) -> Ints:
        """Units that never came in their period."""
        return self.demanded - self.fiber - self.satellite - self.uav

    @property
    def costs(self) -> Ints:
        """What each request cost, the price of lost key included."""
        return self.reservation_cost + self.satellite_cost + self.uav_cost + self.shortfall_cost

    @property
    def cost(self) -> int:
        """What the period cost."""
        return int(self.costs.sum())


class PeriodWorld:
    """See the module.  Periods are played once each, in their order.

    Raises UnmodelledError.
    """

    def __init__(self, setup: Setup) -> None:
        for error in _unmodelled(setup):
            raise error
        self.assembly = assembly = assemble(setup)
        _check_parts(assembly)
        self.problem, self.timeline = assembly.problem, assembly.timeline
        self._world, self._window_s = assembly.world, setup.experiment.clock.window_s
        self._keys, self._lead = setup.experiment.keys, lead_windows(setup.topology)
        self._controllers = {
            Medium.SATELLITE: SatelliteController(assembly.satellite, assembly.world),
            Medium.UAV: UavController(assembly.uav, assembly.world, None, assembly.flights),
        }
        requests = self.problem.requests
        self.stores: Ints = np.zeros(len(requests), dtype=np.int64)
        self.most_needed = [largest_demand(self.problem.demand_of(each)) for each in requests]
        self._shortfall_prices = np.array(
            [each.on_demand.shortfall_cost for each in requests], dtype=np.int64
        )
        self._number = {each.id: at for at, each in enumerate(requests)}
        self._unit_costs = unit_costs_of(self.problem.fibers)
        self._costs: dict[tuple[tuple[str, ...], int], int] = {}
        self._always_carried: dict[tuple[tuple[str, ...], int, int], int] = {}
        self._has_drawn = False
        events = self._world.schedule.of
        self._is_quiet = not any(map(events, (FiberCut, Dimming, Eavesdropper)))
        self._hops: dict[tuple[str, str, int], LinkSample] = {}
        self._gathers = any(sample.block_s for _, _, sample in self._world.fibers)
        self._gathered: dict[tuple[int, str, str], Gathering] = {}
        self._reserved: dict[int, Allocation] = {}
        self._order = 0
        self.next_period = 0

    def list_offers(self, at: int) -> tuple[tuple[Medium, int], ...]:
        """Return the media that a run asks for a request, cheapest first, at their prices."""
        request = self.problem.requests[at]
        return tuple((m, list_price(request, m)) for m in self.assembly.manager.media[at])

    def play(self, allocations: Sequence[Allocation], offers: Sequence[Offers]) -> Outcome:
        """Play the next period with what is reserved for it; offers are by request."""
        period, size = self.next_period, len(self.problem.requests)
        self.next_period += 1
        by_name = {name: np.zeros(size, dtype=np.int64) for name in Outcome.__dataclass_fields__}
        self._forget_changed(allocations)
        for allocation in allocations:
            at = self._number[allocation.request]
            by_name["reservation_cost"][at] = self._cost_of(allocation)
            kept = kept_units(allocation, self.most_needed[at])
            if kept and (self._gathers or kept > self.stores[at]):
                carried = self._carried(at, allocation, kept, period)
                self.stores[at] = min(
                    max(kept, int(self.stores[at])), int(self.stores[at]) + carried
                )
        demanded = self._world.demanded_units
        by_name["demanded"][:] = [demanded(at, period) for at in range(size)]
        by_name["fiber"][:] = np.minimum(by_name["demanded"], self.stores)
        self.stores -= by_name["fiber"]
        short = by_name["demanded"] - by_name["fiber"]
        for index in map(int, np.flatnonzero(short)):
            self._buy(index, period, int(short[index]), offers[index], by_name)
        missing = short - by_name["satellite"] - by_name["uav"]
        by_name["shortfall_cost"][:] = missing * self._shortfall_prices
        return Outcome(**by_name)

    def _forget_changed(self, allocations: Sequence[Allocation]) -> None:
        """Have new reservations gather from the start."""
        reserved = {self._number[each.request]: each for each in allocations}
        kept = {at for at, each in reserved.items() if self._reserved.get(at) == each}
        self._gathered = {hop: item for hop, item in self._gathered.items() if hop[0] in kept}
        self._reserved = reserved

    def _cost_of(self, allocation: Allocation) -> int:
        key = allocation.path, len(allocation.wavelengths)
        if key not in self._costs:
            self._costs[key] = cost(allocation, self._unit_costs)
        return self._costs[key]

    def _carried(self, at: int, allocation: Allocation, kept: int, period: int) -> int:
        """Return the units, of those that are kept, that all hops carry in the epoch before a period."""
        count, path = len(allocation.wavelengths), allocation.path
        if self._is_quiet and (found := self._always_carried.get((path, kept, count))) is not None:
            return found
        self._has_drawn = False
        found = min([self._made(at, a, b, kept, count, period) for a, b in pairwise(path)])
        if self._is_quiet and not self._has_drawn:
            self._always_carried[path, kept, count] = found
        return found

    def _made(self, at: int, a: str, b: str, units: int, wavelengths: int, period: int) -> int:  # noqa: PLR0917
        """Return the whole units that a hop makes for a reservation in an epoch."""
        sample, lasted_s = self._hop(a, b, period), self.timeline.period_s
        if sample.block_s:
            self._has_drawn = True
            is_noisy = self._is_noisy(at, a, b, sample, wavelengths, period)
            return self._from_blocks((at, a, b), sample, units, wavelengths, is_noisy=is_noisy)
        if not sample.usable or self._is_noisy(at, a, b, sample, wavelengths, period):
            return 0
        made_bytes = wavelengths * int(sample.skr_bps * lasted_s / 8)
        return min(units, made_bytes // (self._keys.unit_bits // 8))

    def _is_noisy(  # noqa: PLR0917
        self, at: int, a: str, b: str, sample: LinkSample, wavelengths: int, period: int
    ) -> bool:
        """Tell whether a block has too many errors; they are drawn where that is in doubt."""
        sifted_bits = int(wavelengths * sample.sifted_bps * self.timeline.period_s)
        qber = sample.qber
        if sifted_bits:
            sigma = sqrt(qber * (1 - qber) / sifted_bits)
            if abs(qber - self._keys.qber_limit) <= _NEAR_SIGMAS * sigma:
                self._has_drawn = True
                channel, number = fiber_channel(a, b, at), self._epoch(period)
                (wrong,) = self._world.errors([channel], number, [sifted_bits], qber)
                qber = wrong / sifted_bits
        return qber > self._keys.qber_limit

    def _from_blocks(
        self,
        hop: tuple[int, str, str],
        sample: LinkSample,
        units: int,
        wavelengths: int,
        *,
        is_noisy: bool,
    ) -> int:
        """Return the units that a hop has of its last full block, as `controllers.gathering` has it."""
        key_bytes = self._keys.unit_bits // 8
        gathered = self._gathered.get(hop)
        if gathered is None:
            gathered = self._gathered[hop] = Gathering(wavelengths, units * key_bytes, key_bytes)
        gathered.add(sample, self.timeline.period_s, is_noisy=is_noisy)
        return gathered.take_bytes() // key_bytes

    def _hop(self, a: str, b: str, period: int) -> LinkSample:
        """Return what a fiber offers a block of the epoch before a period."""
        key = (a, b, 0 if self._is_quiet else period)
        found = self._hops.get(key)
        if found is None:
            end_s = self._epoch_ends_s(period)
            since_s = end_s - self.timeline.period_s
            found = self._world.sample(MediumCode.FIBER, a, b, end_s, since_s)
            self._hops[key] = found
        return found

    def _epoch_ends_s(self, period: int) -> float:
        return self.timeline.begins_s(period) - self._lead * self._window_s

    def _epoch(self, period: int) -> int:
        return round(self._epoch_ends_s(period) * 1000) // round(self.timeline.period_s * 1000)

    def _buy(
        self, at: int, period: int, units: int, offers: Offers, by_name: Mapping[str, Ints]
    ) -> None:
        """Order what a request lacks, from one medium after the other; see `docs/design.md`, section 3."""
        window = self._window(self.timeline.begins_s(period)) + 1
        end_s = self.timeline.begins_s(period + 1)
        for medium, price in offers:
            if window * self._window_s >= end_s:
                return
            row, controller = self._row(at, period, units), self._controllers[medium]
            now_s = (window + 1) * self._window_s
            ready_s = controller.take(row, now_s) if now_s < end_s else None
            if ready_s is None:
                window += 2
                continue
            ready = max(window + 1, self._window(ready_s))
            if controller.conclude(row, ready * self._window_s):
                window = ready + 1
                continue
            by_name[f"{medium}_cost"][at] += units * price
            if ready + 2 <= self._window(end_s):
                by_name[medium.value][at] += units
            return

    def _window(self, at_s: float) -> int:
        """Return the window in which somebody acts who is due at this time."""
        return ceil(at_s / self._window_s - 1e-9)

    def _row(self, at: int, period: int, units: int) -> OrderRow:
        self._order += 1
        return new_order(self._order, at, self.problem.requests[at], period, units)


def list_price(request: Request, medium: Medium) -> int:
    """Return what a unit costs a request on demand, before anybody bargains."""
    costs = request.on_demand
    return costs.satellite_cost if medium is Medium.SATELLITE else costs.uav_cost


def _unmodelled(setup: Setup) -> Iterator[UnmodelledError]:
    """Yield what the fields of an experiment ask for and the model does not know."""
    experiment = setup.experiment
    kinds = {str(each.kind) for each in experiment.faults}
    for kind in sorted(kinds - _FAULTS):
        yield UnmodelledError("faults", f"the kind {kind}")
    if experiment.keys.lifetime_s is not None:
        yield UnmodelledError("keys.lifetime_s", "keys that become too old")
    if experiment.keys.lifetime_periods is not None:
        yield UnmodelledError("keys.lifetime_periods", "keys that become too old")
    if experiment.keys.keeping_cost:
        yield UnmodelledError("keys.keeping_cost", "what it costs to keep key")
    if experiment.keys.most_bridging_units:
        yield UnmodelledError("keys.store_units", "stores that bridge periods")
    if experiment.satellite.orbits is not None:
        yield UnmodelledError("satellite.orbits", "orbits")
    if experiment.plan.by_hour:
        yield UnmodelledError("plan.by_hour", "plans by the hour")


def _check_parts(assembly: Assembly) -> None:
    """Raise UnmodelledError for what follows from several fields."""
    if assembly.problem.pools is not None and assembly.problem.pools.limited:
        raise UnmodelledError("limits", "what all requests share")
    if assembly.fleet is not None:
        raise UnmodelledError("uav.fleet", "fleets")
    if assembly.flights.look_s is not None:
        raise UnmodelledError("uav", "flights that weather ends")
    if any(access.external for access in assembly.accesses.values()):
        raise UnmodelledError("access", "applications outside the network")
