"""Experiment files: reading one into a checked setup, replacing its fields, and writing it down again.

An experiment comes from a file or from a built-in name.  What `read` returns can be planned and run;
unknown fields, wrong types and impossible values are refused with file, field and what would be right.
All mistakes are told at once: what is sound is checked although something else is not.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emulator.build.access import ASKED, with_asked_found
from emulator.build.data_files import (
    DataFileError,
    with_demand_found,
    with_history_read,
    with_orbits_read,
    with_past_read,
    with_weather_found,
)
from emulator.build.schedule import drawn
from emulator.build.setup import Setup
from emulator.build.snmp_users import with_snmp_secrets_found
from emulator.build.validation import check
from emulator.build.yaml_text import dump_yaml, read_yaml
from emulator.config import experiment as config
from emulator.config.demand import Distribution
from emulator.config.error_messages import Mistake, mistakes
from emulator.config.experiment import Experiment
from emulator.config.topology import (
    BUILT_IN_NAMES,
    ReadingOptions,
    Topology,
    TopologyError,
    load,
    save_csv,
)
from emulator.input_checks import BadInputError, InputFileError, is_file, one_line, shown_name
from emulator.store.files import EXPERIMENT

BUILT_IN_FOLDER = Path(config.__file__).parent / "experiments"

_NO_TOPOLOGY = Topology("", "", (), ())  # stands in for one that cannot be read
_REQUIRED = {"name": "unnamed", "network": {"topology": ""}, "demand": {"requests": {}}}
_READ_OF_FILE = ("link_km", *ReadingOptions.__annotations__)  # a copy of the network needs none
_DATA_FILES = (
    with_history_read,
    with_past_read,
    with_orbits_read,
    with_demand_found,
    with_weather_found,
    with_asked_found,
    with_snmp_secrets_found,
)


class ExperimentError(BadInputError):
    """An experiment file cannot be used, because of these mistakes."""

    def __init__(self, file: str, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__(file, mistakes)
        self.file, self.mistakes = file, mistakes

    def __str__(self) -> str:
        return "\n".join(
            one_line(f"{self.file}: {item.field}: {item.message}") for item in self.mistakes
        )


class ChangeError(Exception):
    """A way leads nowhere."""

    def __init__(self, way: str, problem: str) -> None:
        super().__init__(way, problem)
        self.way, self.problem = way, problem

    def __str__(self) -> str:
        return f"{self.way}: {self.problem}"


@dataclass(frozen=True)
class Origin:
    """Where an experiment comes from: a file or built-in name, or what such a file (`fields`) would say.

    `changes` are fields by their dotted names.
    """

    source: str
    fields: Mapping[str, Any] | None = field(default=None, hash=False)
    changes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def changed(self, changes: Mapping[str, Any]) -> Origin:
        """Return another origin, with these changes besides."""
        return replace(self, changes={**self.changes, **changes})

    def read(self) -> Setup:
        """Return the experiment on its network.  Raises `ExperimentError`."""
        if self.fields is None:
            return read(self.source, changes=self.changes)
        return _checked(Path(self.source), copy.deepcopy(dict(self.fields)), self.changes)


def built_in_names() -> list[str]:
    """Return the names of the built-in experiments."""
    return sorted(path.stem for path in BUILT_IN_FOLDER.glob("*.yaml"))


def read(source: str, seed: int | None = None, changes: Mapping[str, Any] | None = None) -> Setup:
    """Return the experiment of a file or built-in name, on its network.

    `seed` replaces the seed of the file, `changes` fields by their dotted names.  Raises `ExperimentError`.
    """
    path, fields = fields_of(source)
    if seed is not None:
        changes = {**(changes or {}), "seed": seed}
    return _checked(path, fields, changes or {})


def _checked(path: Path, fields: dict[str, Any], changes: Mapping[str, Any]) -> Setup:
    found = _changed(fields, changes)
    experiment, wrong = _typed(fields)
    found += wrong
    if experiment is None:
        raise ExperimentError(str(path), tuple(found))
    for with_data in _DATA_FILES:
        try:
            experiment = with_data(experiment, path.parent)
        except DataFileError as error:
            found.append(Mistake(field=error.field, message=error.problem))
    topology = _NO_TOPOLOGY
    try:
        topology = _topology(experiment, path, _broken(found))
    except TopologyError as error:
        found.append(Mistake(field="network.topology", message=str(error)))
    setup = Setup(experiment, topology)
    found += check(setup, _broken(found))
    if found:
        raise ExperimentError(str(path), tuple(found))
    return drawn(setup)


def fields_of(source: str) -> tuple[Path, dict[str, Any]]:
    """Return the file that is meant, and what it says, unchecked.  Raises `ExperimentError`."""
    path = _path(source)
    return path, _yaml(path)


def schema() -> dict[str, Any]:
    """Return the JSON schema of experiment files."""
    return Experiment.model_json_schema()


def change(fields: dict[str, Any], way: str, value: Any) -> None:
    """Put a value in its place; sections on the way that are left out are made.  Raises `ChangeError`.

    Elements of a list are named by number, from 0.  Whether the field exists is not known here.
    """
    *heads, last = way.split(".")
    section: Any = fields
    for index, head in enumerate(heads, 1):
        key = _key(section, head, way)
        if isinstance(section, dict) and section.get(key) is None:
            section[key] = {}
        section = section[key]
        if not isinstance(section, dict | list):
            raise ChangeError(way, f"{'.'.join(heads[:index])} is {section!r}, which has no fields")
    section[_key(section, last, way)] = value


def write(setup: Setup, folder: Path) -> Path:
    """Write an experiment into a folder, and copies of the files that it names; return its file.

    Whoever reads it gets the same setup.
    """
    experiment = setup.experiment
    fields = experiment.model_dump(mode="json", by_alias=True)  # null may say "no limit"
    fields["demand"]["distribution"] = _written(experiment.demand.distribution)
    laws = experiment.demand.laws
    fields["demand"]["laws"] = {kind: _written(law) for kind, law in laws.items()}
    for name in ("joint", "trace"):
        if fields["demand"][name] is not None:
            copy = shutil.copy(fields["demand"][name], folder / f"{name}.csv")
            fields["demand"][name] = Path(copy).name
    if fields["network"]["topology"] not in BUILT_IN_NAMES:
        fields["network"]["topology"] = save_csv(setup.topology, folder / "network.csv").name
        for name in _READ_OF_FILE:
            fields["network"].pop(name)
    if experiment.weather.replay is not None:
        copy = shutil.copy(experiment.weather.replay, folder / "weather.csv")
        fields["weather"]["replay"] = Path(copy).name
    if experiment.access is not None:
        asked = experiment.access.asked
        (folder / ASKED).write_bytes(Path(asked).read_bytes() if asked else b"")
        fields["access"]["asked"] = ASKED
    path = folder / EXPERIMENT
    path.write_text(dump_yaml(fields), encoding="utf-8")
    return path


def _written(law: Distribution) -> dict[str, Any]:
    return law.model_dump(mode="json", by_alias=True, exclude_none=True)


def _path(source: str) -> Path:
    if source in built_in_names():
        return BUILT_IN_FOLDER / f"{source}.yaml"
    path = Path(source)
    if not is_file(path):
        known = ", ".join(built_in_names())
        message = f"no such file, nor a built-in experiment; built-in are {known}"
        raise ExperimentError(shown_name(path), (Mistake(field="experiment", message=message),))
    return path


def _yaml(path: Path) -> dict[str, Any]:
    try:
        fields = read_yaml(path)
    except InputFileError as error:
        mistake = Mistake(field=error.field, message=error.problem)
        raise ExperimentError(str(path), (mistake,)) from error
    if not isinstance(fields, dict):
        mistake = Mistake(field="file", message="must be a mapping of fields; see `qsagin schema`")
        raise ExperimentError(str(path), (mistake,))
    return fields


def _changed(fields: dict[str, Any], changes: Mapping[str, Any]) -> list[Mistake]:
    """Make the changes that can be made; return what is wrong with the others."""
    found = []
    for way, value in changes.items():
        try:
            change(fields, way, copy.deepcopy(value))
        except ChangeError as error:
            found.append(Mistake(field=way, message=error.problem))
    return found


def _typed(fields: dict[str, Any]) -> tuple[Experiment | None, list[Mistake]]:
    """Return the experiment as far as its fields are sound, and what is wrong with the others.

    Fields with a mistake are left out, or else their whole sections; if there is no telling which fields
    are meant there is no experiment.
    """
    try:
        return Experiment.model_validate(fields), []
    except ValidationError as error:
        found = list(mistakes(error))
    for depth in (2, 1):
        try:
            return Experiment.model_validate(_without(fields, _broken(found), depth)), found
        except ValidationError:
            continue
    return None, found


def _broken(found: Iterable[Mistake]) -> set[str]:
    """Return the fields of sections with mistakes; of a section that is a list, the section."""
    ways = (item.field.split(".")[:2] for item in found)
    return {way[0] if way[-1].isdigit() else ".".join(way) for way in ways}


def _without(fields: dict[str, Any], broken: Collection[str], depth: int) -> dict[str, Any]:
    """Return fields without broken ones, and with something in place of those that are required."""
    sound = copy.deepcopy(fields)
    for way in broken:
        *heads, last = way.split(".")[:depth]
        section = sound.get(heads[0]) if heads else sound
        if isinstance(section, dict):
            section.pop(last, None)
    for name, default in _REQUIRED.items():
        value = sound.setdefault(name, copy.deepcopy(default))
        if isinstance(value, dict) and isinstance(default, dict):
            sound[name] = default | value
    return sound


def _topology(experiment: Experiment, path: Path, broken: Collection[str]) -> Topology:
    """Return the network, as far as it can be told.  Raises `TopologyError`."""
    network = experiment.network
    if "network" in broken or "network.topology" in broken:
        return _NO_TOPOLOGY
    name, length_km = network.topology, network.link_km
    if any(f"network.{field}" in broken for field in ("link_km", "detour", "length", "least_km")):
        length_km = 1.0  # the file may rely on it; nobody reads what it says of lengths
    source = name if name in BUILT_IN_NAMES else str(path.parent / name)
    return load(source, length_km, network.reading_options)


def _key(section: dict[Any, Any] | list[Any], name: str, way: str) -> str | int:
    if isinstance(section, list):
        if not name.isdecimal() or int(name) >= len(section):
            right = f"a number from 0 to {len(section) - 1}" if section else "a whole list"
            raise ChangeError(way, f"there is a list; give {right}, not {name}")
        return int(name)
    return int(name) if name.isdecimal() and int(name) in section else name
