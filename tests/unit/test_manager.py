"""The manager: a core alone, message by message."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lone_cores import pdus

from global_manager.manager import GlobalManager, ManagerConfig, column_of
from global_manager.monitoring import DemandWatch
from global_manager.planner import Fibers
from global_manager.provisioning.check import InvalidProblemError
from global_manager.provisioning.hourly import Hours
from global_manager.provisioning.model import (
    Allocation,
    Medium,
    OnDemand,
    Plan,
    Policy,
    Problem,
    Request,
    Scenario,
    Termination,
)
from global_manager.provisioning.model import Fiber as ProblemFiber
from global_manager.provisioning.own_policy import Heard
from global_manager.provisioning.prices import Prices
from global_manager.reservations import ReservationSchedule
from protos.core import (
    FIBER_CONTROLLER,
    GLOBAL_MANAGER,
    SATELLITE_CONTROLLER,
    UAV_CONTROLLER,
    Measure,
    Message,
    Timeline,
)
from protos.facts import FactKind
from protos.mib import (
    FiberStateRow,
    OrderFailureRow,
    ReservationHopRow,
    ReservationRow,
    ReservationWavelengthRow,
    ShortageRow,
)
from protos.notifications import KEY_SHORTAGE, LINK_DOWN, LINK_UP, ORDER_FAILED
from protos.pdu import ErrorStatus, VarBind, Verb
from protos.rows import decode, notify
from protos.syntax import RowStatus

REQUEST = Request("r0", "avatar", "A", "B", OnDemand(100, 60, 0.5, 1000))
PROBLEM = Problem(
    ("A", "B"), (ProblemFiber("A", "B", 10, 4),), (REQUEST,), (Scenario(0, 0.5), Scenario(2, 0.5))
)
PLAN = Plan(
    Policy.STOCHASTIC,
    Termination.OPTIMAL,
    100.0,
    100.0,
    0.0,
    10,
    90.0,
    0,
    (Allocation("r0", "A", "B", ("A", "B"), (3,)),),
)


class _Planner:
    """Knows one plan, and one for when a fiber is down."""

    last_solve_s = 0.0

    def solve(self, _problem: Problem) -> Plan:
        return PLAN

    def solve_hours(self, _hours: Hours) -> tuple[Plan, ...]:
        raise AssertionError("there is one plan for all hours")

    def reserve_nothing(self, _problem: Problem) -> Plan:
        return replace(PLAN, policy=Policy.NONE, allocations=(), first_stage_cost=0)

    def replan(
        self,
        _problem: Problem,
        _previous: Plan,
        down: Fibers,
        movable: frozenset[str],
        *,
        heard: tuple[Heard, ...],
    ) -> Plan:
        assert heard == ()
        if ("B", "C") in down:
            raise InvalidProblemError("fiber B-C", "is the last one")
        assert movable == (frozenset() if down else {"r0"})
        kept = () if down else (Allocation("r0", "A", "B", ("A", "B"), (0,)),)
        return replace(PLAN, allocations=kept, first_stage_cost=10 * len(kept))

    def expect(self, problem: Problem, mean_units: float) -> Problem:
        return replace(problem, scenarios=(Scenario(round(mean_units), 1.0),))

    def describe(self, _plan: Plan) -> str:
        return "{}"


def _manager(planner: _Planner | None = None) -> GlobalManager:
    media = ((Medium.SATELLITE, Medium.UAV),)
    schedule = ReservationSchedule(Timeline(100.0, 50.0, 2), setup_s=4.0, lead_s=10.0)
    return GlobalManager(
        ManagerConfig(PROBLEM, media, schedule, 1000.0, 256), planner or _Planner()
    )


def _shortage(request_id: int = 1) -> Message:
    pdu = notify(KEY_SHORTAGE, ShortageRow(0, 0, 2), request_id, 100.0, Verb.INFORM)
    return Message("kme-A", GLOBAL_MANAGER, request_id, pdu)


def test_the_manager_reserves_what_it_planned() -> None:
    step = _manager().step(0.0, [])
    (pdu,) = pdus(step, FIBER_CONTROLLER)
    rows = decode(pdu.varbinds)
    assert rows[0] == ReservationRow(
        0, "r0", "A", "B", 1, 4_000, 90_000, 50_000, RowStatus.CREATE_AND_GO, generation=1
    )
    assert rows[1:] == [
        ReservationHopRow(0, 1, "A"),
        ReservationHopRow(0, 2, "B"),
        ReservationWavelengthRow(0, 1, 3),
    ]


def test_a_reservation_that_is_refused_is_asked_for_again() -> None:
    manager = _manager()
    (pdu,) = pdus(manager.step(0.0, []), FIBER_CONTROLLER)
    refused = pdu.response(None, ErrorStatus.INCONSISTENT_VALUE, 1)
    step = manager.step(2.0, [Message(FIBER_CONTROLLER, GLOBAL_MANAGER, 1, refused)])
    assert not pdus(step, FIBER_CONTROLLER)
    assert step.wake_s == 100.0  # a period begins; it waits for 1000 s otherwise
    again = [
        pdu
        for at_s in (100.0, 150.0, 1002.0)
        for pdu in pdus(manager.step(at_s, []), FIBER_CONTROLLER)
    ]
    (second,) = again
    assert second.request_id != pdu.request_id
    (head, *_) = decode(second.varbinds)
    assert isinstance(head, ReservationRow)
    assert (head.generation, head.start_ms) == (1, 1_006_000)


def test_of_two_walks_that_are_open_at_once_each_sees_what_it_was_told() -> None:
    manager = _manager()
    manager.step(0.0, [])
    manager.started(5.0)
    manager.started(6.0)
    walks = pdus(manager.step(6.0, []), FIBER_CONTROLLER)
    column = column_of(ReservationRow, "units")
    told = [(VarBind((*column, 7), 3),), (VarBind((*column, 0), 1),)]
    answers = [
        Message(FIBER_CONTROLLER, GLOBAL_MANAGER, number, pdu.response(binds))
        for number, (pdu, binds) in enumerate(zip(walks, told, strict=True), 1)
    ]
    facts = [f for f in manager.step(8.0, answers).facts if f.kind is FactKind.VERIFIED]
    assert [(f.units, f.text) for f in facts] == [
        (3, "differs from the plan"),
        (1, "as planned"),
    ]


def test_the_manager_buys_elsewhere_when_its_first_choice_refuses_and_pays_once() -> None:
    manager = _manager()
    manager.step(0.0, [])
    step = manager.step(101.0, [_shortage()])
    (order,) = pdus(step, SATELLITE_CONTROLLER)
    refused = order.response(None, ErrorStatus.RESOURCE_UNAVAILABLE, 1)
    step = manager.step(103.0, [Message(SATELLITE_CONTROLLER, GLOBAL_MANAGER, 1, refused)])
    (second,) = pdus(step, UAV_CONTROLLER)
    assert not [fact for fact in step.facts if fact.kind is FactKind.BOUGHT]
    answers = [Message(UAV_CONTROLLER, GLOBAL_MANAGER, n, second.response()) for n in (1, 2)]
    step = manager.step(105.0, answers)
    assert [(f.medium, f.units, f.cost) for f in step.facts if f.kind is FactKind.BOUGHT] == [
        ("uav", 2, 200)
    ]
    assert manager.totals().cost == 10 + 200


def _failure(source: str, order: int, period: int = 0) -> Message:
    row = OrderFailureRow(order, 0, period, 2, "sat-1-1 made no key over A")
    return Message(source, GLOBAL_MANAGER, 9, notify(ORDER_FAILED, row, 9, 130.0, Verb.INFORM))


def _taken(manager: GlobalManager) -> Message:
    """Have a manager order from the satellite controller; return the answer that it was taken."""
    manager.step(0.0, [])
    (order,) = pdus(manager.step(101.0, [_shortage()]), SATELLITE_CONTROLLER)
    return Message(SATELLITE_CONTROLLER, GLOBAL_MANAGER, 1, order.response())


def test_an_order_that_fails_is_paid_back_and_bought_elsewhere_while_its_period_lasts() -> None:
    manager = _manager()
    manager.step(103.0, [_taken(manager)])
    assert manager.totals().cost == 10 + 120
    step = manager.step(130.0, [_failure(SATELLITE_CONTROLLER, 1)])
    assert [pdu.verb for pdu in pdus(step, SATELLITE_CONTROLLER)] == [Verb.RESPONSE]
    (fact,) = [fact for fact in step.facts if fact.kind is FactKind.FAILED]
    assert (fact.medium, fact.units, fact.cost) == ("satellite", 2, -120)
    assert fact.text == "sat-1-1 made no key over A"
    assert len(pdus(step, UAV_CONTROLLER)) == 1
    assert manager.totals().cost == 10
    refunds = [item for item in manager.measures() if item.metric == "provisioning_refunds_total"]
    assert {item.labels[0][1]: item.value for item in refunds} == {"satellite": 120, "uav": 0}


def test_a_failure_that_overtakes_the_news_that_the_order_was_taken_changes_nothing_in_the_end() -> (
    None
):
    manager = _manager()
    taken = _taken(manager)
    first = manager.step(130.0, [_failure(SATELLITE_CONTROLLER, 1)])
    then = manager.step(131.0, [taken])
    kinds = [fact.kind for step in (first, then) for fact in step.facts]
    assert kinds.count(FactKind.BOUGHT) == kinds.count(FactKind.FAILED) == 1
    assert manager.totals().cost == 10
    assert len(pdus(first, UAV_CONTROLLER)) == 1
    assert not pdus(then, UAV_CONTROLLER)


def test_nothing_is_bought_for_a_period_that_is_over() -> None:
    manager = _manager()
    manager.step(103.0, [_taken(manager)])
    step = manager.step(150.0, [_failure(SATELLITE_CONTROLLER, 1)])
    assert [fact.cost for fact in step.facts if fact.kind is FactKind.FAILED] == [-120]
    assert not pdus(step, UAV_CONTROLLER)


def test_nothing_is_bought_for_a_shortage_that_is_heard_of_when_its_period_is_over() -> None:
    manager = _manager()
    manager.step(0.0, [])
    step = manager.step(150.0, [_shortage()])
    assert not pdus(step, SATELLITE_CONTROLLER)
    assert [pdu.verb for pdu in pdus(step, "kme-A")] == [Verb.RESPONSE]
    assert "its period was over" in step.facts[0].text


def test_an_order_that_is_refused_when_its_period_is_over_is_placed_nowhere_else() -> None:
    manager = _manager()
    manager.step(0.0, [])
    (order,) = pdus(manager.step(101.0, [_shortage()]), SATELLITE_CONTROLLER)
    refused = order.response(None, ErrorStatus.RESOURCE_UNAVAILABLE, 1)
    step = manager.step(150.0, [Message(SATELLITE_CONTROLLER, GLOBAL_MANAGER, 1, refused)])
    assert not pdus(step, UAV_CONTROLLER)


def test_a_failure_of_an_order_that_the_sender_does_not_have_is_rejected() -> None:
    manager = _manager()
    manager.step(103.0, [_taken(manager)])
    step = manager.step(
        130.0, [_failure(UAV_CONTROLLER, 1), _failure(SATELLITE_CONTROLLER, 8)._replace(sequence=2)]
    )
    assert [fact.kind for fact in step.facts] == [FactKind.REJECTED] * 2
    assert manager.totals().cost == 10 + 120


def test_a_repeated_inform_is_answered_again_but_buys_nothing_more() -> None:
    manager = _manager()
    manager.step(0.0, [])
    manager.step(101.0, [_shortage()])
    step = manager.step(111.0, [_shortage()])
    assert [pdu.verb for pdu in pdus(step, "kme-A")] == [Verb.RESPONSE]
    assert not pdus(step, SATELLITE_CONTROLLER)


def test_the_reservation_is_paid_for_every_period() -> None:
    manager = _manager()
    manager.step(0.0, [])
    manager.step(100.0, [])
    manager.step(150.0, [])
    assert manager.totals().cost == 20


def test_the_papers_prices() -> None:
    prices = Prices()
    assert (prices.reserved_unit(80), prices.uav_unit(1), prices.satellite_unit(1)) == (
        5480,
        18520,
        38500,
    )
    assert prices.reserved_unit(81) == 2 * 5400 + 81
    assert prices.uav_unit(3) == 3 * 18520


def _link_state(request_id: int, status: int) -> Message:
    pdu = notify(
        LINK_DOWN if status == 2 else LINK_UP,
        FiberStateRow(0, "A", "B", status, status),
        request_id,
        0.0,
        Verb.INFORM,
    )
    return Message(FIBER_CONTROLLER, GLOBAL_MANAGER, request_id, pdu)


def test_every_plan_after_the_first_is_told_of_even_if_nothing_was_reserved_before() -> None:
    manager = _manager()
    steps = [manager.step(0.0, [])]
    steps += [manager.step(100.0 + n, [_link_state(n, status=3 - n)]) for n in (1, 2)]
    told = [[fact.text for fact in step.facts if fact.kind is FactKind.REPLANNED] for step in steps]
    assert told == [[], ["fiber A-B is down"], ["fiber A-B is up"]]


def test_the_manager_plans_again_when_a_fiber_is_lost_and_sends_the_difference_only() -> None:
    manager = _manager()
    manager.step(0.0, [])
    step = manager.step(101.0, [_link_state(1, status=2)])
    (pdu,) = [pdu for pdu in pdus(step, FIBER_CONTROLLER) if pdu.verb is Verb.SET]
    (row,) = decode(pdu.varbinds)
    assert isinstance(row, ReservationRow)
    assert (row.request, row.row_status) == (0, RowStatus.DESTROY)
    again = pdus(manager.step(102.0, [_link_state(2, status=2)]), FIBER_CONTROLLER)
    assert [pdu.verb for pdu in again] == [Verb.RESPONSE]
    step = manager.step(103.0, [_link_state(3, status=1)])
    (pdu,) = [pdu for pdu in pdus(step, FIBER_CONTROLLER) if pdu.verb is Verb.SET]
    assert decode(pdu.varbinds)[2:] == [
        ReservationHopRow(0, 2, "B"),
        ReservationWavelengthRow(0, 1, 0),
    ]


@pytest.mark.parametrize(
    ("units", "drifted"), [([2, 3, 1, 4], False), ([9, 8, 9, 9], True), ([0, 0, 0, 0], True)]
)
def test_demand_has_drifted_when_its_mean_is_beyond_chance(units: list[int], drifted: bool) -> None:
    watch = DemandWatch((Scenario(1, 0.5), Scenario(4, 0.5)), sigmas=3.0)
    assert watch.look({0: sum(units), 1: sum(units)}, len(units)) is None  # one window is none
    mean = watch.look({0: 2 * sum(units), 1: 2 * sum(units)}, 2 * len(units))
    assert (mean is not None) is drifted
    if mean is not None:  # eight draws of standard deviation 1.5: shrunk by one over z squared
        z_squared = (sum(units) / 4 - 2.5) ** 2 / (1.5**2 / 8)
        assert mean == pytest.approx(2.5 + (sum(units) / 4 - 2.5) * (1 - 1 / z_squared))


def test_demand_is_compared_from_one_look_to_the_next() -> None:
    watch = DemandWatch((Scenario(1, 0.5), Scenario(4, 0.5)), sigmas=3.0)
    assert watch.look({0: 10}, 4) is None
    assert watch.look({0: 10 + 36}, 8) is None
    found = watch.look({0: 10 + 72}, 12)
    assert found == pytest.approx(9.0, abs=0.1)
    assert watch.look({0: 10 + 72}, 12) is None


def test_a_plan_that_cannot_be_made_leaves_the_last_good_one_in_force() -> None:
    manager = _manager()
    manager.step(0.0, [])
    pdu = notify(LINK_DOWN, FiberStateRow(1, "B", "C", 2, 2), 1, 0.0, Verb.INFORM)
    step = manager.step(101.0, [Message(FIBER_CONTROLLER, GLOBAL_MANAGER, 1, pdu)])
    assert [pdu.verb for pdu in pdus(step, FIBER_CONTROLLER)] == [Verb.RESPONSE]
    assert [f.text for f in step.facts if f.kind is FactKind.NOT_PLANNED] == [
        "fiber B-C is down, but the optimizer failed: InvalidProblemError: fiber B-C: is the last one"
    ]
    assert Measure("failed_plans_total", (), 1) in manager.measures()


class _Broken(_Planner):
    """Fails at the start, as a solver might."""

    def solve(self, _problem: Problem) -> Plan:
        raise IndexError("index 0 is out of bounds")


def test_a_first_plan_that_cannot_be_made_reserves_nothing_and_says_why() -> None:
    manager = _manager(_Broken())
    step = manager.step(0.0, [])
    assert pdus(step, FIBER_CONTROLLER) == []
    (fact,) = [fact for fact in step.facts if fact.kind is FactKind.NOT_PLANNED]
    assert fact.text == "start, but the optimizer failed: IndexError: index 0 is out of bounds"
    order = pdus(manager.step(101.0, [_shortage()]), SATELLITE_CONTROLLER)
    assert len(order) == 1
