"""The plan in force: what it reserves, how the fiber controller is told, and whether that agrees.

A new plan takes down what it changes, then sets up what is new, each reservation as one atomic Set.  What
is refused is asked for again later.  Whenever all reservations are up, the fiber controller's table is
walked (GetBulk) and compared with the plan.  Why a plan was made is not known here, nor what demand is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from global_manager import reservations
from global_manager.provisioning.model import Allocation, Medium, Plan, Problem
from global_manager.provisioning.recourse import largest_demand
from global_manager.reservations import Refusals, ReservationSchedule
from protos.core import FIBER_CONTROLLER, Effects, Measure
from protos.facts import Fact, FactKind, Planned, Reason, Replanned, Verified
from protos.mib import ReservationRow
from protos.pdu import Arcs, Pdu, VarBind, Verb
from protos.rows import column_of, command
from protos.syntax import RowStatus

WALK_ROWS = 500


@dataclass(frozen=True)
class Walk:
    """A GetBulk over what is reserved; the units that its walk has seen so far, by request."""

    seen_units: Mapping[int, int]


@dataclass(frozen=True)
class Reserve:
    """A reservation on its way to the fiber controller, or out of it."""

    request: int
    generation: int


class PlanInForce:
    """See the module.  `ask` sends an agent a request, and has its answer come back with the context.

    `plan` is None until there is one; `plans` counts those that have come into force, `failed_plans` those
    that could not be made, and `reserved` says by request what the last one reserves.  `change_cost` is
    what changing a reservation costs once there is a plan, `change_costs` what changes have cost so far.
    """

    def __init__(  # noqa: PLR0917
        self,
        problem: Problem,
        schedule: ReservationSchedule,
        retry_after_s: float,
        effects: Effects,
        ask: Callable[[str, Pdu, Walk | Reserve, float], None],
        change_cost: int = 0,
    ) -> None:
        self._place = {request.id: index for index, request in enumerate(problem.requests)}
        self._unit_costs = reservations.unit_costs_of(problem.fibers)
        self._schedule, self._effects, self._ask = schedule, effects, ask
        self._refusals = Refusals(retry_after_s)
        self._up: set[int] = set()
        self._generation: Counter[int] = Counter()
        self.plan: Plan | None = None
        self.plans = self.failed_plans = 0
        self.reserved: dict[int, Allocation] = {}
        self._kept: dict[int, int] = {}
        self._change_cost = change_cost
        self.change_costs = 0

    @property
    def cost(self) -> int:
        """What the plan's reservations cost in a period."""
        return self.plan.first_stage_cost if self.plan else 0

    @property
    def wake_s(self) -> float | None:
        """When a refused reservation is to be asked for again; None: never."""
        return self._refusals.wake_s

    def adopt(
        self,
        plan: Plan,
        problem: Problem,
        document: str,
        reason: Replanned | None,
        *,
        period: int,
        now_s: float,
    ) -> None:
        """Put a plan for this problem in force from a period on.

        What changes is taken down, then what is new is set up.  Of what a reservation brings, nothing is
        asked for that its request never needs.
        """
        self._effects.note(Fact(FactKind.PLANNED, period=period, details=Planned(document)))
        wanted = {self._place[item.request]: item for item in plan.allocations if item.units}
        before = self.reserved
        gone = [index for index, item in before.items() if wanted.get(index) != item]
        new = [index for index, item in wanted.items() if before.get(index) != item]
        if reason is not None:
            self._effects.note(
                Fact(FactKind.REPLANNED, period=period, units=len(new), details=reason)
            )
        kept_before = self._kept
        self.plan, self.reserved, self._kept = plan, wanted, _kept(problem, wanted)
        self.plans += 1
        if self.plans > 1 and period < self._schedule.timeline.periods:
            self._charge_changes(sorted({*gone, *new}), period)
        for index in gone:
            self._take_down(index, before[index], kept_before[index], period, now_s)
        for index in new:
            price = reservations.cost(wanted[index], self._unit_costs)
            self._note(index, period, wanted[index].units, price)
            self._generation[index] += 1
            self._set_up(index, now_s)

    def ask_again(self, now_s: float) -> None:
        """Ask again for what was refused, when its time has come."""
        for index in self._refusals.due(now_s):
            self._set_up(index, now_s)

    def refused(self, asked: Reserve, why: str, now_s: float) -> None:
        """Take note that the fiber controller has refused a reservation."""
        reason = Reason(f"fiber controller: {why}")
        self._effects.note(Fact(FactKind.REJECTED, asked.request, details=reason))
        self._refusals.total += 1
        is_wanted = asked.request in self.reserved
        if is_wanted and asked.generation == self._generation[asked.request]:
            self._refusals.ask_later(asked.request, now_s)

    def is_up(self, row: ReservationRow, now_s: float) -> None:
        """Take note that a reservation is there; if all are, compare them with the plan."""
        if row.generation == self._generation[row.request]:
            self._refusals.forget(row.request)
        self._up.add(row.request)
        if self._up == self.reserved.keys():
            self.verify(now_s)

    def verify(self, now_s: float) -> None:
        """Compare the fiber controller's table with the plan."""
        self._walk(column_of(ReservationRow, "units"), Walk({}), now_s)

    def walked(self, walk: Walk, pdu: Pdu, now_s: float) -> None:
        """Take in a part of the fiber controller's table; ask for the next, or conclude."""
        units_column = column_of(ReservationRow, "units")
        seen_units = dict(walk.seen_units)
        for bind in pdu.varbinds:
            if bind.name[: len(units_column)] == units_column and isinstance(bind.value, int):
                seen_units[bind.name[-1]] = bind.value
        last = pdu.varbinds[-1].name if pdu.varbinds else ()
        if last[: len(units_column)] == units_column and len(pdu.varbinds) >= WALK_ROWS:
            self._walk(last, Walk(seen_units), now_s)
            return
        found = Verified(agrees=self._kept == seen_units)
        self._effects.note(Fact(FactKind.VERIFIED, units=sum(seen_units.values()), details=found))

    def measures(self) -> list[Measure]:
        """Return what the plan expects, and how many reservations are planned, up and refused."""
        if self.plan is None:
            return []
        cost, plan = "planned_cost_per_period", self.plan
        change = (("stage", "change"), ("medium", Medium.FIBER))
        changes = [Measure("provisioning_cost_total", change, self.change_costs)]
        return [
            *(changes if self._change_cost else ()),
            Measure(cost, (("stage", "reservation"),), plan.first_stage_cost),
            Measure(cost, (("stage", "recourse"),), plan.expected_recourse_cost),
            Measure("plan_gap_ratio", (), plan.gap),
            Measure("plans_total", (), self.plans),
            Measure("reservations", (("state", "planned"),), len(self.reserved)),
            Measure("reservations", (("state", "up"),), len(self._up)),
            Measure("reservations", (("state", "refused"),), self._refusals.waiting),
            Measure("refused_reservations_total", (), self._refusals.total),
        ]

    def _take_down(
        self, index: int, allocation: Allocation, units: int, period: int, now_s: float
    ) -> None:
        self._up.discard(index)
        self._refusals.forget(index)
        self._note(index, period, 0, 0)
        asked = Reserve(index, self._generation[index])
        row = reservations.head(
            index, allocation, units, RowStatus.DESTROY, self._schedule, now_s, asked.generation
        )
        self._ask(FIBER_CONTROLLER, command(row), asked, now_s)

    def _charge_changes(self, changed: list[int], period: int) -> None:
        for index in changed if self._change_cost else ():
            self.change_costs += self._change_cost
            fact = Fact(FactKind.CHANGED, index, period, cost=self._change_cost)
            self._effects.note(fact)

    def _set_up(self, index: int, now_s: float) -> None:
        asked = Reserve(index, self._generation[index])
        rows = reservations.rows(
            index, self.reserved[index], self._kept[index], self._schedule, now_s, asked.generation
        )
        self._ask(FIBER_CONTROLLER, command(*rows), asked, now_s)

    def _note(self, index: int, period: int, units: int, cost: int) -> None:
        self._effects.note(Fact(FactKind.RESERVED, index, period, units=units, cost=cost))

    def _walk(self, after: Arcs, walk: Walk, now_s: float) -> None:
        bulk = Pdu(Verb.GET_BULK, 0, (VarBind(after),), max_repetitions=WALK_ROWS)
        self._ask(FIBER_CONTROLLER, bulk, walk, now_s)


def _kept(problem: Problem, reserved: Mapping[int, Allocation]) -> dict[int, int]:
    """Return by request how many units of its reservation are made into keys."""
    return {
        index: reservations.kept_units(
            item, largest_demand(problem.demand_of(problem.requests[index]))
        )
        for index, item in reserved.items()
    }
