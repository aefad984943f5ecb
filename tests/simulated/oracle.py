"""What a run must do, computed from its experiment, network, draws and fault schedule alone.

An oracle imports neither agents, manager nor world.  It is given the experiment as written, the network as
a graph (nodes and links in their order), what chance has drawn, and of every plan only which paths and
wavelengths it chose.  All else follows, by the rules of docs/design.md:

*Windows.*  Time t is window ceil(t / window_s).  A message of window w is read in w + 1.  In a window an
entity first reads its mail by (source, sequence), then does what is due.  L = min(nodes, 40) + 4 windows
lead from an epoch's end to its period's beginning.  Period p begins at F + p T, where F is 4 + L windows
and one period T; epoch k ends at F - L + k T.

*Fibers.*  Every `monitor_s` the controller looks (window w) at each fiber: LOSS while it is cut, over
[at_s, until_s); NOISE while errors exceed the limit or leave no key.  What changed since the last look is
noted and informed of; but one that was down is up only when it has been good at every look for
`wait_to_restore_s`.  The manager reads it in w + 1 and, unless the fiber's state is no news (down is down
for whatever cause), plans again at once, once for each news, in the order of the links.

*Drift.*  When period p begins (window w) and p + 1 is a multiple of `look_every_periods`, the manager asks
for usage and has it in w + 2.  Demand has drifted if its mean since the last look is more than
`drift_sigmas` standard errors from the law that the plan assumes; then everybody may move.

*Plans.*  A plan made in window w leaves out the fibers that are known to be down, shares no wavelength of
a fiber (of a direction, where capacity is counted so), and keeps whatever worked, unless it may move: after
a fiber came up those whom it had displaced, after a drift all.  What was reserved and goes leaves its nodes
in w + 2; what comes makes its first keys in the first epoch that ends later than w + 4.  A period costs
what is reserved when it begins, plans of that window included.

*Loss.*  A degraded fiber is one with more loss in every span, the most if there are several; what an
eavesdropper does comes on top.  It is seen as noise when no key is left.

*Fiber keys.*  A block of epoch k on a hop is complete at the epoch's end and lasts since the one before, or
since w + 4.  It is void if the fiber is cut at the instant it completes, whatever was before, or too noisy
(share of interception averaged over the block); else it carries units * min(unit, rate * time) in whole
units.  The source makes as many keys as its first hop carries and its store has room for; as many arrive as
every hop carries, and are available h + 1 windows later (h hops), unless the reservation left its nodes by
then.  Available keys stay, also without a reservation, until they are used or too old
(`keys.lifetime_s`), and take the room of new ones.

*Service.*  When a period begins (w) what is available is delivered.  The rest is short: ordered in w + 1
from the cheaper medium (UAV if prices are equal), decided in w + 2, bought or refused in w + 3, and then
ordered from the other medium in w + 3, decided in w + 4 and so on; who is refused everywhere goes without.
Orders are decided in the order of source node and request.  A satellite serves if its draw for pair and
period allows it, the sky is clear over both ends at the moment of decision, and its errors are below the
limit, and satellites are not lost.  A UAV serves if its errors are, and if enough of the fleet are ready
and not lost.  Key is ready after setup_s +
units * unit_bits / skr_bps, is sent for in the window of that moment, and delivered two windows later, if
the period still lasts or ends in that very window; it is paid for in any case.  What is missing when the
period ends has lapsed.

*A fleet.*  A service of s seconds needs ceil(s / (endurance_s - 2 setup_s)) crews in turn, or as many as
keep a post manned for ever, if that is less; each of `uavs_per_order`.  They are ready setup_s + turn_s
after it.  Those with the lowest numbers fly first, and are lost first.  A UAV that is lost at any time
between the decision and the window in which key is sent for fails the order: it is paid back a window
later, and ordered from the other medium, if that was not tried and the period lasts.  Without a fleet only
the loss of all UAVs counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import networkx as nx
from oracle_nature import (
    Offer,
    Undetermined,
    demanded,
    is_clear,
    is_noisy,
    mean_of,
    poisson,
    poisson_of_cut_mean,
    tapped,
    variance_of,
)

SETUP_WINDOWS = 4
MAIL_WINDOWS = 20  # in which all mail has come after the end, at the latest
SATELLITE, UAV, FIBER = "satellite", "uav", "fiber"
Link = tuple[str, str]


@dataclass(frozen=True)
class Way:
    """What a plan chose for a request: nodes from source to target, and wavelengths."""

    path: tuple[str, ...] = ()
    wavelengths: tuple[int, ...] = ()

    @property
    def units(self) -> int:
        """Units reserved."""
        return len(self.wavelengths)

    def uses(self, link: Link) -> bool:
        """Return whether the path runs over a link."""
        return any(set(hop) == set(link) for hop in pairwise(self.path))


@dataclass(frozen=True)
class Given:
    """All that an oracle may know.

    `fields` are those of the experiment, every default written out; `luck_of_demand` is a number in [0, 1)
    for each (request, period), `luck_of_sky` one for each (source, target, period); `plans` are in
    the order in which they were made, each by request id.
    """

    fields: Mapping[str, Any]
    graph: nx.Graph[str]
    luck_of_demand: Mapping[tuple[int, int], float]
    luck_of_sky: Mapping[tuple[str, str, int], float]
    plans: Sequence[Mapping[str, Way]]


@dataclass(frozen=True)
class Event:
    """Something that happens in a window; `what` is named as in a journal."""

    window: int
    what: str
    request: int = -1
    period: int = -1
    medium: str = ""
    units: int = 0
    cost: int = 0
    note: str = ""


@dataclass
class Row:
    """What the ledger must say of a request in a period."""

    demanded_units: int = 0
    fiber_units: int = 0
    satellite_units: int = 0
    uav_units: int = 0
    late_units: int = 0
    failed_units: int = 0
    shortfall_units: int = 0
    shortfall_s: float = 0.0
    needed_s: float = 0.0
    down_s: float = 0.0
    reservation_cost: int = 0
    satellite_cost: int = 0
    uav_cost: int = 0


@dataclass(frozen=True)
class Prediction:
    """Events in no order, a row for each (request, period), and what is wrong with the plans given."""

    events: list[Event]
    rows: dict[tuple[int, int], Row]
    objections: list[str]
    last_window: int


def predict(given: Given) -> Prediction:
    """Return what a run must do.  Raises `Undetermined`."""
    return _Oracle(given).predict()


@dataclass(frozen=True)
class _Calendar:
    window_s: float
    period_s: float
    periods: int
    nodes: int

    @property
    def lead_windows(self) -> int:
        return min(self.nodes, 40) + 4

    @property
    def first_s(self) -> float:
        return (SETUP_WINDOWS + self.lead_windows) * self.window_s + self.period_s

    def begins_s(self, period: int) -> float:
        return self.first_s + period * self.period_s

    def epoch_s(self, epoch: int) -> float:
        return self.begins_s(epoch) - self.lead_windows * self.window_s

    def window(self, at_s: float) -> int:
        return math.ceil(at_s / self.window_s - 1e-9)

    def begins(self, period: int) -> int:
        return self.window(self.begins_s(period))

    @property
    def last_window(self) -> int:
        return self.begins(self.periods)


@dataclass(frozen=True)
class _Fibers:
    """What fibers offer under the schedule of cuts and eavesdroppers."""

    graph: nx.Graph[str]
    faults: Sequence[Mapping[str, Any]]
    span_km: float
    limit: float

    def cost(self, link: Link, prices: Mapping[str, int]) -> int:
        km = self.graph.edges[link]["length_km"]
        devices = ("transmitter", "receiver", "local_key_manager", "mux_demux")
        bundle = sum(prices[f"reserved_{name}"] for name in devices)
        bundle += prices["reserved_security_infrastructure"]
        return math.ceil(km / 80) * bundle + math.ceil(prices["reserved_fiber_km"] * km)

    def is_cut(self, link: Link, at_s: float) -> bool:
        return any(_is_on(e, at_s) for e in self._on("fiber-cut", link))

    def offer(self, link: Link, since_s: float, at_s: float) -> Offer:
        km = self.graph.edges[link]["length_km"]
        span_km = km / max(1, math.ceil(km / self.span_km - 1e-9))
        taps = self._on("eavesdropper", link)
        bends = [e for e in self._on("link-degraded", link) if _is_on(e, at_s)]
        share = min(1.0, sum(_share(tap, since_s, at_s) for tap in taps))
        return tapped(span_km, share, max((e["loss_db"] for e in bends), default=0.0))

    def state(self, link: Link, at_s: float) -> str:
        """Return `up`, `loss` or `noise` at a moment."""
        if self.is_cut(link, at_s):
            return "loss"
        offer = self.offer(link, at_s, at_s)
        return "noise" if offer.skr_bps == 0 or offer.qber > self.limit else "up"

    def block_units(
        self, link: Link, since_s: float, at_s: float, units: int, unit_bits: int
    ) -> int:
        """Return how many keys a block on so many wavelengths carries."""
        if self.is_cut(link, at_s):
            return 0
        offer, lasted_s = self.offer(link, since_s, at_s), at_s - since_s
        sifted_bits = int(units * offer.sifted_bps * lasted_s)
        if offer.skr_bps == 0 or is_noisy(offer, sifted_bits, self.limit):
            return 0
        wavelength_bits = min(unit_bits, 8 * int(offer.skr_bps * lasted_s / 8))
        return units * wavelength_bits // unit_bits

    def _on(self, kind: str, link: Link) -> list[Mapping[str, Any]]:
        found = (event for event in self.faults if event["kind"] == kind)
        return [event for event in found if set(event["link"]) == set(link)]


@dataclass(frozen=True)
class _Decision:
    """A re-plan: when, why, without which fibers, and who may move although all is well with them."""

    window: int
    reason: str
    down: frozenset[Link]
    movable: frozenset[str] | None


@dataclass
class _Reservation:
    """A way from the window in which it was planned to that in which it was given up."""

    way: Way
    made: int
    gone: int | None = None


@dataclass
class _Stock:
    """End-to-end keys of one request at its source: (when their blocks were complete, units)."""

    lifetime_s: float
    available: list[tuple[float, int]] = field(default_factory=list)

    def at(self, now_s: float) -> int:
        self.available = [
            (made_s, units)
            for made_s, units in self.available
            if units and now_s < made_s + self.lifetime_s
        ]
        return sum(units for _, units in self.available)

    def take(self, units: int, now_s: float) -> int:
        taken = left = min(units, self.at(now_s))
        rest = []
        for made_s, here in self.available:
            used = min(left, here)
            left -= used
            rest.append((made_s, here - used))
        self.available = rest
        return taken


@dataclass
class _Order:
    request: int
    period: int
    units: int
    window: int
    others: list[str]


@dataclass(frozen=True)
class _Service:
    """When an order's key is ready, and the UAVs that bring it; None if a satellite does."""

    ready_s: float
    uavs: list[int] | None = None


@dataclass
class _Oracle:
    given: Given
    events: list[Event] = field(default_factory=list)
    rows: dict[tuple[int, int], Row] = field(default_factory=lambda: defaultdict(Row))
    objections: list[str] = field(default_factory=list)
    away: list[tuple[float, list[int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        fields = self.given.fields
        demand = fields["demand"]
        self.demand, self.faults, self.requests = demand, fields["faults"], demand["requests"]
        self.calendar = _Calendar(
            fields["clock"]["window_s"],
            demand["period_s"],
            demand["periods"],
            len(self.given.graph),
        )
        self.fibers = _Fibers(
            self.given.graph,
            self.faults,
            fields["fiber"]["span_km"],
            fields["keys"]["qber_limit"],
        )
        self.links = [(a, b) for a, b in self.given.graph.edges]

    def predict(self) -> Prediction:
        decisions = self._decisions()
        reservations = self._reservations(decisions)
        for request in range(len(self.requests)):
            self._use_fiber(request, reservations[request])
        self._serve()
        for place, row in self.rows.items():
            self._finish(place, row)
        last = self.calendar.last_window
        events = [event for event in self.events if event.window <= last]
        return Prediction(events, dict(self.rows), self.objections, last)

    # What is noticed, and decided.

    def _decisions(self) -> list[_Decision]:
        plan = self.given.fields["plan"]
        notices = self._notices()
        drifts = self._drifts()
        if plan["policy"] != "stochastic" or not plan["replan"]:
            return []
        decisions: list[_Decision] = []
        down: dict[Link, None] = {}
        for window, link, state in notices:
            name = f"fiber {link[0]}-{link[1]}"
            if state == "up":
                del down[link]
                decisions.append(_Decision(window, f"{name} is up", frozenset(down), frozenset()))
            elif link not in down:
                down[link] = None
                why = " with too many errors" if state == "noise" else ""
                reason = f"{name} is down{why}"
                decisions.append(_Decision(window, reason, frozenset(down), frozenset()))
        for window, mean in drifts:
            known = frozenset(
                link for link in self.links if self._last_state(notices, link, window) != "up"
            )
            reason = f"demand drifted to {mean:.2f} units"
            decisions.append(_Decision(window, reason, known, None))
        return sorted(decisions, key=lambda item: (item.window, item.movable is None))

    def _notices(self) -> list[tuple[int, Link, str]]:
        """Note every change that a look finds; return when the manager reads of it."""
        calendar = self.calendar
        monitor_s = max(self.given.fields["fiber"]["monitor_s"], calendar.window_s)
        wait_s = self.given.fields["fiber"]["wait_to_restore_s"]
        state, good_since_s = dict.fromkeys(self.links, "up"), dict[Link, float]()
        notices = []
        look = 1
        while (window := calendar.window(look * monitor_s)) <= calendar.last_window:
            for link in self.links:
                now_s = window * calendar.window_s
                seen = self.fibers.state(link, now_s)
                if seen != "up":
                    good_since_s.pop(link, None)
                elif now_s - good_since_s.setdefault(link, now_s) < wait_s:
                    seen = state[link]
                if seen != state[link]:
                    state[link] = seen
                    note = f"{link[0]}-{link[1]} {seen}"
                    self.events.append(Event(window, "link", note=note))
                    if window < calendar.last_window:
                        notices.append((window + 1, link, seen))
            look += 1
        return notices

    @staticmethod
    def _last_state(notices: Sequence[tuple[int, Link, str]], link: Link, window: int) -> str:
        seen = [state for at, of, state in notices if of == link and at <= window]
        return seen[-1] if seen else "up"

    def _drifts(self) -> Iterator[tuple[int, float]]:
        """Yield when the manager finds that demand has drifted, and to which mean."""
        plan, scenarios = self.given.fields["plan"], self.demand["scenarios"]
        every = plan["look_every_periods"]
        law, looked = poisson(self._mean(), scenarios), 0
        for period in range(self.demand["periods"]):
            begun = period + 1
            if not every or begun % every:
                continue
            drawn = [
                self._demanded(request, earlier)
                for earlier in range(looked, begun)
                for request in range(len(self.requests))
            ]
            draws = begun - looked if self.demand["correlated"] else len(drawn)
            looked = begun
            mean = sum(drawn) / len(drawn)
            error = math.sqrt(variance_of(law) / draws)
            if abs(mean - mean_of(law)) > plan["drift_sigmas"] * error:
                law = poisson_of_cut_mean(mean, scenarios)
                window = self.calendar.begins(period) + 2
                if window <= self.calendar.last_window:
                    yield window, mean

    # What is reserved.

    def _reservations(self, decisions: Sequence[_Decision]) -> list[list[_Reservation]]:
        """Follow the plans; check that each was to be made then and may be as it is."""
        found: list[list[_Reservation]] = [[] for _ in self.requests]
        displaced: dict[Link, set[str]] = {}
        if len(self.given.plans) != 1 + len(decisions):
            made, due = len(self.given.plans), 1 + len(decisions)
            self.objections.append(f"{made} plans were made, but {due} were due: {decisions}")
        before: dict[str, Way] = {}
        known: frozenset[Link] = frozenset()
        start = _Decision(0, "start", frozenset(), None)
        for decision, plan in zip((start, *decisions), self.given.plans, strict=False):
            after = {name: way for name, way in plan.items() if way.units}
            movable = set(plan) if decision.movable is None else set()
            for link in decision.down - known:
                displaced[link] = {name for name, way in before.items() if way.uses(link)}
            for link in known - decision.down:
                movable |= displaced.pop(link)
            known = decision.down
            self._check(decision, before, after, movable)
            self._adopt(decision, before, after, found)
            before = after
        self._charge(found)
        return found

    def _adopt(
        self,
        decision: _Decision,
        before: Mapping[str, Way],
        after: Mapping[str, Way],
        found: list[list[_Reservation]],
    ) -> None:
        period = self._begun_before(decision.window)
        changes = {
            request: after.get(item["id"], Way())
            for request, item in enumerate(self.requests)
            if before.get(item["id"], Way()) != after.get(item["id"], Way())
        }
        new = [request for request, way in changes.items() if way.units]
        if decision.window:
            note = decision.reason
            self.events.append(
                Event(decision.window, "replanned", period=period, units=len(new), note=note)
            )
        for request, way in changes.items():
            if self.requests[request]["id"] in before:
                found[request][-1].gone = decision.window
                self.events.append(Event(decision.window, "reserved", request, period))
            if way.units:
                found[request].append(_Reservation(way, decision.window))
                cost = self._cost(way)
                event = Event(
                    decision.window, "reserved", request, period, units=way.units, cost=cost
                )
                self.events.append(event)

    def _charge(self, found: list[list[_Reservation]]) -> None:
        """Have every period cost what is reserved when it begins."""
        for period in range(self.demand["periods"]):
            window, total = self.calendar.begins(period), 0
            for request, items in enumerate(found):
                here = [
                    r for r in items if r.made <= window and (r.gone is None or window < r.gone)
                ]
                cost = sum(self._cost(item.way) for item in here)
                self.rows[request, period].reservation_cost = cost
                total += cost
            self.events.append(Event(window, "period", period=period, medium=FIBER, cost=total))

    def _check(
        self,
        decision: _Decision,
        before: Mapping[str, Way],
        after: Mapping[str, Way],
        movable: set[str],
    ) -> None:
        """Object to a plan that is not lawful, or changes what works."""
        ends = {item["id"]: (item["source"], item["target"]) for item in self.requests}
        lit: Counter[tuple[object, int]] = Counter()
        network = self.given.fields["network"]
        for name, way in after.items():
            where = f"plan of window {decision.window}, {name}"
            if (way.path[0], way.path[-1]) != ends[name] or len(set(way.path)) < len(way.path):
                self.objections.append(f"{where}: {way.path} is no way between its ends")
            if any(not self.given.graph.has_edge(*hop) for hop in pairwise(way.path)):
                self.objections.append(f"{where}: {way.path} uses fibers that are not there")
            if broken := [link for link in decision.down if way.uses(link)]:
                self.objections.append(f"{where}: uses {broken}, down at the time")
            if not all(0 <= colour < network["wavelengths"] for colour in way.wavelengths):
                self.objections.append(f"{where}: no such wavelengths: {way.wavelengths}")
            for hop in pairwise(way.path):
                fiber = hop if network["capacity"] == "per-direction" else frozenset(hop)
                lit.update((fiber, colour) for colour in way.wavelengths)
        if twice := [use for use, times in lit.items() if times > 1]:
            self.objections.append(f"plan of window {decision.window}: used twice: {twice}")
        for name, way in before.items():
            works = not any(way.uses(link) for link in decision.down)
            if works and name not in movable and after.get(name) != way:
                self.objections.append(
                    f"plan of window {decision.window}: {name} worked and was moved"
                )

    def _cost(self, way: Way) -> int:
        prices = self.given.fields["prices"]
        return way.units * sum(self.fibers.cost(hop, prices) for hop in pairwise(way.path))

    def _begun_before(self, window: int) -> int:
        return sum(self.calendar.begins(p) < window for p in range(self.demand["periods"]))

    # What fibers bring.

    def _use_fiber(self, request: int, reservations: Sequence[_Reservation]) -> None:
        """Play the epochs and periods of one request in order."""
        keys = self.given.fields["keys"]
        stock = _Stock(keys["lifetime_s"] or math.inf)
        made = sorted(
            (self.calendar.window(self.calendar.epoch_s(k)), k, item)
            for item in reservations
            for k in range(self.demand["periods"] + 2)
            if self._lives_at(item, k)
        )
        for period in range(self.demand["periods"]):
            begins = self.calendar.begins(period)
            while made and made[0][0] < begins:
                self._make(stock, *made.pop(0)[1:])
            self._begin(request, period, stock)

    def _lives_at(self, item: _Reservation, epoch: int) -> bool:
        """Return whether a reservation takes part in an epoch's end."""
        end_s = self.calendar.epoch_s(epoch)
        starts_s = (item.made + SETUP_WINDOWS) * self.calendar.window_s
        released = math.inf if item.gone is None else item.gone + 2
        return starts_s < end_s and self.calendar.window(end_s) < released

    def _make(self, stock: _Stock, epoch: int, item: _Reservation) -> None:
        calendar, unit_bits = self.calendar, self.given.fields["keys"]["unit_bits"]
        end_s = calendar.epoch_s(epoch)
        starts_s = (item.made + SETUP_WINDOWS) * calendar.window_s
        since_s = max(starts_s, calendar.epoch_s(epoch - 1))
        hops = list(pairwise(item.way.path))
        carried = [
            self.fibers.block_units(hop, since_s, end_s, item.way.units, unit_bits) for hop in hops
        ]
        units = min(*carried, max(0, item.way.units - stock.at(end_s)))
        confirmed = calendar.window(end_s) + len(hops) + 1
        in_time = item.gone is None or confirmed < item.gone + 2
        if units and in_time:
            stock.available.append((end_s, units))

    def _begin(self, request: int, period: int, stock: _Stock) -> None:
        window = self.calendar.begins(period)
        row, units = self.rows[request, period], self._demanded(request, period)
        taken = stock.take(units, window * self.calendar.window_s)
        row.demanded_units, row.fiber_units, row.late_units = units, taken, units - taken
        self.events.append(Event(window, "demanded", request, period, units=units))
        if taken:
            self.events.append(Event(window, "delivered", request, period, FIBER, taken))
        if taken < units:
            short = Event(window, "short", request, period, units=units - taken)
            self.events.append(short)

    # What is bought.

    def _serve(self) -> None:
        """Order what is short, from the cheaper medium first."""
        prices = self.given.fields["prices"]
        media = [UAV, SATELLITE]
        media.sort(key=lambda medium: prices[f"on_demand_{medium}"])
        short = sorted(
            (e for e in self.events if e.what == "short"),
            key=lambda e: (e.window, self.requests[e.request]["source"], e.request),
        )
        orders = [_Order(e.request, e.period, e.units, e.window + 1, list(media)) for e in short]
        while orders:
            order = orders.pop(0)
            again = self._order(order)
            if again is not None:
                orders.append(again)
                orders.sort(key=lambda item: item.window)

    def _order(self, order: _Order) -> _Order | None:
        """Place an order; return the one that follows if it is refused or fails."""
        medium, *others = order.others
        cost = order.units * self._unit_cost(order.request, medium)
        place = (order.request, order.period, medium, order.units)
        self.events.append(Event(order.window, "ordered", *place, cost))
        now_s = (order.window + 1) * self.calendar.window_s
        service = self._service(order, medium, now_s)
        if service is None:
            self.events.append(Event(order.window + 2, "refused", *place))
            again = order.window + 2
        else:
            self._charge_order(order.window + 2, "bought", order, medium, cost)
            sent = self.calendar.window(service.ready_s)
            if not self._is_lost(service, now_s, sent * self.calendar.window_s):
                self._bring(order, medium, sent)
                return None
            self._charge_order(sent + 1, "failed", order, medium, -cost)
            again = sent + 1
        if not others or again >= self.calendar.begins(order.period + 1):
            return None
        return _Order(order.request, order.period, order.units, again, others)

    def _charge_order(self, window: int, what: str, order: _Order, medium: str, cost: int) -> None:
        row, name = self.rows[order.request, order.period], f"{medium}_cost"
        setattr(row, name, getattr(row, name) + cost)
        row.failed_units += order.units if what == "failed" else 0
        place = (order.request, order.period, medium, order.units)
        self.events.append(Event(window, what, *place, cost))

    def _bring(self, order: _Order, medium: str, sent: int) -> None:
        """Deliver an order whose key was sent for in a window, if that is in time."""
        done = Event(sent + 3, "completed", order.request, order.period, units=order.units)
        self.events.append(done)
        if sent + 2 <= self.calendar.begins(order.period + 1):
            place = (order.request, order.period, medium, order.units)
            setattr(self.rows[order.request, order.period], f"{medium}_units", order.units)
            self.events.append(Event(sent + 2, "delivered", *place))

    def _service(self, order: _Order, medium: str, now_s: float) -> _Service | None:
        """Return the service that an order gets; None if it cannot be served."""
        options, keys = self.given.fields[medium], self.given.fields["keys"]
        if options["qber"] > keys["qber_limit"]:
            return None
        lasts_s = order.units * keys["unit_bits"] / options["skr_bps"]
        ready_s: float = now_s + options["setup_s"] + lasts_s
        if medium == SATELLITE:
            return _Service(ready_s) if self._sees_satellite(order, now_s) else None
        if self._lost_uavs(now_s, now_s) == math.inf:
            return None
        if options["fleet"] is None:
            return _Service(ready_s, [])
        return self._fly(lasts_s, ready_s, now_s)

    def _sees_satellite(self, order: _Order, now_s: float) -> bool:
        item, graph = self.requests[order.request], self.given.graph
        if any(e["kind"] == "satellite-loss" and _is_on(e, now_s) for e in self.faults):
            return False
        luck = self.given.luck_of_sky[item["source"], item["target"], order.period]
        return luck < self.given.fields[SATELLITE]["probability"] and all(
            is_clear(
                self.faults, node, graph.nodes[node].get("lat"), graph.nodes[node].get("lon"), now_s
            )
            for node in (item["source"], item["target"])
        )

    def _fly(self, lasts_s: float, ready_s: float, now_s: float) -> _Service | None:
        """Take the first UAVs of the fleet that are ready, if they are enough."""
        options = self.given.fields[UAV]
        fleet, setup_s = options["fleet"], options["setup_s"]
        post_s = fleet["endurance_s"] - 2 * setup_s
        for_ever = 1 + math.ceil((2 * setup_s + fleet["turn_s"]) / post_s - 1e-9)
        crews = min(for_ever, max(1, math.ceil(lasts_s / post_s - 1e-9)))
        wanted = crews * fleet["uavs_per_order"]
        self.away = [(back_s, uavs) for back_s, uavs in self.away if back_s > now_s]
        out = {uav for _, uavs in self.away for uav in uavs}
        lost = self._lost_uavs(now_s, now_s)
        ready = [uav for uav in range(fleet["uavs"]) if uav not in out and uav >= lost]
        if wanted > len(ready):
            return None
        self.away.append((ready_s + setup_s + fleet["turn_s"], ready[:wanted]))
        return _Service(ready_s, ready[:wanted])

    def _is_lost(self, service: _Service, start_s: float, end_s: float) -> bool:
        """Return whether a UAV of a chain could not fly at some time of its service.

        Nobody finds out after the end, unless mail is still under way then.
        """
        after_end = self.calendar.window(end_s) - self.calendar.last_window
        if service.uavs is None or after_end > MAIL_WINDOWS:
            return False
        lost = self._lost_uavs(start_s, end_s)
        is_lost = lost > min(service.uavs) if service.uavs else lost == math.inf
        if is_lost and after_end > 0:
            raise Undetermined("a UAV is lost in an order that ends just after the run")
        return is_lost

    def _lost_uavs(self, since_s: float, until_s: float) -> float:
        """Return the most UAVs that are lost at a time."""
        losses = [event for event in self.faults if event["kind"] == "uav-loss"]
        times = [since_s, *(e["at_s"] for e in losses if since_s < e["at_s"] <= until_s)]
        return max(sum(e["uavs"] or math.inf for e in losses if _is_on(e, at_s)) for at_s in times)

    def _unit_cost(self, request: int, medium: str) -> int:
        prices, item = self.given.fields["prices"], self.requests[request]
        devices = (
            "transmitter",
            "receiver",
            "secret_key_buffer",
            "security_infrastructure",
            medium,
        )
        hop = sum(prices[f"on_demand_{name}"] for name in devices)
        return hop * nx.shortest_path_length(self.given.graph, item["source"], item["target"])

    # What it comes to.

    def _finish(self, place: tuple[int, int], row: Row) -> None:
        """Add what lapsed, and for how long keys were missing and the link was down."""
        request, period = place
        begins, ends = self.calendar.begins(period), self.calendar.begins(period + 1)
        served = row.fiber_units + row.satellite_units + row.uav_units
        row.shortfall_units = row.demanded_units - served
        came = [
            (event.window - begins, event.units)
            for event in self.events
            if event.what == "delivered" and (event.request, event.period) == place
        ]
        if row.shortfall_units:
            lapsed = Event(ends, "lapsed", request, period, units=row.shortfall_units)
            self.events.append(lapsed)
        if row.late_units:
            last = ends - begins if row.shortfall_units else max(at for at, _ in came)
            row.shortfall_s = last * self.calendar.window_s
        row.needed_s = self.calendar.period_s if row.demanded_units else 0.0
        row.down_s = self._down_s(row.demanded_units, came)

    def _down_s(self, units: int, came: Iterable[tuple[int, int]]) -> float:
        """Return for how long no key was in use; each is used for its share of the period."""
        if not units:
            return 0.0
        period_s, use_s = self.calendar.period_s, self.calendar.period_s / units
        there_s = sorted(at * self.calendar.window_s for at, n in came for _ in range(n))
        up_s = free_s = 0.0
        for at_s in there_s:
            begins_s = max(at_s, free_s)
            free_s = begins_s + use_s
            up_s += max(0.0, min(free_s, period_s) - begins_s)
        return period_s - up_s

    def _demanded(self, request: int, period: int) -> int:
        shifts = [e for e in self.faults if e["kind"] == "demand-shift"]
        begun = [e for e in shifts if e["from_period"] <= period]
        last = sorted(begun, key=lambda e: int(e["from_period"]))[-1:]
        mean = last[0]["mean_units"] if last else self._mean()
        law = poisson(mean, self.demand["scenarios"])
        return demanded(law, self.given.luck_of_demand[request, period])

    def _mean(self) -> float:
        return float(self.demand["distribution"]["poisson"]["mean_units"])


def _until(event: Mapping[str, Any]) -> float:
    until_s = event.get("until_s")
    return math.inf if until_s is None else until_s


def _is_on(event: Mapping[str, Any], at_s: float) -> bool:
    return bool(event["at_s"] <= at_s < _until(event))


def _share(tap: Mapping[str, Any], since_s: float, at_s: float) -> float:
    """Return which share of all pulses a tap intercepts in a time, or at an instant."""
    if since_s == at_s:
        return tap["fraction"] if _is_on(tap, at_s) else 0.0
    heard_s = min(at_s, _until(tap)) - max(since_s, tap["at_s"])
    return float(tap["fraction"] * max(0.0, heard_s) / (at_s - since_s))
