"""report.html: one file that tells a reader how a run went, on a screen or on paper.

It contains its pictures and loads nothing from elsewhere.  It is made from the summary, the ledger and the
journals after the run, and says nothing that they do not.
"""

from __future__ import annotations

import base64
import io
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from emulator.build.plan_report import expected_cost, more_of, sentences, worth
from emulator.build.quantum_links import block_sentences, by_kind
from emulator.config.experiment import Experiment
from emulator.config.schedule import LISTENING
from emulator.report import charts, network_map
from emulator.report.assumptions import sentence
from emulator.report.charts import Span
from emulator.report.paper_figures import fig4a, growth, within_reach
from emulator.report.plotting import COLOURS, Figure, save
from emulator.report.results import Results
from emulator.results.decisions import OrderCount, order_counts
from emulator.results.ledger import Ledger
from emulator.store.files import REPORT, write_atomically
from global_manager.provisioning.model import Problem
from protos.core import Timeline

_TOP_REQUESTS, _TOP_LINKS = 15, 15
_SOON = 50_000  # requests times fibers
_AUDITED = {True: "passed", False: "failed", None: "none"}
_HEAD = ("request", "application", "source", "target")
_EVENT_FIELDS = {"kind", "at_s", "until_s", "from_period"}


@dataclass(frozen=True)
class Picture:
    """One chart: base64 of an SVG, a description for those who cannot see it, and a caption."""

    svg: str
    alt: str
    caption: str


def write(folder: Path, results: Results) -> None:
    """Write the page into the folder of a run."""
    environment = Environment(
        loader=PackageLoader("emulator.report", "templates"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "percent": _percent, "clock": _clock}
    counts = order_counts(folder)
    page = environment.get_template(REPORT).render(
        summary=results.summary,
        verdict=list(_verdict(results.summary)),
        tiles=_tiles(results.summary),
        basis=[*sentences(results.summary["basis"]), *_worth(results)],
        blocks=block_sentences(results.setup),
        pictures=dict(_pictures(results, counts)),
        classes=results.classes,
        link_kinds=by_kind(results.assembly.links),
        busiest=_busiest(results.summary["links"]),
        worst=_worst(results.ledger),
        faults=[_fault(event) for event in results.summary["faults"]],
        orders=_orders(counts),
        versions=_versions(),
    )
    write_atomically(folder / REPORT, page)


def _verdict(summary: dict[str, Any]) -> Iterator[str]:
    """Yield sentences about how the run went."""
    served, demanded = summary["served_units"], summary["demanded_units"]
    if not demanded:
        yield "No application asked for key."
        return
    yield (
        f"{summary['requests']:,} requests asked for {demanded:,} units of key; "
        f"{served['fiber'] / demanded:.1%} were available at once, from reserved fiber."
    )
    bought = served["satellite"] + served["uav"]
    if summary["late_units"]:
        yield (
            f"{summary['late_units']:,} were missing: {bought:,} were bought in time "
            f"({served['satellite']:,} by satellite, {served['uav']:,} by UAV) and "
            f"{summary['shortfall_units']:,} never came."
        )
    if summary["refused_reservations"]:
        yield (
            f"Reservations were refused {summary['refused_reservations']:,} times and asked for again; "
            "meanwhile their requests had no reserved key."
        )
    if summary["failed_plans"]:
        yield (
            f"{_who_failed(summary)} failed {summary['failed_plans']:,} times; the plan in force stayed, "
            "and the decisions say why."
        )
    yield sentence(summary["assumed_rates"])
    mean, planned = summary["cost_per_period"], summary["cost_per_period"]["planned"]
    if planned and mean["ci95_low"] is not None:
        inside = mean["ci95_low"] <= planned <= mean["ci95_high"]
        words = "which lies within" if inside else "which lies outside"
        yield (
            f"A period cost {mean['mean']:,.0f} on average. The plan expected {planned:,.0f}, {words} "
            f"the 95 % confidence interval of that mean, {mean['ci95_low']:,.0f} to "
            f"{mean['ci95_high']:,.0f} (Student's t, {mean['periods']} periods)."
        )


def _who_failed(summary: dict[str, Any]) -> str:
    return f"Policy {summary['policy']}" if "policy_source" in summary else "The optimizer"


def _tiles(summary: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the figures that a reader looks for first, as (name, value, comparison)."""
    cost, demanded = summary["cost"], max(1, summary["demanded_units"])
    alarms, replans = len(summary["alarms"]), len(summary["replans"])
    gap = summary["plan"].get("gap")
    return [
        ("cost", _short(cost["total"]), _beside_cost(summary)),
        (
            "from reserved fiber",
            f"{summary['served_units']['fiber'] / demanded:.1%}",
            "of all units",
        ),
        (
            "late",
            _short(summary["late_units"]),
            f"{summary['late_units'] / demanded:.1%} of all units",
        ),
        ("never came", _short(summary["shortfall_units"]), "units"),
        ("links down", _clock(round(summary["down_s"])), "hours without key, all requests"),
        ("plan's gap", "–" if gap is None else f"{gap:.2%}", "proven, at most"),
        ("faults", str(len(summary["faults"])), f"alarms {alarms}, new plans {replans}"),
        (
            "audit",
            _AUDITED[summary["audit"].get("ok")],
            "every bit of key re-added",
        ),
    ]


def _worth(results: Results) -> Iterator[str]:
    """Yield what one more of what is scarce would be worth, where that is soon computed."""
    problem = results.assembly.problem
    is_small = len(problem.requests) * len(problem.fibers) <= _SOON
    if results.summary["plan"] and is_small and (words := worth(more_of(problem)["sensitivities"])):
        yield words


def _beside_cost(summary: dict[str, Any]) -> str:
    """Return what a reader must know of the cost: what is lost key in it, and what the plan expected."""
    cost, planned = summary["cost"], summary["planned_cost"]
    words = [f"{_short(cost['shortfall'])} of it lost key"] if cost["shortfall"] else []
    words += [f"{cost['total'] / planned - 1:+.1%} against the plan"] if planned else []
    return ", ".join(words)


def _for_keeping(cost: dict[str, Any]) -> str:
    return f"{cost['keeping']:,} for keeping key, " if cost.get("keeping") else ""


def _pictures(results: Results, counts: list[OrderCount]) -> Iterator[tuple[str, Picture]]:
    summary, book, timeline = results.summary, results.ledger, results.assembly.timeline
    yield "map", _map(results)
    problem = results.assembly.problem
    if summary["plan"] and problem.pools is None and within_reach(problem).requests:
        yield from _plan_pictures(problem, results.setup.experiment, summary)
    if not book.periods:
        return
    cost, served = summary["cost"], summary["served_units"]
    yield (
        "cost",
        _picture(
            charts.cost_in_time(book, timeline, results.expected),
            f"Cost by period, stacked: {cost['reservation']:,} for reservations, "
            f"{cost['change']:,} for changing them, "
            f"{_for_keeping(cost)}"
            f"{cost['satellite']:,} by satellite, {cost['uav']:,} by UAV and "
            f"{cost['shortfall']:,} for key that never came in all.",
            "Cost of every period by medium; the dashed line is what the plan in force expected.",
        ),
    )
    yield (
        "service",
        _picture(
            charts.service_in_time(book, timeline),
            f"Units asked for by period, stacked by medium: {served['fiber']:,} fiber, "
            f"{served['satellite']:,} satellite, {served['uav']:,} UAV, "
            f"{summary['shortfall_units']:,} never; below, units that were late, by class.",
            "Above: units by medium. Below: units that were not available when asked for.",
        ),
    )
    yield (
        "classes",
        _picture(
            charts.by_application(results.classes),
            "Shares of the units of each class by medium; the table has the numbers.",
            "Media that served each class of application.",
        ),
    )
    yield (
        "reactions",
        _picture(
            charts.reactions(_spans(summary, timeline), summary["replans"], counts, book, timeline),
            f"{len(summary['faults'])} faults and {len(summary['alarms'])} alarms over time, above orders "
            "by medium and units missing by period; the tables have the numbers.",
            "Faults (filled with colour) and link alarms (grey); what was ordered on demand, with failed "
            "orders below the line; and what was missing.",
        ),
    )


def _plan_pictures(
    problem: Problem, experiment: Experiment, summary: dict[str, Any]
) -> Iterator[tuple[str, Picture]]:
    plan, paid = summary["plan"], summary["cost_per_period"]
    stages = fig4a(problem)
    best = min(stages, key=lambda row: row[3])
    expects = expected_cost(plan)
    reserved = plan["reserved_units"] / summary["requests"]
    yield (
        "reserving",
        _picture(
            charts.reserving(stages, reserved, expects, paid),
            f"Expected cost of a period over reserved units: least, {best[3]:,.0f}, at {best[0]}; "
            f"this plan reserves {reserved:.2f} per request and expects {expects:,.0f}.",
            "Expected cost if every request reserves the same on its cheapest path, wavelengths not "
            "counted (compare Fig. 4a of the paper).",
        ),
    )
    curves = growth(problem, experiment.plan.expected_value_rounding, experiment.seed)
    costs = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in curves.items())
    yield (
        "growing",
        _picture(
            charts.growing(curves, expects, paid),
            f"Expected cost of a period over the number of requests by policy; for all: {costs}.",
            "Expected cost over the number of requests, in a random order, by policy, wavelengths not "
            "counted (compare Fig. 4b of the paper).",
        ),
    )


def _map(results: Results) -> Picture:
    summary, topology = results.summary, results.setup.topology
    carried = [link["carried_bits"] for link in summary["links"]]
    troubles = {frozenset(item["ends"]): network_map.CUT for item in summary["alarms"]}
    for event in summary["faults"]:
        if "link" in event:
            tapped = event["kind"] in LISTENING
            troubles[frozenset(event["link"])] = network_map.TAPPED if tapped else network_map.CUT
    ends = Counter(
        end for item in results.assembly.problem.requests for end in (item.source, item.target)
    )
    return _picture(
        network_map.draw(topology, carried, troubles, ends),
        f"Map of {len(topology.nodes)} nodes and {len(topology.links)} links; "
        f"{len(troubles)} links were in trouble; the table of links has the numbers.",
        "Links by the relayed key that they carried; the larger a node, the more requests end there.",
    )


def _spans(summary: dict[str, Any], timeline: Timeline) -> list[Span]:
    """Return faults, then alarms, as lanes of the timeline."""
    spans = []
    for event in summary["faults"]:
        at_s = event["at_s"] if "at_s" in event else timeline.begins_s(event["from_period"])
        colour = COLOURS["plan"] if event["kind"] in LISTENING else COLOURS["shortfall"]
        struck = "-".join(event.get("link", ()))
        struck = struck or event.get("node") or event.get("entity") or event.get("actor", "")
        words = f"{event['kind']} {struck}".strip()
        spans.append(Span(words, colour, at_s, event.get("until_s")))
    return spans + [
        Span(f"alarm {item['link']}", "#9aa5b1", item["raised_s"], item["cleared_s"])
        for item in summary["alarms"]
    ]


def _fault(event: dict[str, Any]) -> dict[str, Any]:
    """Return a fault as a row: what, from, until, and all else that the summary says of it."""
    apart = {*_EVENT_FIELDS, "resilience"}
    rest = {name: value for name, value in event.items() if name not in apart}
    words = {
        name: "-".join(map(str, value)) if name == "link" else value
        for name, value in rest.items()
        if value is not None
    }
    took = event.get("resilience", {})
    return {name: event.get(name) for name in _EVENT_FIELDS} | {"rest": words, "took": took}


def _orders(counts: list[OrderCount]) -> list[dict[str, Any]]:
    """Return orders by medium."""
    names = [field.name for field in fields(OrderCount) if field.name not in {"period", "medium"}]
    return [
        {"medium": medium}
        | {name: sum(getattr(d, name) for d in counts if d.medium == medium) for name in names}
        for medium in sorted({item.medium for item in counts})
    ]


def _worst(book: Ledger) -> list[dict[str, Any]]:
    """Return the requests whose links were down longest."""
    names = ("demanded_units", "late_units", "shortfall_units", "shortfall_s", "down_s", "cost")
    heads = zip(*(book.columns[name] for name in _HEAD), strict=True)
    lines = book.sums_by("request", names)
    found = {
        head[0]: dict(zip(_HEAD, head, strict=True)) | lines[head[0]]
        for head in dict.fromkeys(heads)
    }
    late = [line for line in found.values() if line["late_units"]]
    return sorted(late, key=lambda line: (-line["down_s"], -line["late_units"]))[:_TOP_REQUESTS]


def _busiest(links: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(links, key=lambda item: -item["carried_bits"])[:_TOP_LINKS]


def _versions() -> dict[str, str]:
    names = ("qsagin", "ray", "PuLP", "highspy", "numpy", "grpcio")
    return {"Python": platform.python_version()} | {name: version(name) for name in names}


def _picture(figure: Figure, alt: str, caption: str) -> Picture:
    buffer = io.BytesIO()
    save(figure, buffer, format="svg", dpi=160, metadata={"Date": None})
    return Picture(base64.b64encode(buffer.getvalue()).decode(), alt, caption)


def _number(value: object, digits: int = 0) -> str:
    return "–" if not isinstance(value, int | float) else f"{value:,.{digits}f}"


def _percent(value: object, digits: int = 1) -> str:
    return "–" if not isinstance(value, int | float) else f"{value:.{digits}%}"


def _clock(value: object) -> str:
    """Return seconds of emulated time as hours, minutes and seconds."""
    if not isinstance(value, int | float):
        return "–"
    minutes, seconds = divmod(value, 60)
    return f"{int(minutes // 60)}:{int(minutes % 60):02}:{seconds:04.1f}".removesuffix(".0")


def _short(value: float) -> str:
    """Return a number in few characters."""
    for size, mark in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if mark == 'k' else size):.4g} {mark}"
    return f"{value:,.0f}"
