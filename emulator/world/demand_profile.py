"""Demand that follows the hours of the day: the law that a request's demand has at a time.

The hour is that of mean solar time at the source of a request, four minutes per degree of longitude, and
of UTC where nobody knows the longitude.  Over a run a request draws from the laws of all hours in which
its periods begin; `marginal` is their mixture, which is all that a plan with linear recourse can know.

Thin on imports on purpose: every actor loads it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import fsum

from protos.core import Timeline

Law = tuple[tuple[int, float], ...]
"""Units and their probabilities, in order of units."""

_DAY_H, _HOUR_S = 24, 3600.0


@dataclass(frozen=True)
class DemandProfile:
    """Laws by the hour of the day: `laws` has one row of 24 per class of requests.

    `requests` holds for each request its row, and the hour at its source at emulated second 0; None for
    one whose demand does not follow the hours.
    """

    laws: tuple[tuple[Law, ...], ...]
    requests: tuple[tuple[int, float] | None, ...]

    def law(self, request: int, at_s: float) -> Law | None:
        """Return the law of a request at a time; None if it does not follow the hours."""
        found = self.requests[request]
        if found is None:
            return None
        row, hour_at_0 = found
        return self.laws[row][int(hour_at_0 + at_s / _HOUR_S) % _DAY_H]

    def marginal(self, request: int, timeline: Timeline) -> Law | None:
        """Return the mixture of a request's laws over all periods, each as likely."""
        periods = range(timeline.periods)
        drawn = Counter(self.law(request, timeline.begins_s(period)) for period in periods)
        parts: dict[int, list[float]] = {}
        for law, times in drawn.items():
            if law is None:
                return None
            for units, probability in law:
                parts.setdefault(units, []).append(probability * times / timeline.periods)
        return tuple((units, fsum(parts[units])) for units in sorted(parts))
