"""The satellite section of an experiment file: which orbits are taken, and how others are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.build.free_space import satellites_of
from emulator.build.loading import ExperimentError, read

# QSS (Micius), NORAD 41731
LINE1 = "1 41731U 16051A   16353.90152003  .00000364  00000-0  17957-4 0  9993"
LINE2 = "2 41731  97.3699 267.4500 0013200 178.5836 246.0824 15.23915303 19063"
EVENING = "2016-12-19T00:00:00Z"

Write = Callable[..., Path]


@pytest.fixture
def write_orbits(write_experiment: Write) -> Write:
    """Write an experiment over a network with coordinates, with these orbits and this TLE file."""

    def write(text: str = "", **orbits: Any) -> Path:
        path = write_experiment(
            network__topology="nobel-us",
            satellite__orbits=orbits,
            demand__requests={"avatar": 2},
            demand__period_s=900,
            demand__periods=96,
        )
        (path.parent / "satellites.tle").write_text(text)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(ExperimentError) as caught:
        read(str(path))
    (mistake,) = caught.value.mistakes
    return f"{mistake.field}: {mistake.message}"


def test_a_tle_file_is_read_once_and_the_run_folder_needs_it_no_more(
    write_orbits: Write, tmp_path: Path
) -> None:
    path = write_orbits(f"QSS\n{LINE1}\n{LINE2}\n", tle="satellites.tle", epoch=EVENING)
    setup = read(str(path))
    fields = setup.experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    copy = tmp_path / "elsewhere" / "experiment.yaml"
    copy.parent.mkdir()
    copy.write_text(yaml.safe_dump(fields))
    assert read(str(copy)) == setup
    links = satellites_of(setup)
    assert links is not None
    assert {contact.satellite for contact in links.contacts} == {"QSS"}
    assert {contact.stations[0] for contact in links.contacts} <= {
        n.name for n in setup.topology.nodes
    }


@pytest.mark.parametrize(
    ("text", "orbits", "words"),
    [
        (f"QSS\n{LINE1}\n{LINE2[:-1]}4", {}, "orbits.tle: satellites.tle: QSS line 2: adds up to 3"),
        (f"QSS\n{LINE1[:-1]}\n{LINE2}", {}, "QSS line 1: must have 69 characters, not 68"),
        (f"QSS\n{LINE2}", {}, "expected a first line"),
        ("", {}, "must be one or more"),
        (
            f"{LINE1}\n{LINE2}",
            {"epoch": "2017-03-01T00:00:00Z"},
            "epoch: is 72 days from the elements of 41731, which are of 2016-12-18; 30 is the most",
        ),
        ("", {"tle": "none.tle"}, "none.tle: cannot be read (no such file"),
        ("", {"walker": {}}, "satellite.orbits: give one of walker and tle"),
        ("", {"mode": "entangled", "device": "micius-2017"}, "may be micius-2020, not micius-2017"),
        ("", {"pair_rate_hz": 1e8}, "need mode: entangled"),
        ("", {"forecast": {}, "clouds": False}, "forecast: needs clouds: true"),
    ],
)  # fmt: skip
def test_elements_that_cannot_be_used_are_refused_with_the_reason(
    write_orbits: Write, text: str, orbits: dict[str, Any], words: str
) -> None:
    path = write_orbits(text, **({"tle": "satellites.tle", "epoch": EVENING} | orbits))
    assert words in refusal(path)


def test_elements_written_out_are_checked_like_those_of_a_file(write_orbits: Write) -> None:
    wrong = {"name": "QSS", "line1": LINE1, "line2": LINE2[:-1] + "4"}
    old = wrong | {"line2": LINE2}
    assert "orbits.elements.0: QSS line 2: adds up to" in refusal(write_orbits(elements=[wrong]))
    assert "is 3300 days from" in refusal(write_orbits(elements=[old]))


def test_a_satellite_that_comes_down_before_the_end_is_refused(write_orbits: Write) -> None:
    feather = LINE1.replace(" 17957-4 0  9993", " 99999+1 0  9995")  # QSS, with a sail for drag
    path = write_orbits(f"{feather}\n{LINE2}", tle="satellites.tle", epoch=EVENING)
    assert "41731: has no position" in refusal(path)


def test_every_number_of_a_satellites_devices_can_be_set(write_orbits: Write) -> None:
    def bits(**orbits: Any) -> int:
        path = write_orbits(clouds=False, walker={"satellites": 6, "planes": 3}, **orbits)
        satellites = satellites_of(read(str(path)))
        assert satellites is not None
        return sum(contact.bits for contact in satellites.contacts)

    usual = bits()
    assert bits(parameters={"clock_hz": 2e8}) > 1.9 * usual > 0
    assert bits(parameters={"telescope_m": 0.5}) < 0.5 * usual
    assert bits(parameters={"misalignment": 0.03}) < usual
    assert bits(device="eagle-1") > usual


@pytest.mark.parametrize(
    ("orbits", "message"),
    [
        ({"parameters": {"colour": 1}}, r"parameters\.colour.*known are .*telescope_m"),
        ({"parameters": {"telescope_m": -1}}, r"parameters\.telescope_m.*positive"),
        ({"parameters": {"pair_rate_hz": 1e6}}, r"parameters\.pair_rate_hz"),
        ({"parameters": {"block_bits": 1e6}}, r"parameters\.block_bits"),
        ({"mode": "entangled", "device": "eagle-1"}, r"device.*micius-2020, not eagle-1"),
    ],
)
def test_numbers_that_a_device_does_not_have_are_refused(
    write_orbits: Write, orbits: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExperimentError, match=r"satellite\.orbits.*" + message):
        read(str(write_orbits(**orbits)))
