"""Faults by chance: what the seed of an experiment makes of a schedule that asks for some.

An experiment that has been read holds nothing that is left to chance, so that a run folder repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from emulator.experiment.config import Experiment
from emulator.experiment.fault_config import FaultEvent, RandomEvent
from emulator.experiment.topology import Topology
from protos.core import CONTROLLERS, GLOBAL_MANAGER

_STREAM = 0x4641
STORM_KM, DROP, LOSS_DB, TAPPED = 500.0, 0.2, 3.0, 0.6


def drawn(experiment: Experiment, topology: Topology) -> Experiment:
    """Return the experiment with faults of the seed in place of those that are left to chance."""
    faults: list[FaultEvent] = []
    for place, event in enumerate(experiment.faults):
        if isinstance(event, RandomEvent):
            faults += _draw(event, place, experiment, topology)
        else:
            faults.append(event)
    return experiment.model_copy(update={"faults": faults})


def _draw(
    event: RandomEvent, place: int, experiment: Experiment, topology: Topology
) -> Iterator[FaultEvent]:
    """Yield as many faults, in order of time, on whole windows."""
    luck = np.random.Generator(np.random.PCG64([experiment.seed, _STREAM, place]))
    demand, window_s = experiment.demand, experiment.clock.window_s
    until_s = event.until_s or (demand.periods + 1) * demand.period_s
    make = _Dice(luck, experiment, topology).makers()
    for at_s in sorted(luck.uniform(event.at_s, max(event.at_s, until_s), event.count)):
        kind = str(luck.choice(event.kinds))
        lasts = max(1, round(luck.exponential(event.mean_s) / window_s))
        begins = round(float(at_s) / window_s)
        time = {"at_s": begins * window_s, "until_s": (begins + lasts) * window_s}
        yield TypeAdapter(FaultEvent).validate_python({"kind": kind, **time, **make[kind]()})


class _Dice:
    """Draws what each kind of fault is about."""

    def __init__(
        self, luck: np.random.Generator, experiment: Experiment, topology: Topology
    ) -> None:
        self._luck, self._experiment = luck, experiment
        self._links = [[link.a, link.b] for link in topology.links]
        self._nodes = [node.name for node in topology.nodes]
        self._places = [(n.lat_deg, n.lon_deg) for n in topology.nodes]

    def makers(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return a maker of fields for each kind."""
        return {
            "fiber-cut": lambda: {"link": self._one(self._links)},
            "link-degraded": lambda: {"link": self._one(self._links), "loss_db": LOSS_DB},
            "eavesdropper": lambda: {"link": self._one(self._links), "fraction": TAPPED},
            "power-cut": lambda: {"node": self._one(self._nodes)},
            "satellite-loss": dict,
            "uav-loss": self._uavs,
            "outage": lambda: {"entity": self._one([GLOBAL_MANAGER, *CONTROLLERS, *self._nodes])},
            "message-fault": lambda: {"drop": DROP, "duplicate": DROP},
            "storm": self._storm,
            "cloud": lambda: {"sky": "overcast"},
        }

    def _one(self, choices: list[Any]) -> Any:
        return choices[int(self._luck.integers(len(choices)))]

    def _uavs(self) -> dict[str, Any]:
        fleet = self._experiment.uav.fleet
        if fleet is None or not fleet.uavs:
            return {}
        return {"uavs": int(self._luck.integers(1, fleet.uavs + 1))}

    def _storm(self) -> dict[str, Any]:
        lat_deg, lon_deg = self._one(self._places)
        return {"lat_deg": lat_deg, "lon_deg": lon_deg, "radius_km": STORM_KM}
