"""Clear skies by season and hour: the law, its table, the files it is made from, and drawn skies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cloud_seasons import main, numbers_of, table
from hypothesis import given
from hypothesis import strategies as st

from emulator.build.environment import foreseen_sky_of, sky_of, timeline_of
from emulator.build.free_space import satellites_of
from emulator.build.loading import ExperimentError, read
from emulator.build.skies import sky_over
from emulator.world.cloud_climate import CLEAR_TENTHS, stations
from emulator.world.cloud_law import Seasons
from emulator.world.cloud_process import CloudProcess, CloudSettings
from emulator.world.cloud_seasons import (
    NUMBERS,
    SeasonStation,
    clear_chance,
    fitted,
    season_stations,
    waves,
)
from emulator.world.typical_years import TypicalYearError, read_typical_year

Write = Callable[..., Path]
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = np.arange(8760) + 0.5


@dataclass(frozen=True)
class Spot:
    name: str
    lat_deg: float
    lon_deg: float


FRESNO = Spot("Fresno", 36.78, -119.72)


def month_of(hours: np.ndarray) -> np.ndarray:
    """The month of hours of 2026, in UTC."""
    return np.array([(YEAR + timedelta(hours=float(hour))).month for hour in hours])


@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)),  # noqa: DTZ001
)
def test_every_hour_of_every_place_has_a_chance_and_none_jumps(lat, lon, epoch) -> None:
    chance = clear_chance(Spot("x", lat, lon), epoch.replace(tzinfo=UTC), np.arange(-24.0, 72.0))

    assert ((chance > 0) & (chance < 1)).all()
    assert np.abs(np.diff(chance)).max() < 0.12
    assert np.abs(chance[24:] - chance[:-24]).max() < 0.03  # from day to day


def test_all_over_the_year_a_station_is_as_clear_as_the_annual_table_has_it() -> None:
    annual = {(s.lat_deg, s.lon_deg): s.climate.clear for s in stations()}
    for station in season_stations():
        mean = clear_chance(station, YEAR, HOURS).mean()
        assert mean == pytest.approx(annual[station.lat_deg, station.lon_deg], abs=0.005)


def test_seasons_are_those_of_the_valley_and_of_florida() -> None:
    """Fresno has clear summers and winters of fog; the afternoons of a summer in Florida have clouds."""
    month = month_of(HOURS)
    fresno = clear_chance(FRESNO, YEAR, HOURS)
    assert fresno[month == 7].mean() > 0.85
    assert fresno[month == 1].mean() < 0.45

    orlando = next(s for s in season_stations() if s.name.startswith("Orlando"))
    july = clear_chance(orlando, YEAR, HOURS)[month == 7].reshape(-1, 24)
    assert july[:, 20].mean() < july[:, 8].mean() / 2  # 15 h and 3 h of local time


def test_another_year_has_the_same_seasons() -> None:
    one, other = (clear_chance(FRESNO, datetime(y, 7, 1, tzinfo=UTC), HOURS) for y in (2024, 2031))
    assert np.abs(one - other).max() < 0.02


def test_of_the_drawn_hours_as_many_are_clear_as_the_law_says() -> None:
    """The law is exact for evenly spread quantiles; what a decade draws strays as decades do."""
    law = Seasons([FRESNO], YEAR)
    for day in (10, 190):
        spread = np.linspace(-4, 4, 20_001)
        weights = np.exp(-(spread**2) / 2) / np.exp(-(spread**2) / 2).sum()
        tenths = np.array([law.tenths(day, np.full((24, 1), z))[:, 0] for z in spread[::20]])
        share = (tenths <= CLEAR_TENTHS).T @ weights[::20] / weights[::20].sum()
        wanted = [law.clear(0, 24 * day + hour) for hour in range(24)]
        assert share == pytest.approx(wanted, abs=0.004)

    places, years = season_stations()[2::5], 8
    clouds = CloudProcess(1, places, YEAR, CloudSettings(seasons=True, fronts=True))
    month = month_of(HOURS)
    for place in range(len(places)):
        told = clear_chance(places[place], YEAR, HOURS)
        drawn = np.mean(
            [
                [clouds.tenths(place, 8760 * year + h) <= CLEAR_TENTHS for h in range(8760)]
                for year in range(years)
            ],
            axis=0,
        )
        misses = [(drawn - told)[month == m].mean() for m in range(1, 13)]
        assert np.abs(misses).max() < 0.2  # 8 months of some ten spells
        assert abs(np.mean(misses)) < 0.05


def test_the_fit_finds_the_numbers_that_hours_were_drawn_from() -> None:
    true = np.array([0.2, 0.8, -0.3, 0.5, 0.2, 0.1, -0.2, 0.3, 0.0, -0.2, 0.1])
    hours = np.arange(8760 * 20) + 0.5
    seen = waves(hours / 8760 % 1, hours / 24 % 1)
    clear = np.random.default_rng(3).random(len(hours)) < 1 / (1 + np.exp(-(seen @ true)))

    assert fitted(seen, clear) == pytest.approx(true, abs=0.04)


def typical_year(path: Path, tenths: Callable[[datetime], int], year: int = 1990) -> Path:
    """Write a file in EPW format: 40 degrees north, six hours behind UTC."""
    rows = ["LOCATION,Nowhere Ap,XX,USA,TMY3,000000,40.0,-90.0,-6.0,100.0", *["HEAD"] * 7]
    for hour in range(8760):
        begins = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        words = ["0"] * 35
        words[:4] = map(str, (year + begins.month, begins.month, begins.day, begins.hour + 1))
        words[22], words[23] = "9", str(tenths(begins))
        rows.append(",".join(words))
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_table_is_made_from_the_opaque_cover_of_typical_years(tmp_path: Path) -> None:
    """Clear by day from April to September: most in the day of summer."""

    def tenths(begins: datetime) -> int:
        return 2 if 4 <= begins.month <= 9 and 6 <= begins.hour < 18 else 3

    path = typical_year(tmp_path / "USA_XX_Nowhere_TMY3.epw", tenths)
    year = read_typical_year(path)
    head, row = table(tmp_path).splitlines()[-2:]
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    station = SeasonStation("x", 40.0, -90.0, tuple(float(cells[name]) for name in NUMBERS))
    noon, midnight = (np.array([hour / 24]) for hour in (12, 0))

    assert (cells["station"], cells["source"]) == ("Nowhere Ap", path.name)
    assert year.clear.sum() == 12 * 183
    assert year.began_h[0] == datetime(1991, 1, 1, 6, tzinfo=UTC).timestamp() / 3600
    assert station.chance(np.array([0.5]), noon) > 0.9
    assert max(station.chance(np.array([0.5]), midnight), station.chance(np.array([0]), noon)) < 0.3
    assert numbers_of(year) == pytest.approx(station.numbers, abs=1e-4)


def test_the_tool_tells_a_table_that_is_not_current(tmp_path, monkeypatch, capsys) -> None:
    typical_year(tmp_path / "USA_XX_Nowhere_TMY3.epw", lambda begins: begins.hour % 11)
    monkeypatch.setattr("sys.argv", ["cloud_seasons.py", str(tmp_path), "--check"])
    assert main() == 1
    assert "is not current" in capsys.readouterr().err

    monkeypatch.setattr("cloud_seasons.TABLE", tmp_path / "own.csv")
    monkeypatch.setattr("sys.argv", ["cloud_seasons.py", str(tmp_path)])
    assert main() == 0
    monkeypatch.setattr("sys.argv", ["cloud_seasons.py", str(tmp_path), "--check"])
    assert main() == 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace("LOCATION", "PLACE", 1), "is no LOCATION"),
        (lambda text: text.replace("1991,1,1,2,", "1991,x,1,2,", 1), "line 10: has a word"),
        (lambda text: text.replace("1991,1,1,2,", "1991,1,40,2,", 1), "line 10: day is out"),
        (lambda text: text.replace(",9,5,", ",9,99,", 1), "has 99 tenths"),
        (lambda text: text[:8_000], "fields, not 24"),
        (lambda text: "", "is no LOCATION"),
    ],
)
def test_a_file_that_is_no_typical_year_is_refused_in_one_line(tmp_path, spoil, words) -> None:
    path = typical_year(tmp_path / "x_TMY3.epw", lambda begins: 5)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(TypicalYearError, match=words) as caught:
        read_typical_year(path)
    assert str(caught.value).startswith("x_TMY3.epw")


def test_a_folder_without_typical_years_is_refused(tmp_path) -> None:
    with pytest.raises(TypicalYearError, match="are not there"):
        table(tmp_path)


@pytest.fixture
def valley(write_experiment: Write) -> Write:
    """Write `tiny` with changes; its nodes lie around Fresno, and satellites are computed."""

    def write(month: int, **weather: Any) -> Path:
        walker = {
            "satellites": 24,
            "planes": 6,
            "phasing": 1,
            "inclination_deg": 53,
            "altitude_km": 550,
        }
        orbits = {
            "walker": walker,
            "epoch": f"2026-{month:02}-10T05:00:00Z",
            "max_wait_s": 1800,
            "contact_s": 30,
            "acquire_s": 10,
            "forecast": {"skill": 0.9},
        }
        path = write_experiment(
            satellite={"setup_s": 3, "orbits": orbits},
            demand__periods=48,
            demand__period_s=1800,
            weather=weather,
            clock__window_s=60,
        )
        sites = "node,lat,lon\nA,36.8,-119.7\nB,36.6,-119.9\nC,36.3,-119.3\n"
        (path.parent / "tiny.nodes.csv").write_text(sites)
        return path

    return write


@pytest.mark.parametrize("month", [1, 7])
def test_the_plan_knows_the_sky_of_the_run_in_january_and_in_july(valley: Write, month) -> None:
    setup = read(str(valley(month, seasons=True, fronts=True)))
    sky, foreseen, links = sky_of(setup), foreseen_sky_of(setup), satellites_of(setup)
    hours_s = [3600.0 * hour for hour in range(24)]
    told = [sky.clear_climate("A", at_s) for at_s in hours_s]
    timeline = timeline_of(setup)
    begins_s = [timeline.begins_s(period) for period in range(timeline.periods)]
    served = [links.share_of("A", "C", [at_s]) for at_s in begins_s]

    assert [foreseen.clear_climate("A", at_s) for at_s in hours_s] == told
    assert (np.mean(told) > 0.85) == (month == 7)
    assert (np.mean(told) < 0.45) == (month == 1)
    assert sky_over(setup)("A", "C").satellite == pytest.approx(np.mean(served))
    if month == 7:
        assert np.mean(served) > 0


def test_fronts_that_are_given_a_flow_are_refused_in_one_line(write_experiment: Write) -> None:
    path = write_experiment(weather={"fronts": True, "flow_m_s": 5})
    with pytest.raises(ExperimentError, match="fronts have a flow of their own"):
        read(str(path))
