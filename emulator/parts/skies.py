"""From an experiment to its weather: the sky over all nodes, and the events that its schedule has.

What an experiment asks of weather needs coordinates of every node; where they are known there is a sky,
clear if nobody says otherwise.  `weather_faults` says what is wrong with the weather section.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from pathlib import Path

from emulator.experiment.config import Experiment
from emulator.experiment.topology import Topology
from emulator.experiment.weather_config import CloudEvent, FogEvent, StormEvent
from emulator.world.visibility import Site
from emulator.world.weather import Sky
from emulator.world.weather_events import Circle, Event, EventKind, Named
from emulator.world.weather_replay import Recording, WeatherError, read_recording

WeatherEvent = StormEvent | FogEvent | CloudEvent


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
    may_change = scheduled and len(sites_of(topology)) == len(topology.nodes)
    if not (by_chance or recording or may_change):
        return None
    events = tuple(
        happening(event, topology)
        for event in experiment.faults
        if scheduled and isinstance(event, WeatherEvent)
    )
    if not by_chance:
        recorded = recording.spells.keys() if recording else set()
        left = frozenset(node.name for node in topology.nodes) - recorded
        events = (Event(EventKind.CLOUD, Named(left), 0.0, inf, opaque=0.0), *events)
    return Sky(experiment.seed, sites_of(topology), experiment.epoch, events, recording)


def happening(event: WeatherEvent, topology: Topology) -> Event:
    """Return what an entry of the schedule does to the sky."""
    until_s = inf if event.until_s is None else event.until_s
    area = _area(event, topology)
    match event:
        case StormEvent(wind_m_s=wind_m_s):
            return Event(EventKind.STORM, area, event.at_s, until_s, wind_m_s=wind_m_s)
        case FogEvent(visibility_km=km):
            return Event(EventKind.FOG, area, event.at_s, until_s, visibility_km=km)
        case CloudEvent(sky=sky):
            return Event(EventKind.CLOUD, area, event.at_s, until_s, float(sky == "overcast"))


def without_place(topology: Topology) -> str:
    """Return why weather is impossible in a network; nothing if it is possible."""
    lost = [node.name for node in topology.nodes if node.lat_deg is None or node.lon_deg is None]
    needs = f"needs coordinates (lat, lon) of every node; there are none of {', '.join(lost[:5])}"
    return needs if lost else ""


def weather_faults(experiment: Experiment, topology: Topology) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the weather section, as (field, what would be right)."""
    needs = without_place(topology)
    if experiment.weather.replay is not None and needs:
        yield "weather.replay", needs
    try:
        _recording(experiment, topology)
    except WeatherError as error:
        yield "weather.replay", str(error)


def _recording(experiment: Experiment, topology: Topology) -> Recording | None:
    replay = experiment.weather.replay
    if replay is None:
        return None
    return read_recording(Path(replay), [node.name for node in topology.nodes])


def _area(event: WeatherEvent, topology: Topology) -> Circle | Named:
    match event:
        case StormEvent():
            way = (event.course_deg, event.speed_km_h)
            return Circle(event.lat_deg, event.lon_deg, event.radius_km, *way)
        case FogEvent(lat_deg=float(lat), lon_deg=float(lon), radius_km=float(radius_km)):
            return Circle(lat, lon, radius_km)
        case _:
            return Named(frozenset(event.sites or (node.name for node in topology.nodes)))
