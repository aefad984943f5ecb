"""Files of orbits as they are published: what is read, what is told apart or left out, what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sgp4.exporter import export_omm
from sgp4.io import compute_checksum

from emulator.build.loading import ExperimentError, read, write
from emulator.world.orbit_files import from_tle, parse, select
from emulator.world.orbits import Constellation, OmmOrbit, OrbitError, TleOrbit

CASES = Path(__file__).parents[1] / "cases" / "orbits"
EPOCH = datetime(2024, 5, 9, tzinfo=UTC)
DAY_S = 86_400.0

ISS = json.loads((CASES / "48-omm-json.json").read_text())[0]
LINE1 = "1 25544U 98067A   24129.66691461  .00012424  00000+0  22393-3 0  9992"
LINE2 = "2 25544  51.6363 101.4799 0002251 122.9566 339.8304 15.50175539521591"
ISS_LINES = f"{LINE1}\n{LINE2}\n"


def resummed(line: str) -> str:
    return line[:68] + str(compute_checksum(line))


def lines(number: str = "25544", **changes: str) -> str:
    """Return the elements of the station with another number, or with other texts in its lines."""
    found = ISS_LINES.replace("25544", number)
    for before, after in changes.items():
        found = found.replace(_TEXT[before], after)
    return "".join(resummed(line) + "\n" for line in found.splitlines())


_TEXT = {
    "turns": "15.50175539",
    "eccentricity": "0002251",
    "day": "24129.66691461",
    "drag": " 22393-3",
}


def names(text: str, end_s: float = DAY_S) -> list[str]:
    return [each.name for each in select(text, EPOCH, end_s).orbits]


@pytest.mark.parametrize(
    ("case", "satellites", "told"),
    [
        ("47-tle-same-names", ["FALCON 9 DEB (48607)", "FALCON 9 DEB (48608)"], "2023-07-16 to 2023-07-17"),
        ("48-omm-json", ["ISS (ZARYA)"], "one satellite, of 2024-05-09, up to 0.4 days from the epoch"),
        ("50-tle-one-heo", ["ISS (ZARYA)"], "left out 1: CXO turns a day: must lie between 0.5 and 17"),
        ("52-tle-indented", ["ISS (ZARYA)"], "up to 0.3 days"),
    ],
)  # fmt: skip
def test_files_that_were_refused_once_are_read_and_told(
    case: str, satellites: list[str], told: str, tmp_path: Path
) -> None:
    setup = read(str(CASES / f"{case}.experiment.yaml"))
    orbits = setup.experiment.satellite.orbits

    assert orbits is not None
    assert orbits.elements_from is not None
    assert list(orbits.constellation().names) == satellites
    assert told in orbits.elements_from
    again = read(str(write(setup, tmp_path))).experiment.satellite.orbits
    assert again == orbits
    assert again.constellation() == orbits.constellation()


# Orbit Mean-Elements Messages


def as_csv(*messages: dict[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, messages[0])
    writer.writeheader()
    writer.writerows(messages)
    return text.getvalue()


def as_xml(*messages: dict[str, Any]) -> str:
    body = ""
    for message in messages:
        parts: dict[str, str] = {"metadata": "", "meanElements": "", "tleParameters": ""}
        for key, value in message.items():
            part = "metadata" if key.startswith("OBJECT") else "meanElements"
            part = "tleParameters" if key in ("NORAD_CAT_ID", "BSTAR") else part
            parts[part] += f"<{key}>{value}</{key}>"
        body += (
            f"<segment><metadata>{parts['metadata']}</metadata><data>"
            f"<meanElements>{parts['meanElements']}</meanElements>"
            f"<tleParameters>{parts['tleParameters']}</tleParameters></data></segment>"
        )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<ndm><omm><body>{body}</body></omm></ndm>'


def as_keywords(*messages: dict[str, Any]) -> str:
    return "".join(
        "CCSDS_OMM_VERS = 2.0\n" + "".join(f"{key} = {value}\n" for key, value in each.items())
        for each in messages
    )


FORMS: dict[str, Callable[..., str]] = {
    "json": lambda *messages: json.dumps(messages),
    "csv": as_csv,
    "xml": as_xml,
    "keywords": as_keywords,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_message_is_the_same_orbit_in_every_form(form: str) -> None:
    other = ISS | {"OBJECT_NAME": "NEW, ONE", "NORAD_CAT_ID": 799_500_001}
    found = parse("\n" + FORMS[form](ISS, other))

    assert found == parse(json.dumps([ISS, other]))
    first, second = found
    assert isinstance(first, OmmOrbit)
    assert isinstance(second, OmmOrbit)
    assert (first.name, first.number, first.turns_per_day) == ("ISS (ZARYA)", 25544, 15.51043222)
    assert (second.name, second.number) == ("NEW, ONE", 799_500_001)
    assert first.elements_at == datetime(2024, 5, 9, 8, 48, 19, 938816, tzinfo=UTC)


@given(
    st.floats(0, 180),
    st.lists(st.floats(0, 359.9), min_size=3, max_size=3),
    st.floats(1, 15.5),
    st.floats(-1e-3, 1e-3),
)
def test_a_message_and_two_lines_of_one_orbit_are_at_one_place(
    inclination: float, angles: list[float], turns: float, drag: float
) -> None:
    node, perigee, anomaly = angles
    exponent = f"{abs(drag) * 1e3:.5f}".removeprefix("0.").removeprefix("1.")[:5]
    sign = "-" if drag < 0 else " "
    first = LINE1.replace(" 22393-3", f"{sign}{exponent}-2")
    second = (
        f"2 25544 {inclination:8.4f} {node:8.4f} 0002251 {perigee:8.4f} {anomaly:8.4f} "
        f"{turns:11.8f}521591"
    )
    tle = TleOrbit("iss", resummed(first), resummed(second))
    (message,) = parse(json.dumps(export_omm(tle.satrec(), "iss")))
    assert isinstance(message, OmmOrbit)
    times_s = np.array([0.0, 5_000.0, DAY_S])
    at_km = [Constellation((each,), tle.elements_at).teme_km(times_s) for each in (tle, message)]
    assert np.allclose(at_km[0], at_km[1], rtol=0, atol=0.01)  # epochs are told to a microsecond


def test_instants_of_messages_may_be_written_as_the_standard_allows() -> None:
    for text in ("2024-05-09T08:48:19.5", "2024-130T08:48:19.5", "2024-05-09T08:48:19.500000Z"):
        (orbit,) = parse(json.dumps(ISS | {"EPOCH": text}))
        assert isinstance(orbit, OmmOrbit)
        assert orbit.elements_at == datetime(2024, 5, 9, 8, 48, 19, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"ECCENTRICITY": "0,0003"}, "ISS (ZARYA) ECCENTRICITY: must be a number"),
        ({"MEAN_MOTION": None}, "ISS (ZARYA): lacks MEAN_MOTION"),
        ({"BSTAR": "NaN"}, "BSTAR: must be a number"),
        ({"EPOCH": "2024-99-99T00:00:00"}, "EPOCH: must be an instant"),
        ({"EPOCH": "2024-001"}, "EPOCH: must be an instant"),
        ({"NORAD_CAT_ID": "9" * 5_000}, "NORAD_CAT_ID: must have up to nine digits"),
        ({"INCLINATION": 197.0}, "inclination_deg: must lie between 0 and 180"),
        ({"MEAN_MOTION": True}, "MEAN_MOTION: must be a number"),
    ],
)
def test_a_damaged_message_is_refused_in_a_line(message: dict[str, Any], words: str) -> None:
    with pytest.raises(OrbitError) as caught:
        parse(json.dumps([ISS | message]))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "text",
    [
        "[", "[" * 100_000, "[1]", "<", "<ndm><omm><segment/></omm></ndm>", "A,MEAN_MOTION\n1\n",
        '<!DOCTYPE x [<!ENTITY a "b">]><ndm/>', "CCSDS_OMM_VERS = 2.0\nEPOCH\n",
        "x" * 1_000_000, "1 " * 1_000_000, json.dumps([ISS])[:-9], "\0", 'A,"MEAN_MOTION\n',
        '<?xml version="1.0" encoding="AUTF-8"?><ndm/>', as_xml(ISS).replace("UTF-8", "rot13"),
        "Satellite: AO-10\nCatalog number: 14129\nEpoch time: 99001.5\n",
    ],
)  # fmt: skip
def test_whatever_is_no_file_of_orbits_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(OrbitError) as caught:
        select(text, EPOCH, DAY_S)
    assert len(str(caught.value)) < 400


@given(st.text(max_size=200), st.integers(0, 200))
def test_no_text_ends_in_anything_but_orbits_or_a_refusal(text: str, at: int) -> None:
    for whole in (json.dumps([ISS]), as_csv(ISS), as_xml(ISS), as_keywords(ISS), ISS_LINES):
        for broken in (text, whole[:at] + text + whole[at:]):
            with suppress(OrbitError):
                parse(broken)


# Two-line elements


def test_two_lines_may_be_indented_and_stand_in_a_bulletin() -> None:
    bulletin = f"""
SB KEPS @ AMSAT $ORB24129.N
2Line Orbital Elements 24129.AMSAT
HR AMSAT ORBITAL ELEMENTS FOR AMATEUR SATELLITES IN NASA FORMAT
FROM WA5QGD FORT WORTH,TX May 9, 2024
BID: $ORB-129.N
TO ALL RADIO AMATEURS BT

DECODE 2-LINE ELSETS WITH THE FOLLOWING KEY:
1 AAAAAU 00  0  0 BBBBB.BBBBBBBB  .CCCCCCCC  00000-0  00000-0 0 DDDZ
2 AAAAA EEE.EEEE FFF.FFFF GGGGGGG HHH.HHHH III.IIII JJ.JJJJJJJJKKKKKZ
KEY: A-CATALOGNUM B-EPOCHTIME C-DECAY D-ELSETNUM E-INCLINATION F-RAAN
G-ECCENTRICITY H-ARGPERIGEE I-MNANOM J-MNMOTION K-ORBITNUM Z-CHECKSUM

AO-7
{lines("07530")}
ISS
{lines()}
/EX
"""
    assert names(bulletin) == ["AO-7", "ISS"]
    assert names(bulletin.replace("\n", "\n\t  ").replace("\n", "\r\n")) == ["AO-7", "ISS"]


def test_numbers_above_99_999_are_those_of_alpha_5() -> None:
    assert names(lines("A0001") + lines("Z9999")) == ["100001", "339999"]


def test_satellites_of_one_name_are_told_apart_by_their_numbers() -> None:
    text = "".join(f"DEB\n{lines(number)}" for number in ("00005", "B1234")) + f"ISS\n{lines()}"
    assert names(text) == ["DEB (5)", "DEB (111234)", "ISS"]


def test_of_several_sets_of_one_object_the_nearest_to_the_epoch_is_taken_and_others_told() -> None:
    texts = [lines(day=f"24{day}.00000000") for day in ("125", "131", "140")]
    found = select("".join(texts), EPOCH, DAY_S)
    assert [f"{each.elements_at:%j}" for each in found.orbits] == ["131"]
    assert found.left_out == (
        "25544: is given again, of 2024-05-04 00:00",
        "25544: is given again, of 2024-05-19 00:00",
    )
    assert len(select(texts[0] * 3, EPOCH, DAY_S).left_out) == 2


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (lines("00001", turns=" 0.37811740"), "turns a day: must lie between"),
        (lines("00001", eccentricity="9050047"), "come down to"),
        (lines("00001", day="24050.66691461"), "is 79 days from the elements of ODD"),
        (lines("00001", drag=" 99999+1"), "ODD: has no position"),
        (lines("00001").replace("-3 0  999", "-3 4  999"), "ephemeris type 4"),
    ],
)
def test_objects_that_are_not_emulated_are_left_out_and_told(odd: str, why: str) -> None:
    odd = "".join(resummed(line) + "\n" for line in odd.splitlines())
    found = select(f"ODD\n{odd}ISS\n{lines()}", EPOCH, 20 * DAY_S)

    assert [each.name for each in found.orbits] == ["ISS"]
    (told,) = found.left_out
    assert why in told
    assert told in found.sentence("active.txt", EPOCH)
    with pytest.raises(OrbitError, match=why):
        select(f"ODD\n{odd}", EPOCH, 20 * DAY_S)


def test_messages_for_another_theory_or_center_are_left_out_and_told() -> None:
    others = [
        {"MEAN_ELEMENT_THEORY": "DSST"}, {"CENTER_NAME": "MARS"}, {"TIME_SYSTEM": "TAI"},
        {"REF_FRAME": "EME2000"}, {"EPHEMERIS_TYPE": 4},
    ]  # fmt: skip
    messages = [ISS | each | {"NORAD_CAT_ID": number} for number, each in enumerate(others)]
    found = select(json.dumps([ISS, *messages]), EPOCH, DAY_S)
    assert len(found.orbits) == 1
    assert len(found.left_out) == 5


def test_elements_that_diverge_are_told_from_those_that_do_not() -> None:
    """Negative drag has a satellite climb: within days SGP4 has it where no such ellipse reaches."""
    wild = lines("00001", drag="-99999+0")
    found = select(f"WILD\n{wild}ISS\n{lines()}", EPOCH, 20 * DAY_S)
    assert [each.name for each in found.orbits] == ["ISS"]
    assert "WILD: diverges" in found.left_out[0] or "WILD: has no position" in found.left_out[0]


def test_a_damaged_line_is_refused_whatever_else_there_is() -> None:
    broken = lines().replace("15.501", "15.601")
    for text in (f"A\n{broken}B\n{lines('00001')}", f"A\nB\n{lines()}", f"{lines()}A\n", LINE2):
        with pytest.raises(OrbitError):
            parse(text)


def test_a_sentence_names_only_some_of_many() -> None:
    odd = "".join(lines(f"{number:05}", turns=" 0.37811740") for number in range(1, 500))
    sentence = select(lines() + odd, EPOCH, DAY_S).sentence("all.tle", EPOCH)
    assert "left out 499: " in sentence
    assert "and 489 more" in sentence
    assert len(sentence) < 1_500


def test_what_from_tle_returns_has_no_room_for_what_is_not_emulated() -> None:
    assert from_tle(lines(), EPOCH).names == ("25544",)
    with pytest.raises(OrbitError, match="turns a day"):
        from_tle(lines() + lines("00001", turns=" 0.37811740"), EPOCH)


def test_written_out_messages_are_checked_like_those_of_a_file(
    write_experiment: Callable[..., Path],
) -> None:
    orbits = read(str(CASES / "48-omm-json.experiment.yaml")).experiment.satellite.orbits
    assert orbits is not None
    assert orbits.elements is not None
    assert orbits.elements[0].omm is not None
    fields = orbits.elements[0].model_dump(mode="json", exclude_none=True)

    def refusal(element: dict[str, Any]) -> str:
        path = write_experiment(
            network__topology="nobel-us",
            demand__requests={"avatar": 2},
            satellite__orbits={"elements": [element], "epoch": (EPOCH + timedelta(1)).isoformat()},
        )
        with pytest.raises(ExperimentError) as caught:
            read(str(path))
        return str(caught.value)

    assert "needs line1 and line2, or omm" in refusal(fields | {"line1": LINE1})
    assert "needs line1 and line2, or omm" in refusal({"name": "ISS"})
    wrong = yaml.safe_load(yaml.safe_dump(fields))
    wrong["omm"]["inclination"] = 200
    assert "inclination_deg: must lie between 0 and 180" in refusal(wrong)
