"""The oracle's global manager: when it plans, what it objects to in a plan, and what it buys where.

Which paths and wavelengths a plan chooses it takes from the run; that the plan was due then, is lawful and
moves nobody who may stay, it checks.  The rules are told in `oracle`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from oracle_mail import Ask, Cold, Entity, Letter, Reply
from oracle_nature import mean_of, poisson, poisson_of_cut_mean, variance_of
from oracle_terms import (
    FIBER,
    FIBERS,
    MANAGER,
    RETRY_WINDOWS,
    SATELLITE,
    SATELLITES,
    UAV,
    UAVS,
    Costs,
    Event,
    Given,
    Link,
    Way,
    key_manager,
)
from oracle_world import World

SILENT_WINDOWS = 30
CONTROLLER = {SATELLITE: SATELLITES, UAV: UAVS}


@dataclass(frozen=True)
class Reserve:
    """A way for a request, in a generation; its channels begin at `start_s`."""

    request: int
    way: Way
    generation: int
    start_s: float


@dataclass(frozen=True)
class Release:
    """A reservation up to this generation is over."""

    request: int
    generation: int


@dataclass(frozen=True)
class Walk:
    """What is reserved?"""


@dataclass(frozen=True)
class Usage:
    """What have applications asked for?"""


@dataclass(frozen=True)
class LinkNews:
    """A fiber is `up`, or down by `loss` or `noise`."""

    link: Link
    state: str


@dataclass(frozen=True)
class IsUp:
    """All nodes of a reservation are configured."""

    request: int


@dataclass(frozen=True)
class Short:
    """A request lacks units in a period."""

    request: int
    period: int
    units: int


@dataclass(frozen=True)
class Order:
    """Units that are bought for a request from a medium."""

    number: int
    request: int
    period: int
    units: int
    medium: str


@dataclass(frozen=True)
class IsDone:
    """Both ends have an order's key."""

    order: Order


@dataclass(frozen=True)
class HasFailed:
    """An order has brought no key."""

    order: Order


class Manager(Entity):
    """See the module."""

    def __init__(self, world: World, events: list[Event], objections: list[str]) -> None:
        super().__init__(MANAGER, events)
        self._world, self._given, self._calendar = world, world.given, world.calendar
        self._objections = objections
        self._costs = Costs(self._given)
        self._requests = self._given.fields["demand"]["requests"]
        self._plans: Iterator[Mapping[str, Way]] = iter(self._given.plans)
        self._has_plan, self._reserved = False, dict[int, Way]()
        self._generation = Counter[int]()
        self._again: dict[int, int] = {}
        self._refused = Counter[int]()
        self._displaced: dict[Link, set[int]] = {}
        self._up: set[int] = set()
        self._orders = 0
        self._open: dict[int, tuple[Order, list[str]]] = {}
        self._unanswered: set[int] = set()
        self._silent: set[str] = set()
        self._heard_at: dict[str, int] = {}
        self._heard: set[tuple[str, int]] = set()
        self._period = 0
        self._drift = _Drift(self._given, poisson(world.mean_units, self._scenarios))

    def begin(self, window: int) -> None:
        """Compare what is reserved with the plan, if there is one."""
        self.window = window
        if self._has_plan:
            self._note_agent(MANAGER, "is back")
            self.ask(FIBERS, Walk(), Walk())

    def step(self, window: int, letters: Any) -> list[Letter]:
        """Plan at first; then react."""
        self.window = window
        if not self._has_plan:
            self._plan("start", set())
        return super().step(window, letters)

    def act(self) -> None:
        """Watch who does not answer, charge what has begun, ask again for what was refused."""
        for name, asked in self.unanswered().items():
            since = max(asked, self._heard_at.get(name, 0))
            if self.window - since >= SILENT_WINDOWS and name not in self._silent:
                self._silent.add(name)
                self._note_agent(name, "does not answer")
        while self._period < self._calendar.periods and self._begins(self._period):
            cost = sum(map(self._costs.of_way, self._reserved.values()))
            self.note("period", period=self._period, medium=FIBER, cost=cost)
            self._period += 1
            every = self._given.fields["plan"]["look_every_periods"]
            if every and self._period % every == 0:
                self._look_at_demand()
        for request in [r for r, window in self._again.items() if window <= self.window]:
            del self._again[request]
            self._ask_for(request, self._reserved[request])

    def on_ask(self, sender: str, ask: Ask) -> None:
        """Answer first; take what is said once."""
        self.say(sender, Reply(ask.number, True))
        if (sender, ask.number) not in self._heard:
            self._heard.add((sender, ask.number))
            self._take(sender, ask.what)

    def answered(self, sender: str, context: Any, reply: Reply) -> None:
        """Take an answer."""
        match context:
            case Order() as order:
                self._on_order_answered(order, is_taken=reply.is_yes)
            case Reserve() as asked if not reply.is_yes:
                is_wanted = asked.request in self._reserved
                if is_wanted and asked.generation == self._generation[asked.request]:
                    times = self._refused[asked.request]
                    self._refused[asked.request] += 1
                    self._again[asked.request] = self.window + RETRY_WINDOWS * min(2**times, 256)
            case Walk():
                is_planned = reply.content == {r: way.units for r, way in self._reserved.items()}
                words = "as planned" if is_planned else "differs from the plan"
                self.note("verified", units=sum(reply.content.values()), note=words)
            case Usage():
                self._on_usage(sender, reply.content)

    def _read(self, letter: Letter) -> None:
        self._hear_of(letter.sender)
        super()._read(letter)

    def _take(self, sender: str, what: Any) -> None:
        match what:
            case Short():
                self._buy(what)
            case IsUp():
                self._up.add(what.request)
                if self._up == self._reserved.keys():
                    self.ask(FIBERS, Walk(), Walk())
            case LinkNews():
                self._on_link(what.link, what.state)
            case Cold():
                self._note_agent(sender, "is back")
                if sender == FIBERS:
                    self.ask(FIBERS, Walk(), Walk())
            case HasFailed():
                self._on_failed(what.order)
            case IsDone():
                order = what.order
                self._open.pop(order.number, None)
                self.note("completed", order.request, order.period, units=order.units)

    def _hear_of(self, name: str) -> None:
        self._heard_at[name] = self.window
        if name in self._silent:
            self._silent.discard(name)
            self._note_agent(name, "answers again")

    def _note_agent(self, name: str, words: str) -> None:
        self.note("agent", note=f"{name} {words}")

    def _begins(self, period: int) -> bool:
        return self._calendar.begins(period) <= self.window

    @property
    def _scenarios(self) -> int:
        return int(self._given.fields["demand"]["scenarios"])

    # Planning.

    def _on_link(self, link: Link, state: str) -> None:
        name = f"fiber {link[0]}-{link[1]}"
        if state == "up":
            if link in self._displaced:
                self._replan(f"{name} is up", self._displaced.pop(link))
        elif link not in self._displaced:
            on_it = {request for request, way in self._reserved.items() if way.uses(link)}
            self._displaced[link] = on_it
            why = " with too many errors" if state == "noise" else ""
            self._replan(f"{name} is down{why}", set())

    def _replan(self, reason: str, movable: set[int]) -> None:
        plan = self._given.fields["plan"]
        if self._has_plan and plan["policy"] == "stochastic" and plan["replan"]:
            self._plan(reason, movable)

    def _plan(self, reason: str, movable: set[int]) -> None:
        """Adopt the next plan that the run has made; object if there is none, or to what it does."""
        chosen = next(self._plans, None)
        if chosen is None:
            self._objections.append(f"window {self.window}: no plan was made, though {reason}")
            return
        places = {item["id"]: place for place, item in enumerate(self._requests)}
        after = {places[name]: way for name, way in chosen.items() if way.units}
        before, self._reserved = self._reserved, after
        self._objections += objections(self._given, after, set(self._displaced), self.window)
        self._objections += [
            f"plan of window {self.window}: {self._requests[request]['id']} worked and was moved"
            for request, way in before.items()
            if request not in movable
            and not any(way.uses(link) for link in self._displaced)
            and after.get(request) != way
        ]
        new = [request for request, way in after.items() if before.get(request) != way]
        if self._has_plan:
            self.note("replanned", period=self._period, units=len(new), note=reason)
        self._has_plan = True
        for request in [r for r, way in before.items() if after.get(r) != way]:
            self._up.discard(request)
            self._again.pop(request, None)
            self._refused.pop(request, None)
            self.note("reserved", request, self._period)
            self.ask(FIBERS, Release(request, self._generation[request]))
        for request in new:
            self._set_up(request, after[request])

    def _set_up(self, request: int, way: Way) -> None:
        cost = self._costs.of_way(way)
        self.note("reserved", request, self._period, units=way.units, cost=cost)
        self._generation[request] += 1
        self._ask_for(request, way)

    def _ask_for(self, request: int, way: Way) -> None:
        start_s = (self.window + 4) * self._calendar.window_s
        reserve = Reserve(request, way, self._generation[request], start_s)
        self.ask(FIBERS, reserve, reserve)

    def finish(self) -> None:
        """Object to plans that were made and not due."""
        if more := len(list(self._plans)):
            self._objections.append(f"{more} plans were made that were not due")

    # Drift.

    def _look_at_demand(self) -> None:
        ends = {item["source"] for item in self._requests}
        sources = [key_manager(node) for node in self._given.graph if node in ends]
        self._drift.begin(set(sources))
        for name in sources:
            self.ask(name, Usage(), Usage())

    def _on_usage(self, sender: str, units: Mapping[int, int]) -> None:
        mean = self._drift.take(sender, units, self._period)
        if mean is not None:
            is_back = mean == mean_of(self._drift.first)
            law = self._drift.first if is_back else poisson_of_cut_mean(mean, self._scenarios)
            self._drift.law = law
            everybody = set(range(len(self._requests)))
            self._replan(f"demand drifted to {mean:.2f} units", everybody)

    # Buying.

    def _buy(self, short: Short) -> None:
        if self._begins(short.period + 1):
            return
        media = sorted(self._costs.media(), key=lambda medium: CONTROLLER[medium] in self._silent)
        self._order(Order(0, short.request, short.period, short.units, ""), media)

    def _order(self, order: Order, media: list[str]) -> None:
        self._orders += 1
        order = replace(order, number=self._orders, medium=media[0])
        self._open[order.number] = order, media[1:]
        self._unanswered.add(order.number)
        self._note_order("ordered", order, self._price(order))
        self.ask(CONTROLLER[order.medium], order, order)

    def _on_order_answered(self, order: Order, *, is_taken: bool) -> None:
        if order.number not in self._unanswered:
            return
        self._unanswered.discard(order.number)
        if is_taken:
            self._note_order("bought", order, self._price(order))
            return
        others = self._open.pop(order.number)[1]
        self._note_order("refused", order, 0)
        self._order_elsewhere(order, others)

    def _on_failed(self, order: Order) -> None:
        if order.number not in self._open:
            return
        if order.number in self._unanswered:
            self._unanswered.discard(order.number)
            self._note_order("bought", order, self._price(order))
        others = self._open.pop(order.number)[1]
        self._note_order("failed", order, -self._price(order))
        self._order_elsewhere(order, others)

    def _order_elsewhere(self, order: Order, others: list[str]) -> None:
        if others and not self._begins(order.period + 1):
            self._order(order, others)

    def _price(self, order: Order) -> int:
        return order.units * self._costs.of_unit(order.request, order.medium)

    def _note_order(self, what: str, order: Order, cost: int) -> None:
        self.note(what, order.request, order.period, order.medium, order.units, cost)


@dataclass
class _Drift:
    """What has been asked for since the last look, against the law that the plan assumes."""

    given: Given
    law: list[float]

    def __post_init__(self) -> None:
        self._asked: set[str] = set()
        self._usage: dict[int, int] = {}
        self._before: dict[int, int] = {}
        self._looked = 0
        self.first = self.law
        self._looks: list[tuple[float, int]] = []
        self._recent: list[tuple[float, int]] = []

    def begin(self, sources: set[str]) -> None:
        """Look: all of them are asked."""
        self._asked, self._usage = set(sources), {}

    def take(self, sender: str, units: Mapping[int, int], periods: int) -> float | None:
        """Take an answer; return the mean if all have answered, and it is another."""
        self._usage |= units
        self._asked.discard(sender)
        if self._asked:
            return None
        elapsed, self._looked = periods - self._looked, periods
        asked = sum(n - self._before.get(request, 0) for request, n in self._usage.items())
        self._before = dict(self._usage)
        if elapsed < 1 or not self._usage:
            return None
        self._looks.append((asked / len(self._usage), elapsed))
        self._recent.append(self._looks[-1])
        del self._looks[:-24], self._recent[:-24]
        mean = self._change()
        if mean is not None:
            self._recent = []
        return mean

    def _change(self) -> float | None:
        """Return the mean to assume from now on, if it is another."""
        sigmas = self.given.fields["plan"]["drift_sigmas"]
        if len(self._recent) < 2:
            return None
        if self.law is not self.first:
            away, home = (abs(self._z(self._recent, law)) for law in (self.law, self.first))
            if home < away and away > sigmas / 2:
                return mean_of(self.first)
        two = self._recent[-2:]
        z = self._z(two, self.law)
        sides = [self._z([look], self.law) for look in two]
        if abs(z) <= sigmas or any(side * math.copysign(1, z) <= sigmas / 2 for side in sides):
            return None
        mean = sum(units for units, _ in two) / sum(periods for _, periods in two)
        return mean_of(self.law) + (mean - mean_of(self.law)) * max(0.0, 1 - 1 / z**2)

    def _z(self, looks: Sequence[tuple[float, int]], law: list[float]) -> float:
        """Return the standard errors between looks and a law."""
        periods = sum(n for _, n in looks)
        is_one = self.given.fields["demand"]["correlated"]
        spread = variance_of(law) / (1 if is_one else len(self._usage))
        pairs = list(pairwise((units / n, n) for units, n in self._looks))
        if len(pairs) >= 4:
            steps = [(b - a) ** 2 / (1 / m + 1 / n) for (a, m), (b, n) in pairs]
            spread = max(spread, sum(steps) / len(steps))
        mean = sum(units for units, _ in looks) / periods
        return (mean - mean_of(law)) / math.sqrt(max(spread, 1e-12) / periods)


def objections(
    given: Given, plan: Mapping[int, Way], down: set[Link], window: int
) -> Iterator[str]:
    """Yield what is unlawful in a plan."""
    network, requests = given.fields["network"], given.fields["demand"]["requests"]
    lit: Counter[tuple[object, int]] = Counter()
    for request, way in plan.items():
        item = requests[request]
        where = f"plan of window {window}, {item['id']}"
        ends = way.path[0], way.path[-1]
        if ends != (item["source"], item["target"]) or len(set(way.path)) < len(way.path):
            yield f"{where}: {way.path} is no way between its ends"
        if any(not given.graph.has_edge(*hop) for hop in pairwise(way.path)):
            yield f"{where}: {way.path} uses fibers that are not there"
        if broken := [link for link in down if way.uses(link)]:
            yield f"{where}: uses {broken}, down at the time"
        if not all(0 <= colour < network["wavelengths"] for colour in way.wavelengths):
            yield f"{where}: no such wavelengths: {way.wavelengths}"
        for hop in pairwise(way.path):
            fiber = hop if network["capacity"] == "per-direction" else frozenset(hop)
            lit.update((fiber, colour) for colour in way.wavelengths)
    if twice := [use for use, times in lit.items() if times > 1]:
        yield f"plan of window {window}: used twice: {twice}"
