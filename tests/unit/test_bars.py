"""What benchmarks say of a figure: whether it meets its bar, or whether that cannot be told."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "bars.py"
    spec = importlib.util.spec_from_file_location("bars", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bars", module)
    spec.loader.exec_module(module)
    return module


def test_a_figure_on_its_bar_meets_it_and_one_beyond_misses_it(bars: ModuleType) -> None:
    assert bars.at_most("x", 3.0, "s", 3.0).verdict == bars.OK
    assert bars.at_most("x", 3.1, "s", 3.0).verdict == bars.MISSED
    assert bars.at_least("x", 20.0, "1/s", 20.0).verdict == bars.OK
    assert bars.at_least("x", 5.0, "1/s", 20.0).verdict == bars.MISSED
    assert bars.at_least("x", 5.0, "1/s", 20.0).ratio == 0.25
    assert bars.none("x", 1, "").verdict == bars.MISSED


def test_a_mean_whose_interval_holds_the_bar_is_unclear(bars: ModuleType) -> None:
    near, sure, far = ([1.0, 2.0, 4.0], [1.0, 1.1, 1.2], [9.0, 9.1, 9.2])
    verdicts = [
        bars.surely_at_most("x", bars.interval(values), "%", 2.0, "").verdict
        for values in (near, sure, far)
    ]
    assert verdicts == [bars.UNCLEAR, bars.OK, bars.MISSED]


def test_an_interval_is_that_of_student(bars: ModuleType) -> None:
    found = bars.interval([10.0, 12.0, 14.0])
    assert found.mean == 12.0
    assert found.high - found.mean == pytest.approx(4.302653 * 2.0 / 3**0.5)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
