"""Chaos Toolkit probes: figures of a run, live or ended, from its folder alone.

*Of the last periods* means of those that have ended.  *During* a kind of fault means while such a fault is
in force, injected or scheduled; if there was none, shares are 1 and counts 0.  So a hypothesis can hold
before a fault, and still demand something while it lasts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from emulator.build.environment import sites_of, timeline_of, weather_event
from emulator.build.loading import read
from emulator.build.plan_report import expected_cost
from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.chaos.actions import undisturbed
from emulator.config.topology import Topology
from emulator.config.weather import CloudEvent, FogEvent, StormEvent
from emulator.results import journal_queries, ledger, outages
from emulator.results.audit import audit, digest
from emulator.results.ledger import LedgerRow
from emulator.results.links import alarms
from emulator.store import injection_table, journals
from emulator.store.files import EXPERIMENT, PLAN, REPORT, SUMMARY
from emulator.store.registry import Registry
from global_manager.provisioning.model import Request
from protos.core import KEY_MANAGER_PREFIX, Timeline, key_manager_of

_Weather = StormEvent | FogEvent | CloudEvent
_WEATHER: TypeAdapter[_Weather] = TypeAdapter(_Weather)


def share_served(run_folder: str, periods: int = 3) -> float:
    """Return the share of the last periods' demand that was served."""
    return _share(_Seen(Path(run_folder)).last_rows(periods))


def share_served_during(run_folder: str, kind: str) -> float:
    """Return the share of demand that was served in the periods which faults of a kind overlap."""
    seen = _Seen(Path(run_folder))
    return _share(row for row in seen.rows if seen.is_during(kind, row.period))


def longest_without_key_s(run_folder: str, periods: int = 3) -> float:
    """Return the longest time, of late, that an application waited for key it had asked for."""
    return max((row.shortfall_s for row in _Seen(Path(run_folder)).last_rows(periods)), default=0.0)


def longest_without_key_during_s(run_folder: str, kind: str) -> float:
    """Return the same for the periods which faults of a kind overlap."""
    seen = _Seen(Path(run_folder))
    return max((r.shortfall_s for r in seen.rows if seen.is_during(kind, r.period)), default=0.0)


def observed_outage_differs_by_s(run_folder: str) -> float:
    """Return by how much the longest outage that was measured begins or ends apart from the emulation's.

    It is 0 if nobody has measured one, and infinite if the emulation knows nothing of it.
    """
    seen = _Seen(Path(run_folder))
    found = outages.compared(seen.folder, seen.window_s, seen.now_s)
    if not found:
        return 0.0
    longest = max(found, key=lambda item: item["observed_s"])
    if longest["emulated_s"] is None:
        return inf
    return float(max(abs(longest[n] - longest[f"emulated_{n}"]) for n in ("from_s", "until_s")))


def units_served(run_folder: str, medium: str, periods: int = 3) -> int:
    """Return how many units a medium brought in the last periods."""
    rows = _Seen(Path(run_folder)).last_rows(periods)
    return sum(int(getattr(row, f"{medium}_units")) for row in rows)


def units_served_during(run_folder: str, kind: str, medium: str, grace_s: float = 0.0) -> int:
    """Return how many units a medium brought during faults of a kind.

    What comes in the first `grace_s` had been ordered before.
    """
    seen = _Seen(Path(run_folder))
    return sum(
        units
        for at_s, _, units in seen.deliveries(medium)
        if any(start_s + grace_s <= at_s < end_s for start_s, end_s in seen.times(kind))
    )


def units_under_bad_weather(run_folder: str, medium: str, grace_s: float = 0.0) -> int:
    """Return how many units a medium brought to requests with an end under a storm, fog or closed sky."""
    seen = _Seen(Path(run_folder))
    sites = {site.name: site for site in sites_of(seen.topology)}
    found = [weather_event(event, seen.topology) for event in seen.weather]
    return sum(
        units
        for at_s, request, units in seen.deliveries(medium)
        if any(
            event.start_s + grace_s <= at_s and event.reaches(sites[end], at_s)
            for event in found
            for end in (request.source, request.target)
        )
    )


def cost_against_plan(run_folder: str, periods: int = 3) -> float:
    """Return the mean cost of the last periods over what the first plan expected; 1: as planned."""
    seen = _Seen(Path(run_folder))
    ended = range(max(0, seen.ended - periods), seen.ended)
    plan = json.loads((Path(run_folder) / PLAN).read_text(encoding="utf-8"))
    cost = sum(row.cost for row in seen.rows if row.period in ended)
    return cost / len(ended) / expected_cost(plan) if ended else 1.0


def audit_faults(run_folder: str) -> int:
    """Return how many keys were delivered that should not have been; once it has ended, all faults.

    During a run, bits are under way, and one end may have a key that the other gets next.
    """
    found = audit(Path(run_folder))
    wrong = found.duplicate_deliveries + found.unknown_keys + found.void_deliveries
    if has_ended(run_folder):
        wrong += found.mismatched_keys + found.unaccounted_bits
    return wrong


def alarms_open(run_folder: str) -> int:
    """Return how many alarms of links are raised and not cleared."""
    return sum(alarm["cleared_s"] is None for alarm in _Seen(Path(run_folder)).alarms)


def every_link_fault_noticed(run_folder: str, kind: str, within_s: float = 15.0) -> bool:
    """Return whether an alarm was raised for each link fault of a kind that is old enough."""
    seen = _Seen(Path(run_folder))
    return all(
        any(
            set(alarm["ends"]) == set(fault["link"])
            and start_s <= alarm["raised_s"] <= start_s + within_s
            for alarm in seen.alarms
        )
        for fault in seen.faults
        for start_s, end_s in [_time(fault)]
        if fault["kind"] == kind and min(end_s, seen.now_s) >= start_s + within_s
    )


def bits_relayed_over_struck_links(run_folder: str, kind: str, grace_s: float = 0.0) -> int:
    """Return how much of a link's key relaying has used during faults of a kind on this link.

    The first `grace_s` do not count: that key had been made before.
    """
    seen = _Seen(Path(run_folder))
    found = 0
    for fault in seen.faults:
        if fault["kind"] == kind:
            a, b = fault["link"]
            start_s, end_s = _time(fault)
            found += journal_queries.carried_bits(
                seen.folder,
                key_manager_of(a),
                (b, key_manager_of(b)),
                (start_s + grace_s) / seen.window_s,
                end_s / seen.window_s,
            )
    return found


def restarts(run_folder: str) -> int:
    """Return how often an actor was restarted."""
    return Registry(Path(run_folder)).restarts


def is_as_undisturbed(run_folder: str, other: str | None = None) -> bool:
    """Return whether a run has the same facts so far as an undisturbed one that has ended.

    If both have ended, that is whether their digests agree.  `other` is by default the run next to
    it that the control of a chaos experiment has made.
    """
    folder, quiet = Path(run_folder), Path(other or undisturbed(run_folder))
    if has_ended(run_folder):
        return digest(folder) == digest(quiet)
    last = journals.last_window(folder) - 1  # everybody has finished the windows before the latest
    return all(
        list(journal_queries.until(folder, entity, last))
        == list(journal_queries.until(quiet, entity, last))
        for entity in journals.entities(folder)
    )


def has_ended(run_folder: str) -> bool:
    """Return whether a run has ended."""
    return (Path(run_folder) / SUMMARY).exists()


def is_reported(run_folder: str) -> bool:
    """Return whether a run is still running, or has ended with a report."""
    folder = Path(run_folder)
    if not has_ended(run_folder):
        return True
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return bool(summary["complete"]) and (folder / REPORT).exists()


@dataclass(frozen=True)
class _Seen:
    """A run folder, as it is now."""

    folder: Path

    @property
    def setup(self) -> Setup:
        path = self.folder / EXPERIMENT
        return _setup(str(path), path.stat().st_mtime_ns)

    @property
    def topology(self) -> Topology:
        return self.setup.topology

    @property
    def window_s(self) -> float:
        return self.setup.experiment.clock.window_s

    @cached_property
    def requests(self) -> tuple[Request, ...]:
        return problem_of(self.setup).requests

    @cached_property
    def timeline(self) -> Timeline:
        return timeline_of(self.setup)

    @cached_property
    def now_s(self) -> float:
        return journals.last_window(self.folder) * self.window_s

    @cached_property
    def ended(self) -> int:
        """How many periods have ended, and had two windows for what came last."""
        whole = (
            self.now_s - 2 * self.window_s - self.timeline.first_period_s
        ) // self.timeline.period_s
        return max(0, min(int(whole), self.timeline.periods))

    @cached_property
    def rows(self) -> tuple[LedgerRow, ...]:
        """All rows of periods that have ended."""
        period_s = self.timeline.period_s
        found = ledger.read(self.folder, self.requests, self.window_s, period_s).rows
        return tuple(row for row in found if row.period < self.ended)

    def last_rows(self, periods: int) -> list[LedgerRow]:
        return [row for row in self.rows if row.period >= self.ended - periods]

    @cached_property
    def faults(self) -> list[dict[str, Any]]:
        """All faults that have a time, with their fields: scheduled first, then injected."""
        known = [
            event.model_dump(mode="json", by_alias=True) for event in self.setup.experiment.faults
        ]
        if (self.folder / injection_table.FILE).exists():
            with closing(injection_table.Injections(self.folder)) as table:
                taken = [item.fault for item in table.accepted()]
            known = [fault for fault in known if fault not in taken] + taken
        return [fault for fault in known if "until_s" in fault]

    @property
    def weather(self) -> Iterator[_Weather]:
        """The storms, fogs and closed skies among them."""
        closed = [fault for fault in self.faults if fault.get("sky") != "clear"]
        for fault in closed:
            if fault["kind"] in ("storm", "fog", "cloud"):
                yield _WEATHER.validate_python(fault)

    @cached_property
    def alarms(self) -> list[dict[str, Any]]:
        return alarms(self.folder, self.window_s)

    def times(self, kind: str) -> list[tuple[float, float]]:
        return [_time(fault) for fault in self.faults if fault["kind"] == kind]

    def is_during(self, kind: str, period: int) -> bool:
        begins_s = self.timeline.begins_s(period)
        ends_s = begins_s + self.timeline.period_s
        return any(start_s < ends_s and begins_s < end_s for start_s, end_s in self.times(kind))

    def deliveries(self, medium: str) -> Iterator[tuple[float, Request, int]]:
        """Yield when, to which request, and how many units a medium brought."""
        for entity in journals.entities(self.folder):
            if entity.startswith(KEY_MANAGER_PREFIX):
                for item in journal_queries.deliveries(self.folder, entity, medium):
                    yield item.window * self.window_s, self.requests[item.request], item.units


@lru_cache(maxsize=4)
def _setup(path: str, _changed_ns: int) -> Setup:
    return read(path)


def _time(fault: dict[str, Any]) -> tuple[float, float]:
    return float(fault["at_s"]), inf if fault["until_s"] is None else float(fault["until_s"])


def _share(rows: Any) -> float:
    demanded = missing = 0
    for row in rows:
        demanded, missing = demanded + row.demanded_units, missing + row.shortfall_units
    return 1 - missing / demanded if demanded else 1.0
