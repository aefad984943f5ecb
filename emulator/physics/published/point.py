"""One published result, the same quantity computed, and the verdict.

A tolerance is what the source and its missing parameters allow: half a per cent for a theory whose inputs
are all printed, a factor of three where a receiver's losses are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tolerance:
    """Where a computed value may lie, told as added to the published value, or as a multiple of it."""

    low: float
    high: float
    is_factor: bool

    def bounds(self, published: float) -> tuple[float, float]:
        """Return the least and the most that agree with a published value."""
        if self.is_factor:
            return published * self.low, published * self.high
        return published + self.low, published + self.high

    def __str__(self) -> str:
        if not self.is_factor:
            return (
                f"±{self.high:g}" if self.low == -self.high else f"{self.low:g} to +{self.high:g}"
            )
        if abs(self.low + self.high - 2) < 1e-9:
            return f"±{100 * (self.high - 1):.3g} %"
        return f"{self.low:.3g} to {self.high:.3g} times"


def within(share: float) -> Tolerance:
    """Return the tolerance of a share of the published value, to either side."""
    return Tolerance(1 - share, 1 + share, is_factor=True)


def plus_minus(difference: float) -> Tolerance:
    """Return the tolerance of a difference in the unit of the published value, to either side."""
    return Tolerance(-difference, difference, is_factor=False)


def times(low: float, high: float) -> Tolerance:
    """Return the tolerance of a computed value that is so many times the published one."""
    return Tolerance(low, high, is_factor=True)


@dataclass(frozen=True)
class Verdict:
    """What a point came to."""

    computed: float
    ok: bool


@dataclass(frozen=True)
class Point:
    """A published result; `why` says what is missing where a model is known not to meet it."""

    id: str
    quantity: str  # with its unit
    source: str
    inputs: str
    published: float
    tolerance: Tolerance
    compute: Callable[[], float]
    presets: Mapping[str, Any]  # the devices whose numbers are used, by name
    why: str = ""

    def verdict(self) -> Verdict:
        """Compute the quantity, and compare."""
        computed = float(self.compute())
        least, most = self.tolerance.bounds(self.published)
        return Verdict(computed, least <= computed <= most)

    def row(self) -> dict[str, Any]:
        """Return the point with its verdict under public names."""
        verdict, (least, most) = self.verdict(), self.tolerance.bounds(self.published)
        return {
            "id": self.id,
            "quantity": self.quantity,
            "source": self.source,
            "inputs": self.inputs,
            "published": self.published,
            "computed": verdict.computed,
            "tolerance": str(self.tolerance),
            "least": least,
            "most": most,
            "ok": verdict.ok,
            "why": self.why,
        }
