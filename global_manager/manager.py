"""The global manager's core: reserve, watch, buy.

When it starts it solves the provisioning program and sends each reservation to the fiber controller
as one atomic Set.  When all are up it walks the fiber controller's table and compares it with the
plan.  When a key manager informs it of a shortage it buys the missing units from the medium that it
prefers, and from the next one if that controller refuses.  What it pays is noted when it is paid.
It sees rows, prices and distributions only; no medium is special here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from global_manager.provisioning.model import Allocation, Medium, Plan, Problem, Request
from protos.core import (
    FIBER_CONTROLLER,
    GLOBAL_MANAGER,
    SATELLITE_CONTROLLER,
    UAV_CONTROLLER,
    Effects,
    Fact,
    FactKind,
    Measure,
    Message,
    Step,
    Timeline,
    Totals,
)
from protos.exchange import Exchange
from protos.mib import (
    BY_ROW,
    KEY_SHORTAGE,
    ORDER_COMPLETE,
    RESERVATION_UP,
    OrderRow,
    ReservationHopRow,
    ReservationRow,
    ReservationWavelengthRow,
    Row,
    RowStatus,
    ShortageRow,
)
from protos.pdu import Arcs, ErrorStatus, Pdu, VarBind, Verb
from protos.rows import VarBindError, encode, notified

CONTROLLER_OF = {Medium.SATELLITE: SATELLITE_CONTROLLER, Medium.UAV: UAV_CONTROLLER}
_WALK_ROWS = 500


@dataclass(frozen=True)
class ManagerConfig:
    """What the manager is told when it starts.

    `media` gives for each request the on-demand media in the order in which to try them.
    """

    problem: Problem
    media: tuple[tuple[Medium, ...], ...]
    timeline: Timeline
    channel_start_s: float
    retry_after_s: float


@dataclass(frozen=True)
class _Walk:
    """A GetBulk over the reservation table, from `after` on."""

    after: Arcs


@dataclass(frozen=True)
class _Reserve:
    """A reservation on its way to the fiber controller."""

    request: int


@dataclass(frozen=True)
class _Buy:
    """An order on its way to a controller, and the media to try if it refuses."""

    order: OrderRow
    medium: Medium
    others: tuple[Medium, ...]


class GlobalManager:
    """See the module.  `solve` makes the plan; `describe` writes it down."""

    name = GLOBAL_MANAGER

    def __init__(
        self,
        config: ManagerConfig,
        solve: Callable[[Problem], Plan],
        describe: Callable[[Plan], str],
    ) -> None:
        self._config = config
        self._solve = solve
        self._describe = describe
        self._effects = Effects(self.name)
        self._requests: Exchange[_Walk | _Reserve | _Buy] = Exchange(config.retry_after_s)
        self._plan: Plan | None = None
        self._reserved: dict[int, Allocation] = {}
        self._up: set[int] = set()
        self._seen_units: Counter[int] = Counter()
        self._orders = 0
        self._informed: set[tuple[str, int]] = set()
        self._next_period = 0
        self._spent: Counter[tuple[str, str]] = Counter()

    def step(self, now_s: float, inbox: Sequence[Message]) -> Step:
        """Plan at the start; then react."""
        if self._plan is None:
            self._reserve(self._solve(self._config.problem), now_s)
        for message in inbox:
            if isinstance(message.body, Pdu):
                self._on_pdu(message.source, message.body, now_s)
        self._begin_periods(now_s)
        for destination, pdu in self._requests.overdue(now_s):
            self._effects.send(destination, pdu)
        return self._effects.flush(self._wake_s())

    def close(self) -> list[Fact]:
        """Return nothing: the manager holds no key."""
        return []

    def totals(self) -> Totals:
        """Return what has been spent."""
        return Totals(cost=self._spent.total())

    def measures(self) -> list[Measure]:
        """Return cost by stage and medium, and the plan's expectation."""
        spent = [
            Measure("provisioning_cost_total", (("stage", stage), ("medium", medium)), cost)
            for (stage, medium), cost in self._spent.items()
        ]
        if self._plan is not None:
            spent.append(Measure("planned_cost_per_period", (), self._plan.objective))
            spent.append(Measure("plan_gap_ratio", (), self._plan.gap))
        return spent

    def _reserve(self, plan: Plan, now_s: float) -> None:
        self._plan = plan
        self._effects.note(Fact(FactKind.PLANNED, note=self._describe(plan)))
        place = {request.id: index for index, request in enumerate(self._config.problem.requests)}
        costs = {
            frozenset((fiber.a, fiber.b)): fiber.unit_cost for fiber in self._config.problem.fibers
        }
        for allocation in plan.allocations:
            if not allocation.units:
                continue
            index = place[allocation.request]
            hops = zip(allocation.path, allocation.path[1:], strict=False)
            cost = allocation.units * sum(costs[frozenset(hop)] for hop in hops)
            self._reserved[index] = allocation
            self._effects.note(
                Fact(FactKind.RESERVED, request=index, units=allocation.units, cost=cost)
            )
            rows = self._rows(index, allocation)
            pdu = Pdu(Verb.SET, 0, tuple(bind for row in rows for bind in encode(row)))
            self._request(FIBER_CONTROLLER, pdu, _Reserve(index), now_s)

    def _rows(self, index: int, allocation: Allocation) -> list[Row]:
        head = ReservationRow(
            request=index,
            request_id=allocation.request,
            source=allocation.source,
            target=allocation.target,
            units=allocation.units,
            start_ms=round(self._config.channel_start_s * 1000),
            period_ms=round(self._config.timeline.period_s * 1000),
            row_status=RowStatus.CREATE_AND_GO,
        )
        hops = [ReservationHopRow(index, at, node) for at, node in enumerate(allocation.path, 1)]
        colours = [
            ReservationWavelengthRow(index, at, colour)
            for at, colour in enumerate(allocation.wavelengths, 1)
        ]
        return [head, *hops, *colours]

    def _on_pdu(self, source: str, pdu: Pdu, now_s: float) -> None:
        match pdu.verb:
            case Verb.RESPONSE:
                self._on_response(source, pdu, now_s)
            case Verb.INFORM:
                self._effects.send(source, pdu.response())
                if (source, pdu.request_id) not in self._informed:
                    self._informed.add((source, pdu.request_id))
                    self._on_notification(source, pdu, now_s)
            case Verb.TRAP:
                self._on_notification(source, pdu, now_s)
            case _:
                refused = pdu.response((), ErrorStatus.GEN_ERR)
                self._effects.send(source, refused)

    def _on_notification(self, source: str, pdu: Pdu, now_s: float) -> None:
        try:
            kind, row = notified(pdu)
        except VarBindError as error:
            self._effects.note(Fact(FactKind.REJECTED, peer=source, note=str(error)))
            return
        if kind is KEY_SHORTAGE and isinstance(row, ShortageRow):
            self._buy(row, now_s)
        elif kind is RESERVATION_UP and isinstance(row, ReservationRow):
            self._up.add(row.request)
            if self._up == self._reserved.keys():
                self._walk(BY_ROW[ReservationRow].entry, now_s)
        elif kind is ORDER_COMPLETE and isinstance(row, OrderRow):
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

    def _buy(self, row: ShortageRow, now_s: float) -> None:
        request = self._config.problem.requests[row.request]
        self._orders += 1
        order = OrderRow(
            order=self._orders,
            request=row.request,
            period=row.period,
            source=request.source,
            target=request.target,
            units=row.units,
            row_status=RowStatus.CREATE_AND_GO,
        )
        self._order(order, self._config.media[row.request], now_s)

    def _order(self, order: OrderRow, media: tuple[Medium, ...], now_s: float) -> None:
        medium, *others = media
        cost = order.units * unit_cost(self._config.problem.requests[order.request], medium)
        self._note_order(FactKind.ORDERED, order, medium, cost)
        pdu = Pdu(Verb.SET, 0, tuple(encode(order)))
        self._request(CONTROLLER_OF[medium], pdu, _Buy(order, medium, tuple(others)), now_s)

    def _on_response(self, source: str, pdu: Pdu, now_s: float) -> None:
        match self._requests.close(source, pdu):
            case _Reserve(request) if pdu.error_status is not ErrorStatus.NO_ERROR:
                note = f"fiber controller: {pdu.error_status.name}"
                self._effects.note(Fact(FactKind.REJECTED, request=request, note=note))
            case _Buy() as buy:
                self._on_order_answered(buy, pdu, now_s)
            case _Walk():
                self._on_walked(pdu, now_s)

    def _on_order_answered(self, buy: _Buy, pdu: Pdu, now_s: float) -> None:
        cost = buy.order.units * unit_cost(
            self._config.problem.requests[buy.order.request], buy.medium
        )
        if pdu.error_status is ErrorStatus.NO_ERROR:
            self._spent["recourse", buy.medium] += cost
            self._note_order(FactKind.BOUGHT, buy.order, buy.medium, cost)
            return
        self._note_order(FactKind.REFUSED, buy.order, buy.medium, 0, pdu.error_status.name)
        if buy.others:
            self._orders += 1
            self._order(_renumbered(buy.order, self._orders), buy.others, now_s)

    def _note_order(
        self, kind: FactKind, order: OrderRow, medium: Medium, cost: int, note: str = ""
    ) -> None:
        self._effects.note(
            Fact(
                kind,
                request=order.request,
                period=order.period,
                serial=order.order,
                medium=medium.value,
                units=order.units,
                cost=cost,
                note=note,
            )
        )

    def _walk(self, after: Arcs, now_s: float) -> None:
        bulk = Pdu(Verb.GET_BULK, 0, (VarBind(after),), max_repetitions=_WALK_ROWS)
        self._request(FIBER_CONTROLLER, bulk, _Walk(after), now_s)

    def _on_walked(self, pdu: Pdu, now_s: float) -> None:
        table = BY_ROW[ReservationRow]
        units_column = (*table.entry, table.columns["units"])
        for bind in pdu.varbinds:
            if bind.name[: len(units_column)] == units_column and isinstance(bind.value, int):
                self._seen_units[bind.name[-1]] = bind.value
        last = pdu.varbinds[-1].name if pdu.varbinds else ()
        if last[: len(table.entry)] == table.entry and len(pdu.varbinds) >= _WALK_ROWS:
            self._walk(last, now_s)
            return
        planned = {index: item.units for index, item in self._reserved.items()}
        agrees = planned == dict(self._seen_units)
        units = self._seen_units.total()
        note = "as planned" if agrees else "differs from the plan"
        self._effects.note(Fact(FactKind.VERIFIED, units=units, note=note))

    def _begin_periods(self, now_s: float) -> None:
        timeline = self._config.timeline
        while (
            self._next_period < timeline.periods and timeline.begins_s(self._next_period) <= now_s
        ):
            cost = self._plan.first_stage_cost if self._plan else 0
            self._spent["reservation", Medium.FIBER] += cost
            self._effects.note(Fact(FactKind.PERIOD, period=self._next_period, cost=cost))
            self._next_period += 1

    def _request(
        self, destination: str, pdu: Pdu, context: _Walk | _Reserve | _Buy, now_s: float
    ) -> None:
        self._effects.send(destination, self._requests.open(destination, pdu, context, now_s))

    def _wake_s(self) -> float | None:
        timeline = self._config.timeline
        begins_s = timeline.begins_s(self._next_period)
        ahead = begins_s if self._next_period < timeline.periods else None
        wakes = [wake for wake in (ahead, self._requests.wake_s) if wake is not None]
        return min(wakes, default=None)


def unit_cost(request: Request, medium: Medium) -> int:
    """Return what one on-demand unit costs a request by a medium."""
    costs = {
        Medium.SATELLITE: request.on_demand.satellite_cost,
        Medium.UAV: request.on_demand.uav_cost,
    }
    return costs[medium]


def _renumbered(order: OrderRow, number: int) -> OrderRow:
    return OrderRow(
        number,
        order.request,
        order.period,
        order.source,
        order.target,
        order.units,
        order.row_status,
    )
