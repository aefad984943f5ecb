"""How a run took its faults: for each, when it was noticed, answered and over, and what it cost.

All times are emulated seconds since the fault began, None where it did not come to that.

* *detected*: the first sign of it in the control plane: an alarm of a fiber that it strikes, an agent that
  does not answer or is back, an order that the medium it strikes refuses or fails, drifted demand.
* *recourse*: the first decision after that sign: a plan made again, or an order for a request it concerns.
* *recovered*: the first period begins after which keys of those requests come in time again; 0 if they
  always did.
* *restored*: the alarm is cleared, the agent is back.

Concerned are requests whose path in the plan in force crosses the link or node, or that end at the node;
for all else everybody.  Shortfall is what never came to them in the periods that the fault overlaps.  Extra
cost is what they cost in these periods beyond what the same demand would have cost under the first plan
had nothing failed: what it reserves, and every further unit at its expected price on demand.  Faults that
overlap share what they do; nobody can tell it apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import inf
from typing import Any

from emulator.views.decisions import Decision
from emulator.views.ledger import LedgerRow
from global_manager.provisioning.model import OnDemand, Request
from protos.core import FactKind, Timeline, key_manager_of

_ON_LINK = ("fiber-cut", "link-degraded", "eavesdropper")
_STRUCK_MEDIUM = {
    "satellite-loss": "satellite",
    "uav-loss": "uav",
    "storm": "satellite",
    "fog": "satellite",
    "cloud": "satellite",
}
_ENTITY_KINDS = ("outage", "partition", "message-fault", "power-cut")
_UNTOUCHED = ("process",)


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


@dataclass(frozen=True)
class Story:
    """A whole run: its plans as (from when, allocations), alarms, decisions and ledger rows."""

    timeline: Timeline
    requests: Sequence[Request]
    plans: Sequence[tuple[float, Sequence[Mapping[str, Any]]]]
    alarms: Sequence[Mapping[str, Any]]
    decisions: Sequence[Decision]
    rows: Sequence[LedgerRow]


def resilience(fault: Mapping[str, Any], story: Story) -> dict[str, Any]:
    """Return the figures of one fault, as the summary has it; none for what is done to processes."""
    if fault["kind"] in _UNTOUCHED:
        return {}
    start_s, end_s = _time(fault, story.timeline)
    concerned = _concerned(fault, story, start_s)
    detected_s = min(_signs(fault, story, start_s), default=None)
    rows = list(_overlapping(story, concerned, start_s, end_s))
    usual = _usual_costs(story)
    found = Resilience(
        concerned_requests=len(concerned),
        detected_after_s=_since(start_s, detected_s),
        recourse_after_s=_since(start_s, _recourse_s(story, concerned, detected_s)),
        recovered_after_s=_recovered_after_s(story, concerned, rows, start_s),
        restored_after_s=_since(start_s, _restored_s(fault, story, start_s)),
        shortfall_units=sum(row.shortfall_units for row in rows),
        extra_cost=sum(row.cost - usual(row) for row in rows),
    )
    return asdict(found)


def _time(fault: Mapping[str, Any], timeline: Timeline) -> tuple[float, float]:
    if "at_s" not in fault:
        return timeline.begins_s(fault["from_period"]), inf
    until_s = fault.get("until_s")
    return fault["at_s"], inf if until_s is None else until_s


def _concerned(fault: Mapping[str, Any], story: Story, at_s: float) -> frozenset[str]:
    """Return the requests that a fault concerns."""
    everybody = frozenset(request.id for request in story.requests)
    if fault["kind"] not in _ON_LINK and fault["kind"] != "power-cut":
        return everybody
    in_force = [plan for since_s, plan in story.plans if since_s <= at_s] or [()]
    crossing = [item for item in in_force[-1] if item["units"] and _crosses(item["path"], fault)]
    ends = {r.id for r in story.requests if fault.get("node") in (r.source, r.target)}
    return frozenset(item["request"] for item in crossing) | ends


def _crosses(path: Sequence[str], fault: Mapping[str, Any]) -> bool:
    if "link" in fault:
        return set(fault["link"]) in map(set, pairwise(path))
    return fault["node"] in path


def _struck_links(fault: Mapping[str, Any], link: str) -> bool:
    """Whether an alarm's link is one that the fault strikes."""
    if "link" in fault:
        return link in ("-".join(fault["link"]), "-".join(reversed(fault["link"])))
    return fault["kind"] == "power-cut" and (
        link.startswith(f"{fault['node']}-") or link.endswith(f"-{fault['node']}")
    )


def _signs(fault: Mapping[str, Any], story: Story, start_s: float) -> Iterator[float]:
    """Yield the times of all signs of a fault since it began."""
    for alarm in story.alarms:
        if alarm["raised_s"] >= start_s and _struck_links(fault, alarm["link"]):
            yield alarm["raised_s"]
    for item in story.decisions:
        if item.at_s >= start_s and _is_sign(fault, item):
            yield item.at_s


def _is_sign(fault: Mapping[str, Any], item: Decision) -> bool:
    kind, did = fault["kind"], item.decision
    if kind in _ENTITY_KINDS and did == FactKind.AGENT:
        return _is_about(fault, item.about)
    if kind == "demand-shift":
        return did == FactKind.REPLANNED and item.reason.startswith("demand drifted")
    refused = did in (FactKind.REFUSED, FactKind.FAILED)
    return refused and item.medium == _STRUCK_MEDIUM.get(kind, "")


def _is_about(fault: Mapping[str, Any], entity: str) -> bool:
    """Whether a note on an agent can be due to a fault of entities or messages."""
    names = {fault.get("entity"), fault.get("node")} - {None}
    return not names or bool({entity} & (names | {key_manager_of(str(name)) for name in names}))


def _recourse_s(story: Story, concerned: frozenset[str], detected_s: float | None) -> float | None:
    if detected_s is None:
        return None
    answers = (
        item.at_s
        for item in story.decisions
        if item.at_s >= detected_s
        and (
            item.decision == FactKind.REPLANNED
            or (item.decision == FactKind.ORDERED and item.request in concerned)
        )
    )
    return min(answers, default=None)


def _restored_s(fault: Mapping[str, Any], story: Story, start_s: float) -> float | None:
    cleared = [
        alarm["cleared_s"]
        for alarm in story.alarms
        if alarm["raised_s"] >= start_s and _struck_links(fault, alarm["link"])
    ]
    if cleared:
        return None if None in cleared else max(cleared)
    back = (
        item.at_s
        for item in story.decisions
        if item.at_s >= start_s
        and item.decision == FactKind.AGENT
        and item.reason in ("is back", "answers again")
        and fault["kind"] in _ENTITY_KINDS
        and _is_about(fault, item.about)
    )
    return min(back, default=None)


def _overlapping(
    story: Story, concerned: frozenset[str], start_s: float, end_s: float
) -> Iterator[LedgerRow]:
    for row in story.rows:
        begins_s = story.timeline.begins_s(row.period)
        if (
            row.request in concerned
            and begins_s < end_s
            and begins_s + story.timeline.period_s > start_s
        ):
            yield row


def _recovered_after_s(
    story: Story, concerned: frozenset[str], during: Sequence[LedgerRow], start_s: float
) -> float | None:
    """Return when keys came in time again; None if they did not until the end."""
    last = max((row.period for row in during if row.shortfall_units), default=-1)
    if last < 0:
        return 0.0
    short = {row.period for row in story.rows if row.request in concerned and row.shortfall_units}
    while last in short:
        last += 1
    return None if last >= story.timeline.periods else story.timeline.begins_s(last) - start_s


def _usual_costs(story: Story) -> Callable[[LedgerRow], float]:
    """Return what a row would have cost under the first plan, had nothing failed."""
    first: Iterable[Mapping[str, Any]] = story.plans[0][1] if story.plans else ()
    reserved: dict[str, int] = {item["request"]: item["units"] for item in first}
    prices = {request.id: _expected_price(request.on_demand) for request in story.requests}
    rents = {row.request: row.reservation_cost for row in story.rows if row.period == 0}

    def usual(row: LedgerRow) -> float:
        missing = max(0, row.demanded_units - reserved.get(row.request, 0))
        return rents.get(row.request, 0) + missing * prices[row.request]

    return usual


def _expected_price(offer: OnDemand) -> float:
    """Return the mean price of a unit on demand: the cheaper medium if it can be had."""
    cheaper = min(offer.satellite_cost, offer.uav_cost)
    return (
        offer.satellite_probability * cheaper + (1 - offer.satellite_probability) * offer.uav_cost
    )


def _since(start_s: float, at_s: float | None) -> float | None:
    return None if at_s is None else at_s - start_s
