"""What an experiment's other files say: histories and futures of demand, orbits, recorded weather.

Histories and a file of orbits are read once: the experiment then holds fitted laws or frequencies, and the
elements, in their place, so that an experiment that is written down again needs none of these files.  Files
of weather, joint futures and traces are named by their path from here instead; a run folder holds copies.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from emulator.config.demand import (
    MOST_UNITS,
    Distribution,
    Fit,
    FittedFrom,
    History,
)
from emulator.config.demand_forecast import MOST_PAST
from emulator.config.experiment import Experiment
from emulator.input_checks import (
    BadInputError,
    InputFileError,
    is_file,
    number_in,
    read_table,
    read_text,
)
from global_manager.provisioning import demand as laws

_MOST_ORBIT_BYTES = 100_000_000  # all objects of the catalogue take 60 MB in the wordiest form


class DataFileError(Exception):
    """A file that an experiment names cannot be used."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field, self.problem = field, problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


def with_history_read(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with what its history says in place of the history.

    Raises `DataFileError`.
    """
    demand = experiment.demand
    read = {
        "distribution": _read("demand.distribution", demand.distribution, folder),
        "laws": {
            kind: _read(f"demand.laws.{kind}", law, folder) for kind, law in demand.laws.items()
        },
    }
    return experiment.model_copy(update={"demand": demand.model_copy(update=read)})


def with_past_read(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with what the history of its forecast says in place of the file.

    Raises `DataFileError`.
    """
    demand = experiment.demand
    if demand.forecast is None or demand.forecast.history is None:
        return experiment
    field, file = "demand.forecast.history", demand.forecast.history
    try:
        seen = read_history(folder, file)
    except HistoryFileError as error:
        raise DataFileError(field, str(error)) from error
    if len(seen) > MOST_PAST:
        problem = f"{file} has {len(seen):,} periods; give the latest {MOST_PAST:,}"
        raise DataFileError(field, problem)
    forecast = demand.forecast.model_copy(update={"history": None, "seen": list(seen)})
    changed = demand.model_copy(update={"forecast": forecast})
    return experiment.model_copy(update={"demand": changed})


def with_orbits_read(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with the elements of its file of orbits in place of the file.

    Raises `DataFileError`.
    """
    orbits, demand = experiment.satellite.orbits, experiment.demand
    if orbits is None or orbits.tle is None:
        return experiment
    end_s = (demand.periods + 2) * demand.period_s + orbits.max_wait_s
    try:
        text = read_text(folder / orbits.tle, _MOST_ORBIT_BYTES)
    except InputFileError as error:
        problem = f"{orbits.tle}: {error.problem}; give a file of two-line elements or OMM"
        raise DataFileError("satellite.orbits.tle", problem) from error
    try:
        read = orbits.with_elements(text, orbits.tle, end_s)
    except Exception as error:  # whatever a parser raises, the file is what is wrong
        words = " ".join(str(error).split()) or type(error).__name__
        raise DataFileError("satellite.orbits.tle", f"{orbits.tle}: {words}") from error
    satellite = experiment.satellite.model_copy(update={"orbits": read})
    return experiment.model_copy(update={"satellite": satellite})


def with_demand_found(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with the paths of its futures and trace of demand from here.

    Raises `DataFileError`.
    """
    found = {}
    for field in ("joint", "trace"):
        file = getattr(experiment.demand, field)
        if file is not None:
            found[field] = _found(f"demand.{field}", folder, file)
    demand = experiment.demand.model_copy(update=found)
    return experiment.model_copy(update={"demand": demand})


def with_weather_found(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with the path of its weather file from here.  Raises `DataFileError`."""
    replay = experiment.weather.replay
    if replay is None:
        return experiment
    path = _found("weather.replay", folder, replay)
    changed = experiment.weather.model_copy(update={"replay": path})
    return experiment.model_copy(update={"weather": changed})


def _found(field: str, folder: Path, file: str) -> str:
    if not is_file(folder / file):
        problem = f"{file}: file: cannot be read (no such file); give a CSV file"
        raise DataFileError(field, problem)
    return str(folder / file)


def _read(field: str, law: Distribution, folder: Path) -> Distribution:
    """Return a law with what its history says in place of the history."""
    history = law.history
    if history is None:
        return law
    try:
        return _distribution(history, Counter(read_history(folder, history.file)))
    except (laws.DemandError, HistoryFileError) as error:
        raise DataFileError(f"{field}.history", str(error)) from error


class HistoryFileError(BadInputError):
    """A history file cannot be used."""


def _distribution(history: History, counts: Counter[int]) -> Distribution:
    """Return the law that fits a history, or its frequencies where asked for or where no law fits."""
    source: dict[str, Any] = {"file": history.file, "periods": counts.total()}
    frequencies = {"empirical": {"counts": dict(sorted(counts.items()))}}
    if history.fit is Fit.EMPIRICAL:
        return Distribution.model_validate({**frequencies, "fitted_from": source})
    wanted = None if history.fit is Fit.BEST else laws.Law(history.fit.value)
    fitted = laws.fit(counts, wanted)
    names = FittedFrom.model_fields.keys() - source.keys()
    source |= {name: getattr(fitted, name) for name in names}
    if wanted is None and laws.is_rejected(fitted):
        return Distribution.model_validate({**frequencies, "fitted_from": source})
    law: dict[str, Any] = {"poisson": {"mean_units": fitted.mean_units}}
    if fitted.law is laws.Law.NEGATIVE_BINOMIAL:
        parameters = {"mean_units": fitted.mean_units, "variance": fitted.variance_units2}
        law = {"negative-binomial": parameters}
    return Distribution.model_validate({**law, "fitted_from": source})


def read_history(folder: Path, file: str) -> tuple[int, ...]:
    """Return the units of each period of a history file, the oldest first.  Raises HistoryFileError."""
    try:
        table = read_table(folder / file)
    except InputFileError as error:
        problem = f"{file} is not a readable CSV file: {error.field}: {error.problem}"
        raise HistoryFileError(problem) from error
    if table.header != ("units",):
        found = ",".join(table.header)[:40]
        problem = f"{file}: row 1 must be the header `units`, one column only, not `{found}`"
        raise HistoryFileError(problem)
    cells = [(number, ",".join(row)) for number, row in table.rows if any(row)]
    wrong = [f"row {number} (`{cell[:20]}`)" for number, cell in cells if _units(cell) is None]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        right = f"must be whole units from 0 to {MOST_UNITS}"
        raise HistoryFileError(f"{file}: {', '.join(wrong[:10])}{more} {right}")
    if not cells:
        raise HistoryFileError(f"{file} has no rows; write one row per period")
    return tuple(units for _, cell in cells if (units := _units(cell)) is not None)


def _units(cell: str) -> int | None:
    """Return the units that a cell says, which may be written as 3.0; None if they are none."""
    value = number_in(cell)
    if value is None or value % 1 or not 0 <= value <= MOST_UNITS or cell.startswith("-"):
        return None
    return int(value)
