"""What the satellite and the UAV controller have in common: services bought on demand.

An order is taken or refused at once; one that arrives after its period is refused.  A taken order is
carried out, once, when its service has had the time that it needs.  Then the key managers at both ends are
told to take the key, and when both have agreed, the manager is told that the order is complete.  If a
service has brought no key when its time is over, nobody takes any, and the manager is told that the order
has failed, and why.
It does not know prices, plans, or why key is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from controllers.managed import ManagedCore
from controllers.ports import LinkProbe, LinkSample
from controllers.snmp_agent import Refusal, Tables
from protos.core import GLOBAL_MANAGER, Measure, Timeline, key_manager_of
from protos.facts import Fact, FactKind, Reason, label_of
from protos.mib import DeliveryRow, OrderFailureRow, OrderRow, Row, ServiceRow
from protos.notifications import ORDER_COMPLETE, ORDER_FAILED
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import command, notify
from protos.syntax import MediumCode, RowStatus, TruthValue

_SHOWN_FAILURES = 1_000


@dataclass(frozen=True)
class OnDemandConfig:
    """How long a service takes before its first key, the size of a unit, and how many it can bring.

    `units_per_period` is the limit for all orders of a provisioning period together; None: no limit.
    Orders for a period of the `timeline` that is over are refused; without one none is.
    """

    setup_s: float
    unit_bits: int
    qber_limit: float
    retry_after_s: float
    units_per_period: int | None = None
    timeline: Timeline | None = None


@dataclass
class _Order:
    row: OrderRow
    ready_s: float
    sent: bool
    waiting_for: set[str]


class OnDemandController(ManagedCore[int]):
    """A controller of services that are bought when they are needed.

    With a request it keeps the number of the order that waits for the answer.
    """

    name: str
    medium: MediumCode

    def __init__(self, config: OnDemandConfig, probe: LinkProbe) -> None:
        super().__init__(self.name, config.retry_after_s)
        self._config = config
        self._probe = probe
        self._orders: dict[int, _Order] = {}
        self._sold_units: Counter[int] = Counter()
        self._accepted = 0
        self._refused = 0
        self._failed = 0
        self._failures: dict[int, OrderFailureRow] = {}
        self._last_sample: dict[str, LinkSample] = {}

    def measures(self) -> list[Measure]:
        """Return orders by outcome, and what was last seen of each link."""
        medium = ("medium", self.medium.name.lower())
        rate = "link_secret_key_rate_bits_per_second"
        links = [
            Measure(rate, (("link", link), medium), sample.skr_bps if sample.usable else 0.0)
            for link, sample in self._last_sample.items()
        ]
        return [
            Measure("orders_total", (medium, ("outcome", "accepted")), self._accepted),
            Measure("orders_total", (medium, ("outcome", "refused")), self._refused),
            Measure("orders_total", (medium, ("outcome", "failed")), self._failed),
            *links,
        ]

    def take(self, row: OrderRow, now_s: float) -> float | None:
        """Commit to an order; return when its key will be there, or None if it cannot be served."""
        sample = self._probe.sample(self.medium, row.source, row.target, now_s)
        self._note_offer(row, sample)
        return self.schedule(row, sample, now_s) if self._usable(sample) else None

    def conclude(self, row: OrderRow, now_s: float) -> str:  # noqa: ARG002
        """Return why an order whose time is over has brought no key; empty if it has."""
        return ""

    def schedule(self, row: OrderRow, sample: LinkSample, now_s: float) -> float | None:
        """Commit to an order that a link can serve; return as `take` does."""
        wait_s = max(self._config.setup_s, sample.ready_in_s)
        return now_s + wait_s + self.service_s(row, sample)

    def service_s(self, row: OrderRow, sample: LinkSample) -> float:
        """Return how long the link must work to make the key of an order."""
        return row.units * self._config.unit_bits / sample.skr_bps

    def _accept(self, rows: Sequence[Row], _source: str, now_s: float) -> Refusal | None:
        if len(rows) != 1 or not isinstance(rows[0], OrderRow):
            return Refusal(ErrorStatus.NO_CREATION)
        row = rows[0]
        if row.order in self._orders or row.units < 1:
            return Refusal(ErrorStatus.INCONSISTENT_VALUE)
        is_open = not self._is_over(row.period, now_s) and self._has_room(row)
        try:
            ready_s = self.take(row, now_s) if is_open else None
        except KeyError:  # a node that does not exist
            return Refusal(ErrorStatus.INCONSISTENT_VALUE)
        if ready_s is None:
            self._refused += 1
            return Refusal(ErrorStatus.RESOURCE_UNAVAILABLE)
        self._accepted += 1
        self._sold_units[row.period] += row.units
        waiting_for = {key_manager_of(row.source), key_manager_of(row.target)}
        self._orders[row.order] = _Order(row, ready_s, False, waiting_for)
        return None

    def _note_offer(self, row: OrderRow, sample: LinkSample) -> None:
        self._last_sample[label_of((row.source, row.target))] = sample

    def _usable(self, sample: LinkSample) -> bool:
        good = sample.qber <= self._config.qber_limit and sample.skr_bps > 0
        return good and sample.usable

    def _is_over(self, period: int, now_s: float) -> bool:
        timeline = self._config.timeline
        return timeline is not None and timeline.begins_s(period + 1) <= now_s

    def _has_room(self, row: OrderRow) -> bool:
        most = self._config.units_per_period
        return most is None or self._sold_units[row.period] + row.units <= most

    def _deliver(self, order: _Order, now_s: float) -> None:
        row = order.row
        order.sent = True
        for node, peer in ((row.source, row.target), (row.target, row.source)):
            delivery = DeliveryRow(
                order=row.order,
                request=row.request,
                period=row.period,
                medium=self.medium,
                peer=peer,
                is_source=TruthValue.of(node == row.source),
                units=row.units,
                row_status=RowStatus.CREATE_AND_GO,
            )
            self._request(key_manager_of(node), command(delivery), row.order, now_s)

    def _fail(self, order: _Order, reason: str, now_s: float) -> None:
        row = order.row
        order.sent = True
        self._sold_units[row.period] -= row.units
        failure = OrderFailureRow(row.order, row.request, row.period, row.units, reason)
        self._failed += 1
        self._failures[row.order] = failure
        if len(self._failures) > _SHOWN_FAILURES:
            del self._failures[next(iter(self._failures))]
        inform = notify(ORDER_FAILED, failure, 0, now_s, Verb.INFORM)
        self._request(GLOBAL_MANAGER, inform, row.order, now_s)

    def _on_answer(self, source: str, number: int, answer: Pdu, now_s: float) -> None:
        order = self._orders.get(number)
        if order is None:
            return
        row = order.row
        if answer.error_status is not ErrorStatus.NO_ERROR:
            why = Reason(answer.error_status.name)
            self._effects.note(
                Fact(FactKind.REJECTED, row.request, row.period, peer=source, details=why)
            )
            return
        order.waiting_for.discard(source)
        if source == GLOBAL_MANAGER:
            del self._orders[row.order]
        elif not order.waiting_for:
            inform = notify(ORDER_COMPLETE, row, 0, now_s, Verb.INFORM)
            self._request(GLOBAL_MANAGER, inform, row.order, now_s)

    def _tables(self) -> Tables:
        counts = (self._accepted, self._refused, len(self._orders), self._failed)
        return {
            OrderRow: (order.row for order in self._orders.values()),
            OrderFailureRow: self._failures.values(),
            ServiceRow: (ServiceRow(self.medium, *counts),),
        }

    def _act(self, now_s: float) -> None:
        for order in list(self._orders.values()):
            if not order.sent and order.ready_s <= now_s:
                reason = self.conclude(order.row, now_s)
                if reason:
                    self._fail(order, reason, now_s)
                else:
                    self._deliver(order, now_s)

    def _due_s(self) -> float | None:
        waiting = (order.ready_s for order in self._orders.values() if not order.sent)
        return min(waiting, default=None)
