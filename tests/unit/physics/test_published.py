"""The one table of published results, as `qsagin validate` prints it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from emulator.physics import published as on_the_ground
from emulator.physics.published.point import Point, Tolerance, plus_minus, times, within
from emulator.world import published as in_orbit

POINTS = (*on_the_ground.POINTS, *in_orbit.POINTS)
KNOWN_MISSES = {"zhang-203km-worst", "liu-2020-day", "zhou-2026-100m"}


def numbers(setup: Any) -> Iterator[float]:
    for field in fields(setup):
        value = getattr(setup, field.name)
        if is_dataclass(value):
            yield from numbers(value)
        elif isinstance(value, float):
            yield value


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.id)
def test_a_published_result_is_met_unless_it_is_known_not_to_be(point: Point) -> None:
    verdict = point.verdict()

    assert math.isfinite(verdict.computed)
    assert verdict.ok == (point.id not in KNOWN_MISSES), f"{point.quantity}: {verdict.computed:g}"
    assert bool(point.why) == (point.id in KNOWN_MISSES), (
        "what is missed says why, and nothing else"
    )


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.id)
def test_no_published_result_is_an_input_of_a_preset_that_it_judges(point: Point) -> None:
    for name, setup in point.presets.items():
        assert point.published not in set(numbers(setup)), name


def test_every_point_has_a_name_of_its_own_a_source_and_inputs() -> None:
    assert len({point.id for point in POINTS}) == len(POINTS) >= 75
    assert all(point.source and point.inputs and point.quantity for point in POINTS)


@pytest.mark.parametrize(
    ("tolerance", "words", "bounds"),
    [
        (within(0.3), "±30 %", (7, 13)),
        (plus_minus(0.5), "±0.5", (9.5, 10.5)),
        (times(1, 3), "1 to 3 times", (10, 30)),
        (Tolerance(-3, 0, is_factor=False), "-3 to +0", (7, 10)),
    ],
)
def test_tolerances_in_words_and_in_numbers(
    tolerance: Tolerance, words: str, bounds: tuple[float, float]
) -> None:
    assert str(tolerance) == words
    assert tolerance.bounds(10) == pytest.approx(bounds)


def test_the_command_prints_the_table_and_fails_while_anything_is_missed(
    qsagin: Callable[..., tuple[int, str, str]],
) -> None:
    status, out, err = qsagin("validate", "--json")

    rows = json.loads(out)["rows"]
    assert (status, err) == (1, "")
    assert {row["id"] for row in rows if not row["ok"]} == KNOWN_MISSES
    for row in rows:
        assert {"id", "source", "inputs", "published", "computed", "tolerance", "ok"} <= row.keys()
        assert row["ok"] == (row["least"] <= row["computed"] <= row["most"])

    status, out, _ = qsagin("validate")
    assert status == 1
    assert f"{len(rows) - len(KNOWN_MISSES)} of {len(rows)} published results are met" in out
    assert all(f"{missed} is missed: " in out for missed in KNOWN_MISSES)


def test_once_all_is_met_the_command_succeeds(
    qsagin: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    met = tuple(point for point in POINTS if point.id not in KNOWN_MISSES)
    monkeypatch.setattr(on_the_ground, "POINTS", met[:3])
    monkeypatch.setattr(in_orbit, "POINTS", met[-1:])

    status, out, _ = qsagin("validate")

    assert (status, "4 of 4 published results are met" in out) == (0, True)
