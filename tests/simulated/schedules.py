"""Experiments drawn at random: small networks, requests, and faults where they are likely to hurt.

An experiment is drawn as the fields of its file.  Faults begin and end at moments that matter (ends of
epochs, beginnings of periods, looks of the controller), a little before or after them, or anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

LENGTHS_KM = (0.001, 1.0, 20.0, 60.0, 79.9, 80.0, 100.0, 200.0)
Fields = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An experiment and its network, as files would hold them."""

    fields: Fields
    nodes: list[tuple[str, float, float]]
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
            "monitor_s": draw(st.sampled_from([1, 2.5, 5, 10, 30])),
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
        "lifetime_s": draw(st.none() | st.floats(1.05, 3)),
    }
    if fields["keys"]["lifetime_s"]:
        fields["keys"]["lifetime_s"] *= (count + 4) * fields["clock"]["window_s"]
    fields["faults"] = draw(st.lists(_fault(fields, count, links), max_size=7))
    return Case(fields, nodes, links)


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


def _demand(draw: st.DrawFn, names: list[str]) -> Fields:
    ends = st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True)
    pairs = draw(st.lists(ends, min_size=1, max_size=6))
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


def _fault(fields: Fields, count: int, links: list[tuple[str, str, float]]) -> Any:
    """Return the strategy of one fault."""
    names = sorted({end for a, b, _ in links for end in (a, b)})
    times = _times(fields, count)
    ends = st.sampled_from([[a, b] for a, b, _ in links])
    cut = _event("fiber-cut", times, link=ends)
    tap = _event(
        "eavesdropper", times, link=ends, fraction=st.sampled_from([0.02, 0.05, 0.1, 0.3, 0.5, 1.0])
    )
    shift = st.fixed_dictionaries(
        {
            "kind": st.just("demand-shift"),
            "from_period": st.integers(0, fields["demand"]["periods"]),
            "mean_units": st.sampled_from([0.5, 1.5, 4.0]),
        }
    )
    circle = {
        "lat_deg": st.integers(28, 46),
        "lon_deg": st.integers(-120, -75),
        "radius_km": st.sampled_from([300, 1500]),
    }
    storm = _event(
        "storm", times, **circle, course_deg=st.integers(0, 360), speed_km_h=st.integers(0, 500)
    )
    sites = st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)
    fog = _event("fog", times, sites=sites) | _event("fog", times, **circle)
    sky = st.sampled_from(["clear", "overcast"])
    cloud = _event("cloud", times, sky=sky) | _event("cloud", times, sky=sky, sites=sites)
    return st.one_of(cut, cut, cut, tap, shift, storm, fog, cloud)


def _event(kind: str, times: Any, **fields: Any) -> Any:
    both = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1])

    def made(pair: tuple[float, float], rest: Fields, is_for_good: bool) -> Fields:
        until_s = None if is_for_good else max(pair)
        return {"kind": kind, "at_s": min(pair), "until_s": until_s, **rest}

    for_good = st.sampled_from([False, False, False, True])
    return st.builds(made, both, st.fixed_dictionaries(fields), for_good)


def _times(fields: Fields, count: int) -> Any:
    """Return the strategy of a moment within the run."""
    window_s, period_s = fields["clock"]["window_s"], fields["demand"]["period_s"]
    first_s = (count + 8) * window_s
    end_s = first_s + (fields["demand"]["periods"] + 1) * period_s

    def near(place: tuple[int, float]) -> float:
        number, offset_s = place
        return max(0.0, number + offset_s)

    epochs = st.integers(0, fields["demand"]["periods"]).map(
        lambda k: 4 * window_s + (k + 1) * period_s
    )
    periods = st.integers(0, fields["demand"]["periods"]).map(
        lambda p: first_s + (p + 1) * period_s
    )
    looks = st.integers(1, 30).map(lambda j: min(end_s, j * fields["fiber"]["monitor_s"]))
    offsets = st.sampled_from([0, 0, -1, 1, -5, -6, -7, 2, 0.25, -0.25]).map(lambda n: n * window_s)
    anywhere = st.floats(0, end_s, allow_nan=False).map(lambda at_s: round(at_s, 3))
    return st.tuples(st.one_of(epochs, epochs, periods, looks), offsets).map(near) | anywhere
