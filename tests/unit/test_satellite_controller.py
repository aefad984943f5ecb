"""The satellite controller where orbits are known: which passage an order gets, and when none is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from controllers.on_demand import OnDemandConfig
from controllers.ports import Contact, LinkSample, Passage
from controllers.satellite import SatelliteController
from protos.core import GLOBAL_MANAGER, SATELLITE_CONTROLLER, Message, Step
from protos.mib import OrderRow
from protos.pdu import ErrorStatus, Pdu, Verb
from protos.rows import encode
from protos.syntax import MediumCode, RowStatus

UNIT_BITS = 256


def contact(station: str, end_s: float, bits: int = 10_000, qber: float = 0.01) -> Contact:
    return Contact("sat-1-1", (station,), end_s - 60.0, end_s, bits, qber)


@dataclass
class Heaven:
    """A small working view of satellites: passages by hand, and which contacts clouds will cover."""

    known: list[Passage]
    cloudy: set[Contact] = field(default_factory=set)

    def passages(self, _a: str, _b: str, now_s: float) -> Sequence[Passage]:
        return [passage for passage in self.known if passage.ready_s > now_s]

    def is_promised(self, item: Contact, _now_s: float) -> bool:
        return item not in self.cloudy

    def has_made(self, item: Contact) -> bool:
        return item not in self.cloudy


class _Nothing:
    def sample(self, _medium: MediumCode, _a: str, _b: str, _now_s: float) -> LinkSample:
        raise AssertionError("where orbits are known, nobody asks for an assumption")


def controller(view: Heaven) -> SatelliteController:
    return SatelliteController(OnDemandConfig(10.0, UNIT_BITS, 0.11, 60.0), _Nothing(), view)


def order(number: int, units: int = 1) -> Message:
    row = OrderRow(number, 0, 0, "A", "B", units, RowStatus.CREATE_AND_GO)
    pdu = Pdu(Verb.SET, number, tuple(encode(row)))
    return Message(GLOBAL_MANAGER, SATELLITE_CONTROLLER, number, pdu)


def statuses(step: Step) -> list[ErrorStatus]:
    bodies = [item.body for item in step.outbox if item.destination == GLOBAL_MANAGER]
    return [body.error_status for body in bodies if isinstance(body, Pdu)]


FINE, SPENT = ErrorStatus.NO_ERROR, ErrorStatus.RESOURCE_UNAVAILABLE


def test_an_order_waits_for_the_later_contact_of_the_first_good_passage() -> None:
    noisy = Passage((contact("A", 100.0, qber=0.2), contact("B", 110.0)))
    cloudy = Passage((contact("A", 200.0), contact("B", 210.0)))
    good = Passage((contact("A", 320.0), contact("B", 300.0)))
    satellite = controller(Heaven([noisy, cloudy, good], {cloudy.contacts[1]}))
    step = satellite.step(0.0, [order(1)])
    assert statuses(step) == [FINE]
    assert step.wake_s == 320.0


def test_orders_share_a_contact_until_its_bits_are_spent() -> None:
    here, there = contact("A", 100.0, bits=5 * UNIT_BITS), contact("B", 120.0, bits=100_000)
    satellite = controller(Heaven([Passage((here, there))]))
    step = satellite.step(0.0, [order(1, 3), order(2, 3), order(3, 2), order(4, 1)])
    assert statuses(step) == [FINE, SPENT, FINE, SPENT]


def test_what_one_pair_takes_of_a_contact_is_gone_for_another_pair() -> None:
    shared = contact("A", 100.0, bits=2 * UNIT_BITS)
    heaven = Heaven([Passage((shared, contact("B", 120.0)))])
    satellite = controller(heaven)
    assert statuses(satellite.step(0.0, [order(1, 2)])) == [FINE]
    heaven.known = [Passage((shared, contact("C", 130.0)))]
    assert statuses(satellite.step(1.0, [order(2, 1)])) == [SPENT]


@given(
    bits=st.tuples(st.integers(1, 5_000), st.integers(1, 5_000)),
    units=st.lists(st.integers(1, 6), max_size=12),
)
def test_no_contact_ever_gives_more_than_it_makes(bits: tuple[int, int], units: list[int]) -> None:
    pair = Passage((contact("A", 100.0, bits[0]), contact("B", 120.0, bits[1])))
    satellite = controller(Heaven([pair]))
    orders = [order(number, count) for number, count in enumerate(units, 1)]
    taken = statuses(satellite.step(0.0, orders))
    given_bits = UNIT_BITS * sum(
        n for n, status in zip(units, taken, strict=True) if status is FINE
    )
    assert given_bits <= min(bits)
    for count, status in zip(units, taken, strict=True):
        assert status is FINE or given_bits + UNIT_BITS * count > min(bits)
