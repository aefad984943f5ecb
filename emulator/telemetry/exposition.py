"""What all actors have reported last, as the text that Prometheus reads.

Counters never fall while the exporter lives: what an actor had counted before it was started again is
carried over.  Who is out by schedule is down although its process reports.  A sum over hosts is shown only
when every host has told its part, so that it does not seem to begin anew when the exporter does.
Measures that `emulator.telemetry.metrics` does not know are left out.
Most of the text is made when a report comes, so that a scrape is short.  Nothing here knows sockets.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from emulator.telemetry.metrics import FAMILIES, FAMILY_OF, PREFIX, Kind
from protos.core import CONTROLLERS, GLOBAL_MANAGER, KEY_MANAGER_PREFIX, Measure
from protos.gen.qsagin.v1 import runtime_pb2

STALE_AFTER_S = 5.0
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_Name = tuple[str, str]


@dataclass
class _Actor:
    """One actor's last report, ready to be shown.

    `values` are as reported, `carried` what its former lives had counted; of both together `texts` has the
    lines by family, except for what is a sum over hosts: that is in `addends`.
    """

    heard_s: float = 0.0
    emulated_s: float = 0.0
    values: dict[_Name, float] = field(default_factory=dict)
    carried: dict[_Name, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    addends: dict[_Name, float] = field(default_factory=dict)
    absences: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def hear(self, report: runtime_pb2.Telemetry, now_s: float) -> None:
        """Replace what was said before, unless nothing is said but that the actor is there."""
        self.heard_s, self.emulated_s = now_s, report.emulated_s
        absences: dict[str, list[tuple[float, float]]] = {}
        for item in report.absences:
            absences.setdefault(item.entity, []).append((item.start_s, item.end_s))
        self.absences = absences
        if report.samples:
            self._replace(report)

    def _replace(self, report: runtime_pb2.Telemetry) -> None:
        values = {
            (
                sample.metric,
                _labels((label.name, label.value) for label in sample.labels),
            ): sample.value
            for sample in report.samples
            if sample.metric in FAMILY_OF
        }
        for name, before in self.values.items():
            if values.get(name, 0.0) < before and FAMILY_OF[name[0]].kind is not Kind.GAUGE:
                self.carried[name] = self.carried.get(name, 0.0) + before
        self.values = values
        self._render()

    def is_out(self, entity: str, emulated_s: float) -> bool:
        """Return whether the schedule has an entity that lives here do nothing."""
        times = self.absences.get(entity, ())
        return any(start_s <= emulated_s < end_s for start_s, end_s in times)

    def _render(self) -> None:
        lines: dict[str, list[str]] = defaultdict(list)
        addends: dict[_Name, float] = {}
        for name in {**self.values, **self.carried}:
            value = self.values.get(name, 0.0) + self.carried.get(name, 0.0)
            family = FAMILY_OF[name[0]]
            if family.is_sum:
                addends[name] = value
            else:
                lines[family.name].append(_line(*name, value))
        self.texts = {name: "".join(some) for name, some in lines.items()}
        self.addends = addends


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
        """Return all metrics, with the exporter's own; another thread may keep reports meanwhile."""
        actors = dict(self._actors)
        lines: dict[str, list[str]] = defaultdict(list)
        for actor in actors.values():
            for family, text in actor.texts.items():
                lines[family].append(text)
        if all(name in actors and actors[name].values for name in self._residents):
            for (metric, labels), value in _sums(actors.values()).items():
                lines[FAMILY_OF[metric].name].append(_line(metric, labels, value))
        for measure in (*own, *self._about(actors)):
            line = _line(measure.metric, _labels(measure.labels), measure.value)
            lines[measure.metric].append(line)
        return "".join(_sections(lines))

    def _about(self, actors: Mapping[str, _Actor]) -> Iterator[Measure]:
        """Yield how far the run is, who is up, and since when."""
        emulated_s = max((actor.emulated_s for actor in actors.values()), default=0.0)
        yield Measure("emulated_time_seconds", (), emulated_s)
        for name, actor in actors.items():
            yield Measure("last_report_timestamp_seconds", (("host", name),), actor.heard_s)
        fresh_s = self._now_s() - STALE_AFTER_S
        for host, entities in self._residents.items():
            here = actors.get(host, _Actor())
            for entity in entities:
                is_out = here.is_out(entity, emulated_s)
                up = float(here.heard_s > fresh_s and not is_out)
                if entity in (*CONTROLLERS, GLOBAL_MANAGER):
                    yield Measure("controller_up", (("controller", entity),), up)
                else:
                    node = entity.removeprefix(KEY_MANAGER_PREFIX)
                    yield Measure("node_up", (("node", node),), up)


def _sums(actors: Iterable[_Actor]) -> dict[_Name, float]:
    sums: dict[_Name, float] = {}
    for actor in actors:
        for name, value in actor.addends.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _sections(lines: Mapping[str, list[str]]) -> Iterator[str]:
    for family in FAMILIES:
        if family.name in lines:
            yield f"# HELP {PREFIX}{family.name} {family.words}\n"
            yield f"# TYPE {PREFIX}{family.name} {family.kind}\n"
            yield from lines[family.name]


def _line(metric: str, labels: str, value: float) -> str:
    return f"{PREFIX}{metric}{labels} {value!r}\n"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    text = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(labels))
    return f"{{{text}}}" if text else ""
