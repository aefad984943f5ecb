"""What the page shows of a run: totals, periods, requests, links, open orders and events.

A pure function of the facts that it was told, in any portions: whoever takes the same journals in one
piece or in many ends up with the same view.  Everything that changes has the number of the change, so that
a reader who was away is told only what is new.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from emulator.views.page.following import Blocks, News, Told
from global_manager.provisioning.model import Request
from protos.core import FactKind, key_manager_of

MOST_EVENTS = 300


@dataclass
class RequestView:
    """One request so far; `missing_units` are those that it waits for now."""

    id: str
    application: str
    source: str
    target: str
    reserved_units: int = 0
    demanded_units: int = 0
    fiber_units: int = 0
    satellite_units: int = 0
    uav_units: int = 0
    late_units: int = 0
    missing_units: int = 0
    lapsed_units: int = 0
    on_demand_cost: int = 0


@dataclass
class PeriodView:
    """One provisioning period so far."""

    period: int
    reservation_cost: int = 0
    satellite_cost: int = 0
    uav_cost: int = 0
    expected_cost: float = 0.0
    demanded_units: int = 0
    late_units: int = 0
    lapsed_units: int = 0


@dataclass
class LinkView:
    """One fiber so far; `trouble` is why it is down, empty if it is up."""

    link: str
    a: str
    b: str
    carried_bits: int = 0
    qber: float | None = None
    discarded_blocks: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happened, told in words; `kind` is fault, alarm, plan or order."""

    number: int
    version: int
    window: int
    kind: str
    words: str


@dataclass
class View:
    """The whole view; a `version` belongs to everything that changed.

    `schedule` holds what is known to happen, as (window, words); what a plan expects to lose has a
    `shortfall_cost` in its objective that nobody pays.
    """

    requests: list[RequestView]
    links: list[LinkView]
    schedule: list[tuple[int, str]] = field(default_factory=list)
    shortfall_cost: int = 0
    version: int = 0
    window: int = 0
    periods: list[PeriodView] = field(default_factory=list)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    orders: dict[int, tuple[int, str]] = field(default_factory=dict)
    expected_cost: float = 0.0
    gap: float | None = None

    def __post_init__(self) -> None:
        self._changed: dict[tuple[str, int], int] = {}
        self._link = {item.link: place for place, item in enumerate(self.links)}
        self._by_end = {(item.a, item.b): place for place, item in enumerate(self.links)}
        self._by_entity = {(key_manager_of(a), b): place for (a, b), place in self._by_end.items()}
        self._events = 0

    def take(self, news: News) -> bool:
        """Take in what is new; return whether anything is."""
        if not news.told and not news.blocks and news.window == self.window:
            return False
        self.version += 1
        self.window = max(self.window, news.window)
        for told in news.told:
            self._take(told)
        for blocks in news.blocks:
            self._take_blocks(blocks)
        for window, words in [item for item in self.schedule if item[0] <= self.window]:
            self.schedule.remove((window, words))
            self._say("fault", words, window)
        return True

    def since(self, version: int) -> dict[str, Any]:
        """Return all that has changed after a version, and what is small enough to tell always."""
        return {
            "version": self.version,
            "window": self.window,
            "totals": self.totals(),
            "requests": self._new("request", self.requests, version),
            "periods": self._new("period", self.periods, version),
            "links": self._new("link", self.links, version),
            "events": [
                asdict(item)
                for item in sorted(self.events, key=lambda event: (event.window, event.number))
                if item.version > version
            ],
            "orders": list(self.orders.values()),
        }

    def totals(self) -> dict[str, Any]:
        """Return sums over all requests and periods."""
        names = ("demanded", "fiber", "satellite", "uav", "late", "missing", "lapsed")
        sums: dict[str, Any] = {
            f"{name}_units": sum(getattr(item, f"{name}_units") for item in self.requests)
            for name in names
        }
        for name in ("reservation_cost", "satellite_cost", "uav_cost", "expected_cost"):
            sums[name] = sum(getattr(item, name) for item in self.periods)
        sums["cost"] = sum(sums[f"{name}_cost"] for name in ("reservation", "satellite", "uav"))
        return sums | {"links_down": sum(bool(item.trouble) for item in self.links)}

    def _say(self, kind: str, words: str, window: int) -> None:
        self._events += 1
        self.events.append(Event(self._events, self.version, window, kind, words))

    def _new(self, kind: str, items: Sequence[Any], version: int) -> list[dict[str, Any]]:
        return [
            {"place": place, **asdict(item)}
            for place, item in enumerate(items)
            if self._changed.get((kind, place), 1) > version
        ]

    def _request(self, told: Told) -> RequestView:
        self._changed["request", told.request] = self.version
        return self.requests[told.request]

    def _period(self, number: int) -> PeriodView:
        while len(self.periods) <= number:
            self._changed["period", len(self.periods)] = self.version
            self.periods.append(PeriodView(len(self.periods)))
        self._changed["period", number] = self.version
        return self.periods[number]

    def _take(self, told: Told) -> None:  # noqa: C901 - one line a kind
        match told.kind:
            case FactKind.DEMANDED:
                self._take_demanded(told)
            case FactKind.SHORT:
                self._take_short(told)
            case FactKind.LAPSED:
                self._take_lapsed(told)
            case FactKind.DELIVERED:
                self._take_delivered(told)
            case FactKind.RESERVED:
                self._take_reserved(told)
            case FactKind.PERIOD:
                self._take_period(told)
            case FactKind.PLANNED:
                self._take_planned(told)
            case FactKind.REPLANNED:
                self._take_replanned(told)
            case FactKind.LINK:
                self._take_link(told)
            case FactKind.BOUGHT:
                self._take_bought(told)
            case FactKind.FAILED:
                self._take_failed(told)
            case FactKind.COMPLETED:
                self._take_completed(told)

    def _take_blocks(self, blocks: Blocks) -> None:
        """Count key at one end of its link."""
        place = self._by_entity.get((blocks.entity, blocks.peer))
        if place is None:
            return
        self._changed["link", place] = self.version
        link = self.links[place]
        if blocks.kind is FactKind.RELAYED:
            link.carried_bits += blocks.bits
        else:
            link.discarded_blocks += blocks.discarded
            link.qber = link.qber if blocks.qber is None else blocks.qber

    def _take_demanded(self, told: Told) -> None:
        self._request(told).demanded_units += told.units
        self._period(told.period).demanded_units += told.units

    def _take_short(self, told: Told) -> None:
        request = self._request(told)
        request.late_units += told.units
        request.missing_units += told.units
        self._period(told.period).late_units += told.units

    def _take_lapsed(self, told: Told) -> None:
        request = self._request(told)
        request.lapsed_units += told.units
        request.missing_units -= told.units
        self._period(told.period).lapsed_units += told.units

    def _take_delivered(self, told: Told) -> None:
        request, name = self._request(told), f"{told.medium}_units"
        setattr(request, name, getattr(request, name) + told.units)
        if told.medium != "fiber":
            request.missing_units -= told.units

    def _take_reserved(self, told: Told) -> None:
        self._request(told).reserved_units = told.units

    def _take_period(self, told: Told) -> None:
        period = self._period(told.period)
        period.reservation_cost, period.expected_cost = told.cost, self.expected_cost

    def _take_planned(self, told: Told) -> None:
        plan = json.loads(told.note)
        lost = self.shortfall_cost * plan["expected_shortfall_units"]
        self.expected_cost, self.gap = plan["objective"] - lost, plan["gap"]
        words = f"plan: {plan['reserved_units']:,} units reserved, gap {plan['gap']:.2%}"
        self._say("plan", words, told.window)

    def _take_replanned(self, told: Told) -> None:
        words = f"planned again because {told.note}: {told.units} reservations set up"
        self._say("plan", words, told.window)

    def _take_link(self, told: Told) -> None:
        is_up = told.note == "up"
        self.links[self._link[told.peer]].trouble = (
            "" if is_up else told.note.partition(": ")[2] or "no signal"
        )
        self._changed["link", self._link[told.peer]] = self.version
        self._say("alarm", f"fiber {told.peer} is {told.note}", told.window)

    def _take_bought(self, told: Told) -> None:
        self._pay(told)
        self.orders[told.serial] = (told.request, told.medium)

    def _take_failed(self, told: Told) -> None:
        self._pay(told)
        self.orders.pop(told.serial, None)
        name = self.requests[told.request].id
        words = f"{told.medium} order for {name} failed: {told.note or 'no key'}; {-told.cost:,} refunded"
        self._say("order", words, told.window)

    def _take_completed(self, told: Told) -> None:
        self.orders.pop(told.serial, None)

    def _pay(self, told: Told) -> None:
        self._request(told).on_demand_cost += told.cost
        period, name = self._period(told.period), f"{told.medium}_cost"
        setattr(period, name, getattr(period, name) + told.cost)


def view_of(
    requests: Iterable[Request],
    links: Iterable[tuple[str, str]],
    schedule: Iterable[tuple[int, str]] = (),
    shortfall_cost: int = 0,
) -> View:
    """Return the view of a run of which nothing is known yet."""
    return View(
        [RequestView(item.id, item.application, item.source, item.target) for item in requests],
        [LinkView(f"{a}-{b}", a, b) for a, b in links],
        sorted(schedule),
        shortfall_cost,
    )
