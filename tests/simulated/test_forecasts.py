"""A satellite is ordered by forecast and judged by the sky: it serves, or a UAV does, or nobody can.

Three stations, a contact with each every ten seconds, and skies forced by the schedule: what a forecast of
full skill promises under a clear sky comes true unless the sky closes meanwhile.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from math import ceil, inf
from pathlib import Path

import pytest
from network import SimulatedNetwork

from controllers.fleet import FleetConfig
from controllers.ports import Contact
from emulator.build.assembly import Assembly, assemble
from emulator.build.manager_role import actors_of
from emulator.build.setup import Setup
from emulator.config.experiment import Limits
from emulator.results import ledger
from emulator.results.audit import audit
from emulator.results.ledger import Ledger
from emulator.world.satellite_links import SatelliteLinks
from emulator.world.visibility import Site
from emulator.world.weather import Forecast, Sky
from emulator.world.weather_events import Event, EventKind, Named
from protos.core import SATELLITE_CONTROLLER
from protos.facts import FactKind

STATIONS = ("A", "B", "C")
SITES = tuple(Site(name, 40.0 + place, -100.0) for place, name in enumerate(STATIONS))
NIGHT = datetime(2026, 1, 1, 5, tzinfo=UTC)
PERIOD_S = 60.0
LOST_UNIT = {"avatar": 2 * 37_040, "digital-twin": 2 * 18_520, "ai-model": 2 * 18_520}  # of a UAV
NO_UAVS = FleetConfig(uavs=0, endurance_s=600.0, deploy_s=5.0, turn_s=60.0)


def contacts(end_s: float, bits: int, *, joint: bool = False) -> tuple[Contact, ...]:
    """Return a contact with every station, or with every two at once, that ends every ten seconds."""
    whom = tuple(combinations(STATIONS, 2 if joint else 1))
    return tuple(
        Contact("sat-1-1", stations, 10.0 * turn, 10.0 * turn + 10.0, bits, 0.02)
        for turn in range(int(end_s // 10) + 2)
        for stations in whom
    )


def skies(assembly: Assembly, clear_s: float | None) -> Sky:
    """Return a sky that is clear when a period begins, and closes after some seconds of it if at all."""
    timeline = assembly.timeline
    everywhere = Named(frozenset(STATIONS))
    begins = [0.0, *(timeline.begins_s(period) for period in range(timeline.periods))]
    events = [Event(EventKind.CLOUD, everywhere, at_s, inf, opaque=0.0) for at_s in begins]
    if clear_s is not None:
        closes = [at_s + clear_s for at_s in begins[1:]]
        events += [Event(EventKind.CLOUD, everywhere, at_s, inf, opaque=1.0) for at_s in closes]
    return Sky(1, SITES, NIGHT, tuple(events))


def played(
    case: Setup,
    folder: Path,
    clear_s: float | None = None,
    *,
    fleet: FleetConfig | None = None,
    bits: int = 100_000,
    joint: bool = False,
    limits: Limits | None = None,
    late: float = 0.0,
    seed: int = 0,
) -> tuple[Ledger, SimulatedNetwork]:
    """Run `tiny` under these satellites and this sky; the audit has to agree, and every row to balance."""
    demand = case.experiment.demand.model_copy(update={"period_s": PERIOD_S, "periods": 40})
    experiment = case.experiment.model_copy(update={"demand": demand, "limits": limits})
    assembly = assemble(case.with_experiment(experiment))
    forecast = Forecast(1, skill=1.0, memory_s=1e9)
    end_s, sky = assembly.timeline.end_s, skies(assembly, clear_s)
    links = SatelliteLinks(STATIONS, contacts(end_s, bits, joint=joint), 30.0, sky, forecast)
    assembly = replace(assembly, satellite_links=links, fleet=fleet)
    roles = sorted(actors_of(experiment, assembly).everybody, key=lambda role: role.entity)
    cores = {role.entity: role.build() for role in roles}
    network = SimulatedNetwork(cores, experiment.clock.window_s, late, late, seed)
    network.run(ceil(end_s / experiment.clock.window_s))
    network.close()
    network.write_journals(folder)
    book = ledger.read(
        folder, assembly.problem.requests, experiment.clock.window_s, experiment.demand.period_s
    )
    assert audit(folder).ok
    for row in book.rows:
        served = row.fiber_units + row.satellite_units + row.uav_units
        assert row.demanded_units == served + row.shortfall_units
        assert row.late_units == row.satellite_units + row.uav_units + row.shortfall_units
    return book, network


def total(book: Ledger, field: str) -> int:
    return sum(getattr(row, field) for row in book.rows)


def forecasts(network: SimulatedNetwork) -> dict[tuple[str, ...], float]:
    measures = network.cores[SATELLITE_CONTROLLER].measures()
    return {
        tuple(value for _, value in item.labels): item.value
        for item in measures
        if item.metric == "satellite_forecast_total"
    }


def test_what_the_forecast_promises_and_the_sky_keeps_is_served_from_orbit(
    tiny: Setup, tmp_path: Path
) -> None:
    book, network = played(tiny, tmp_path)
    assert total(book, "satellite_units") == total(book, "late_units") > 0
    assert total(book, "failed_units") == total(book, "uav_units") == 0
    assert forecasts(network).keys() == {("clear", "clear")}


def test_what_the_sky_breaks_is_bought_from_a_uav_and_only_that_is_paid(
    tiny: Setup, tmp_path: Path
) -> None:
    book, network = played(tiny, tmp_path, clear_s=3.0)
    assert total(book, "failed_units") == total(book, "uav_units") == total(book, "late_units") > 0
    assert total(book, "satellite_units") == total(book, "shortfall_units") == 0
    assert total(book, "satellite_cost") == 0 < total(book, "uav_cost")
    assert forecasts(network).keys() == {("clear", "cloudy")}
    failed = [fact for fact in network.all_facts() if fact.kind is FactKind.FAILED]
    assert all("made no key over" in fact.text for fact in failed)
    bought = Counter(f.serial for f in network.all_facts() if f.kind is FactKind.BOUGHT)
    assert set(bought.values()) == {1}


def test_what_the_sky_breaks_is_a_shortfall_where_no_uav_is_left(
    tiny: Setup, tmp_path: Path
) -> None:
    book, _ = played(tiny, tmp_path, clear_s=3.0, fleet=NO_UAVS)
    assert total(book, "shortfall_units") == total(book, "late_units") > 0
    assert total(book, "failed_units") == total(book, "shortfall_units")
    lost = sum(LOST_UNIT[row.application] * row.shortfall_units for row in book.rows)
    assert total(book, "shortfall_cost") == lost
    assert sum(book.cost_by_period()) == total(book, "reservation_cost") + lost
    assert all(row.shortfall_s == PERIOD_S for row in book.rows if row.shortfall_units)


def test_where_requests_share_limits_a_failure_is_weighed_again_with_what_is_left(
    tiny: Setup, tmp_path: Path
) -> None:
    limits = Limits(satellite_units=50, uav_units=1)
    book, _ = played(tiny, tmp_path, clear_s=3.0, limits=limits)
    assert total(book, "failed_units") > 0
    assert total(book, "satellite_units") == total(book, "satellite_cost") == 0
    by_period: Counter[int] = Counter()
    for row in book.rows:
        by_period[row.period] += row.uav_units
    assert set(by_period.values()) == {0, 1}
    assert total(book, "uav_units") < total(book, "late_units")


def test_a_source_of_pairs_serves_both_ends_in_one_contact_and_the_sky_may_break_it(
    tiny: Setup, tmp_path: Path
) -> None:
    clear, _ = played(tiny, tmp_path / "clear", joint=True)
    assert total(clear, "satellite_units") == total(clear, "late_units") > 0
    broken, network = played(tiny, tmp_path / "broken", clear_s=3.0, joint=True)
    assert (
        total(broken, "uav_units") == total(broken, "failed_units") == total(broken, "late_units")
    )
    notes = {fact.text for fact in network.all_facts() if fact.kind is FactKind.FAILED}
    assert notes <= {f"sat-1-1 made no key over {a} and {b}" for a, b in combinations(STATIONS, 2)}
    assert notes


def test_contacts_that_are_spent_leave_the_rest_to_uavs(tiny: Setup, tmp_path: Path) -> None:
    book, _ = played(tiny, tmp_path, bits=256)
    assert total(book, "satellite_units") > 0
    assert total(book, "uav_units") > 0
    assert total(book, "shortfall_units") == total(book, "failed_units") == 0


@pytest.mark.parametrize("seed", range(5))
def test_late_and_doubled_failures_are_paid_back_once_and_lose_no_key(
    tiny: Setup, tmp_path: Path, seed: int
) -> None:
    book, network = played(tiny, tmp_path, clear_s=3.0, late=0.3, seed=seed)
    facts = network.all_facts()
    failed = Counter(fact.serial for fact in facts if fact.kind is FactKind.FAILED)
    assert failed
    assert set(failed.values()) == {1}
    paid = sum(f.cost for f in facts if f.kind in (FactKind.BOUGHT, FactKind.FAILED))
    assert paid == total(book, "satellite_cost") + total(book, "uav_cost")
    assert total(book, "satellite_cost") == 0


def test_the_same_seed_gives_the_same_facts(tiny: Setup, tmp_path: Path) -> None:
    one, two = (played(tiny, tmp_path / name, clear_s=3.0)[1] for name in ("one", "two"))
    assert one.facts == two.facts
