"""Input that real people wrote: each case is read as meant, or refused with the line and what to write."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from emulator.build.loading import ExperimentError, read
from emulator.config.error_messages import mistakes
from emulator.config.experiment import Experiment
from emulator.input_checks import ParameterError
from emulator.physics.protocols import PROTOCOLS
from emulator.physics.skr import protocol_names, secret_key_rate

CASES = Path(__file__).parents[1] / "cases"
Write = Callable[..., Path]
Qsagin = Callable[..., tuple[int, str, str]]

REFUSED = {
    "10-yaml-duplicate-section.yaml": "uav: line 5: is given twice; keep one of them",
    "12-yaml-octal.yaml": "seed: line 2: 010 may be octal; write 10, or put it in quotes",
    "13-yaml-bool-as-number.yaml": "network.link_km: line 2: yes may be text or true",
    "14-yaml-no-class.yaml": "demand.requests: line 3: NO may be text or false; put NO in quotes",
    "15-yaml-decimal-comma.yaml": "network: line 2: a comma ends a value; write 80.5 with a decimal",
    "44-weather-quoted-newline.experiment.yaml": "44-weather-quoted-newline.csv: row 2: is no row",
}
READ = ("43-weather-bom.experiment.yaml", "45-weather-header-case.experiment.yaml")


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_read_in_two_ways_is_refused_in_one_line(name: str, qsagin: Qsagin) -> None:
    status, _, err = qsagin("check", str(CASES / name))
    assert status == 2
    assert err.count("\n") == 1
    assert REFUSED[name] in err


@pytest.mark.parametrize("name", READ)
def test_what_programs_write_is_read(name: str) -> None:
    assert read(str(CASES / name)).experiment.weather.replay is not None


def test_every_case_is_tried() -> None:
    assert {path.name for path in CASES.glob("*.yaml")} == {*REFUSED, *READ}


def refusal(path: Path) -> str:
    with pytest.raises(ExperimentError) as caught:
        read(str(path))
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network__link_km": True}, "network.link_km: must be a number, not true"),
        ({"network__link_km": "80,5"}, "must be a number; write 80.5 with a decimal point"),
        ({"network__link_km": "\u0663"}, "must be a number, not '\u0663'"),
        ({"demand__periods": "1_0"}, "demand.periods: must be a whole number, not '1_0'"),
        ({"demand__requests": {"avatar": True}}, "demand.requests.avatar: must be a whole number"),
        ({"network__wavelengths": 2**31}, "less than or equal to 100000"),
        ({"demand__requests": {"avatar": 2**31}}, "less than or equal to 50000"),
        ({"demand__requests": {"a": 30_000, "b": 30_000}}, "at most 50,000 in all, not 60,000"),
        ({"prices": {"on_demand_uav": 10**19}}, "prices.on_demand_uav: must be less than"),
        ({"uav__skr_bps": 1e-320}, "uav.skr_bps: must be greater than or equal to 0.01 bit/s"),
        ({"satellite__setup_s": 1e308}, "less than or equal to 3200000000 s"),
        ({"name": "n" * 250}, "name: must have at most 100 characters"),
        ({"demand__periods": 10_000_000, "demand__period_s": 3600}, "a run ends after a century"),
        ({"demand__period_s": 10**8, "fiber__monitor_s": 0.001}, "monitor_s: must be at least"),
        ({"demand__periods": 5_000_000}, "demand.periods: must be at most"),
        ({"demand__scenarios": 3_000, "demand__reduce_to": 3}, "or leave out reduce_to"),
        ({"satellite__orbits": {"epoch": "2001-99-99"}}, "satellite.orbits.epoch"),
        ({"satellite__orbits": {"epoch": "0001-01-01T00:00:00+14:00"}}, "satellite.orbits"),
        ({"weather__replay": "a\0b.csv"}, "weather.replay: a\\x00b.csv: file: cannot be read"),
        ({"weather__replay": "x" * 5_000}, "weather.replay"),
        ({"demand__distribution": {"history": {"file": "a\0b"}}}, "is no name of a file"),
        ({"demand__requests": [{"id": "a\nb", "source": "A", "target": "B"}]}, "no control characters"),
    ],
    ids=str,
)  # fmt: skip
def test_a_number_beyond_its_bounds_is_refused_at_once(
    write_experiment: Write, changes: dict[str, Any], words: str
) -> None:
    path = write_experiment(**changes)
    begun_s = time.monotonic()
    said = refusal(path)
    assert words in said
    assert all(line.startswith(str(path)) for line in said.splitlines())
    assert time.monotonic() - begun_s < 5


@pytest.mark.parametrize("field", ["demand__distribution", "weather__replay", "satellite__orbits"])
@pytest.mark.parametrize("file", ["/dev/zero", "pipe", ".", "large.csv"])
def test_only_files_of_bounded_size_are_read(
    write_experiment: Write, tmp_path: Path, field: str, file: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large.csv").open("wb") as large:
        large.truncate(10**12)
    named = {"history": {"file": file}} if "distribution" in field else file
    path = write_experiment(**{field: {"tle": file} if "orbits" in field else named})
    said = refusal(path)
    most = "100 MB" if "orbits" in field else "16 MB"
    refusals = ("no regular file", "no such file", f"larger than {most}")
    assert any(words in said for words in refusals)


def test_the_experiment_itself_is_a_file_of_bounded_size(tmp_path: Path, qsagin: Qsagin) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large.yaml").open("wb") as large:
        large.truncate(10**12)
    for file in ("/dev/zero", "pipe", ".", "large.yaml", "x" * 5_000):
        status, _, err = qsagin("check", str(tmp_path / file))
        assert (status, err.count("\n")) == (2, 1)


def test_no_name_commands_the_terminal(write_experiment: Write, qsagin: Qsagin) -> None:
    path = write_experiment(**{"weather__\x1b[2J\n\u202e": 1, "network__topology": "\x1b]0;x\x07"})
    status, _, err = qsagin("check", str(path))
    assert status == 2
    assert "weather.\\x1b[2J\\n\\u202e: unknown field" in err
    assert not any(sign in err for sign in "\x1b\x07\u202e")


HISTORIES = {
    "\ufeffUnits\r\n3.0\r\n\r\n# seen\r\n4\r\n5e0\r\n": None,
    'units\n"3\n"\n4\n': "row 2: is no row of a CSV file",
    "units;more\n3;4\n": "columns must be parted by commas, not by ';'",
    "units\n"
    + "3" * 200_000
    + "\n": "row 2: is no row of a CSV file (field larger than field limit",
    "units\n" + "3" * 20_000 + "\n": "row 2: has a cell of more than 10,000 signs",
    "units\n\u0663\n": "row 2 (`\u0663`) must be whole units",
    "units\n3.5\n": "row 2 (`3.5`) must be whole units",
    "units\n-0\n1_0\nnan\n": "row 2 (`-0`), row 3 (`1_0`), row 4 (`nan`) must be whole units",
}


@pytest.mark.parametrize("text", HISTORIES)
def test_a_history_is_read_as_written_or_refused_by_its_row(
    write_experiment: Write, tmp_path: Path, text: str
) -> None:
    (tmp_path / "past.csv").write_bytes(text.encode())
    law = {"history": {"file": "past.csv", "fit": "empirical"}}
    path = write_experiment(demand__distribution=law)
    if (words := HISTORIES[text]) is not None:
        assert words in refusal(path)
        return
    found = read(str(path)).experiment.demand.distribution.empirical
    assert found is not None
    assert found.counts == {3: 1, 4: 1, 5: 1}


RECORDINGS = {
    "\ufeff Site ,START_S,Opaque,Visibility_km\r\nA,0,0.5,\r\n# noted\r\nA,3.6e3,.25,10.\r\n": None,
    "latitude,longitude,elevation\n52.5,13.4,38\n\ntime,cloud_cover (%)\n": "looks like Open-Meteo's",
    "time,cloud_cover (%),visibility (m)\n2026-01-01T00:00,100,24140\n": "cloud_cover / 100",
    "station,valid,skyc1,vsby\nDEN,2026-01-01 00:53,OVC,10.0\n": "looks like METAR reports",
    "site,start_s,opaque\nA,0,0.5\n\"B\n\",0,1\n": "row 3: is no row of a CSV file",
    "site,start_s,opaque\nA,0,1_0\n": "row 2, opaque: '1_0' is not a number",
    "site,start_s,opaque\nA,0,\u0661\n": "row 2, opaque: '\u0661' is not a number",
    "site;start_s;opaque\nA;0;0,5\n": "columns must be parted by commas, not by ';'",
    "site,start_s,opaque\nA\0,0,0\n": "unknown site 'A\\x00'",
}  # fmt: skip


@pytest.mark.parametrize("text", RECORDINGS)
def test_a_recording_is_read_as_written_or_refused_by_its_row(
    write_experiment: Write, tmp_path: Path, text: str
) -> None:
    (tmp_path / "sky.csv").write_bytes(text.encode())
    (tmp_path / "tiny.nodes.csv").write_text("node,lat,lon\nA,40,-100\nB,41,-99\nC,42,-98\n")
    path = write_experiment(weather__replay="sky.csv")
    if (words := RECORDINGS[text]) is None:
        read(str(path))
    else:
        assert words in refusal(path)


def test_text_in_another_encoding_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: x\n# Zürich\n".encode("latin-1"))
    assert "file: is not in UTF-8 (line 2); save it again in that encoding" in refusal(path)


@pytest.mark.parametrize("value", [0, -1, 1e-320, 1e19, 1e308, -1e308])
@pytest.mark.parametrize("protocol", protocol_names())
def test_no_device_breaks_a_key_rate(protocol: str, value: float) -> None:
    setup = next(iter(PROTOCOLS[protocol].devices.values())).setup
    for item in fields(setup):
        try:
            rate = secret_key_rate(protocol, 80.0, None, {item.name: value})
        except ParameterError:
            continue
        assert rate.skr_bps >= 0


ODD = ("maybe", None, 1e30, [], {"a": 1}, "2001-99-99", float("nan"))
WORDS_OF_THE_PARSER = ("valid boolean", "valid datetime", "nable to", "unix", "Input", "instance")


def _places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for name, inner in items:
        yield (*where, name)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*where, name))


def test_no_mistake_is_told_in_the_words_of_the_parser() -> None:
    whole = read("sagin-metro").experiment.model_dump(mode="json", by_alias=True)
    told = set()
    for *sections, last in _places(whole):
        for odd in ODD:
            section = altered = copy.deepcopy(whole)
            for name in sections:
                section = section[name]
            section[last] = odd
            try:
                Experiment.model_validate(altered)
            except ValidationError as error:
                told |= {item.message for item in mistakes(error)}
    assert len(told) > 50
    assert not [line for line in told if any(word in line for word in WORDS_OF_THE_PARSER)]
