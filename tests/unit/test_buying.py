"""Buying from shared pools: what is ordered, when, and what a refusal changes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from global_manager.orders import PoolBuyer, Purchase
from global_manager.provisioning import Medium, OnDemand, Pools, Request

NEAR = Request("near", "any", "a", "b", OnDemand(20, 10, 0.5, 100))
FAR = Request("far", "any", "a", "c", OnDemand(60, 10, 0.5, 100))
SATELLITE, UAV = Medium.SATELLITE, Medium.UAV


def test_uavs_wait_until_satellites_have_answered() -> None:
    buyer = PoolBuyer((NEAR, FAR), Pools(1, 1))
    buyer.lacks(0, 4, 1)
    buyer.lacks(1, 4, 2)
    (first,) = buyer.orders()
    assert first == Purchase(1, 4, SATELLITE, 1)
    assert buyer.orders() == []
    buyer.answered(first, taken=True)
    (second,) = buyer.orders()
    assert second == Purchase(0, 4, UAV, 1)
    buyer.answered(second, taken=True)
    assert buyer.orders() == []  # both pools are spent; a unit is lost


def test_under_clouds_uavs_go_where_they_save_most() -> None:
    buyer = PoolBuyer((FAR, NEAR), Pools(2, 1))
    buyer.lacks(0, 0, 1)
    buyer.lacks(1, 0, 1)
    for purchase in buyer.orders():
        buyer.answered(purchase, taken=False)
    assert buyer.orders() == [Purchase(1, 0, UAV, 1)]


def test_a_satellite_that_one_pair_cannot_use_serves_another() -> None:
    buyer = PoolBuyer((FAR, NEAR), Pools(1, 0))
    buyer.lacks(0, 0, 1)
    buyer.lacks(1, 0, 1)
    (first,) = buyer.orders()
    buyer.answered(first, taken=False)
    (second,) = buyer.orders()
    assert {first.request, second.request} == {0, 1}
    assert second.medium is SATELLITE


def test_what_a_satellite_has_failed_to_bring_is_missing_again_and_left_to_uavs() -> None:
    buyer = PoolBuyer((FAR,), Pools(5, 1))
    buyer.lacks(0, 0, 1)
    (first,) = buyer.orders()
    buyer.answered(first, taken=True)
    assert buyer.orders() == []
    buyer.failed(first)
    assert (first.medium, buyer.orders()) == (SATELLITE, [Purchase(0, 0, UAV, 1)])


def test_what_fails_after_its_period_is_not_made_up_for() -> None:
    buyer = PoolBuyer((FAR,), Pools(5, 1))
    buyer.lacks(0, 0, 1)
    (late,) = buyer.orders()
    buyer.answered(late, taken=True)
    buyer.lacks(0, 1, 1)
    buyer.failed(late)
    assert buyer.orders() == [Purchase(0, 1, SATELLITE, 1)]


def test_a_new_period_has_full_pools_and_nothing_to_make_up_for() -> None:
    buyer = PoolBuyer((NEAR,), Pools(0, 1))
    buyer.lacks(0, 0, 3)
    (late,) = buyer.orders()
    buyer.lacks(0, 1, 1)
    buyer.answered(late, taken=False)
    assert buyer.orders() == [Purchase(0, 1, UAV, 1)]


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 6)), max_size=6),
    st.none() | st.integers(0, 6),
    st.none() | st.integers(0, 6),
    st.data(),
)
@settings(max_examples=100)
def test_whoever_refuses_or_fails_pools_are_never_overdrawn_and_nobody_gets_too_much(
    shortages: list[tuple[int, int]],
    satellites: int | None,
    uavs: int | None,
    data: st.DataObject,
) -> None:
    buyer = PoolBuyer((NEAR, FAR), Pools(satellites, uavs))
    lacking = [0, 0]
    for request, units in shortages:
        buyer.lacks(request, 0, units)
        lacking[request] += units
    bought = {SATELLITE: 0, UAV: 0}
    while orders := buyer.orders():
        for purchase in orders:
            taken = data.draw(st.booleans())
            buyer.answered(purchase, taken=taken)
            if taken and data.draw(st.booleans()):
                buyer.failed(purchase)
            elif taken:
                bought[purchase.medium] += purchase.units
                lacking[purchase.request] -= purchase.units
    assert min(lacking) >= 0
    assert satellites is None or bought[SATELLITE] <= satellites
    assert uavs is None or bought[UAV] <= uavs
