"""Experiments drawn at random: small networks, requests, and faults where they are likely to hurt.

An experiment is drawn as the fields of its file.  Faults begin and end at moments that matter (ends of
epochs, beginnings of periods, looks of the controller), a little before or after them, or anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx
import yaml
from hypothesis import strategies as st

LENGTHS_KM = (0.001, 1.0, 20.0, 60.0, 79.9, 80.0, 100.0, 200.0)
EQUIPMENT = ("fiber-cut",) * 5 + ("eavesdropper", "link-degraded", "uav-loss") * 2
SELDOM = ("demand-shift", "satellite-loss", "storm", "fog", "cloud")
PEOPLE = ("power-cut", "outage", "outage", "partition", *("message-fault",) * 4)
KINDS = EQUIPMENT + SELDOM + PEOPLE * 2
ENTITIES = ("global-manager", "fiber-controller", "satellite-controller", "uav-controller")
MEANS = (0.5, 1.5, 4.0)
Fields = dict[str, Any]
Strategies = dict[str, st.SearchStrategy[Any]]
Link = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """An experiment and its network, as files would hold them."""

    fields: Fields
    nodes: list[tuple[str, int, int]]
    links: list[tuple[str, str, float]]

    def write(self, folder: Path) -> Path:
        """Write the files; return the experiment's."""
        rows = ["source,target,length_km", *(f"{a},{b},{km}" for a, b, km in self.links)]
        sites = ["node,lat,lon", *(f"{name},{lat},{lon}" for name, lat, lon in self.nodes)]
        (folder / "net.csv").write_text("\n".join(rows) + "\n")
        (folder / "net.nodes.csv").write_text("\n".join(sites) + "\n")
        path = folder / "case.yaml"
        path.write_text(yaml.safe_dump(self.fields))
        return path


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw an experiment."""
    count = draw(st.integers(4, 9))
    names = draw(st.permutations("ABCDEFGHI"[:count]))
    nodes = [(n, draw(st.integers(28, 46)), draw(st.integers(-120, -75))) for n in names]
    links = _links(draw, names)
    fields: Fields = {
        "name": "drawn",
        "seed": draw(st.integers(0, 10**6)),
        "network": {
            "topology": "net.csv",
            "wavelengths": draw(st.sampled_from([8, 4, 2, 1])),
            "capacity": draw(st.sampled_from(["both-directions", "per-direction"])),
        },
        "demand": _demand(draw, names),
        "prices": {
            "on_demand_satellite": draw(st.sampled_from([10, 20, 20_000])),
            "on_demand_transmitter": draw(st.sampled_from([6_000, 60_000])),
        },
        "plan": _plan(draw),
        "fiber": {
            "monitor_s": draw(st.sampled_from([1, 2.5, 5, 10, 30, 1000])),
            "wait_to_restore_s": draw(st.sampled_from([0, 0, 3, 20])),
        },
        "satellite": _satellite(draw),
        "uav": _uav(draw),
        "clock": {"window_s": draw(st.sampled_from([1, 0.5, 2]))},
    }
    windows = count + 6 + draw(st.integers(0, 20))
    fields["demand"]["period_s"] = windows * fields["clock"]["window_s"]
    fields["keys"] = {
        "unit_bits": draw(st.sampled_from([256, 1024])),
        "qber_limit": draw(st.sampled_from([0.11, 0.046])),
        "lifetime_s": draw(st.none() | st.floats(1.05, 3)),
    }
    fields["keys"] |= _stores(draw, fields)
    if fields["keys"]["lifetime_s"]:
        fields["keys"]["lifetime_s"] *= (count + 4) * fields["clock"]["window_s"]
    frame = _Frame(
        sorted(names),
        links,
        _used(links, fields["demand"]["requests"]),
        fields["clock"]["window_s"],
        fields["demand"]["period_s"],
        fields["demand"]["periods"],
        fields["fiber"]["monitor_s"],
        (fields["uav"]["fleet"] or {"uavs": 0})["uavs"],
    )
    faults = draw(st.sampled_from([1, 2, 3, 4, 5, 7, 0]))
    fields["faults"] = [_fault(draw, frame) for _ in range(faults)]
    return Case(fields, nodes, links)


@dataclass(frozen=True)
class _Frame:
    """What faults can happen to, and the times that matter."""

    names: list[str]
    links: list[tuple[str, str, float]]
    used: list[Link]
    window_s: float
    period_s: float
    periods: int
    monitor_s: float
    uavs: int


def _links(draw: st.DrawFn, names: list[str]) -> list[tuple[str, str, float]]:
    """Draw a tree and some links more."""
    tree = [(draw(st.sampled_from(names[:i])), names[i]) for i in range(1, len(names))]
    others = [
        (a, b)
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if (a, b) not in tree and (b, a) not in tree
    ]
    more = draw(st.lists(st.sampled_from(others), unique=True, max_size=len(names)))
    return [(a, b, draw(st.sampled_from(LENGTHS_KM))) for a, b in (*tree, *more)]


def _used(links: list[tuple[str, str, float]], requests: list[Fields]) -> list[Link]:
    """Return the links on shortest paths of requests, where faults are most likely to be felt."""
    graph = nx.Graph((a, b) for a, b, _ in links)
    paths = [nx.shortest_path(graph, item["source"], item["target"]) for item in requests]
    return sorted({tuple(sorted(hop)) for path in paths for hop in pairwise(path)})


def _demand(draw: st.DrawFn, names: list[str]) -> Fields:
    ends = st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True)
    pairs = [draw(ends) for _ in range(draw(st.sampled_from([1, 2, 3, 4, 5, 6])))]
    return {
        "periods": draw(st.integers(2, 6)),
        "scenarios": draw(st.integers(3, 6)),
        "distribution": {"poisson": {"mean_units": draw(st.sampled_from([0.7, 1.5, 3.0]))}},
        "correlated": draw(st.booleans()),
        "requests": [
            {"id": f"r{place}", "class": "avatar", "source": source, "target": target}
            for place, (source, target) in enumerate(pairs)
        ],
    }


def _stores(draw: st.DrawFn, fields: Fields) -> Fields:
    """Draw what stores hold beyond a period's units, and what that costs, where the plan can know it."""
    if fields["keys"]["lifetime_s"] is not None:
        return {}
    lifetime = {"lifetime_periods": draw(st.sampled_from([None, None, 1, 2, 3]))}
    if fields["uav"]["fleet"] is not None or fields["plan"]["look_every_periods"]:
        return lifetime
    sizes = ["reserved", 1, 3, 3, {"avatar": 2}, {"avatar": 1, "r0": 4}, {"r0": 3}]
    cost = st.sampled_from([0, 0, 5, 5_000])
    return lifetime | {"store_units": draw(st.sampled_from(sizes)), "keeping_cost": draw(cost)}


def _plan(draw: st.DrawFn) -> Fields:
    return {
        "policy": draw(st.sampled_from(["stochastic", "stochastic", "stochastic", "none"])),
        "replan": draw(st.sampled_from([True, True, True, False])),
        "look_every_periods": draw(st.sampled_from([0, 0, 1, 2])),
        "drift_sigmas": draw(st.sampled_from([0.5, 1.0, 3.0])),
    }


def _satellite(draw: st.DrawFn) -> Fields:
    return {
        "probability": draw(st.sampled_from([1.0, 0.0, 0.5, 0.8])),
        "sky": draw(st.sampled_from(["each-pair", "common"])),
        "setup_s": draw(st.sampled_from([0, 3, 10])),
        "skr_bps": draw(st.sampled_from([1_000, 100, 30])),
        "qber": draw(st.sampled_from([0.03, 0.03, 0.2])),
    }


def _uav(draw: st.DrawFn) -> Fields:
    setup_s = draw(st.sampled_from([0, 5, 12]))
    fleet = st.fixed_dictionaries(
        {
            "uavs": st.integers(0, 8),
            "endurance_s": st.sampled_from([2 * setup_s + 5, 2 * setup_s + 60]),
            "turn_s": st.sampled_from([0, 7, 40]),
            "uavs_per_order": st.integers(1, 2),
        }
    )
    return {
        "setup_s": setup_s,
        "skr_bps": draw(st.sampled_from([10_000, 100])),
        "qber": draw(st.sampled_from([0.03, 0.03, 0.03, 0.2])),
        "fleet": draw(st.none() | fleet),
    }


def _fault(draw: st.DrawFn, case: _Frame) -> Fields:
    kind = draw(st.sampled_from(KINDS))
    if kind == "demand-shift":
        period = draw(st.integers(0, case.periods))
        return {"kind": kind, "from_period": period, "mean_units": draw(st.sampled_from(MEANS))}
    start_s, end_s = sorted((_moment(draw, case), _moment(draw, case)))
    for_good = end_s <= start_s or draw(st.sampled_from([False, False, False, True]))
    event = {"kind": kind, "at_s": start_s, "until_s": None if for_good else end_s}
    return event | _details(draw, kind, case)


def _details(draw: st.DrawFn, kind: str, case: _Frame) -> Fields:
    """Draw where something happens, and how much of it."""
    drawn = (
        _strike_on_people(draw, kind, case)
        if kind in PEOPLE
        else _strike_from_above(draw, kind, case)
        if kind in SELDOM
        else _strike_on_equipment(kind, case)
    )
    return draw(st.fixed_dictionaries(drawn))


def _strike_on_equipment(kind: str, case: _Frame) -> Strategies:
    link = (st.sampled_from(case.used) | st.sampled_from([(a, b) for a, b, _ in case.links])).map(
        list
    )
    match kind:
        case "fiber-cut":
            return {"link": link}
        case "eavesdropper":
            return {"link": link, "fraction": st.sampled_from([0.02, 0.08, 0.08, 0.5, 1.0])}
        case "link-degraded":
            return {"link": link, "loss_db": st.sampled_from([1, 8, 15, 40])}
        case _:
            return {"uavs": st.sampled_from([None, *range(1, 1 + min(3, case.uavs))])}


def _strike_from_above(draw: st.DrawFn, kind: str, case: _Frame) -> Strategies:
    circle: Strategies = {
        "lat_deg": st.integers(28, 46),
        "lon_deg": st.integers(-120, -75),
        "radius_km": st.sampled_from([300, 1500]),
    }
    way = {"course_deg": st.integers(0, 360), "speed_km_h": st.sampled_from([0, 60, 500])}
    sites = st.lists(st.sampled_from(case.names), min_size=1, max_size=3, unique=True)
    match kind:
        case "satellite-loss":
            return {"satellites": st.none()}
        case "storm":
            return circle | way
        case "fog":
            return circle if draw(st.booleans()) else {"sites": sites}
        case _:
            return {"sky": st.sampled_from(["clear", "overcast"]), "sites": st.none() | sites}


def _strike_on_people(draw: st.DrawFn, kind: str, case: _Frame) -> Strategies:
    everybody = [*ENTITIES, *case.names]
    match kind:
        case "power-cut":
            return {"node": st.sampled_from(case.names)}
        case "outage":
            return {"entity": st.sampled_from(ENTITIES) | st.sampled_from(case.names)}
        case "partition":
            mixed = draw(st.permutations(everybody))
            first = draw(st.integers(1, len(mixed) - 1))
            last = draw(st.integers(first + 1, len(mixed)))
            return {"groups": st.just([mixed[:first], mixed[first:last]])}
        case _:
            return _message_fault(draw, everybody)


def _message_fault(draw: st.DrawFn, everybody: list[str]) -> Strategies:
    """Draw one thing at least that befalls messages, of everybody or of a few."""
    who = st.none() | st.lists(st.sampled_from(everybody), min_size=1, max_size=3, unique=True)
    chance = st.sampled_from([0.1, 0.5, 1.0])
    kinds: Strategies = {
        "drop": chance,
        "duplicate": chance,
        "corrupt": chance,
        "delay_s": st.sampled_from([1.0, 3.0, 25.0]),
        "reorder": st.just(True),
    }
    names = draw(st.lists(st.sampled_from([*kinds]), min_size=1, max_size=4, unique=True))
    ends: Strategies = {} if draw(st.booleans()) else {"sources": who, "destinations": who}
    return ends | {name: kinds[name] for name in names}


def _moment(draw: st.DrawFn, case: _Frame) -> float:
    """Draw a moment within the run: one that matters, one near to it, or any."""
    window_s, period_s = case.window_s, case.period_s
    lead_s = (len(case.names) + 4) * window_s
    number = draw(st.integers(0, case.periods))
    epoch_s = 4 * window_s + (number + 1) * period_s
    end_s = 4 * window_s + lead_s + (case.periods + 1) * period_s
    match draw(st.sampled_from(["epoch", "epoch", "period", "look", "any"])):
        case "epoch":
            at_s = epoch_s
        case "period":
            at_s = epoch_s + lead_s
        case "look":
            at_s = draw(st.integers(1, 1 + int(end_s / case.monitor_s))) * case.monitor_s
        case _:
            return round(draw(st.floats(0, end_s)), 3)
    off = draw(st.sampled_from([0, 0, 0, -1, 1, -5, -6, -7, 2, 0.25, -0.25]))
    return max(0.0, at_s + off * window_s)
