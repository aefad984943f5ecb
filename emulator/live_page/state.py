"""What the page shows of a run: totals, periods, requests, links, open orders and events.

A pure function of the facts that it is given, in any portions: the same journals give the same view in
one piece or in many.  Everything that changes has the number of its last change, so that a reader who
was away is sent only what is new.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from emulator.build.plan_report import expected_cost
from emulator.results.following import Growth
from emulator.results.journal_news import BlockNews, News
from global_manager.provisioning.model import Request
from protos.core import key_manager_of
from protos.facts import FactKind, LinkState, Planned, label_of

MOST_EVENTS = 300


@dataclass
class RequestView:
    """One request so far; `missing_units` are those that it waits for now."""

    id: str
    application: str
    source: str
    target: str
    unit_shortfall_cost: int
    unit_keeping_cost: int = 0
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
    change_cost: int = 0
    satellite_cost: int = 0
    uav_cost: int = 0
    shortfall_cost: int = 0
    keeping_cost: int = 0
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
class PageEvent:
    """Something that happened, told in words; `kind` is fault, alarm, plan or order."""

    number: int
    version: int
    window: int
    kind: str
    words: str


@dataclass
class RunView:
    """Everything that the page shows; each change has a `version`.

    `schedule` holds what is known to happen, as (window, words).
    """

    requests: list[RequestView]
    links: list[LinkView]
    schedule: list[tuple[int, str]] = field(default_factory=list)
    version: int = 0
    window: int = 0
    periods: list[PeriodView] = field(default_factory=list)
    events: deque[PageEvent] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    orders: dict[int, tuple[int, str]] = field(default_factory=dict)
    expected_cost: float = 0.0
    gap: float | None = None

    def __post_init__(self) -> None:
        self._changed: dict[tuple[str, int], int] = {}
        self._by_ends = {(item.a, item.b): index for index, item in enumerate(self.links)}
        self._by_entity = {(key_manager_of(a), b): index for (a, b), index in self._by_ends.items()}
        self._events = 0

    def take(self, growth: Growth) -> bool:
        """Take in what is new; return whether anything is."""
        if not growth.news and not growth.blocks and growth.window == self.window:
            return False
        self.version += 1
        self.window = max(self.window, growth.window)
        for news in growth.news:
            self._take(news)
        for blocks in growth.blocks:
            self._take_blocks(blocks)
        for window, words in [item for item in self.schedule if item[0] <= self.window]:
            self.schedule.remove((window, words))
            self._say("fault", words, window)
        return True

    def since(self, version: int) -> dict[str, Any]:
        """Return what has changed after a version, and what is small enough to be sent always."""
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
        parts = (
            "reservation_cost",
            "change_cost",
            "satellite_cost",
            "uav_cost",
            "shortfall_cost",
            "keeping_cost",
        )
        for name in (*parts, "expected_cost"):
            sums[name] = sum(getattr(item, name) for item in self.periods)
        sums["cost"] = sum(sums[name] for name in parts)
        return sums | {"links_down": sum(bool(item.trouble) for item in self.links)}

    def _say(self, kind: str, words: str, window: int) -> None:
        self._events += 1
        self.events.append(PageEvent(self._events, self.version, window, kind, words))

    def _new(self, kind: str, items: Sequence[Any], version: int) -> list[dict[str, Any]]:
        return [
            {"index": index, **asdict(item)}
            for index, item in enumerate(items)
            if self._changed.get((kind, index), 1) > version
        ]

    def _request(self, news: News) -> RequestView:
        self._changed["request", news.request] = self.version
        return self.requests[news.request]

    def _period(self, number: int) -> PeriodView:
        while len(self.periods) <= number:
            self._changed["period", len(self.periods)] = self.version
            self.periods.append(PeriodView(len(self.periods)))
        self._changed["period", number] = self.version
        return self.periods[number]

    def _take(self, news: News) -> None:  # noqa: C901, PLR0912 - one line a kind
        match news.kind:
            case FactKind.DEMANDED:
                self._take_demanded(news)
            case FactKind.SHORT:
                self._take_short(news)
            case FactKind.LAPSED:
                self._take_lapsed(news)
            case FactKind.KEPT:
                self._take_kept(news)
            case FactKind.DELIVERED:
                self._take_delivered(news)
            case FactKind.RESERVED:
                self._take_reserved(news)
            case FactKind.CHANGED:
                self._period(news.period).change_cost += news.cost
            case FactKind.PERIOD:
                self._take_period(news)
            case FactKind.PLANNED:
                self._take_planned(news)
            case FactKind.NOT_PLANNED:
                self._say("alarm", f"no plan: {_text(news)}", news.window)
            case FactKind.REPLANNED:
                self._take_replanned(news)
            case FactKind.LINK:
                self._take_link(news)
            case FactKind.BOUGHT:
                self._take_bought(news)
            case FactKind.FAILED:
                self._take_failed(news)
            case FactKind.COMPLETED:
                self._take_completed(news)

    def _take_blocks(self, blocks: BlockNews) -> None:
        """Count key at one end of its link."""
        index = self._by_entity.get((blocks.entity, blocks.peer))
        if index is None:
            return
        self._changed["link", index] = self.version
        link = self.links[index]
        if blocks.kind is FactKind.RELAYED:
            link.carried_bits += blocks.bits
        else:
            link.discarded_blocks += blocks.discarded
            link.qber = link.qber if blocks.qber is None else blocks.qber

    def _take_demanded(self, news: News) -> None:
        self._request(news).demanded_units += news.units
        self._period(news.period).demanded_units += news.units

    def _take_short(self, news: News) -> None:
        request = self._request(news)
        request.late_units += news.units
        request.missing_units += news.units
        self._period(news.period).late_units += news.units

    def _take_lapsed(self, news: News) -> None:
        request = self._request(news)
        request.lapsed_units += news.units
        request.missing_units -= news.units
        period = self._period(news.period)
        period.lapsed_units += news.units
        period.shortfall_cost += news.units * request.unit_shortfall_cost

    def _take_kept(self, news: News) -> None:
        period = self._period(news.period)
        period.keeping_cost += news.units * self._request(news).unit_keeping_cost

    def _take_delivered(self, news: News) -> None:
        request, name = self._request(news), f"{news.medium}_units"
        setattr(request, name, getattr(request, name) + news.units)
        if news.medium != "fiber":
            request.missing_units -= news.units

    def _take_reserved(self, news: News) -> None:
        self._request(news).reserved_units = news.units

    def _take_period(self, news: News) -> None:
        period = self._period(news.period)
        period.reservation_cost, period.expected_cost = news.cost, self.expected_cost

    def _take_planned(self, news: News) -> None:
        if isinstance(news.details, Planned):
            plan = json.loads(news.details.document)
            self.expected_cost, self.gap = expected_cost(plan), plan["gap"]
            words = f"plan: {plan['reserved_units']:,} units reserved, gap {plan['gap']:.2%}"
            self._say("plan", words, news.window)

    def _take_replanned(self, news: News) -> None:
        words = f"planned again because {_text(news)}: {news.units} reservations set up"
        self._say("plan", words, news.window)

    def _take_link(self, news: News) -> None:
        if isinstance(news.details, LinkState):
            index = self._by_ends[news.details.link]
            self.links[index].trouble = news.details.cause
            self._changed["link", index] = self.version
            words = f"fiber {label_of(news.details.link)} is {news.details.text}"
            self._say("alarm", words, news.window)

    def _take_bought(self, news: News) -> None:
        self._pay(news)
        self.orders[news.serial] = (news.request, news.medium)

    def _take_failed(self, news: News) -> None:
        self._pay(news)
        self.orders.pop(news.serial, None)
        name = self.requests[news.request].id
        words = f"{news.medium} order for {name} failed: {_text(news) or 'no key'}; {-news.cost:,} refunded"
        self._say("order", words, news.window)

    def _take_completed(self, news: News) -> None:
        self.orders.pop(news.serial, None)

    def _pay(self, news: News) -> None:
        self._request(news).on_demand_cost += news.cost
        period, name = self._period(news.period), f"{news.medium}_cost"
        setattr(period, name, getattr(period, name) + news.cost)


def _text(news: News) -> str:
    return news.details.text if news.details is not None else ""


def view_of(
    requests: Iterable[Request],
    links: Iterable[tuple[str, str]],
    schedule: Iterable[tuple[int, str]] = (),
) -> RunView:
    """Return the view of a run before any fact."""
    return RunView(
        list(map(_unserved, requests)),
        [LinkView(label_of((a, b)), a, b) for a, b in links],
        sorted(schedule),
    )


def _unserved(item: Request) -> RequestView:
    lost = item.on_demand.shortfall_cost
    ends = item.source, item.target
    return RequestView(item.id, item.application, *ends, lost, item.keeping_cost)
