"""Weather in an experiment: storms, fog, forced skies and recordings, from the file to the run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.build.assembly import assemble
from emulator.build.loading import ExperimentError, read
from emulator.build.manager_role import actors_of
from emulator.build.roles import KeyManagerRole, SatelliteRole
from emulator.world.world import World
from protos.syntax import MediumCode

Write = Callable[..., Path]
STORM = {"kind": "storm", "lat_deg": 40.0, "lon_deg": -100.0, "radius_km": 50.0, "at_s": 100.0}
FOG = {"kind": "fog", "sites": ["A"], "at_s": 100.0}
OVERCAST = {"kind": "cloud", "sky": "overcast", "at_s": 100.0}
PAIRS = [("A", "B"), ("B", "C"), ("A", "C")]


@pytest.fixture
def placed(write_experiment: Write) -> Write:
    """Write `tiny` with changes; A, B and C lie 111 km apart on a meridian, satellites always serve."""

    def write(**changes: Any) -> Path:
        path = write_experiment(**({"satellite__probability": 1.0} | changes))
        sites = "node,lat,lon\nA,40,-100\nB,41,-100\nC,42,-100\n"
        (path.parent / "tiny.nodes.csv").write_text(sites)
        return path

    return write


def world_of(path: Path) -> World:
    return assemble(read(str(path))).world


def served(world: World, at_s: float) -> list[tuple[str, str]]:
    """Return the pairs that a satellite can serve."""
    return [pair for pair in PAIRS if world.sample(MediumCode.SATELLITE, *pair, at_s).usable]


@pytest.mark.parametrize(
    ("event", "during"),
    [
        (STORM, [("B", "C")]),
        (STORM | {"radius_km": 120.0}, []),
        (STORM | {"lat_deg": 39.45, "speed_km_h": 500.0}, [("B", "C")]),  # 61 km south, then 47
        (FOG, [("B", "C")]),
        (
            FOG | {"sites": None, "lat_deg": 42.0, "lon_deg": -100.0, "radius_km": 20.0},
            [("A", "B")],
        ),
        (OVERCAST, []),
        (OVERCAST | {"sites": ["C"]}, [("A", "B")]),
        (OVERCAST | {"sky": "clear"}, PAIRS),
    ],
)
def test_an_event_closes_the_sky_to_satellites_at_the_ends_that_it_covers(
    placed: Write, event: dict[str, Any], during: list[tuple[str, str]]
) -> None:
    world = world_of(placed(faults=[event | {"until_s": 300.0}]))

    assert served(world, 99.0) == PAIRS
    assert served(world, 200.0) == during
    assert served(world, 300.0) == PAIRS


def test_a_recording_closes_the_sky_and_a_forced_sky_opens_it_again(placed: Write) -> None:
    clear = OVERCAST | {"sky": "clear", "sites": ["A"], "until_s": 200.0}
    path = placed(weather={"replay": "weather.csv"}, faults=[clear])
    (path.parent / "weather.csv").write_text("site,start_s,opaque\nA,0,0\nA,50,1\n")

    world = world_of(path)

    assert served(world, 49.0) == PAIRS
    assert served(world, 50.0) == [("B", "C")]
    assert served(world, 100.0) == PAIRS
    assert served(world, 200.0) == [("B", "C")]


def test_computed_satellites_lose_the_contacts_that_a_schedule_covers(placed: Write) -> None:
    night = {"walker": {"satellites": 24}, "epoch": "2026-01-01T03:00:00Z", "clouds": False}
    clock = {"window_s": 60, "period_s": 3600}
    changes = {
        "satellite": {"orbits": night | {"max_wait_s": 3000}},
        "demand__period_s": clock["period_s"],
        "clock__window_s": clock["window_s"],
        "demand__periods": 4,
    }
    free = assemble(read(str(placed(**changes))))
    storm = STORM | {"at_s": 0.0}
    stormy = assemble(read(str(placed(**changes, faults=[storm]))))
    assert free.satellite_links is not None
    assert stormy.satellite_links is not None

    made = [
        [links.has_made(contact) for contact in free.satellite_links.contacts]
        for links in (free.satellite_links, stormy.satellite_links)
    ]
    over_a = [contact.stations == ("A",) for contact in free.satellite_links.contacts]
    assert stormy.satellite_links.contacts == free.satellite_links.contacts
    assert any(over_a)
    assert not all(over_a)
    assert made == [[True] * len(over_a), [not covered for covered in over_a]]
    assert stormy.problem == free.problem, "the plan does not foresee the schedule"


def test_the_world_with_weather_is_the_same_everywhere_and_only_satellites_carry_it(
    placed: Write,
) -> None:
    path = placed(faults=[STORM | {"until_s": 300.0, "speed_km_h": 500.0}])
    setup = read(str(path))
    assembly = assemble(setup)
    copy = pickle.loads(pickle.dumps(assembly.world))
    times_s = [7.0 * step for step in range(60)]

    assert [served(copy, t) for t in reversed(times_s)] == [
        served(assembly.world, t) for t in reversed(times_s)
    ]
    for role in actors_of(setup.experiment, assembly).everybody:
        if isinstance(role, KeyManagerRole):
            assert role.world.sky is None
        if isinstance(role, SatelliteRole):
            assert role.world.sky == assembly.world.sky


def test_where_nobody_speaks_of_weather_the_sky_is_clear(placed: Write) -> None:
    sky = world_of(placed()).sky
    assert sky is not None
    assert all(sky.is_clear(site, 3600.0 * hour) for site in "ABC" for hour in range(48))


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (STORM | {"until_s": 100.0}, "faults.0.until_s: must be after at_s, 100"),
        (STORM | {"lat_deg": 91.0}, "faults.0.lat_deg: must be less than or equal"),
        (
            STORM | {"radius_km": 0.0},
            "faults.0.radius_km: must be greater than or equal to 0.000001 km",
        ),
        (STORM | {"sites": ["A"]}, "faults.0.sites: unknown field"),
        (FOG | {"sites": ["A", "X"]}, "faults.0.sites: no node X in the network"),
        (
            FOG | {"sites": None},
            "faults.0: give either sites, or lat_deg, lon_deg and radius_km",
        ),
        (FOG | {"lat_deg": 40.0}, "faults.0: give either sites, or lat_deg"),
        (FOG | {"visibility_km": 1.0}, "faults.0.visibility_km: must be less than 1"),
        (OVERCAST | {"sky": "grey"}, "faults.0.sky: must be 'clear' or 'overcast'"),
        (OVERCAST | {"sites": ["X"]}, "faults.0.sites: no node X in the network"),
    ],
)
def test_a_wrong_event_is_refused_in_one_line(
    placed: Write, event: dict[str, Any], fault: str
) -> None:
    assert the_fault(placed(faults=[event])).startswith(fault)


def test_weather_needs_to_know_where_the_nodes_are(write_experiment: Write) -> None:
    fault = the_fault(write_experiment(faults=[FOG]))
    assert fault.startswith(
        "faults.0: needs coordinates (lat, lon) of every node; there are none of A, B, C"
    )


def test_a_weather_file_is_refused_with_row_and_remedy(placed: Write) -> None:
    path = placed(weather={"replay": "weather.csv"})
    assert the_fault(path).startswith("weather.replay: weather.csv: file: cannot be read")
    (path.parent / "weather.csv").write_text("site,start_s,opaque\nX,0,0\n")
    assert the_fault(path).startswith("weather.replay: weather.csv: row 2, site: unknown site 'X'")


def the_fault(path: Path) -> str:
    with pytest.raises(ExperimentError) as caught:
        read(str(path))
    assert len(caught.value.mistakes) == 1, str(caught.value)
    return f"{caught.value.mistakes[0].field}: {caught.value.mistakes[0].message}"
