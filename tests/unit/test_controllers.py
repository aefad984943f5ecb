"""The fiber and on-demand controllers, and the manager: cores alone, message by message."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers.fiber import FiberController, FiberControllerConfig
from controllers.on_demand import OnDemandConfig, OnDemandController
from controllers.ports import LinkSample
from controllers.satellite import SatelliteController
from controllers.uav import UavController
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
    Step,
    Timeline,
    steps_until,
)
from protos.facts import FactKind
from protos.mib import (
    KEY_SHORTAGE,
    LINK_DOWN,
    LINK_UP,
    ORDER_FAILED,
    DownCause,
    FiberStateRow,
    MediumCode,
    OrderFailureRow,
    OrderRow,
    ReservationHopRow,
    ReservationRow,
    ReservationWavelengthRow,
    Row,
    RowStatus,
    ShortageRow,
)
from protos.pdu import ErrorStatus, Pdu, VarBind, Verb
from protos.rows import decode, encode, notified, notify


def _set(source: str, request_id: int, *rows: Row) -> Message:
    binds = tuple(bind for row in rows for bind in encode(row))
    return Message(source, "anyone", request_id, Pdu(Verb.SET, request_id, binds))


def _reservation(request: int, path: str, *colours: int) -> list[Row]:
    go = RowStatus.CREATE_AND_GO
    head = ReservationRow(
        request, f"r{request}", path[0], path[-1], len(colours), 0, 60_000, 60_000, go
    )
    hops = [ReservationHopRow(request, place, node) for place, node in enumerate(path, 1)]
    tuned = [ReservationWavelengthRow(request, place, c) for place, c in enumerate(colours, 1)]
    return [head, *hops, *tuned]


def _pdus(step: Step, destination: str) -> list[Pdu]:
    return [
        item.body
        for item in step.outbox
        if item.destination == destination and isinstance(item.body, Pdu)
    ]


def _fiber(directed: bool = False) -> FiberController:
    fibers = (("A", "B", 2), ("B", "C", 2))
    return FiberController(FiberControllerConfig(fibers, directed, 30.0, 0.11, 10.0), _Sky())


def test_a_reservation_configures_every_node_of_its_path_and_then_reports() -> None:
    fiber = _fiber()
    step = fiber.step(0.0, [_set(GLOBAL_MANAGER, 1, *_reservation(0, "ABC", 0, 1))])
    assert _pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR
    nodes = ["kme-A", "kme-B", "kme-C"]
    channels = [decode(_pdus(step, node)[0].varbinds)[0] for node in nodes]
    ends = [(getattr(row, "upstream", None), getattr(row, "downstream", None)) for row in channels]
    assert ends == [("", "B"), ("A", "C"), ("B", "")]
    answers = [
        Message(node, FIBER_CONTROLLER, 1, _pdus(step, node)[0].response()) for node in nodes
    ]
    assert not _pdus(fiber.step(1.0, answers[:2]), GLOBAL_MANAGER)
    inform = _pdus(fiber.step(2.0, answers[2:]), GLOBAL_MANAGER)
    assert [pdu.verb for pdu in inform] == [Verb.INFORM]


@pytest.mark.parametrize(
    "rows",
    [
        _reservation(1, "AB", 1),  # taken
        _reservation(1, "BA", 1),  # taken, other direction
        _reservation(1, "AC", 0),  # no such fiber
        _reservation(1, "AB", 2),  # no such colour
        _reservation(1, "BCB", 0),  # not simple
        _reservation(0, "BC", 0),  # request known already
        [replace(_reservation(1, "BC", 0)[0], units=2), *_reservation(1, "BC", 0)[1:]],
    ],
)
def test_a_reservation_that_cannot_be_is_refused_whole(rows: list[Row]) -> None:
    fiber = _fiber()
    fiber.step(0.0, [_set(GLOBAL_MANAGER, 1, *_reservation(0, "AB", 1))])
    step = fiber.step(1.0, [_set(GLOBAL_MANAGER, 2, *rows)])
    (answer,) = _pdus(step, GLOBAL_MANAGER)
    assert answer.error_status is ErrorStatus.INCONSISTENT_VALUE
    assert len(step.outbox) == 1


def test_directions_are_apart_when_capacity_is_counted_per_direction() -> None:
    fiber = _fiber(directed=True)
    fiber.step(0.0, [_set(GLOBAL_MANAGER, 1, *_reservation(0, "AB", 1))])
    step = fiber.step(1.0, [_set(GLOBAL_MANAGER, 2, *_reservation(1, "BA", 1))])
    assert _pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR


class _Sky:
    def __init__(self, usable: bool = True) -> None:
        self.usable = usable
        self.offer = LinkSample(512.0, 0.02)

    def sample(
        self, _medium: MediumCode, _a: str, _b: str, _now_s: float, _since_s: float | None = None
    ) -> LinkSample:
        return self.offer if self.usable else replace(self.offer, usable=False)

    def may_change_s(self, since_s: float) -> float:
        return since_s


ORDER = OrderRow(7, 0, 3, "A", "B", 2, RowStatus.CREATE_AND_GO)


def test_an_order_is_carried_out_at_both_ends_when_its_service_has_had_its_time() -> None:
    satellite = SatelliteController(OnDemandConfig(10.0, 256, 0.11, 60.0), _Sky())
    step = satellite.step(100.0, [_set(GLOBAL_MANAGER, 1, ORDER)])
    assert _pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR
    assert step.wake_s == 111.0
    assert not satellite.step(110.0, []).outbox
    step = satellite.step(111.0, [])
    sets = [_pdus(step, node)[0] for node in ("kme-A", "kme-B")]
    answers = [
        Message(node, SATELLITE_CONTROLLER, 1, pdu.response())
        for node, pdu in zip(("kme-A", "kme-B"), sets, strict=True)
    ]
    inform = _pdus(satellite.step(113.0, answers), GLOBAL_MANAGER)
    assert [pdu.verb for pdu in inform] == [Verb.INFORM]


def test_an_order_under_a_closed_sky_is_refused_at_once() -> None:
    satellite = SatelliteController(OnDemandConfig(10.0, 256, 0.11, 60.0), _Sky(usable=False))
    step = satellite.step(0.0, [_set(GLOBAL_MANAGER, 1, ORDER)])
    assert _pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.RESOURCE_UNAVAILABLE
    assert step.wake_s is None


@pytest.mark.parametrize(
    ("now_s", "status"), [(339.0, "NO_ERROR"), (340.0, "RESOURCE_UNAVAILABLE")]
)
def test_an_order_whose_period_is_over_is_refused(now_s: float, status: str) -> None:
    config = OnDemandConfig(10.0, 256, 0.11, 60.0, timeline=Timeline(100.0, 60.0, 10))
    answer = _pdus(
        SatelliteController(config, _Sky()).step(now_s, [_set(GLOBAL_MANAGER, 1, ORDER)]),
        GLOBAL_MANAGER,
    )
    assert answer[0].error_status is ErrorStatus[status]


@pytest.mark.parametrize("controller", [SatelliteController, UavController])
def test_a_controller_gives_no_more_units_in_a_period_than_it_has(
    controller: type[OnDemandController],
) -> None:
    limited = controller(OnDemandConfig(10.0, 256, 0.11, 60.0, units_per_period=5), _Sky())

    def order(number: int, period: int, units: int) -> ErrorStatus:
        row = replace(ORDER, order=number, period=period, units=units)
        step = limited.step(float(number), [_set(GLOBAL_MANAGER, number, row)])
        return _pdus(step, GLOBAL_MANAGER)[0].error_status

    answers = [order(1, 3, 4), order(2, 3, 2), order(3, 3, 1), order(4, 3, 1), order(5, 4, 5)]

    taken, spent = ErrorStatus.NO_ERROR, ErrorStatus.RESOURCE_UNAVAILABLE
    assert answers == [taken, spent, taken, spent, taken]


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
    (pdu,) = _pdus(step, FIBER_CONTROLLER)
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
    (pdu,) = _pdus(manager.step(0.0, []), FIBER_CONTROLLER)
    refused = pdu.response(None, ErrorStatus.INCONSISTENT_VALUE, 1)
    step = manager.step(2.0, [Message(FIBER_CONTROLLER, GLOBAL_MANAGER, 1, refused)])
    assert not _pdus(step, FIBER_CONTROLLER)
    assert step.wake_s == 100.0  # a period begins; it waits for 1000 s otherwise
    again = [
        pdu
        for at_s in (100.0, 150.0, 1002.0)
        for pdu in _pdus(manager.step(at_s, []), FIBER_CONTROLLER)
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
    walks = _pdus(manager.step(6.0, []), FIBER_CONTROLLER)
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
    (order,) = _pdus(step, SATELLITE_CONTROLLER)
    refused = order.response(None, ErrorStatus.RESOURCE_UNAVAILABLE, 1)
    step = manager.step(103.0, [Message(SATELLITE_CONTROLLER, GLOBAL_MANAGER, 1, refused)])
    (second,) = _pdus(step, UAV_CONTROLLER)
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
    (order,) = _pdus(manager.step(101.0, [_shortage()]), SATELLITE_CONTROLLER)
    return Message(SATELLITE_CONTROLLER, GLOBAL_MANAGER, 1, order.response())


def test_an_order_that_fails_is_paid_back_and_bought_elsewhere_while_its_period_lasts() -> None:
    manager = _manager()
    manager.step(103.0, [_taken(manager)])
    assert manager.totals().cost == 10 + 120
    step = manager.step(130.0, [_failure(SATELLITE_CONTROLLER, 1)])
    assert [pdu.verb for pdu in _pdus(step, SATELLITE_CONTROLLER)] == [Verb.RESPONSE]
    (fact,) = [fact for fact in step.facts if fact.kind is FactKind.FAILED]
    assert (fact.medium, fact.units, fact.cost) == ("satellite", 2, -120)
    assert fact.text == "sat-1-1 made no key over A"
    assert len(_pdus(step, UAV_CONTROLLER)) == 1
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
    assert len(_pdus(first, UAV_CONTROLLER)) == 1
    assert not _pdus(then, UAV_CONTROLLER)


def test_nothing_is_bought_for_a_period_that_is_over() -> None:
    manager = _manager()
    manager.step(103.0, [_taken(manager)])
    step = manager.step(150.0, [_failure(SATELLITE_CONTROLLER, 1)])
    assert [fact.cost for fact in step.facts if fact.kind is FactKind.FAILED] == [-120]
    assert not _pdus(step, UAV_CONTROLLER)


def test_nothing_is_bought_for_a_shortage_that_is_heard_of_when_its_period_is_over() -> None:
    manager = _manager()
    manager.step(0.0, [])
    step = manager.step(150.0, [_shortage()])
    assert not _pdus(step, SATELLITE_CONTROLLER)
    assert [pdu.verb for pdu in _pdus(step, "kme-A")] == [Verb.RESPONSE]
    assert "its period was over" in step.facts[0].text


def test_an_order_that_is_refused_when_its_period_is_over_is_placed_nowhere_else() -> None:
    manager = _manager()
    manager.step(0.0, [])
    (order,) = _pdus(manager.step(101.0, [_shortage()]), SATELLITE_CONTROLLER)
    refused = order.response(None, ErrorStatus.RESOURCE_UNAVAILABLE, 1)
    step = manager.step(150.0, [Message(SATELLITE_CONTROLLER, GLOBAL_MANAGER, 1, refused)])
    assert not _pdus(step, UAV_CONTROLLER)


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
    assert [pdu.verb for pdu in _pdus(step, "kme-A")] == [Verb.RESPONSE]
    assert not _pdus(step, SATELLITE_CONTROLLER)


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


def test_the_fiber_controller_tells_when_a_fiber_goes_down_and_when_it_comes_up_and_only_then() -> (
    None
):
    sky = _Sky()
    fibers = (("A", "B", 2), ("B", "C", 2))
    fiber = FiberController(FiberControllerConfig(fibers, False, 30.0, 0.11, 1000.0), sky)
    said = []
    for now_s, usable in ((30.0, True), (60.0, False), (90.0, False), (120.0, True)):
        sky.usable = usable
        step = fiber.step(now_s, [])
        assert step.wake_s == now_s + 30.0
        said.append([notified(pdu)[1] for pdu in _pdus(step, GLOBAL_MANAGER)])
    assert said == [
        [],
        [FiberStateRow(0, "A", "B", 2, 2), FiberStateRow(1, "B", "C", 2, 2)],
        [],
        [FiberStateRow(0, "A", "B", 1, 1), FiberStateRow(1, "B", "C", 1, 1)],
    ]


def test_a_noisy_fiber_is_told_apart_from_a_dark_one_and_its_alarm_ends_with_the_noise() -> None:
    sky = _Sky()
    fiber = FiberController(FiberControllerConfig((("A", "B", 2),), False, 30.0, 0.11, 1e3), sky)
    good = LinkSample(512.0, 0.02, sifted_bps=1e3)
    noisy, hopeless = replace(good, qber=0.15), replace(good, qber=0.08, skr_bps=0.0, usable=False)
    dark = replace(good, skr_bps=0.0, usable=False, sifted_bps=0.0)
    said, alarms = [], []
    for number, sample in enumerate((good, noisy, dark, hopeless, good), 1):
        sky.offer = sample
        step = fiber.step(30.0 * number, [])
        said.append([getattr(notified(pdu)[1], "cause", 0) for pdu in _pdus(step, GLOBAL_MANAGER)])
        alarms.append(
            {
                dict(item.labels)["cause"]: item.value
                for item in fiber.measures()
                if item.metric == "link_alarm"
            }
        )
    assert said == [[], [DownCause.NOISE], [DownCause.LOSS], [DownCause.NOISE], [DownCause.NONE]]
    assert [alarm["noise"] for alarm in alarms] == [0, 1, 0, 1, 0]
    assert [alarm["loss"] for alarm in alarms] == [0, 0, 1, 0, 0]


def test_a_released_reservation_frees_its_wavelengths_and_its_nodes() -> None:
    fiber = _fiber()
    rows = _reservation(0, "ABC", 0, 1)
    fiber.step(0.0, [_set(GLOBAL_MANAGER, 1, *rows)])
    gone = replace(rows[0], row_status=RowStatus.DESTROY)
    step = fiber.step(1.0, [_set(GLOBAL_MANAGER, 2, gone)])
    for node in ("kme-A", "kme-B", "kme-C"):
        (row,) = decode(_pdus(step, node)[0].varbinds)
        assert getattr(row, "row_status", None) == RowStatus.DESTROY
    step = fiber.step(2.0, [_set(GLOBAL_MANAGER, 3, *_reservation(1, "AB", 0, 1))])
    assert _pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR


def test_an_answer_about_an_earlier_generation_sets_no_later_one_up() -> None:
    fiber = _fiber()
    first, *others = _reservation(0, "AB", 0)
    step = fiber.step(0.0, [_set(GLOBAL_MANAGER, 1, first, *others)])
    late = [
        Message(node, FIBER_CONTROLLER, 1, _pdus(step, node)[0].response())
        for node in ("kme-A", "kme-B")
    ]
    later = replace(first, generation=first.generation + 1)
    fiber.step(1.0, [_set(GLOBAL_MANAGER, 2, later, *others)])
    assert FactKind.ACTIVE not in [fact.kind for fact in fiber.step(2.0, late).facts]


@pytest.mark.parametrize(("start_s", "epoch_s"), [(4.0, 90.0), (89.0, 90.0), (90.0, 140.0)])
def test_a_reservation_that_starts_when_an_epoch_ends_makes_its_first_keys_in_the_next(
    start_s: float, epoch_s: float
) -> None:
    schedule = ReservationSchedule(Timeline(100.0, 50.0, 2), setup_s=4.0, lead_s=10.0)
    assert schedule.next_epoch_s(start_s) == epoch_s


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
    (pdu,) = [pdu for pdu in _pdus(step, FIBER_CONTROLLER) if pdu.verb is Verb.SET]
    (row,) = decode(pdu.varbinds)
    assert isinstance(row, ReservationRow)
    assert (row.request, row.row_status) == (0, RowStatus.DESTROY)
    again = _pdus(manager.step(102.0, [_link_state(2, status=2)]), FIBER_CONTROLLER)
    assert [pdu.verb for pdu in again] == [Verb.RESPONSE]
    step = manager.step(103.0, [_link_state(3, status=1)])
    (pdu,) = [pdu for pdu in _pdus(step, FIBER_CONTROLLER) if pdu.verb is Verb.SET]
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
    assert [pdu.verb for pdu in _pdus(step, FIBER_CONTROLLER)] == [Verb.RESPONSE]
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
    assert _pdus(step, FIBER_CONTROLLER) == []
    (fact,) = [fact for fact in step.facts if fact.kind is FactKind.NOT_PLANNED]
    assert fact.text == "start, but the optimizer failed: IndexError: index 0 is out of bounds"
    order = _pdus(manager.step(101.0, [_shortage()]), SATELLITE_CONTROLLER)
    assert len(order) == 1


class _Turns(_Sky):
    """A sky over fibers that are usable between some instants and the next, and know when they change."""

    def __init__(self, turns_s: Sequence[float], *, tells: bool) -> None:
        super().__init__()
        self._turns_s, self._tells = sorted(turns_s), tells
        self.samples = 0

    def hear(self, turns_s: Sequence[float]) -> None:
        self._turns_s = sorted([*self._turns_s, *turns_s])

    def sample(
        self, _medium: MediumCode, _a: str, _b: str, now_s: float, _since_s: float | None = None
    ) -> LinkSample:
        self.samples += 1
        is_up = sum(turn_s <= now_s for turn_s in self._turns_s) % 2 == 0
        return replace(self.offer, usable=is_up)

    def may_change_s(self, since_s: float) -> float:
        later = [turn_s for turn_s in self._turns_s if turn_s > since_s]
        return min(later, default=math.inf) if self._tells else since_s


@given(
    st.lists(st.integers(1, 4_000).map(lambda tenths: tenths / 10), max_size=6),
    st.tuples(
        st.sampled_from([1.0, 7.0, 10.0, 12.5, 30.0]), st.sampled_from([0.0, 5.0, 25.0, 60.0])
    ),
    st.sets(st.integers(1, 500), max_size=5),
    st.integers(0, 400),
    st.tuples(st.integers(1, 450), st.lists(st.integers(0, 40), max_size=3)),
)
def test_looks_that_are_left_out_would_have_found_nothing(
    turns_s: list[float],
    every_and_wait_s: tuple[float, float],
    mail: set[int],
    out_at: int,
    news: tuple[int, list[int]],
) -> None:
    """A controller that is told when fibers change says what one says that looks again and again.

    It steps when it is due and when there is mail, is out for 50 windows, and hears on its way of more that
    happens.
    """

    monitor_s, wait_s = every_and_wait_s

    def said(*, tells: bool) -> list[tuple[int, Row]]:
        config = FiberControllerConfig((("A", "B", 2),), False, monitor_s, 0.11, 1e9, wait_s)
        sky = _Turns(turns_s, tells=tells)
        fiber = FiberController(config, sky)
        found: list[tuple[int, Row]] = []
        wake = 0
        for window in range(500):
            if window == news[0]:
                sky.hear([float(window + after) for after in news[1]])
                is_out = out_at <= window - 1 < out_at + 50
                fiber.slept_until(float(max(0, out_at - 1) if is_out else window - 1))
                wake = min(wake, window)
            if out_at <= window < out_at + 50:
                wake = out_at + 50
            elif window >= wake or window in mail:
                step = fiber.step(float(window), [])
                found += [(window, notified(pdu)[1]) for pdu in _pdus(step, GLOBAL_MANAGER)]
                wake_s = math.inf if step.wake_s is None else step.wake_s
                wake = max(window + 1, 9999 if wake_s == math.inf else steps_until(wake_s, 1.0))
        return found

    assert said(tells=True) == said(tells=False)


def test_fibers_to_which_nothing_happens_are_looked_at_once() -> None:
    sky = _Turns([100_000.0, 200_000.0], tells=True)
    fiber = FiberController(FiberControllerConfig((("A", "B", 2),), False, 10.0, 0.11, 1e9), sky)
    wakes, now_s = [], 10.0
    while (wake_s := fiber.step(now_s, []).wake_s) is not None and now_s < 1e9:
        now_s = max(now_s + 1, wake_s)
        wakes.append(now_s)
    assert len(wakes) <= 6
    assert sky.samples <= 6
