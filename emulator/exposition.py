"""What all actors have reported last, as the text that Prometheus reads.

Counters never fall while the exporter lives: what an actor had counted before it was started again is
carried over.  A sum over hosts is shown only when every host has reported, so that it does not seem to
begin anew when the exporter does.  Measures that `emulator.metrics` does not know are left out.
Nothing here knows sockets.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from emulator.metrics import FAMILIES, FAMILY_OF, PREFIX, Kind
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX, Measure
from protos.gen.qsagin.v1 import runtime_pb2

STALE_AFTER_S = 5.0
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_Name = tuple[str, str]


@dataclass
class _Actor:
    """One actor's last report: values by metric and labels, and counts of its former lives."""

    heard_s: float = 0.0
    emulated_s: float = 0.0
    values: dict[_Name, float] = field(default_factory=dict)
    carried: dict[_Name, float] = field(default_factory=dict)

    def hear(self, report: runtime_pb2.Telemetry, now_s: float) -> None:
        """Replace what was said before."""
        values = {
            (
                sample.metric,
                _labels((label.name, label.value) for label in sample.labels),
            ): sample.value
            for sample in report.samples
            if sample.metric in FAMILY_OF
        }
        lost = {
            name: before
            for name, before in self.values.items()
            if values.get(name, 0.0) < before and FAMILY_OF[name[0]].kind is not Kind.GAUGE
        }
        if lost:
            sums = {name: self.carried.get(name, 0.0) + count for name, count in lost.items()}
            self.carried = self.carried | sums
        self.heard_s, self.emulated_s, self.values = now_s, report.emulated_s, values

    def shown(self) -> Iterator[tuple[_Name, float]]:
        """Yield what is shown of it."""
        for name, value in self.values.items():
            yield name, value + self.carried.get(name, 0.0)
        for name in self.carried.keys() - self.values.keys():
            yield name, self.carried[name]


class Reports:
    """See the module.

    `residents` are the entities that live on each host; others may report, too, and are not waited for.
    `now_s` tells Unix time.
    """

    def __init__(
        self, residents: Mapping[str, tuple[str, ...]], now_s: Callable[[], float] = time.time
    ) -> None:
        self._residents, self._now_s = residents, now_s
        self._actors: dict[str, _Actor] = {}

    def keep(self, report: runtime_pb2.Telemetry) -> None:
        """Replace what an actor said before."""
        self._actors.setdefault(report.host, _Actor()).hear(report, self._now_s())

    def text(self, own: Iterable[Measure] = ()) -> str:
        """Return all metrics, with the exporter's own."""
        actors = dict(self._actors)
        found: dict[str, dict[str, float]] = defaultdict(dict)
        for actor in actors.values():
            for (metric, labels), value in actor.shown():
                series = found[metric]
                series[labels] = series.get(labels, 0.0) + value
        for measure in (*own, *self._about(actors)):
            found[measure.metric][_labels(measure.labels)] = measure.value
        everybody = self._residents.keys() <= actors.keys()
        return "".join(_lines(found, sums=everybody))

    def _about(self, actors: Mapping[str, _Actor]) -> Iterator[Measure]:
        """Yield how far the run is, who is up, and since when."""
        emulated_s = max((actor.emulated_s for actor in actors.values()), default=0.0)
        yield Measure("emulated_time_seconds", (), emulated_s)
        for name, actor in actors.items():
            yield Measure("last_report_timestamp_seconds", (("host", name),), actor.heard_s)
        fresh_s = self._now_s() - STALE_AFTER_S
        for host, entities in self._residents.items():
            up = float(host in actors and actors[host].heard_s > fresh_s)
            for entity in entities:
                if entity in (*CONTROLLERS, GLOBAL_MANAGER):
                    yield Measure("controller_up", (("controller", entity),), up)
                else:
                    node = entity.removeprefix(KEY_MANAGER_PREFIX)
                    yield Measure("node_up", (("node", node),), up)


def _lines(found: Mapping[str, Mapping[str, float]], *, sums: bool) -> Iterator[str]:
    for family in FAMILIES:
        if family.is_sum and not sums:
            continue
        if any(series in found for series in family.series):
            yield f"# HELP {PREFIX}{family.name} {family.words}\n"
            yield f"# TYPE {PREFIX}{family.name} {family.kind}\n"
        for series in family.series:
            for labels, value in found.get(series, {}).items():
                yield f"{PREFIX}{series}{labels} {value!r}\n"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    text = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(labels))
    return f"{{{text}}}" if text else ""
