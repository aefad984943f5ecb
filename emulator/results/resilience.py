"""Resilience of a run: when each fault was noticed, answered and over, and what it cost.

All times are emulated seconds since the fault began, None if that never happened.

* *detected*: the first sign of it in the control plane: an alarm, raised while it lasts, of a fiber that it
  strikes, an agent that does not answer or is back, an order that the medium it strikes refuses or fails,
  drifted demand.
* *recourse*: the first decision after that sign which can be due to it: a plan made again because of a
  fiber that it strikes, or of demand; an order for a request in a period that it concerns.
* *recovered*: the first period begins after which keys of those requests come in time again; 0 if they
  always did.
* *restored*: the alarm is cleared, the agent is back.

What it concerns are requests in periods that it overlaps.  A fault of a link or node concerns requests
whose path in a plan in force meanwhile crosses it, or that end at the node.  One that strikes a medium
concerns those whose orders the medium has refused or failed; the outage of its controller those for which
it was asked, or not asked as it was silent; any other concerns all.
Shortfall is what never came to them.  Extra cost is what they cost beyond what the same demand would have
cost under the first plan had nothing failed: what it reserves, and every further unit at its expected
price on demand.  Where another fault concerns the same requests in the same periods, and there is a
shortfall or an unusual cost, it cannot be attributed: both count it, and `shared_with` names the other by
its index in the schedule, from 0 on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import inf
from typing import Any

from emulator.config.schedule import STRIKES
from emulator.config.section import Strikes
from emulator.results.decisions import Decision
from emulator.results.ledger import LedgerRow
from global_manager.provisioning.model import Request
from global_manager.provisioning.recourse import expected_unit_cost
from protos.core import (
    KEY_MANAGER_PREFIX,
    SATELLITE_CONTROLLER,
    UAV_CONTROLLER,
    Timeline,
    key_manager_of,
)
from protos.facts import (
    AgentCondition,
    AgentState,
    FactKind,
    OrderCause,
    Ordered,
    ReplanCause,
    Replanned,
)

_MEDIA = (Strikes.SATELLITE, Strikes.UAV)
_NO_FAULTS = (Strikes.PROCESS, Strikes.OPERATION)
_SELLERS = {SATELLITE_CONTROLLER: "satellite", UAV_CONTROLLER: "uav"}
_ON_AGENTS = (Strikes.NODE, Strikes.ENTITY)
_RETURNED = (AgentState(AgentCondition.BACK), AgentState(AgentCondition.ANSWERS))


@dataclass(frozen=True)
class Resilience:
    """See the module."""

    concerned_requests: int
    detected_after_s: float | None
    recourse_after_s: float | None
    recovered_after_s: float | None
    restored_after_s: float | None
    shortfall_units: int
    extra_cost: float
    shared_with: list[int]


_Place = tuple[str, int]
"""A request in a period."""


@dataclass(frozen=True)
class Story:
    """A run: its plans as (from when, allocations), alarms, decisions and ledger rows."""

    timeline: Timeline
    requests: Sequence[Request]
    plans: Sequence[tuple[float, Sequence[Mapping[str, Any]]]]
    alarms: Sequence[Mapping[str, Any]]
    decisions: Sequence[Decision]
    rows: Sequence[LedgerRow]


def resilience(faults: Sequence[Mapping[str, Any]], story: Story) -> list[dict[str, Any]]:
    """Return the figures of every fault, as the summary has them; none for process faults and operators."""
    if not faults:
        return []
    usual = _usual_costs(story)
    felt = {
        (row.request, row.period)
        for row in story.rows
        if row.shortfall_units or row.cost != usual(row)
    }
    concerned = [_concerned(fault, story) for fault in faults]
    found = []
    for number, (fault, here) in enumerate(zip(faults, concerned, strict=True)):
        others = [other for other, there in enumerate(concerned) if here & there & felt]
        shared_with = [other for other in others if other != number]
        is_felt = _strikes_what(fault) not in _NO_FAULTS
        found.append(asdict(_figures(fault, story, here, usual, shared_with)) if is_felt else {})
    return found


def _figures(
    fault: Mapping[str, Any],
    story: Story,
    concerned: frozenset[_Place],
    usual: Callable[[LedgerRow], float],
    shared_with: list[int],
) -> Resilience:
    start_s, _ = _time(fault, story.timeline)
    detected_s = min(_signs(fault, story, start_s), default=None)
    rows = [row for row in story.rows if (row.request, row.period) in concerned]
    return Resilience(
        concerned_requests=len({request for request, _ in concerned}),
        detected_after_s=_since(start_s, detected_s),
        recourse_after_s=_since(start_s, _recourse_s(fault, story, concerned, detected_s)),
        recovered_after_s=_recovered_after_s(story, rows, start_s),
        restored_after_s=_since(start_s, _restored_s(fault, story, start_s)),
        shortfall_units=sum(row.shortfall_units for row in rows),
        extra_cost=sum(row.cost - usual(row) for row in rows),
        shared_with=shared_with,
    )


def _strikes_what(fault: Mapping[str, Any]) -> Strikes:
    return STRIKES[fault["kind"]]


def _time(fault: Mapping[str, Any], timeline: Timeline) -> tuple[float, float]:
    if "at_s" not in fault:
        return timeline.begins_s(fault["from_period"]), inf
    until_s = fault.get("until_s")
    return fault["at_s"], inf if until_s is None else until_s


def _concerned(fault: Mapping[str, Any], story: Story) -> frozenset[_Place]:
    """Return which requests a fault concerns, in which periods."""
    struck = _strikes_what(fault)
    if struck in _NO_FAULTS:
        return frozenset()
    start_s, end_s = _time(fault, story.timeline)
    begins_s, period_s = story.timeline.begins_s, story.timeline.period_s
    everything = frozenset(
        (row.request, row.period)
        for row in story.rows
        if begins_s(row.period) < end_s and begins_s(row.period) + period_s > start_s
    )
    if struck in _MEDIA:
        return everything & frozenset(_left_without(story, struck))
    if fault.get("entity") in _SELLERS:
        return everything & frozenset(_asked_in_vain(story, fault["entity"], start_s, end_s))
    if not _has_place(fault, story):
        return everything
    found = set()
    for since_s, until_s, plan in _plans_in_force(story):
        affected = {item["request"] for item in plan if item["units"] and _crosses(item, fault)}
        found |= {
            cell
            for cell in everything
            if cell[0] in affected
            and since_s < min(end_s, begins_s(cell[1]) + period_s)
            and until_s > start_s
        }
    node = _node_of(fault)
    ends = {request.id for request in story.requests if node in (request.source, request.target)}
    return frozenset(found | {cell for cell in everything if cell[0] in ends})


def _left_without(story: Story, medium: str) -> Iterator[_Place]:
    """Yield the requests that a medium has refused or failed."""
    for item in story.decisions:
        if item.medium == medium and item.decision in (FactKind.REFUSED, FactKind.FAILED):
            yield item.request, item.period


def _asked_in_vain(story: Story, seller: str, start_s: float, end_s: float) -> Iterator[_Place]:
    """Yield the requests for which a controller was asked while out, or not asked as it was silent."""
    for item in story.decisions:
        is_asked = item.medium == _SELLERS[seller] and start_s <= item.at_s < end_s
        is_avoided = item.details == Ordered(OrderCause.SILENT, item.units, seller)
        if item.decision == FactKind.ORDERED and (is_asked or is_avoided):
            yield item.request, item.period


def _plans_in_force(
    story: Story,
) -> Iterator[tuple[float, float, Sequence[Mapping[str, Any]]]]:
    """Yield plans with the time for which they were in force."""
    starts_s = [*(since_s for since_s, _ in story.plans), inf]
    for (since_s, plan), end_s in zip(story.plans, starts_s[1:], strict=True):
        yield since_s, end_s, plan


def _node_of(fault: Mapping[str, Any]) -> str:
    """Return the node that a fault strikes; nothing if it strikes none."""
    return str(fault.get("node") or fault.get("entity", "")).removeprefix(KEY_MANAGER_PREFIX)


def _has_place(fault: Mapping[str, Any], story: Story) -> bool:
    """Whether a fault strikes a link, or a node at which requests may end."""
    nodes = {name for r in story.requests for name in (r.source, r.target)}
    nodes |= {name for _, plan in story.plans for item in plan for name in item["path"]}
    return _strikes_what(fault) in (Strikes.LINK, Strikes.NODE) or _node_of(fault) in nodes


def _crosses(item: Mapping[str, Any], fault: Mapping[str, Any]) -> bool:
    """Whether an allocation leads over a fault's link or node."""
    path: Sequence[str] = item["path"]
    if "link" in fault:
        return set(fault["link"]) in map(set, pairwise(path))
    return _node_of(fault) in path


def _strikes(fault: Mapping[str, Any], ends: Collection[str]) -> bool:
    """Whether a fault strikes the link between two nodes."""
    if "link" in fault:
        return set(ends) == set(fault["link"])
    return _strikes_what(fault) is Strikes.NODE and fault["node"] in ends


def _signs(fault: Mapping[str, Any], story: Story, start_s: float) -> Iterator[float]:
    """Yield the times of all signs of a fault since it began."""
    for alarm in _alarms(fault, story):
        yield alarm["raised_s"]
    for item in story.decisions:
        if item.at_s >= start_s and _is_sign(fault, item):
            yield item.at_s


def _alarms(fault: Mapping[str, Any], story: Story) -> Iterator[Mapping[str, Any]]:
    """Yield the alarms of fibers that a fault strikes, raised while it lasted."""
    start_s, end_s = _time(fault, story.timeline)
    for alarm in story.alarms:
        if start_s <= alarm["raised_s"] <= end_s and _strikes(fault, alarm["ends"]):
            yield alarm


def _is_sign(fault: Mapping[str, Any], item: Decision) -> bool:
    struck, did = _strikes_what(fault), item.decision
    if struck in _ON_AGENTS and did == FactKind.AGENT:
        return _is_about(fault, item.about)
    if struck is Strikes.DEMAND:
        return _replan_cause(item) in (ReplanCause.DEMAND, ReplanCause.FORECAST)
    refused = did in (FactKind.REFUSED, FactKind.FAILED)
    return refused and struck in _MEDIA and item.medium == struck


def _is_about(fault: Mapping[str, Any], entity: str) -> bool:
    """Whether a note on an agent can be due to a fault of entities or messages."""
    names = {fault.get("entity"), fault.get("node")} - {None}
    return not names or bool({entity} & (names | {key_manager_of(str(name)) for name in names}))


def _recourse_s(
    fault: Mapping[str, Any],
    story: Story,
    concerned: frozenset[_Place],
    detected_s: float | None,
) -> float | None:
    if detected_s is None:
        return None
    answers = (
        item.at_s
        for item in story.decisions
        if item.at_s >= detected_s
        and (
            _is_planned_for(fault, item)
            or (item.decision == FactKind.ORDERED and (item.request, item.period) in concerned)
        )
    )
    return min(answers, default=None)


def _is_planned_for(fault: Mapping[str, Any], item: Decision) -> bool:
    """Whether a plan was made again because of a fault: of a fiber that it strikes, or of demand."""
    match item.details:
        case Replanned(link=None):
            return _strikes_what(fault) is Strikes.DEMAND
        case Replanned(link=ends) if ends is not None:
            return _strikes(fault, ends)
    return False


def _replan_cause(item: Decision) -> ReplanCause | None:
    return item.details.cause if isinstance(item.details, Replanned) else None


def _restored_s(fault: Mapping[str, Any], story: Story, start_s: float) -> float | None:
    cleared = [alarm["cleared_s"] for alarm in _alarms(fault, story)]
    if cleared:
        return None if None in cleared else max(cleared)
    back = (
        item.at_s
        for item in story.decisions
        if item.at_s >= start_s
        and item.decision == FactKind.AGENT
        and item.details in _RETURNED
        and _strikes_what(fault) in _ON_AGENTS
        and _is_about(fault, item.about)
    )
    return min(back, default=None)


def _recovered_after_s(story: Story, during: Sequence[LedgerRow], start_s: float) -> float | None:
    """Return when keys came in time again; None if they did not as long as the run went on."""
    last = max((row.period for row in during if row.shortfall_units), default=-1)
    if last < 0:
        return 0.0
    requests = {row.request for row in during}
    short = {row.period for row in story.rows if row.request in requests and row.shortfall_units}
    while last in short:
        last += 1
    ran = max(row.period for row in story.rows) + 1
    return None if last >= ran else story.timeline.begins_s(last) - start_s


def _usual_costs(story: Story) -> Callable[[LedgerRow], float]:
    """Return what a row would have cost under the first plan, had nothing failed."""
    first: Iterable[Mapping[str, Any]] = story.plans[0][1] if story.plans else ()
    reserved: dict[str, int] = {item["request"]: item["units"] for item in first}
    prices = {request.id: expected_unit_cost(request.on_demand) for request in story.requests}
    rents = {row.request: row.reservation_cost for row in story.rows if row.period == 0}

    def usual(row: LedgerRow) -> float:
        missing = max(0, row.demanded_units - reserved.get(row.request, 0))
        return rents.get(row.request, 0) + missing * prices[row.request]

    return usual


def _since(start_s: float, at_s: float | None) -> float | None:
    return None if at_s is None else at_s - start_s
