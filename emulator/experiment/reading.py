"""Reading experiment files: from YAML to a checked experiment, every mistake named in one line.

An experiment comes from a file or from a built-in name.  What `read` returns can be planned and run;
unknown fields, wrong types and impossible values are refused with file, field and what would be right.

A history of demand and a file of orbits are read once: what `read` returns holds the fitted law or the
frequencies, and the elements, in their place, so that an experiment that is written down again needs
neither file.  A weather file is named by its way from here instead; a run folder holds a copy.
"""

from __future__ import annotations

import copy
import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import BaseModel, ValidationError

from emulator.experiment.changing import ChangeError, change
from emulator.experiment.config import Experiment
from emulator.experiment.demand_config import (
    MOST_UNITS,
    Demand,
    Distribution,
    Fit,
    FittedFrom,
    History,
)
from emulator.experiment.fiber_config import LinkKind
from emulator.experiment.topology import BUILT_IN_NAMES, Topology, TopologyError, load
from emulator.experiment.wording import mistakes
from emulator.input_checks import ParameterError
from emulator.parts.daytime import hour_faults
from emulator.parts.fiber_links import equip
from emulator.parts.flights import flight_faults
from emulator.parts.schedule_check import schedule_faults
from emulator.parts.schedule_draw import drawn
from emulator.parts.skies import weather_faults
from emulator.world.orbits import OrbitError
from global_manager.provisioning import demand as laws

BUILT_IN_FOLDER = Path(__file__).parent / "experiments"


class Fault(BaseModel):
    """One mistake in an input: where, and what would be right."""

    field: str
    message: str


class ExperimentError(Exception):
    """An experiment file cannot be used; one fault a mistake."""

    def __init__(self, file: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(file, faults)
        self.file, self.faults = file, faults

    def __str__(self) -> str:
        return "\n".join(f"{self.file}: {fault.field}: {fault.message}" for fault in self.faults)


def built_in_names() -> list[str]:
    """Return the names of the built-in experiments."""
    return sorted(path.stem for path in BUILT_IN_FOLDER.glob("*.yaml"))


def read(
    source: str, seed: int | None = None, changes: Mapping[str, Any] | None = None
) -> tuple[Experiment, Topology]:
    """Return the experiment of a file or built-in name, and its network.

    `seed` replaces the seed of the file, `changes` fields by their dotted ways.  Raises `ExperimentError`.
    """
    path, fields = fields_of(source)
    fields = _changed(path, fields, changes or {})
    if seed is not None:
        fields["seed"] = seed
    try:
        experiment = Experiment.model_validate(fields)
    except ValidationError as error:
        faults = [Fault(field=field, message=message) for field, message in mistakes(error)]
        raise ExperimentError(str(path), tuple(faults)) from error
    experiment = _with_tle_read(_with_history_read(experiment, path), path)
    experiment = _with_replay_found(experiment, path)
    topology = _topology(experiment, path)
    faults = [
        *_scenario_faults(experiment.demand),
        *_request_faults(experiment, topology),
        *_time_faults(experiment, topology),
    ]
    faults += _kind_faults(topology) or _link_faults(experiment, topology)
    faults += _use_faults(experiment)
    faults += _site_faults(experiment, topology)
    faults += _orbit_faults(experiment)
    found = [
        *weather_faults(experiment, topology),
        *schedule_faults(experiment, topology),
        *flight_faults(experiment, topology),
        *hour_faults(experiment),
    ]
    faults += [Fault(field=field, message=message) for field, message in found]
    if faults:
        raise ExperimentError(str(path), tuple(faults))
    return drawn(experiment, topology), topology


def fields_of(source: str) -> tuple[Path, dict[str, Any]]:
    """Return the file that is meant, and what it says, unchecked.  Raises `ExperimentError`."""
    path = _path(source)
    return path, _yaml(path)


def schema() -> dict[str, Any]:
    """Return the JSON schema of experiment files."""
    return Experiment.model_json_schema()


def lead_windows(topology: Topology) -> int:
    """Return the windows between the making of keys and the period that may use them.

    Enough for a key to cross every node of the network once, and to be confirmed.
    """
    return min(len(topology.nodes), 40) + 4


def _path(source: str) -> Path:
    if source in built_in_names():
        return BUILT_IN_FOLDER / f"{source}.yaml"
    path = Path(source)
    if not path.is_file():
        known = ", ".join(built_in_names())
        message = f"no such file, nor a built-in experiment; built-in are {known}"
        raise ExperimentError(source, (Fault(field="experiment", message=message),))
    return path


def _yaml(path: Path) -> dict[str, Any]:
    try:
        fields = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        fault = Fault(field="file", message=f"is not readable YAML: {words}")
        raise ExperimentError(str(path), (fault,)) from error
    if not isinstance(fields, dict):
        fault = Fault(field="file", message="must be a mapping of fields; see `qsagin schema`")
        raise ExperimentError(str(path), (fault,))
    return fields


def _changed(path: Path, fields: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    for way, value in changes.items():
        try:
            change(fields, way, copy.deepcopy(value))
        except ChangeError as error:
            raise ExperimentError(str(path), (Fault(field=way, message=error.problem),)) from error
    return fields


def _topology(experiment: Experiment, path: Path) -> Topology:
    name = experiment.network.topology
    source = name if name in BUILT_IN_NAMES else str(path.parent / name)
    try:
        return load(source, experiment.network.link_km)
    except TopologyError as error:
        fault = Fault(field="network.topology", message=str(error))
        raise ExperimentError(str(path), (fault,)) from error


def _with_replay_found(experiment: Experiment, path: Path) -> Experiment:
    """Return the experiment with the way to its weather file from here."""
    replay = experiment.weather.replay
    if replay is None:
        return experiment
    changed = experiment.weather.model_copy(update={"replay": str(path.parent / replay)})
    return experiment.model_copy(update={"weather": changed})


def _with_history_read(experiment: Experiment, path: Path) -> Experiment:
    """Return the experiment with what its history says in place of the history."""
    demand = experiment.demand
    history = demand.distribution.history
    if history is None:
        return experiment
    counts = _seen(path, history.file)
    try:
        distribution = _distribution(history, counts)
    except laws.DemandError as error:
        raise _history_error(path, str(error)) from error
    changed = demand.model_copy(update={"distribution": distribution})
    return experiment.model_copy(update={"demand": changed})


def _distribution(history: History, counts: Counter[int]) -> Distribution:
    source: dict[str, Any] = {"file": history.file, "periods": counts.total()}
    law: dict[str, Any]
    if history.fit is Fit.EMPIRICAL:
        law = {"empirical": {"counts": dict(sorted(counts.items()))}}
    else:
        wanted = None if history.fit is Fit.BEST else laws.Law(history.fit.value)
        fitted = laws.fit(counts, wanted)
        law = {"poisson": {"mean_units": fitted.mean_units}}
        if fitted.law is laws.Law.NEGATIVE_BINOMIAL:
            parameters = {"mean_units": fitted.mean_units, "variance": fitted.variance_units2}
            law = {"negative-binomial": parameters}
        names = FittedFrom.model_fields.keys() - source.keys()
        source |= {name: getattr(fitted, name) for name in names}
    return Distribution.model_validate({**law, "fitted_from": source})


def _seen(path: Path, file: str) -> Counter[int]:
    """Return in how many periods of a history file each number of units was needed."""
    try:
        text = (path.parent / file).read_text(encoding="utf-8-sig")
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    except (OSError, ValueError, csv.Error) as error:
        words = " ".join(str(error).split())
        raise _history_error(path, f"{file} is not a readable CSV file: {words}") from error
    if not rows or rows[0] != ["units"]:
        found = ",".join(rows[0])[:40] if rows else ""
        problem = f"{file}: row 1 must be the header `units`, one column only, not `{found}`"
        raise _history_error(path, problem)
    cells = [(number, ",".join(row)) for number, row in enumerate(rows[1:], 2) if any(row)]
    wrong = [f"row {number} (`{cell[:20]}`)" for number, cell in cells if not _is_units(cell)]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        right = f"must be whole units from 0 to {MOST_UNITS}"
        raise _history_error(path, f"{file}: {', '.join(wrong[:10])}{more} {right}")
    if not cells:
        raise _history_error(path, f"{file} has no rows; write one row a period")
    return Counter(int(cell) for _, cell in cells)


def _is_units(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) <= 20 and int(cell) <= MOST_UNITS


def _history_error(path: Path, problem: str) -> ExperimentError:
    fault = Fault(field="demand.distribution.history", message=problem)
    return ExperimentError(str(path), (fault,))


def _with_tle_read(experiment: Experiment, path: Path) -> Experiment:
    """Return the experiment with the elements of its TLE file in place of the file."""
    orbits = experiment.satellite.orbits
    if orbits is None or orbits.tle is None:
        return experiment
    try:
        text = (path.parent / orbits.tle).read_text(encoding="utf-8-sig")
        satellite = experiment.satellite.model_copy(update={"orbits": orbits.with_elements(text)})
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split())
        if isinstance(error, OSError | UnicodeDecodeError):
            words = f"cannot be read ({words}); give a file of two-line elements"
        fault = Fault(field="satellite.orbits.tle", message=f"{orbits.tle}: {words}")
        raise ExperimentError(str(path), (fault,)) from error
    return experiment.model_copy(update={"satellite": satellite})


def _scenario_faults(demand: Demand) -> list[Fault]:
    try:
        demand.distribution.scenarios(demand.scenarios)
    except laws.DemandParameterError as error:  # all demand that was seen is cut off
        message = f"must be {error.right}, not {error.value:g}"
        return [Fault(field="demand.scenarios", message=message)]
    return []


def _request_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    requests, names = experiment.demand.requests, {node.name for node in topology.nodes}
    if isinstance(requests, dict):
        if sum(requests.values()) == 0:
            return [Fault(field="demand.requests", message="at least one request is needed")]
        return []
    faults, seen = [], set()
    for place, item in enumerate(requests):
        field = f"demand.requests.{place}"
        if item.id in seen:
            faults.append(Fault(field=f"{field}.id", message=f"{item.id} is used twice"))
        seen.add(item.id)
        for end, node in (("source", item.source), ("target", item.target)):
            if node not in names:
                faults.append(
                    Fault(field=f"{field}.{end}", message=f"no node {node} in the network")
                )
        if item.source == item.target:
            faults.append(Fault(field=f"{field}.target", message="must differ from the source"))
    if not requests:
        faults.append(Fault(field="demand.requests", message="at least one request is needed"))
    return faults


def _kind_faults(topology: Topology) -> list[Fault]:
    right = ", ".join(LinkKind)
    return [
        Fault(
            field="network.topology",
            message=f"link {link.a}-{link.b}: kind must be one of {right}, not {link.kind}",
        )
        for link in topology.links
        if link.kind and link.kind not in list(LinkKind)
    ]


def _link_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    """Check what the fiber section says of single links, and that their devices can do it."""
    links = {frozenset((link.a, link.b)): link for link in topology.links}
    faults, seen = [], set()
    for place, item in enumerate(experiment.fiber.links):
        field, ends = f"fiber.links.{place}", frozenset(item.link)
        if ends not in links:
            message = f"no link {'-'.join(item.link)} in the network"
            faults.append(Fault(field=f"{field}.link", message=message))
            continue
        if ends in seen:
            faults.append(Fault(field=f"{field}.link", message="is named before; keep one"))
        seen.add(ends)
        try:
            equip(experiment.fiber, links[ends], item)
        except ParameterError as error:
            faults.append(Fault(field=f"{field}.parameters", message=str(error)))
    return faults


def _use_faults(experiment: Experiment) -> list[Fault]:
    requests = experiment.demand.requests
    classes = (
        set(requests) if isinstance(requests, dict) else {item.application for item in requests}
    )
    faults = []
    for name, use in experiment.applications.items():
        problem = use.problem(experiment.keys.unit_bits, experiment.demand.period_s)
        if name not in classes:
            problem = f"no request is of this class; there are {', '.join(sorted(classes))}"
        if problem:
            faults.append(Fault(field=f"applications.{name}", message=problem))
    return faults


def _site_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    faults = []
    lost = [node.name for node in topology.nodes if node.lat_deg is None]
    if experiment.satellite.orbits is not None and lost:
        message = (
            f"needs coordinates (lat, lon) of every node; there are none of {', '.join(lost[:5])}"
        )
        faults.append(Fault(field="satellite.orbits", message=message))
    return faults


def _orbit_faults(experiment: Experiment) -> list[Fault]:
    """Return whose elements come down before the end."""
    orbits, demand = experiment.satellite.orbits, experiment.demand
    if orbits is None or orbits.elements is None:
        return []
    end_s = (demand.periods + 2) * demand.period_s + orbits.max_wait_s
    try:
        orbits.constellation().teme_km(np.arange(0.0, end_s, 3600.0))
    except OrbitError as error:
        return [Fault(field="satellite.orbits.elements", message=str(error))]
    return []


def _time_faults(experiment: Experiment, topology: Topology) -> list[Fault]:
    window_s, period_s = experiment.clock.window_s, experiment.demand.period_s
    lead = lead_windows(topology)
    faults = []
    if period_s / window_s < lead + 2:
        message = (
            f"a period must hold at least {lead + 2} windows here, so at most "
            f"{period_s / (lead + 2):g} s"
        )
        faults.append(Fault(field="clock.window_s", message=message))
    lifetime_s = experiment.keys.lifetime_s
    if lifetime_s is not None and lifetime_s <= lead * window_s:
        message = (
            f"must be more than {lead * window_s:g} s here, or keys are gone before the period "
            "that they are made for"
        )
        faults.append(Fault(field="keys.lifetime_s", message=message))
    return faults
