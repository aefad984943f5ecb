"""What a missing unit costs: by UAV, by satellite, or if it never comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from emulator.build.assembly import assemble
from emulator.build.loading import read
from emulator.build.on_demand_prices import unit_prices_of
from emulator.build.problem import problem_of
from global_manager.provisioning.model import Medium

Write = Callable[..., Path]
UAV, HOP = 18_520, 38_500  # of one hop: by UAV, and by satellite at the paper's price


def lost(path: Path) -> dict[str, int]:
    """Return by request the price of a unit that never comes."""
    setup = read(str(path))
    ids = [request.id for request in problem_of(setup).requests]
    return dict(zip(ids, (price.shortfall for price in unit_prices_of(setup)), strict=True))


def requests(*ends: tuple[str, str, str]) -> list[dict[str, str]]:
    """Return requests of these classes between these nodes."""
    return [
        {"id": f"r{n}", "class": kind, "source": a, "target": b}
        for n, (kind, a, b) in enumerate(ends)
    ]


def test_by_default_lost_key_costs_twice_the_dearest_unit_of_its_class(
    write_experiment: Write,
) -> None:
    listed = requests(("near", "A", "B"), ("far", "A", "C"), ("far", "B", "C"))

    prices = lost(write_experiment(demand__requests=listed, prices="paper"))

    assert prices == {"r0": 2 * HOP, "r1": 4 * HOP, "r2": 4 * HOP}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (100_000, {"r0": 100_000, "r1": 100_000}),
        ({"far": 100_000}, {"r0": 2 * UAV, "r1": 100_000}),
    ],
)
def test_a_price_may_be_given_for_all_or_by_class(
    write_experiment: Write, given: object, expected: dict[str, int]
) -> None:
    listed = requests(("near", "A", "B"), ("far", "A", "C"))

    assert lost(write_experiment(demand__requests=listed, demand__shortfall_cost=given)) == expected


def test_the_former_place_of_the_price_is_read(write_experiment: Write) -> None:
    changes = {"limits": {"uav_units": 3, "shortfall_cost": 90_000}}

    assert set(lost(write_experiment(**changes)).values()) == {90_000}


def test_no_unit_is_bought_for_more_than_it_is_worth(write_experiment: Write) -> None:
    path = write_experiment(prices="paper", demand__shortfall_cost=2 * HOP - 1)

    media = assemble(read(str(path))).manager.media

    assert set(media) == {(Medium.UAV,), (Medium.UAV, Medium.SATELLITE)}  # A to C has two hops
