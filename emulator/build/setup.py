"""An experiment on its network, and whatever is derived from the two, each part once and only if asked for.

A part is a function of a setup, written where it belongs and marked by `part`: the first call computes
it, every later one returns the same value.  So planning and assembling share what they need, and asking
for the requests computes no satellite.  Nothing here knows which parts there are.

A setup with another experiment is another setup and shares no parts with this one.  Pickles carry none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar

from emulator.config.experiment import Experiment
from emulator.config.topology import Topology

Value = TypeVar("Value")


@dataclass(frozen=True)
class Setup:
    """An experiment and its network, both checked."""

    experiment: Experiment
    topology: Topology
    _parts: dict[Callable[[Setup], Any], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __reduce__(self) -> tuple[type[Setup], tuple[Experiment, Topology]]:
        return Setup, (self.experiment, self.topology)

    def with_experiment(self, experiment: Experiment) -> Setup:
        """Return another experiment on the same network."""
        return replace(self, experiment=experiment)

    def once(self, build: Callable[[Setup], Value]) -> Value:
        """Return what `build` makes of this setup, from memory if it has been asked before."""
        if build not in self._parts:
            self._parts[build] = build(self)
        value: Value = self._parts[build]
        return value


def part(build: Callable[[Setup], Value]) -> Callable[[Setup], Value]:
    """Have a function compute its value once for each setup."""

    @wraps(build)
    def remembered(setup: Setup) -> Value:
        return setup.once(build)

    return remembered
