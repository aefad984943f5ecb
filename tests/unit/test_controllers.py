"""The fiber and on-demand controllers: cores alone, message by message."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lone_cores import pdus, reservation, set_of

from controllers.fiber import FiberController, FiberControllerConfig
from controllers.on_demand import OnDemandConfig, OnDemandController
from controllers.ports import LinkSample
from controllers.satellite import SatelliteController
from controllers.uav import UavController
from global_manager.reservations import ReservationSchedule
from protos.core import (
    FIBER_CONTROLLER,
    GLOBAL_MANAGER,
    SATELLITE_CONTROLLER,
    Message,
    Timeline,
    steps_until,
)
from protos.facts import FactKind
from protos.mib import FiberStateRow, OrderRow, Row
from protos.pdu import ErrorStatus, Verb
from protos.rows import decode, notified
from protos.syntax import DownCause, MediumCode, RowStatus


def _fiber(directed: bool = False) -> FiberController:
    fibers = (("A", "B", 2), ("B", "C", 2))
    return FiberController(FiberControllerConfig(fibers, directed, 30.0, 0.11, 10.0), _Sky())


def test_a_reservation_configures_every_node_of_its_path_and_then_reports() -> None:
    fiber = _fiber()
    step = fiber.step(0.0, [set_of(GLOBAL_MANAGER, 1, *reservation(0, "ABC", 0, 1))])
    assert pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR
    nodes = ["kme-A", "kme-B", "kme-C"]
    channels = [decode(pdus(step, node)[0].varbinds)[0] for node in nodes]
    ends = [(getattr(row, "upstream", None), getattr(row, "downstream", None)) for row in channels]
    assert ends == [("", "B"), ("A", "C"), ("B", "")]
    answers = [Message(node, FIBER_CONTROLLER, 1, pdus(step, node)[0].response()) for node in nodes]
    assert not pdus(fiber.step(1.0, answers[:2]), GLOBAL_MANAGER)
    inform = pdus(fiber.step(2.0, answers[2:]), GLOBAL_MANAGER)
    assert [pdu.verb for pdu in inform] == [Verb.INFORM]


@pytest.mark.parametrize(
    "rows",
    [
        reservation(1, "AB", 1),  # taken
        reservation(1, "BA", 1),  # taken, other direction
        reservation(1, "AC", 0),  # no such fiber
        reservation(1, "AB", 2),  # no such colour
        reservation(1, "BCB", 0),  # not simple
        reservation(0, "BC", 0),  # request known already
        [replace(reservation(1, "BC", 0)[0], units=2), *reservation(1, "BC", 0)[1:]],
    ],
)
def test_a_reservation_that_cannot_be_is_refused_whole(rows: list[Row]) -> None:
    fiber = _fiber()
    fiber.step(0.0, [set_of(GLOBAL_MANAGER, 1, *reservation(0, "AB", 1))])
    step = fiber.step(1.0, [set_of(GLOBAL_MANAGER, 2, *rows)])
    (answer,) = pdus(step, GLOBAL_MANAGER)
    assert answer.error_status is ErrorStatus.INCONSISTENT_VALUE
    assert len(step.outbox) == 1


def test_directions_are_apart_when_capacity_is_counted_per_direction() -> None:
    fiber = _fiber(directed=True)
    fiber.step(0.0, [set_of(GLOBAL_MANAGER, 1, *reservation(0, "AB", 1))])
    step = fiber.step(1.0, [set_of(GLOBAL_MANAGER, 2, *reservation(1, "BA", 1))])
    assert pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR


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
    step = satellite.step(100.0, [set_of(GLOBAL_MANAGER, 1, ORDER)])
    assert pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR
    assert step.wake_s == 111.0
    assert not satellite.step(110.0, []).outbox
    step = satellite.step(111.0, [])
    sets = [pdus(step, node)[0] for node in ("kme-A", "kme-B")]
    answers = [
        Message(node, SATELLITE_CONTROLLER, 1, pdu.response())
        for node, pdu in zip(("kme-A", "kme-B"), sets, strict=True)
    ]
    inform = pdus(satellite.step(113.0, answers), GLOBAL_MANAGER)
    assert [pdu.verb for pdu in inform] == [Verb.INFORM]


def test_an_order_under_a_closed_sky_is_refused_at_once() -> None:
    satellite = SatelliteController(OnDemandConfig(10.0, 256, 0.11, 60.0), _Sky(usable=False))
    step = satellite.step(0.0, [set_of(GLOBAL_MANAGER, 1, ORDER)])
    assert pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.RESOURCE_UNAVAILABLE
    assert step.wake_s is None


@pytest.mark.parametrize(
    ("now_s", "status"), [(339.0, "NO_ERROR"), (340.0, "RESOURCE_UNAVAILABLE")]
)
def test_an_order_whose_period_is_over_is_refused(now_s: float, status: str) -> None:
    config = OnDemandConfig(10.0, 256, 0.11, 60.0, timeline=Timeline(100.0, 60.0, 10))
    answer = pdus(
        SatelliteController(config, _Sky()).step(now_s, [set_of(GLOBAL_MANAGER, 1, ORDER)]),
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
        step = limited.step(float(number), [set_of(GLOBAL_MANAGER, number, row)])
        return pdus(step, GLOBAL_MANAGER)[0].error_status

    answers = [order(1, 3, 4), order(2, 3, 2), order(3, 3, 1), order(4, 3, 1), order(5, 4, 5)]

    taken, spent = ErrorStatus.NO_ERROR, ErrorStatus.RESOURCE_UNAVAILABLE
    assert answers == [taken, spent, taken, spent, taken]


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
        said.append([notified(pdu)[1] for pdu in pdus(step, GLOBAL_MANAGER)])
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
        said.append([getattr(notified(pdu)[1], "cause", 0) for pdu in pdus(step, GLOBAL_MANAGER)])
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
    rows = reservation(0, "ABC", 0, 1)
    fiber.step(0.0, [set_of(GLOBAL_MANAGER, 1, *rows)])
    gone = replace(rows[0], row_status=RowStatus.DESTROY)
    step = fiber.step(1.0, [set_of(GLOBAL_MANAGER, 2, gone)])
    for node in ("kme-A", "kme-B", "kme-C"):
        (row,) = decode(pdus(step, node)[0].varbinds)
        assert getattr(row, "row_status", None) == RowStatus.DESTROY
    step = fiber.step(2.0, [set_of(GLOBAL_MANAGER, 3, *reservation(1, "AB", 0, 1))])
    assert pdus(step, GLOBAL_MANAGER)[0].error_status is ErrorStatus.NO_ERROR


def test_an_answer_about_an_earlier_generation_sets_no_later_one_up() -> None:
    fiber = _fiber()
    first, *others = reservation(0, "AB", 0)
    step = fiber.step(0.0, [set_of(GLOBAL_MANAGER, 1, first, *others)])
    late = [
        Message(node, FIBER_CONTROLLER, 1, pdus(step, node)[0].response())
        for node in ("kme-A", "kme-B")
    ]
    later = replace(first, generation=first.generation + 1)
    fiber.step(1.0, [set_of(GLOBAL_MANAGER, 2, later, *others)])
    assert FactKind.ACTIVE not in [fact.kind for fact in fiber.step(2.0, late).facts]


@pytest.mark.parametrize(("start_s", "epoch_s"), [(4.0, 90.0), (89.0, 90.0), (90.0, 140.0)])
def test_a_reservation_that_starts_when_an_epoch_ends_makes_its_first_keys_in_the_next(
    start_s: float, epoch_s: float
) -> None:
    schedule = ReservationSchedule(Timeline(100.0, 50.0, 2), setup_s=4.0, lead_s=10.0)
    assert schedule.next_epoch_s(start_s) == epoch_s


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
                found += [(window, notified(pdu)[1]) for pdu in pdus(step, GLOBAL_MANAGER)]
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
