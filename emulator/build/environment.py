"""What surrounds the network of an experiment: when periods are, and the sky over its nodes.

Weather needs the coordinates of every node; where they are known there is a sky, clear unless the
experiment says otherwise.
"""

from __future__ import annotations

from math import inf
from pathlib import Path

from emulator.build.setup import Setup, part
from emulator.config.topology import Topology
from emulator.config.weather import CloudEvent, FogEvent, StormEvent
from emulator.world.sky_light import SkyLight
from emulator.world.visibility import Site
from emulator.world.weather import Sky
from emulator.world.weather_events import Circle, Event, EventKind, Named
from emulator.world.weather_replay import Recording, read_recording
from protos.core import Timeline

SETUP_WINDOWS = 4
WeatherEvent = StormEvent | FogEvent | CloudEvent


def lead_windows(topology: Topology) -> int:
    """Return the windows between the making of keys and the period that may use them.

    Enough for a key to cross every node of the network once, and to be confirmed.
    """
    return min(len(topology.nodes), 40) + 4


@part
def timeline_of(setup: Setup) -> Timeline:
    """Return when periods are.

    Keys of the first period are made in the period before it, and need time to cross.
    """
    demand, window_s = setup.experiment.demand, setup.experiment.clock.window_s
    windows = SETUP_WINDOWS + lead_windows(setup.topology)
    return Timeline(windows * window_s + demand.period_s, demand.period_s, demand.periods)


def sites_of(topology: Topology) -> tuple[Site, ...]:
    """Return the nodes whose coordinates are known."""
    return tuple(
        Site(node.name, node.lat_deg, node.lon_deg)
        for node in topology.nodes
        if node.lat_deg is not None and node.lon_deg is not None
    )


@part
def light_of(setup: Setup) -> SkyLight:
    """Return the light of the sky over the nodes whose coordinates are known."""
    experiment, light = setup.experiment, setup.experiment.weather.light
    return SkyLight(
        sites_of(setup.topology),
        experiment.epoch,
        light.glow,
        light.full_moon,
        light.day,
        dict(light.site_glow),
    )


@part
def recording_of(setup: Setup) -> Recording | None:
    """Return the recorded weather of an experiment, if it has any.  Raises `WeatherError`."""
    replay = setup.experiment.weather.replay
    if replay is None:
        return None
    return read_recording(Path(replay), [node.name for node in setup.topology.nodes])


@part
def sky_of(setup: Setup) -> Sky | None:
    """Return the weather of an experiment, None where the sky is always clear.  Raises `WeatherError`.

    Unless satellites are computed, their `probability` stands for chance, and only recordings and events
    are weather.
    """
    events = tuple(
        weather_event(event, setup.topology)
        for event in setup.experiment.faults
        if isinstance(event, WeatherEvent)
    )
    may_change = len(sites_of(setup.topology)) == len(setup.topology.nodes)
    return _sky(setup, events, may_change=may_change)


@part
def foreseen_sky_of(setup: Setup) -> Sky | None:
    """Return the same without the events of the schedule: what can be known beforehand."""
    return _sky(setup, (), may_change=False)


def _sky(setup: Setup, events: tuple[Event, ...], *, may_change: bool) -> Sky | None:
    experiment, topology = setup.experiment, setup.topology
    orbits, recording = experiment.satellite.orbits, recording_of(setup)
    by_chance = orbits is not None and orbits.clouds
    if not (by_chance or recording or may_change):
        return None
    if not by_chance:
        recorded = recording.spells.keys() if recording else set()
        left = frozenset(node.name for node in topology.nodes) - recorded
        events = (Event(EventKind.CLOUD, Named(left), 0.0, inf, opaque=0.0), *events)
    sites, clouds = sites_of(topology), experiment.weather.clouds
    return Sky(experiment.seed, sites, experiment.epoch, events, recording, clouds)


def weather_event(event: WeatherEvent, topology: Topology) -> Event:
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


def _area(event: WeatherEvent, topology: Topology) -> Circle | Named:
    match event:
        case StormEvent():
            way = (event.course_deg, event.speed_km_h)
            return Circle(event.lat_deg, event.lon_deg, event.radius_km, *way)
        case FogEvent(lat_deg=float(lat), lon_deg=float(lon), radius_km=float(radius_km)):
            return Circle(lat, lon, radius_km)
        case _:
            return Named(frozenset(event.sites or (node.name for node in topology.nodes)))
