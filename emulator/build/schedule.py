"""The schedule of an experiment: what happens in its world, and what its seed makes of random faults.

What each kind of fault does is said in `emulator.build.faults`.  An experiment that has been read holds
nothing that is left to chance, so that a run folder repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np
from pydantic import TypeAdapter

from emulator.build.faults import FAULT_KINDS, Draws, kind_of
from emulator.build.setup import Setup, part
from emulator.config.schedule import FaultEvent, RandomEvent
from emulator.config.section import MOST_S
from emulator.world.events import Schedule, WorldEvent
from emulator.world.weather_events import Event

_STREAM = 0x4641
_BY_NAME = {get_args(k.event.model_fields["kind"].annotation)[0]: k for k in FAULT_KINDS}
_FAULT: TypeAdapter[FaultEvent] = TypeAdapter(FaultEvent)


@part
def schedule_of(setup: Setup) -> Schedule:
    """Return what happens in an experiment, except the weather, which belongs to the sky."""
    found = events_of(setup)
    return Schedule(tuple(item for item in found if not isinstance(item, Event)))


@part
def events_of(setup: Setup) -> tuple[WorldEvent, ...]:
    """Return all that happens in an experiment, in the order of its schedule."""
    kinds = ((kind_of(event), event) for event in setup.experiment.faults)
    return tuple(kind.effect(setup, event) for kind, event in kinds if kind.effect is not None)


def drawn(setup: Setup) -> Setup:
    """Return the setup with faults of the seed in place of those that are left to chance."""
    experiment = setup.experiment
    if not any(isinstance(event, RandomEvent) for event in experiment.faults):
        return setup
    faults: list[FaultEvent] = []
    for index, event in enumerate(experiment.faults):
        if isinstance(event, RandomEvent):
            faults += _draw(event, index, setup)
        else:
            faults.append(event)
    return setup.with_experiment(experiment.model_copy(update={"faults": faults}))


def _draw(event: RandomEvent, index: int, setup: Setup) -> Iterator[FaultEvent]:
    """Yield as many faults, in order of time, on whole windows."""
    experiment = setup.experiment
    stream = np.random.Generator(np.random.PCG64([experiment.seed, _STREAM, index]))
    demand, window_s = experiment.demand, experiment.clock.window_s
    until_s = event.until_s or (demand.periods + 1) * demand.period_s
    draws = Draws(stream, setup)
    for at_s in sorted(stream.uniform(event.at_s, max(event.at_s, until_s), event.count)):
        kind = str(stream.choice(event.kinds))
        lasts = max(1, round(stream.exponential(event.mean_s) / window_s))
        begins = round(float(at_s) / window_s)
        ends_s = (begins + lasts) * window_s
        time = {
            "at_s": min(begins * window_s, MOST_S),
            "until_s": ends_s if ends_s <= MOST_S else None,
        }
        drawn_fields = _BY_NAME[kind].drawn
        fields = drawn_fields(draws) if drawn_fields is not None else {}
        yield _FAULT.validate_python({"kind": kind, **time, **fields})
