"""The provisioning problem as data, and the plan that answers it.

A unit is one key of a fixed size, needed or brought in one provisioning period.  A wavelength brings
one unit on every fiber in the paper's normalisation, or as many as its key rate makes; along a path, what
the weakest fiber brings.  All costs are in the experiment's monetary units per provisioning period.
Costs are integers, so that a plan is priced exactly whatever the order of addition.  Nothing here solves
anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Self, TypeVar

_Item = TypeVar("_Item")


class Policy(StrEnum):
    """How a plan is made (names as in stochastic programming textbooks)."""

    STOCHASTIC = "stochastic"
    EXPECTED_VALUE = "expected-value"
    RANDOM = "random"
    DETERMINISTIC = "deterministic"
    NONE = "none"


class OwnPolicy(str):
    """The name of a policy that a user brings (see `own_policy`), and the folder in which it may lie."""

    __slots__ = ("folder",)
    folder: str

    def __new__(cls, name: str, folder: str = "") -> Self:
        """Return a name; modules in no folder are installed ones."""
        policy = super().__new__(cls, name)
        policy.folder = folder
        return policy

    @property
    def value(self) -> str:
        """The name, as that of a built-in policy."""
        return str(self)


class Formulation(StrEnum):
    """In which form the two-stage program is solved.

    `arcs` is the extensive form as the paper writes it (`formulation`), `columns` the program over whole
    paths with the second stage collapsed (`columns`, `selection`, `assignment`).
    """

    ARCS = "arcs"
    COLUMNS = "columns"


class Termination(StrEnum):
    """Why solving ended; never inferred from a solver's word `Optimal` alone."""

    OPTIMAL = "optimal"
    GAP_LIMIT = "gap-limit"
    TIME_LIMIT = "time-limit"
    WORK_LIMIT = "work-limit"
    NOT_OPTIMIZED = "not-optimized"


class Medium(StrEnum):
    """What carries key."""

    FIBER = "fiber"
    SATELLITE = "satellite"
    UAV = "uav"


@dataclass(frozen=True)
class Fiber:
    """One fiber pair between two nodes.

    `unit_cost` is the cost of reserving one wavelength on it; `wavelengths` the number it carries,
    both directions together (or each way, if the problem says `directed_capacity`);
    `units_per_wavelength` what one of them brings in a period.
    """

    a: str
    b: str
    unit_cost: int
    wavelengths: int
    units_per_wavelength: int = 1


@dataclass(frozen=True)
class Sky:
    """How likely the media can serve a request.

    `satellite` is the probability that a satellite can; `grounded` are those that no UAV flies, where a
    satellite can serve and where none can.
    """

    satellite: float
    grounded: tuple[float, float] = (0.0, 0.0)

    def cases(self) -> Iterator[tuple[float, bool, bool]]:
        """Yield what is possible: its probability, whether a satellite can serve, whether UAVs fly."""
        for usable, share, grounded in (
            (True, self.satellite, self.grounded[0]),
            (False, 1 - self.satellite, self.grounded[1]),
        ):
            yield share * (1 - grounded), usable, True
            yield share * grounded, usable, False


@dataclass(frozen=True)
class OnDemand:
    """What one missing unit costs a request: by medium, or if it never comes.

    A satellite can be used with probability `satellite_probability`; a UAV always can, unless it is
    `grounded` (as in `Sky`) or shared (`Pools`); both independently of demand, but for scenarios that
    have a sky of their own.  `shortfall_cost` is the price of lost key: no unit is bought
    for more, and it is at least `uav_cost`.  An order by UAV takes a chain of `uavs`, whatever it brings.
    """

    uav_cost: int
    satellite_cost: int
    satellite_probability: float
    shortfall_cost: int
    uavs: int = 1
    grounded: tuple[float, float] = (0.0, 0.0)

    @property
    def sky(self) -> Sky:
        """Which media can serve."""
        return Sky(self.satellite_probability, self.grounded)


@dataclass(frozen=True)
class Scenario:
    """One future: a request needs `units`, with this probability.

    `sky` is what goes with this demand, where hours of much demand have another sky than others; None:
    that of the request.
    """

    units: int
    probability: float
    sky: Sky | None = None


@dataclass(frozen=True)
class Ball:
    """How far from the law of a demand its true law may be: all laws within a Wasserstein distance.

    `radius_units` is that distance (type 1, in units of key); `most_units` the largest demand that any of
    them has, and at least what the law itself has.
    """

    radius_units: float
    most_units: int


@dataclass(frozen=True)
class Request:
    """A security request: an application that needs key between two nodes, period by period.

    `scenarios` is its own demand, where it differs from the problem's; with a `ball` its expected cost is
    the greatest under all laws there (`robust`).  `least_units` is what a plan must reserve (`service`).
    `beside` has, by reserved units, what these cost in a period beside what they miss (`stores`); a run
    pays `keeping_cost` for every unit that is kept from one period for the next.
    """

    id: str
    application: str
    source: str
    target: str
    on_demand: OnDemand
    scenarios: tuple[Scenario, ...] | None = None
    ball: Ball | None = None
    least_units: int = 0
    beside: tuple[float, ...] = ()
    keeping_cost: int = 0

    @property
    def least_beside(self) -> float:
        """What every reservation costs beside what it misses."""
        return min(self.beside, default=0.0)

    def beside_cost(self, units: int) -> float:
        """Return what reserved units cost beside what they miss; beyond all known ones, as the last."""
        return self.beside[min(units, len(self.beside) - 1)] if self.beside else 0.0

    def prices(self, units: int) -> bool:
        """Return whether it is known what so many reserved units cost."""
        return not self.beside or units < len(self.beside) or self.beside[-1] == 0


@dataclass(frozen=True)
class Future:
    """One joint future: what each request needs, and whether a satellite, and UAVs, can serve it.

    All are in the order of the problem's requests; without `flies` UAVs can serve all.
    """

    probability: float
    units: tuple[int, ...]
    usable: tuple[bool, ...]
    flies: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Pools:
    """What all requests together can buy on demand in one period; None is no limit.

    Units are counted, and the `uavs` of a fleet that can take off: an order takes its chain, however many
    units it brings.  A unit that no pool can bring is lost and costs its request's `shortfall_cost`
    (complete recourse).
    """

    satellite_units: int | None
    uav_units: int | None
    uavs: int | None = None

    @property
    def limited(self) -> bool:
        """Whether requests compete for anything."""
        rooms = (self.satellite_units, self.uav_units, self.uavs)
        return any(room is not None for room in rooms)

    def less(self, medium: Medium, units: int, uavs: int) -> Pools:
        """Return what is left after these units were bought from a medium; `uavs` fly if it is by UAV."""
        if medium is Medium.SATELLITE:
            return replace(self, satellite_units=_rest(self.satellite_units, units))
        return replace(self, uav_units=_rest(self.uav_units, units), uavs=_rest(self.uavs, uavs))


@dataclass(frozen=True)
class Risk:
    """How much a plan minds dear periods: it minimises (1 - weight) mean + weight CVaR of their cost.

    CVaR is the mean cost of the dearest periods, whose probability is 1 - `level` together.
    """

    level: float
    weight: float

    def weighed(self, mean: float, cvar: float) -> float:
        """Return what is minimised."""
        return (1 - self.weight) * mean + self.weight * cvar


@dataclass(frozen=True)
class Problem:
    """Everything the first stage may know.

    `correlation` is how far requests share their draws of demand: 1, one draw serves all; 0, each has its
    own; between, the correlation of their normal quantiles.  `joint` holds whole futures of demand as
    (probability, units by request) where the experiment gives them; scenarios are then their marginals.
    Without pools the expected cost is the same whatever they are.  With limited pools it is priced over
    `futures`; without any, demand must be correlated and one demand and one sky over all requests (no
    scenarios of their own, one `satellite_probability`, no UAV grounded), so that every demand and sky
    can be listed.  With `risk` it is priced over `futures` too, which are given, and no pool is limited.
    """

    nodes: tuple[str, ...]
    fibers: tuple[Fiber, ...]
    requests: tuple[Request, ...]
    scenarios: tuple[Scenario, ...]
    directed_capacity: bool = False
    pools: Pools | None = None
    correlation: float = 1.0
    futures: tuple[Future, ...] = ()
    joint: tuple[tuple[float, tuple[int, ...]], ...] = ()
    risk: Risk | None = None

    def of_requests(self, positions: Sequence[int]) -> Problem:
        """Return the same problem for these requests only."""
        futures = tuple(
            Future(
                f.probability,
                _at(f.units, positions),
                _at(f.usable, positions),
                _at(f.flies, positions) if f.flies else (),
            )
            for f in self.futures
        )
        joint = tuple((chance, _at(units, positions)) for chance, units in self.joint)
        return replace(self, requests=_at(self.requests, positions), futures=futures, joint=joint)

    def skies_of(self, request: Request) -> set[Sky]:
        """Return every sky that a request may have."""
        return {item.sky or request.on_demand.sky for item in self.demand_of(request)}

    def units_along(self, path: Sequence[str]) -> int:
        """Return what one wavelength brings along a path; fibers that are not there are passed over."""
        hops = (frozenset(hop) for hop in pairwise(path))
        return min((self._brings[hop] for hop in hops if hop in self._brings), default=1)

    @cached_property
    def yields(self) -> frozenset[int]:
        """What wavelengths bring on the fibers that there are."""
        return frozenset(self._brings.values())

    @cached_property
    def _brings(self) -> dict[frozenset[str], int]:
        return {frozenset((f.a, f.b)): f.units_per_wavelength for f in self.fibers}

    @property
    def correlated(self) -> bool:
        """Whether one draw of demand serves all requests."""
        return self.correlation == 1

    def demand_of(self, request: Request) -> tuple[Scenario, ...]:
        """Return the scenarios of a request: its own, or the problem's."""
        return self.scenarios if request.scenarios is None else request.scenarios

    @property
    def has_levels(self) -> bool:
        """Whether any request must have units reserved."""
        return any(request.least_units for request in self.requests)

    @property
    def is_robust(self) -> bool:
        """Whether the law of any request is known only nearly."""
        return any(request.ball is not None for request in self.requests)

    @property
    def has_own_demands(self) -> bool:
        """Whether any request has scenarios of its own."""
        return any(request.scenarios is not None for request in self.requests)


@dataclass(frozen=True)
class Allocation:
    """What one request has reserved: wavelengths, all on one path, the same end to end.

    `path` lists nodes from source to target (empty when nothing is reserved); `wavelengths` are
    0-based; `units_per_wavelength` is what the weakest fiber of the path brings.
    """

    request: str
    source: str
    target: str
    path: tuple[str, ...]
    wavelengths: tuple[int, ...]
    units_per_wavelength: int = 1

    @property
    def units(self) -> int:
        """Reserved units per period."""
        return len(self.wavelengths) * self.units_per_wavelength


@dataclass(frozen=True)
class Plan:
    """An answer: allocations, their exact cost per period, and a proven bound.

    `objective = first_stage_cost + expected_recourse_cost` is recomputed from the allocations by
    `evaluate`, independently of any solver; with a risk it is that mean and `cvar`, weighed, and where laws
    are known only nearly it is `worst_case_cost`.  `lacking_units` are those that requests lack to their
    service levels; each has a price in the objective (`service`), and only a plan made again may lack any.
    `gap = (objective - lower_bound) / objective`.
    `displaced_units` counts units that the aggregated program reserved and that found no wavelength:
    they are not in `allocations`, and their recourse is in the cost.  `expected_shortfall_units` are
    expected to be lost because pools are spent; their price is in the cost.  `formulation` says which
    form of the program the answer is from.
    """

    policy: Policy | OwnPolicy
    termination: Termination
    objective: float
    lower_bound: float
    gap: float
    first_stage_cost: int
    expected_recourse_cost: float
    displaced_units: int
    allocations: tuple[Allocation, ...]
    expected_shortfall_units: float = 0.0
    formulation: Formulation = Formulation.COLUMNS
    cvar: float | None = None
    worst_case_cost: float | None = None
    lacking_units: int = 0

    @property
    def expected_cost(self) -> float:
        """The mean cost of a period, by the laws as they are given."""
        return self.first_stage_cost + self.expected_recourse_cost


def _rest(room: int | None, taken: int) -> int | None:
    return None if room is None else room - taken


def _at(items: Sequence[_Item], positions: Sequence[int]) -> tuple[_Item, ...]:
    return tuple(items[index] for index in positions)
