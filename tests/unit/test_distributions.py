"""Distribution functions against tables and closed forms."""

from __future__ import annotations

from math import asin, pi, sqrt
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.world.distributions import beta_cdf, half_width, student_t_quantile

SHAPES = st.floats(0.01, 500)
PLACES = st.floats(0.001, 0.999)


@pytest.mark.parametrize(
    ("degrees", "table"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (5, 2.5706), (9, 2.2622), (29, 2.0452),
     (59, 2.0010), (120, 1.9799), (10_000_000, 1.9600)],
)  # fmt: skip
def test_students_t_is_as_in_the_tables(degrees: int, table: float) -> None:
    assert student_t_quantile(0.95, degrees) == pytest.approx(table, abs=6e-5)


@pytest.mark.parametrize(("level", "table"), [(0.90, 2.1318), (0.99, 4.6041), (0.999, 8.6103)])
def test_students_t_knows_other_levels(level: float, table: float) -> None:
    assert student_t_quantile(level, 4) == pytest.approx(table, abs=6e-5)


def test_few_values_say_less_than_the_normal_law_has_it() -> None:
    normal = NormalDist().inv_cdf(0.975)
    assert half_width(1.0, 5) * sqrt(5) / normal == pytest.approx(1.4166, abs=1e-4)
    widths = [half_width(1.0, count) for count in range(2, 200)]
    assert widths == sorted(widths, reverse=True)


@given(a=SHAPES, x=PLACES)
def test_beta_has_its_closed_forms_however_small_its_parameters(a: float, x: float) -> None:
    assert beta_cdf(a, 1, x) == pytest.approx(x**a, rel=1e-9, abs=1e-12)
    assert beta_cdf(1, a, x) == pytest.approx(1 - (1 - x) ** a, rel=1e-9, abs=1e-12)
    assert beta_cdf(a, a, 0.5) == pytest.approx(0.5)
    assert beta_cdf(0.5, 0.5, x) == pytest.approx(2 / pi * asin(sqrt(x)), rel=1e-9)


@given(a=SHAPES, b=SHAPES, x=PLACES, y=PLACES)
def test_beta_rises_from_0_to_1_and_is_the_same_from_the_other_end(
    a: float, b: float, x: float, y: float
) -> None:
    low, high = sorted((x, y))
    assert 0 <= beta_cdf(a, b, low) <= beta_cdf(a, b, high) + 1e-12 <= 1 + 2e-12
    assert beta_cdf(a, b, x) == pytest.approx(1 - beta_cdf(b, a, 1 - x), abs=1e-9)
    assert (beta_cdf(a, b, 0), beta_cdf(a, b, 1)) == (0, 1)
