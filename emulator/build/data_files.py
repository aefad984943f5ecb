"""What an experiment's other files say: a history of demand, orbits of satellites, recorded weather.

A history and a file of orbits are read once: the experiment then holds the fitted law or the frequencies,
and the elements, in their place, so that an experiment that is written down again needs neither file.  A
weather file is named by its path from here instead; a run folder holds a copy.
"""

from __future__ import annotations

import csv
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
from emulator.config.experiment import Experiment
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
    history = demand.distribution.history
    if history is None:
        return experiment
    counts = _seen(folder, history.file)
    try:
        distribution = _distribution(history, counts)
    except laws.DemandError as error:
        raise _history_error(str(error)) from error
    changed = demand.model_copy(update={"distribution": distribution})
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
        text = _orbit_text(folder / orbits.tle)
        read = orbits.with_elements(text, orbits.tle, end_s)
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split())
        if isinstance(error, OSError | UnicodeDecodeError):
            words = f"cannot be read ({words}); give a file of two-line elements or OMM"
        raise DataFileError("satellite.orbits.tle", f"{orbits.tle}: {words}") from error
    satellite = experiment.satellite.model_copy(update={"orbits": read})
    return experiment.model_copy(update={"satellite": satellite})


def _orbit_text(path: Path) -> str:
    """Return the text of a file of orbits.  Raises `OSError` or `ValueError`."""
    if path.exists() and not path.is_file():
        raise OSError("not a file")
    with path.open("rb") as file:
        data = file.read(_MOST_ORBIT_BYTES + 1)
    if len(data) > _MOST_ORBIT_BYTES:
        raise OSError(f"more than {_MOST_ORBIT_BYTES:,} bytes")
    return data.decode("utf-8-sig")


def with_weather_found(experiment: Experiment, folder: Path) -> Experiment:
    """Return the experiment with the path of its weather file from here.  Raises `DataFileError`."""
    replay = experiment.weather.replay
    if replay is None:
        return experiment
    if not (folder / replay).is_file():
        problem = f"{replay}: file: cannot be read (no such file); give a CSV file"
        raise DataFileError("weather.replay", problem)
    changed = experiment.weather.model_copy(update={"replay": str(folder / replay)})
    return experiment.model_copy(update={"weather": changed})


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


def _seen(folder: Path, file: str) -> Counter[int]:
    """Return in how many periods of a history file each number of units was needed."""
    try:
        text = (folder / file).read_text(encoding="utf-8-sig")
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines())]
    except (OSError, ValueError, csv.Error) as error:
        words = " ".join(str(error).split())
        raise _history_error(f"{file} is not a readable CSV file: {words}") from error
    if not rows or rows[0] != ["units"]:
        found = ",".join(rows[0])[:40] if rows else ""
        problem = f"{file}: row 1 must be the header `units`, one column only, not `{found}`"
        raise _history_error(problem)
    cells = [(number, ",".join(row)) for number, row in enumerate(rows[1:], 2) if any(row)]
    wrong = [f"row {number} (`{cell[:20]}`)" for number, cell in cells if not _is_units(cell)]
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        right = f"must be whole units from 0 to {MOST_UNITS}"
        raise _history_error(f"{file}: {', '.join(wrong[:10])}{more} {right}")
    if not cells:
        raise _history_error(f"{file} has no rows; write one row per period")
    return Counter(int(cell) for _, cell in cells)


def _is_units(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) <= 20 and int(cell) <= MOST_UNITS


def _history_error(problem: str) -> DataFileError:
    return DataFileError("demand.distribution.history", problem)
