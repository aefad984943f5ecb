"""Orders: what is bought for requests that run short, from which medium, at which price, and the outcome.

An order goes to the medium that the request prefers, and to the next one if that controller refuses, or
takes it and fails while the period lasts; one that has been silent for long is asked last.  The cost of an
order is noted when it is taken, and refunded when it fails.

Where requests share pools, the plan's second stage is carried out: what is missing in a period is served at
the least cost that the pools allow.  The plan knows the sky of every future, the manager does not; so it
first orders what satellites should bring if they could serve everybody not yet refused, and decides again
after every refusal or failure.  When no satellite order is open, UAVs are ordered for the rest.  What is
lost is not ordered.  No medium is special here, and nothing is known of reservations.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from global_manager.provisioning.fleet_recourse import Shortage, serve_with_fleet
from global_manager.provisioning.model import Allocation, Medium, OwnPolicy, Pools, Problem, Request
from global_manager.provisioning.own_policy import (
    Heard,
    OpenShortage,
    Order,
    PolicyError,
    RecourseView,
    check_orders,
    decide,
    decides,
)
from global_manager.provisioning.sharing import Service, serve
from protos.core import SATELLITE_CONTROLLER, UAV_CONTROLLER, Effects, Timeline
from protos.facts import Fact, FactKind, OrderCause, Ordered, Reason
from protos.mib import OrderFailureRow, OrderRow, ShortageRow
from protos.pdu import ErrorStatus, Pdu
from protos.rows import command
from protos.syntax import RowStatus

_MOST_WORDS = 500
_MOST_HEARD = 10_000


@dataclass(frozen=True)
class Purchase:
    """Units of key that a request is to get from a medium in a period."""

    request: int
    period: int
    medium: Medium
    units: int


class PoolBuyer:
    """What is missing in the current period, and what the pools still have."""

    def __init__(self, requests: Sequence[Request], pools: Pools) -> None:
        self._requests, self._pools = requests, pools
        self.period, self._awaited, self._left = -1, 0, pools
        self._open: dict[int, int] = {}
        self._refused: set[tuple[int, Medium]] = set()

    def lacks(self, request: int, period: int, units: int) -> None:
        """Take note of a shortage; what a former period still lacks has lapsed."""
        if period > self.period:
            self.period, self._awaited, self._left = period, 0, self._pools
            self._open, self._refused = {}, set()
        if period == self.period:
            self._open[request] = self._open.get(request, 0) + units

    def orders(self) -> list[Purchase]:
        """Return what to order now; nothing while answers are awaited."""
        if self._awaited or not self._open:
            return []
        wanted = self.wanted()
        for purchase in wanted:
            self._book(purchase, 1)
        self._awaited = len(wanted)
        return wanted

    def wanted(self) -> list[Purchase]:
        """Return what serves the open shortages at the least cost; something is open."""
        indices = sorted(self._open)
        service = self._service([self._shortage(index) for index in indices])
        wanted = self._purchases(indices, Medium.SATELLITE, service.satellite)
        return wanted or self._purchases(indices, Medium.UAV, service.uav)

    def answered(self, purchase: Purchase, *, taken: bool) -> None:
        """Take note of the answer to an order; a refused request is not offered to that medium again."""
        if purchase.period != self.period:
            return
        self._awaited -= 1
        if not taken:
            self._refused.add((purchase.request, purchase.medium))
            self._book(purchase, -1)

    def failed(self, purchase: Purchase) -> None:
        """Take note that an accepted order has brought nothing, as if it had been refused."""
        if purchase.period == self.period:
            self._refused.add((purchase.request, purchase.medium))
            self._book(purchase, -1)

    def _shortage(self, index: int) -> Shortage:
        costs = self._requests[index].on_demand
        return Shortage(
            self._open[index],
            None if (index, Medium.SATELLITE) in self._refused else costs.satellite_cost,
            None if (index, Medium.UAV) in self._refused else costs.uav_cost,
            costs.shortfall_cost,
            costs.uavs,
        )

    def _service(self, shortages: Sequence[Shortage]) -> Service:
        if self._left.uavs is not None:
            return serve_with_fleet(shortages, self._left)
        return serve(
            [each.units for each in shortages],
            [each.satellite_cost for each in shortages],
            [each.uav_cost for each in shortages],
            [each.shortfall_cost for each in shortages],
            self._left,
        )

    def _purchases(
        self, indices: Sequence[int], medium: Medium, units: Sequence[int]
    ) -> list[Purchase]:
        by_place = zip(indices, units, strict=True)
        return [Purchase(index, self.period, medium, n) for index, n in by_place if n > 0]

    def _book(self, purchase: Purchase, times: int) -> None:
        """Take a purchase from what is missing and from its pool; or put it back."""
        units = purchase.units * times
        self._open[purchase.request] = self._open.get(purchase.request, 0) - units
        if self._open[purchase.request] == 0:
            del self._open[purchase.request]
        uavs = self._requests[purchase.request].on_demand.uavs * times
        self._left = self._left.less(purchase.medium, units, uavs)


@dataclass(frozen=True)
class Known:
    """What the manager believes of demand, sky and prices, what it has reserved, and who is silent."""

    problem: Problem
    reserved: tuple[Allocation, ...] = ()
    silent: tuple[Medium, ...] = ()


class PolicyBuyer(PoolBuyer):
    """Has a policy of one's own decide; the least cost decides where that fails, which is told."""

    def __init__(
        self,
        problem: Problem,
        media: Sequence[Sequence[Medium]],
        policy: OwnPolicy,
        tell: Callable[[PolicyError], None],
    ) -> None:
        requests = problem.requests
        super().__init__(requests, problem.pools or Pools(None, None))
        self._media, self._policy, self._tell = media, policy, tell
        self._known, self._heard, self._now_s = Known(problem), tuple[Heard, ...](), 0.0
        self._index = {request.id: index for index, request in enumerate(requests)}

    def look(self, known: Known, heard: tuple[Heard, ...], now_s: float) -> None:
        """Take note of what the policy may look at."""
        self._known, self._heard, self._now_s = known, heard, now_s

    def wanted(self) -> list[Purchase]:
        """Return what the policy orders now."""
        cheapest = super().wanted()
        view = RecourseView(
            self._now_s,
            self.period,
            self._shortages(),
            self._left,
            self._orders_of(cheapest),
            self._known.problem,
            self._known.reserved,
            self._known.silent,
            self._heard,
        )
        try:
            orders = check_orders(self._policy, decide(self._policy, "recourse", view), view)
        except PolicyError as error:
            self._tell(error)
            return cheapest
        return [
            Purchase(self._index[each.request], self.period, each.medium, each.units)
            for each in orders
        ]

    def _shortages(self) -> tuple[OpenShortage, ...]:
        return tuple(
            OpenShortage(self._requests[index], units, self._askable(index))
            for index, units in sorted(self._open.items())
        )

    def _askable(self, index: int) -> tuple[Medium, ...]:
        return tuple(m for m in self._media[index] if (index, m) not in self._refused)

    def _orders_of(self, purchases: Sequence[Purchase]) -> tuple[Order, ...]:
        return tuple(Order(self._requests[p.request].id, p.medium, p.units) for p in purchases)


CONTROLLER_OF = {Medium.SATELLITE: SATELLITE_CONTROLLER, Medium.UAV: UAV_CONTROLLER}


@dataclass(frozen=True)
class Buy:
    """An order that a controller has, and the media to try if it refuses or fails."""

    order: OrderRow
    medium: Medium
    others: tuple[Medium, ...]

    @property
    def purchase(self) -> Purchase:
        """What is bought."""
        order = self.order
        return Purchase(order.request, order.period, self.medium, order.units)


class Orders:
    """See the module.  `ask` sends a controller a Set, and has its answer come back with the `Buy`.

    `media` gives for each request the on-demand media in the order in which to try them.  Where pools are
    shared, all requests are served together if `jointly`, else each as it comes.  `spent` and `refunded`
    are in monetary units, by medium.
    """

    def __init__(
        self,
        problem: Problem,
        media: Sequence[Sequence[Medium]],
        timeline: Timeline,
        effects: Effects,
        ask: Callable[[str, Pdu, Buy, float], None],
        *,
        policy: OwnPolicy | None = None,
        jointly: bool = True,
    ) -> None:
        self._requests, self._media, self._timeline = problem.requests, media, timeline
        self._effects, self._ask, self._jointly = effects, ask, jointly
        self.failed_decisions = 0
        self._heard: deque[Heard] | None = deque(maxlen=_MOST_HEARD) if policy else None
        self._buyer = self._buyer_for(problem, policy)
        self._last = 0
        self._open: dict[int, Buy] = {}
        self._unanswered: set[int] = set()
        self.spent: Counter[Medium] = Counter()
        self.refunded: Counter[Medium] = Counter()

    def lacks(self, row: ShortageRow, silent: Collection[str], now_s: float) -> None:
        """Buy what a request is short of; silent controllers are asked last."""
        if self._is_over(row.period, now_s):
            late = Reason("heard of when its period was over")
            self._effects.note(Fact(FactKind.REJECTED, row.request, row.period, details=late))
            return
        if self._heard is not None:
            request = self._requests[row.request].id
            self._heard.append(Heard(row.period, request, row.units))
        if self._buyer is not None:
            self._buyer.lacks(row.request, row.period, row.units)
            return
        media = self._media[row.request]
        heard = [medium for medium in media if CONTROLLER_OF[medium] not in silent]
        unheard = [medium for medium in media if medium not in heard]
        why = Ordered(OrderCause.CHEAPEST, row.units)
        if unheard and heard:
            why = Ordered(OrderCause.SILENT, row.units, CONTROLLER_OF[unheard[0]])
        order = self._new(row.request, row.period, row.units)
        self._order(order, (*heard, *unheard), now_s, why)

    @property
    def heard(self) -> tuple[Heard, ...]:
        """The latest shortages, if a policy of one's own may want to know."""
        return tuple(self._heard or ())

    def buy_from_pools(self, known: Known, now_s: float) -> None:
        """Order what is best for all that share pools, or what a policy wants; for every step."""
        if self._buyer is None or self._is_over(self._buyer.period, now_s):
            return
        if isinstance(self._buyer, PolicyBuyer):
            self._buyer.look(known, self.heard, now_s)
        for item in self._buyer.orders():
            order = self._new(item.request, item.period, item.units)
            why = Ordered(OrderCause.SHARED, item.units)
            self._order(order, (item.medium,), now_s, why)

    def answered(self, buy: Buy, answer: Pdu, now_s: float) -> None:
        """Pay for an order that is taken; turn elsewhere with one that is refused."""
        if buy.order.order not in self._unanswered:
            return  # that it failed was heard first
        if answer.error_status is ErrorStatus.NO_ERROR:
            self._pay(buy)
            return
        self._unanswered.discard(buy.order.order)
        del self._open[buy.order.order]
        refusal = answer.error_status.name
        self._note(FactKind.REFUSED, buy, 0, Reason(refusal))
        if self._buyer is not None:
            self._buyer.answered(buy.purchase, taken=False)
        self._order_elsewhere(buy, now_s, OrderCause.REFUSED, refusal)

    def failed(self, source: str, row: OrderFailureRow, now_s: float) -> None:
        """Take the refund, and buy elsewhere if the key would still come in its period."""
        buy = self._open.get(row.order)
        if buy is None or CONTROLLER_OF[buy.medium] != source:
            why = Reason(f"no order {row.order} is open there")
            self._effects.note(Fact(FactKind.REJECTED, peer=source, details=why))
            return
        if row.order in self._unanswered:
            self._pay(buy)
        del self._open[row.order]
        self.refunded[buy.medium] += self._price(buy)
        self._note(FactKind.FAILED, buy, -self._price(buy), Reason(row.reason))
        if self._buyer is not None and not self._is_over(buy.order.period, now_s):
            self._buyer.failed(buy.purchase)
        self._order_elsewhere(buy, now_s, OrderCause.FAILED, row.reason)

    def completed(self, source: str, row: OrderRow) -> None:
        """Take note that both ends have the key."""
        self._open.pop(row.order, None)
        self._effects.note(
            Fact(
                FactKind.COMPLETED,
                row.request,
                row.period,
                serial=row.order,
                peer=source,
                units=row.units,
            )
        )

    def _buyer_for(self, problem: Problem, policy: OwnPolicy | None) -> PoolBuyer | None:
        """Return who decides about all shortages of a window together; None: each is served by itself."""
        try:
            if policy is not None and decides(policy, "recourse"):
                return PolicyBuyer(problem, self._media, policy, self._note_failure)
        except PolicyError as error:
            self._note_failure(error)
        pools = problem.pools if self._jointly else None
        return PoolBuyer(problem.requests, pools) if pools else None

    def _note_failure(self, error: PolicyError) -> None:
        self.failed_decisions += 1
        fact = Fact(FactKind.NOT_PLANNED, details=Reason(str(error)[:_MOST_WORDS]))
        self._effects.note(fact)

    def _new(self, index: int, period: int, units: int) -> OrderRow:
        self._last += 1
        return new_order(self._last, index, self._requests[index], period, units)

    def _order(self, order: OrderRow, media: Sequence[Medium], now_s: float, why: Ordered) -> None:
        medium, *others = media
        buy = Buy(order, medium, tuple(others))
        self._open[order.order] = buy
        self._unanswered.add(order.order)
        self._note(FactKind.ORDERED, buy, self._price(buy), why)
        self._ask(CONTROLLER_OF[medium], command(order), buy, now_s)

    def _order_elsewhere(self, buy: Buy, now_s: float, cause: OrderCause, reason: str) -> None:
        if buy.others and not self._is_over(buy.order.period, now_s):
            self._last += 1
            why = Ordered(cause, buy.order.units, buy.medium.value, reason)
            self._order(replace(buy.order, order=self._last), buy.others, now_s, why)

    def _pay(self, buy: Buy) -> None:
        self._unanswered.discard(buy.order.order)
        self.spent[buy.medium] += self._price(buy)
        self._note(FactKind.BOUGHT, buy, self._price(buy))
        if self._buyer is not None:
            self._buyer.answered(buy.purchase, taken=True)

    def _price(self, buy: Buy) -> int:
        return buy.order.units * unit_cost(self._requests[buy.order.request], buy.medium)

    def _is_over(self, period: int, now_s: float) -> bool:
        """Whether a period is over, so its key is no longer needed."""
        return now_s >= self._timeline.begins_s(period + 1)

    def _note(
        self, kind: FactKind, buy: Buy, cost: int, details: Ordered | Reason | None = None
    ) -> None:
        self._effects.note(
            Fact(
                kind,
                request=buy.order.request,
                period=buy.order.period,
                serial=buy.order.order,
                medium=buy.medium.value,
                units=buy.order.units,
                cost=cost,
                details=details,
            )
        )


def unit_cost(request: Request, medium: Medium) -> int:
    """Return what one on-demand unit costs a request by a medium."""
    costs = {
        Medium.SATELLITE: request.on_demand.satellite_cost,
        Medium.UAV: request.on_demand.uav_cost,
    }
    return costs[medium]


def new_order(number: int, index: int, request: Request, period: int, units: int) -> OrderRow:
    """Return the row that orders units on demand for a request; `index` is its position."""
    return OrderRow(
        order=number,
        request=index,
        period=period,
        source=request.source,
        target=request.target,
        units=units,
        row_status=RowStatus.CREATE_AND_GO,
    )
