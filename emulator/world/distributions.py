"""Distribution functions that the standard library lacks: Beta's, and the quantiles of Student's t.

Both are exact to about twelve digits for all parameters, however small.  The incomplete Beta function is a
continued fraction (Abramowitz and Stegun 26.5.8), summed up as Lentz does (Thompson and Barnett 1986,
Journal of Computational Physics 64), on the side of the mean where it converges fast.
"""

from __future__ import annotations

from functools import cache
from math import exp, lgamma, log, log1p, sqrt

_MOST_TERMS = 10_000
_EXACT = 1e-15
_LEAST = 1e-300  # in place of 0 where it would divide


def beta_cdf(a: float, b: float, x: float) -> float:
    """Return P(X <= x) for a Beta distribution, a and b > 0."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    log_front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    if x * (a + b + 2) < a + 1:
        return exp(log_front) / a * _fraction(a, b, x)
    return 1 - exp(log_front) / b * _fraction(b, a, 1 - x)


@cache
def student_t_quantile(two_sided: float, degrees: int) -> float:
    """Return t with P(|T| <= t) = `two_sided`, for `degrees` of freedom >= 1."""
    low, high = 0.0, 1.0
    while _within(high, degrees) < two_sided:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _within(middle, degrees) < two_sided else (low, middle)
    return (low + high) / 2


def half_width(deviation: float, count: int, two_sided: float = 0.95) -> float:
    """Return how far the confidence interval of a mean of `count` >= 2 values reaches to each side.

    `deviation` is that of the sample.  By Student's t: few values say less than a normal law has it.
    """
    return student_t_quantile(two_sided, count - 1) * deviation / sqrt(count)


def _within(t: float, degrees: int) -> float:
    """Return P(|T| <= t)."""
    return beta_cdf(0.5, degrees / 2, t * t / (degrees + t * t))


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete Beta function."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _EXACT:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _LEAST else _LEAST
