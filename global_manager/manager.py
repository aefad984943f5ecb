"""The global manager's core: reserve, watch, buy.

When it starts it solves the provisioning program and puts the plan in force
(`global_manager.plan_in_force`).  When a key manager informs it of a shortage it buys what is missing
(`global_manager.orders`).  When a fiber goes down or comes up, or demand drifts, it plans again, keeps what
may stay, and sends the difference only.  Whatever an optimizer raises, the plan in force stays, and the
reason is noted; at the start nothing is reserved then.
It sees rows, prices and distributions only; no medium is special here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from global_manager.monitoring import AgentWatch, DemandSeries, DemandWatch, FiberWatch
from global_manager.notifications import may_say
from global_manager.operator_desk import OperatorDesk
from global_manager.orders import CONTROLLER_OF, Buy, Known, Orders
from global_manager.plan_in_force import WALK_ROWS, PlanInForce, Reserve, Walk
from global_manager.plan_schedule import PlanSchedule
from global_manager.planner import Planner
from global_manager.provisioning.demand import mean_units
from global_manager.provisioning.hourly import Hours
from global_manager.provisioning.model import Medium, OwnPolicy, Plan, Problem
from global_manager.provisioning.own_policy import PolicyError
from global_manager.reservations import ReservationSchedule
from protos.core import (
    FIBER_CONTROLLER,
    GLOBAL_MANAGER,
    Effects,
    Measure,
    Message,
    Step,
    Totals,
    is_operator,
    key_manager_of,
)
from protos.facts import (
    AgentCondition,
    AgentState,
    Fact,
    FactKind,
    Reason,
    ReplanCause,
    Replanned,
)
from protos.key_changes import KeyChange
from protos.mib import (
    FiberStateRow,
    OrderFailureRow,
    OrderRow,
    ReservationRow,
    Row,
    ShortageRow,
    UsageRow,
)
from protos.notifications import (
    COLD_START,
    KEY_SHORTAGE,
    LINK_DOWN,
    LINK_UP,
    ORDER_COMPLETE,
    ORDER_FAILED,
    RESERVATION_UP,
)
from protos.pdu import ErrorStatus, Pdu, VarBind, Verb
from protos.pending_requests import HeardRequests, PendingRequests
from protos.rows import VarBindError, column_of, notified
from protos.syntax import DownCause, OperStatus

_MOST_WORDS = 500
_SILENT_AFTER_RETRIES = 3


@dataclass(frozen=True)
class ManagerConfig:
    """What the manager is told when it starts.

    `media` gives for each request the on-demand media in the order in which to try them.  Every
    `look_every_periods` (0: never) it compares demand with the plan.  With `foresee_every_periods` (0:
    never) it watches every period, and after each so many plans for what it foresees.  With `hours`
    there is a plan for each.  Requests that share pools are served together if `jointly`.  `first_keys`
    are those of `FiberWatch`.
    """

    problem: Problem
    media: tuple[tuple[Medium, ...], ...]
    schedule: ReservationSchedule
    retry_after_s: float
    unit_bits: int
    replan: bool = True
    look_every_periods: int = 0
    drift_sigmas: float = 3.0
    correlation: float = 1.0
    foresee_every_periods: int = 0
    policy: OwnPolicy | None = None
    hours: Hours | None = None
    jointly: bool = True
    first_keys: tuple[tuple[tuple[str, str], int], ...] = ()


@dataclass(frozen=True)
class _Usage:
    """A GetBulk over what the applications of one key manager have asked for."""

    entity: str


_Context = Walk | Reserve | _Usage | Buy


class GlobalManager:
    """See the module."""

    name = GLOBAL_MANAGER

    def __init__(self, config: ManagerConfig, planner: Planner) -> None:
        self._config = config
        self._planner = planner
        self._problem = config.problem
        self._fibers = FiberWatch(dict(config.first_keys))
        self._demand = DemandWatch(self._problem.scenarios, config.drift_sigmas, config.correlation)
        self._series = DemandSeries()
        self._usage: dict[int, int] = {}
        self._asked: set[str] = set()
        self._effects = Effects(self.name)
        self._requests: PendingRequests[_Context] = PendingRequests(config.retry_after_s)
        schedule, wait_s = config.schedule, config.retry_after_s
        self._hours = PlanSchedule(config.hours)
        price = self._hours.change_cost
        self._plan = PlanInForce(
            self._problem, schedule, wait_s, self._effects, self._request, price
        )
        timeline = schedule.timeline
        self._orders = Orders(
            self._problem,
            config.media,
            timeline,
            self._effects,
            self._request,
            policy=config.policy,
            jointly=config.jointly,
        )
        self._informed = HeardRequests()
        self._desk = OperatorDesk(self._effects, self._plan, self._replan_as_asked)
        self._agents = AgentWatch(_SILENT_AFTER_RETRIES * config.retry_after_s)
        self._next_period = 0
        self._reservation_cost = 0

    def step(self, now_s: float, inbox: Sequence[Message]) -> Step:
        """Plan at the start; then react."""
        if self._plan.plan is None:
            self._make_first_plan(now_s)
        for message in inbox:
            if isinstance(message.body, Pdu):
                if self._agents.hears(message.source, now_s):
                    self._note_agent(message.source, AgentCondition.ANSWERS)
                self._on_pdu(message.source, message.body, now_s)
        for entity in self._agents.look(self._requests.unanswered_since(), now_s):
            self._note_agent(entity, AgentCondition.SILENT)
        self._orders.buy_from_pools(self._known(), now_s)
        self._begin_periods(now_s)
        self._plan.ask_again(now_s)
        self._requests.resend(self._effects, now_s)
        return self._effects.flush(self._wake_s())

    def started(self, now_s: float) -> None:
        """Compare what is reserved with the plan, if there was one before."""
        if self._plan.plan is not None:
            self._note_agent(self.name, AgentCondition.BACK)
            self._plan.verify(now_s)

    def waits(self) -> bool:
        """Return whether an answer is missing."""
        return self._requests.is_open

    def close(self) -> list[Fact]:
        """Return nothing: the manager holds no key."""
        return []

    def key_changes(self) -> list[KeyChange]:
        """Return nothing: the manager has no key store."""
        return []

    def rows(self) -> dict[type[Row], tuple[Row, ...]]:
        """Return all rows that can be read, by their type; nothing changes by it."""
        return self._desk.rows()

    def totals(self) -> Totals:
        """Return what has been spent."""
        on_demand = self._orders.spent.total() - self._orders.refunded.total()
        return Totals(cost=self._reservation_cost + self._plan.change_costs + on_demand)

    def measures(self) -> list[Measure]:
        """Return cost by stage and medium, refunds, and the plan's expectation."""
        cost, spent = "provisioning_cost_total", self._orders.spent
        reserved = (("stage", "reservation"), ("medium", Medium.FIBER))
        found = [Measure(cost, reserved, self._reservation_cost)]
        for medium in CONTROLLER_OF:
            of_medium = ("medium", medium)
            found.append(Measure(cost, (("stage", "recourse"), of_medium), spent[medium]))
            refunded = self._orders.refunded[medium]
            found.append(Measure("provisioning_refunds_total", (of_medium,), refunded))
        prices = {r.application: r.on_demand.shortfall_cost for r in self._problem.requests}
        for kind, price in prices.items():
            a_bit = price / self._config.unit_bits
            found.append(Measure("shortfall_cost_per_bit", (("application", kind),), a_bit))
        keeping = max((r.keeping_cost for r in self._problem.requests), default=0)
        found.append(Measure("keeping_cost_per_bit", (), keeping / self._config.unit_bits))
        failed = self._plan.failed_plans + self._orders.failed_decisions
        return [
            *found,
            *self._plan.measures(),
            Measure("periods_total", (), self._next_period),
            Measure("failed_plans_total", (), failed),
            Measure("plan_solve_duration_seconds", (), self._planner.last_solve_s),
        ]

    def _make_first_plan(self, now_s: float) -> None:
        """Plan at the start; if that fails, reserve nothing and buy all key on demand."""
        try:
            first = self._hours.begin(self._planner.solve_hours)
            self._problem, plan = first or (self._problem, self._planner.solve(self._problem))
        except Exception as error:  # noqa: BLE001 - whatever an optimizer raises
            self._note_no_plan("start", error)
            plan = self._planner.reserve_nothing(self._problem)
        self._adopt(plan, None, now_s)

    def _adopt(self, plan: Plan, reason: Replanned | None, now_s: float) -> None:
        document = self._planner.describe(plan)
        period = self._next_period
        self._plan.adopt(plan, self._problem, document, reason, period=period, now_s=now_s)

    def _replan(self, reason: Replanned, now_s: float, movable: frozenset[str]) -> None:
        before = self._plan.plan
        if before is None or not self._config.replan:
            return
        try:
            plan = self._planner.replan(
                self._problem, before, self._unusable, movable, heard=self._orders.heard
            )
        except Exception as error:  # noqa: BLE001 - whatever an optimizer raises
            self._note_no_plan(reason.text, error)
            return
        if plan is not before:
            self._adopt(plan, reason, now_s)

    @property
    def _unusable(self) -> frozenset[tuple[str, str]]:
        left = self._config.schedule.timeline.periods - self._next_period
        return self._fibers.unusable(left, self._plan.reserved.values())

    def _known(self) -> Known:
        """Return what a policy may look at when it orders."""
        plan = self._plan.plan
        reserved = plan.allocations if plan is not None else ()
        media = (medium for medium, name in CONTROLLER_OF.items() if name in self._agents.silent)
        return Known(self._problem, reserved, tuple(media))

    def _replan_as_asked(self, now_s: float) -> bool:
        """Plan again because an operator asked for it; all may move."""
        everybody = frozenset(request.id for request in self._problem.requests)
        self._replan(Replanned(ReplanCause.OPERATOR), now_s, everybody)
        return self._config.replan

    def _note_no_plan(self, cause: str, error: Exception) -> None:
        """Take note that no plan could be made; the one in force stays."""
        self._plan.failed_plans += 1
        words = f"{cause}, but the optimizer failed: {type(error).__name__}: {error}"
        if isinstance(error, PolicyError):
            words = str(error)
        why = Reason(words[:_MOST_WORDS])
        self._effects.note(Fact(FactKind.NOT_PLANNED, period=self._next_period, details=why))

    def _on_pdu(self, source: str, pdu: Pdu, now_s: float) -> None:
        match pdu.verb:
            case Verb.RESPONSE:
                self._on_response(source, pdu, now_s)
            case Verb.INFORM:
                self._effects.send(source, pdu.response())
                if self._informed.is_new(source, pdu):
                    self._on_notification(source, pdu, now_s)
            case Verb.TRAP:
                self._on_notification(source, pdu, now_s)
            case Verb.SET if is_operator(source):
                self._desk.take(source, pdu, now_s)
            case _:
                refused = pdu.response((), ErrorStatus.GEN_ERR)
                self._effects.send(source, refused)

    def _on_notification(self, source: str, pdu: Pdu, now_s: float) -> None:
        try:
            kind, row = notified(pdu)
        except VarBindError as error:
            self._reject(str(error), peer=source)
            return
        if not may_say(source, row, self._problem, self._config.schedule.timeline.periods):
            self._reject(f"{kind.name} is not for {source} to say", peer=source)
            return
        if kind is KEY_SHORTAGE and isinstance(row, ShortageRow):
            self._orders.lacks(row, self._agents.silent, now_s)
        elif kind is RESERVATION_UP and isinstance(row, ReservationRow):
            self._plan.is_up(row, now_s)
        elif kind in (LINK_DOWN, LINK_UP) and isinstance(row, FiberStateRow):
            self._on_link_state(row, now_s)
        elif kind is COLD_START and pdu.verb is Verb.INFORM:
            self._on_cold_start(source, now_s)
        elif kind is ORDER_FAILED and isinstance(row, OrderFailureRow):
            self._orders.failed(source, row, now_s)
        elif kind is ORDER_COMPLETE and isinstance(row, OrderRow):
            self._orders.completed(source, row)

    def _on_cold_start(self, source: str, now_s: float) -> None:
        """Take note that an agent is back; compare its table with the plan if it has reservations."""
        self._note_agent(source, AgentCondition.BACK)
        if source == FIBER_CONTROLLER:
            self._plan.verify(now_s)

    def _note_agent(self, entity: str, condition: AgentCondition) -> None:
        self._effects.note(Fact(FactKind.AGENT, peer=entity, details=AgentState(condition)))

    def _reject(self, why: str, *, request: int = -1, peer: str = "") -> None:
        self._effects.note(Fact(FactKind.REJECTED, request=request, peer=peer, details=Reason(why)))

    def _on_link_state(self, row: FiberStateRow, now_s: float) -> None:
        """Move requests off a fiber that is lost; let them come back when it is up again."""
        fiber = (row.a, row.b)
        if row.oper_status == OperStatus.DOWN:
            lost = Replanned(ReplanCause.LINK_DOWN, fiber, noisy=row.cause == DownCause.NOISE)
            if self._fibers.went_down(fiber, self._plan.reserved.values()):
                self._replan(lost, now_s, movable=frozenset())
            return
        movable = self._fibers.came_up(fiber)
        if movable is not None:
            self._replan(Replanned(ReplanCause.LINK_UP, fiber), now_s, movable=movable)

    def _on_response(self, source: str, pdu: Pdu, now_s: float) -> None:
        match self._requests.close(source, pdu):
            case Reserve() as asked if pdu.error_status is not ErrorStatus.NO_ERROR:
                self._plan.refused(asked, pdu.error_status.name, now_s)
            case Buy() as buy:
                self._orders.answered(buy, pdu, now_s)
            case Walk() as walk:
                self._plan.walked(walk, pdu, now_s)
            case _Usage(entity):
                self._on_usage(entity, pdu, now_s)

    def _look_at_demand(self, now_s: float) -> None:
        """Ask every key manager with applications what they have asked for."""
        sources = {item.source for item in self._problem.requests}
        asked = [key_manager_of(node) for node in self._problem.nodes if node in sources]
        self._usage, self._asked = {}, set(asked)
        for entity in asked:
            column = column_of(UsageRow, "demanded_units")
            bulk = Pdu(Verb.GET_BULK, 0, (VarBind(column),), max_repetitions=WALK_ROWS)
            self._request(entity, bulk, _Usage(entity), now_s)

    def _on_usage(self, entity: str, pdu: Pdu, now_s: float) -> None:
        column = column_of(UsageRow, "demanded_units")
        for bind in pdu.varbinds:
            if bind.name[: len(column)] == column and isinstance(bind.value, int):
                self._usage[bind.name[-1]] = bind.value
        self._asked.discard(entity)
        if not self._asked:
            self._has_looked(now_s)

    def _has_looked(self, now_s: float) -> None:
        """Judge demand by what all have asked for."""
        every = self._config.foresee_every_periods
        if every:
            self._series.look(self._usage, self._next_period)
            if self._next_period % every == 0:
                self._foresee(now_s)
            return
        mean = self._demand.look(self._usage, self._next_period)
        if mean is not None:
            self._expect(mean, now_s)

    def _foresee(self, now_s: float) -> None:
        """Plan for the demand that is foreseen, if that pays."""
        before = self._plan.plan
        if before is None or not self._config.replan:
            return
        try:
            found = self._planner.foresee(
                self._problem, before, tuple(self._series.means), self._unusable
            )
        except Exception as error:  # noqa: BLE001 - whatever a forecast or an optimizer raises
            self._note_no_plan("demand foreseen", error)
            return
        if found is not None:
            self._problem, plan = found
            mean = mean_units(self._problem.scenarios)
            self._adopt(plan, Replanned(ReplanCause.FORECAST, mean_units=mean), now_s)

    def _expect(self, mean: float, now_s: float) -> None:
        """Plan for another mean demand."""
        reason = Replanned(ReplanCause.DEMAND, mean_units=mean)
        try:
            self._problem = self._expected(mean)
        except Exception as error:  # noqa: BLE001 - whatever a law of demand raises
            self._note_no_plan(reason.text, error)
            return
        self._demand.scenarios = self._problem.scenarios
        everybody = frozenset(request.id for request in self._problem.requests)
        self._replan(reason, now_s, everybody)

    def _expected(self, mean: float) -> Problem:
        """Return the problem with demand of this mean: as it was at first, if that is back."""
        if mean == self._demand.first_mean:
            return self._config.problem
        return self._planner.expect(self._problem, mean)

    def _begin_periods(self, now_s: float) -> None:
        timeline = self._config.schedule.timeline
        while (
            self._next_period < timeline.periods and timeline.begins_s(self._next_period) <= now_s
        ):
            cost = self._plan.cost
            self._reservation_cost += cost
            self._effects.note(Fact(FactKind.PERIOD, period=self._next_period, cost=cost))
            self._next_period += 1
            self._turn_hour(now_s)
            every = 1 if self._config.foresee_every_periods else self._config.look_every_periods
            if every and self._next_period % every == 0:
                self._look_at_demand(now_s)

    def _turn_hour(self, now_s: float) -> None:
        """Put the plan of the next period in force, if it is another hour's."""
        try:
            down = self._unusable if self._config.replan else frozenset()
            found = self._hours.due(self._next_period, down, self._planner, self._orders.heard)
        except Exception as error:  # noqa: BLE001 - whatever an optimizer raises
            self._note_no_plan("another hour", error)
            return
        if found is not None:
            self._problem, plan = found
            self._adopt(plan, Replanned(ReplanCause.HOUR), now_s)

    def _request(self, destination: str, pdu: Pdu, context: _Context, now_s: float) -> None:
        self._requests.send(self._effects, destination, pdu, context, now_s)

    def _wake_s(self) -> float | None:
        timeline = self._config.schedule.timeline
        begins_s = timeline.begins_s(self._next_period)
        ahead = begins_s if self._next_period < timeline.periods else None
        own = (ahead, self._requests.wake_s, self._plan.wake_s)
        wakes = [wake for wake in own if wake is not None]
        wakes += self._agents.silent_at_s(self._requests.unanswered_since()).values()
        return min(wakes, default=None)
