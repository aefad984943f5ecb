"""Coloring by configurations: nearly full fibers leave no slack, and nothing is promised twice."""

from __future__ import annotations

from collections import Counter

from global_manager.provisioning.configurations import Colors, color

_RING = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]
"""Five paths around a ring of five, each over two fibers: no wavelength has room for three."""


def _colored(units: dict[tuple[int, ...], int], wavelengths: int) -> Colors:
    found = color(units, dict.fromkeys(units, 1.0), wavelengths)
    assert found is not None
    return found


def test_five_paths_around_a_ring_of_five_lose_one_unit_with_two_wavelengths() -> None:
    found = _colored(dict.fromkeys(_RING, 1), 2)

    assert sum(map(len, found.values())) == 4


def test_two_units_of_each_path_around_the_ring_fill_five_wavelengths_exactly() -> None:
    found = _colored(dict.fromkeys(_RING, 2), 5)

    assert {path: len(own) for path, own in found.items()} == dict.fromkeys(_RING, 2)


def test_no_wavelength_of_a_fiber_is_given_twice() -> None:
    paths = {(0, 1, 2): 2, (2, 3): 3, (0, 4): 3, (1, 3): 2, (4,): 2, (3, 4): 1}
    found = _colored(paths, 5)

    given = Counter((e, w) for path, own in found.items() for w in own for e in path)
    assert max(given.values()) == 1
    assert all(len(own) <= paths[path] for path, own in found.items())
    assert {w for _, w in given} <= set(range(5))


def test_what_loses_least_gets_no_wavelength() -> None:
    found = color({(0,): 1, (0, 1): 1}, {(0,): 5.0, (0, 1): 9.0}, 1)

    assert found == {(0, 1): [0]}


def test_a_relaxation_that_loses_too_much_is_not_colored() -> None:
    units = dict.fromkeys(_RING, 1)

    assert color(units, dict.fromkeys(units, 10.0), 2, most_lost=9.0) is None
    assert color(units, dict.fromkeys(units, 10.0), 2, most_lost=10.0) is not None


def test_equal_input_is_colored_equally() -> None:
    units = {(0, 1, 2): 2, (2, 3): 3, (0, 4): 3, (1, 3): 2, (4,): 2, (3, 4): 1}

    assert _colored(units, 4) == _colored(units, 4)
