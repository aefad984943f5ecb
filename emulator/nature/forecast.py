"""What the satellite controller expects of the sky: persistence that fades into the climate, and errs.

A forecast knows the sky over a station when it is asked.  It says clear with the chance c + w (now - c): c
is how often that hour of night or day is clear, now is 1 under a clear sky and 0 under another, and w is
skill exp(-lead / memory).  So with skill 1 it is right at once; with skill 0, or long before, it knows
nothing but climate.  What begins meanwhile, like a storm, surprises it.

The errors are drawn by (seed, station, hour of issue, hour in question): asked again, it says the same, as
long as the sky is the same.  It is a model of its own and does not know how the weather is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from emulator.nature.luck import number
from emulator.nature.weather import Sky

_HOUR_S = 3600


@dataclass(frozen=True)
class Forecast:
    """A forecast's quality: `skill` from 0 to 1, and the e-folding time of persistence."""

    seed: int
    skill: float
    memory_s: float

    def expects_clear(self, sky: Sky, station: str, at_s: float, issued_s: float) -> bool:
        """Return what a forecast says; of the past it knows what was seen."""
        seen_s = min(issued_s, at_s)
        chance = self.clear_chance(sky, station, at_s, seen_s)
        return self._luck(station, int(seen_s // _HOUR_S), int(at_s // _HOUR_S)) < chance

    def clear_chance(self, sky: Sky, station: str, at_s: float, issued_s: float) -> float:
        """Return the chance with which a forecast says clear."""
        climate = sky.clear_climate(station, at_s)
        weight = self.skill * exp(-(at_s - issued_s) / self.memory_s)
        return climate + weight * (sky.is_clear(station, issued_s) - climate)

    def _luck(self, *question: str | int) -> float:
        """Return the number in [0, 1) that belongs to this question."""
        return number((self.seed, *question), person=b"qsagin-forecast")
