"""From an experiment to its weather: the sky over all nodes, and the events that its schedule has.

What an experiment asks of weather needs coordinates of every node; `weather_faults` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path

from emulator.config import Experiment
from emulator.sky import Site
from emulator.storms import Circle, Event, EventKind, Named
from emulator.topology import Topology
from emulator.weather import Sky
from emulator.weather_config import CloudEvent, FogEvent, StormEvent
from emulator.weather_replay import Recording, WeatherError, read_recording

_WEATHER = (StormEvent, FogEvent, CloudEvent)


def sites_of(topology: Topology) -> tuple[Site, ...]:
    """Return the nodes whose coordinates are known."""
    return tuple(
        Site(node.name, node.lat_deg, node.lon_deg)
        for node in topology.nodes
        if node.lat_deg is not None and node.lon_deg is not None
    )


def sky_of(experiment: Experiment, topology: Topology, *, scheduled: bool = True) -> Sky | None:
    """Return the weather of an experiment, None where the sky is always clear.

    Unless satellites are computed, their `probability` stands for chance, and only recordings and events
    are weather.  What is not `scheduled` is what can be known beforehand.  Raises WeatherError.
    """
    orbits, recording = experiment.satellite.orbits, _recording(experiment, topology)
    by_chance = orbits is not None and orbits.clouds
    events = tuple(_events(experiment, topology)) if scheduled else ()
    if not (by_chance or recording or events):
        return None
    if not by_chance:
        recorded = recording.spells.keys() if recording else set()
        left = frozenset(node.name for node in topology.nodes) - recorded
        events = (Event(EventKind.CLOUD, Named(left), 0.0, inf, opaque=0.0), *events)
    return Sky(experiment.seed, sites_of(topology), experiment.epoch, events, recording)


def weather_faults(experiment: Experiment, topology: Topology) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the weather of an experiment, as (field, what would be right)."""
    names = {node.name for node in topology.nodes}
    lost = sorted(names - {site.name for site in sites_of(topology)})
    needs = f"needs coordinates (lat, lon) of every node; there are none of {', '.join(lost[:5])}"
    if experiment.weather.replay is not None and lost:
        yield "weather.replay", needs
    for place, event in enumerate(experiment.faults):
        if not isinstance(event, _WEATHER):
            continue
        if lost:
            yield f"faults.{place}", needs
        strangers = [] if isinstance(event, StormEvent) else set(event.sites or ()) - names
        for name in sorted(strangers):
            yield f"faults.{place}.sites", f"no node {name} in the network"
    try:
        _recording(experiment, topology)
    except WeatherError as error:
        yield "weather.replay", str(error)


def _recording(experiment: Experiment, topology: Topology) -> Recording | None:
    replay = experiment.weather.replay
    if replay is None:
        return None
    return read_recording(Path(replay), [node.name for node in topology.nodes])


def _events(experiment: Experiment, topology: Topology) -> Iterator[Event]:
    for event in experiment.faults:
        if not isinstance(event, _WEATHER):
            continue
        until_s = inf if event.until_s is None else event.until_s
        area = _area(event, topology)
        match event:
            case StormEvent(wind_m_s=wind_m_s):
                yield Event(EventKind.STORM, area, event.at_s, until_s, wind_m_s=wind_m_s)
            case FogEvent(visibility_km=km):
                yield Event(EventKind.FOG, area, event.at_s, until_s, visibility_km=km)
            case CloudEvent(sky=sky):
                opaque = float(sky == "overcast")
                yield Event(EventKind.CLOUD, area, event.at_s, until_s, opaque)


def _area(event: StormEvent | FogEvent | CloudEvent, topology: Topology) -> Circle | Named:
    match event:
        case StormEvent():
            way = (event.course_deg, event.speed_km_h)
            return Circle(event.lat_deg, event.lon_deg, event.radius_km, *way)
        case FogEvent(lat_deg=float(lat), lon_deg=float(lon), radius_km=float(radius_km)):
            return Circle(lat, lon, radius_km)
        case _:
            return Named(frozenset(event.sites or (node.name for node in topology.nodes)))
