"""What a sweep varies: axes, each a field of the experiment with its values, and seeds.

A grid comes from a sweep file, or from an experiment and the options of the command line, which replace
what the file says.  Its points are all combinations, in an order that never changes, each with a name
made of its values.  Every point is checked as `qsagin check` does before anything is written.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from emulator.build import loading
from emulator.build.loading import ExperimentError
from emulator.build.setup import Setup
from emulator.build.yaml_text import dump_yaml
from emulator.config.error_messages import Mistake, mistakes
from emulator.config.experiment import Experiment
from emulator.config.section import Section
from global_manager.provisioning.model import Policy

MOST_POINTS = 10_000
_LONGEST_NAME = 80


class _SweepFile(Section):
    """A sweep as its file has it."""

    experiment: str = Field(description="a built-in name, or a file relative to the sweep file")
    axes: dict[str, list[Any]] = Field(default={}, description="values by field")
    seeds: list[int] = Field(default=[], description="default: the seed of the experiment")


@dataclass(frozen=True)
class Point:
    """One experiment of a sweep: a value for each axis, by its field, and a seed."""

    number: int
    name: str
    values: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Grid:
    """All experiments of a sweep.  `experiment` is a built-in name, or a file as seen from here."""

    experiment: str
    axes: Mapping[str, tuple[Any, ...]]
    seeds: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many points there are."""
        return math.prod((len(self.seeds), *(len(values) for values in self.axes.values())))

    def points(self) -> list[Point]:
        """Return all combinations; seeds vary fastest."""
        labels = labels_of(self.axes)
        digits = len(str(self.size))
        found = []
        for number, (*values, seed) in enumerate(
            itertools.product(*self.axes.values(), self.seeds), 1
        ):
            words = [
                f"{labels[axis]}={shown(value)}"
                for axis, value in zip(self.axes, values, strict=True)
            ]
            name = "-".join([f"{number:0{digits}}", *words, f"seed={seed}"])
            name = re.sub(r"[^A-Za-z0-9.+=_-]+", "_", name)[:_LONGEST_NAME]
            found.append(Point(number, name, dict(zip(self.axes, values, strict=True)), seed))
        return found

    def text(self) -> str:
        """Return the sweep file of this grid."""
        fields = {
            "experiment": self.experiment,
            "axes": {axis: list(values) for axis, values in self.axes.items()},
            "seeds": list(self.seeds),
        }
        return dump_yaml(fields)


def labels_of(axes: Sequence[str] | Mapping[str, Any]) -> dict[str, str]:
    """Return a short name for each axis: as much of the end of its way as no other axis shares."""
    found = {}
    for axis in axes:
        parts = axis.split(".")
        tails = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        others = [f".{other}" for other in axes if other != axis]
        found[axis] = next(
            (tail for tail in tails if not any(other.endswith(f".{tail}") for other in others)),
            axis,
        )
    return found


def shown(value: Any) -> str:
    """Return a value in as few words as YAML needs."""
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=math.inf).split("\n...")[0].strip()


def grid_of(source: str, axes: Mapping[str, Sequence[Any]], seeds: Sequence[int] | None) -> Grid:
    """Return the grid of a sweep file or of an experiment, with these axes and seeds besides or instead.

    Raises `ExperimentError`.
    """
    path, fields = loading.fields_of(source)
    if "experiment" not in fields:
        is_built_in = source in loading.built_in_names()
        file = _SweepFile(experiment=source if is_built_in else str(path.resolve()))
    else:
        file = _sweep_file(path, fields)
    chosen = {axis: tuple(values) for axis, values in (dict(file.axes) | dict(axes)).items()}
    _check_axes(str(path), chosen)
    all_seeds = seeds or file.seeds or (_own_seed(file.experiment),)
    grid = Grid(file.experiment, chosen, tuple(all_seeds))
    if len(set(grid.seeds)) < len(grid.seeds):
        raise _error(str(path), "seeds", "must differ from each other")
    if grid.size > MOST_POINTS:
        problem = f"make {grid.size:,} points; a sweep has at most {MOST_POINTS:,}"
        raise _error(str(path), "axes", problem)
    return grid


def _own_seed(experiment: str) -> int:
    default = Experiment.model_fields["seed"].default
    seed: int = loading.fields_of(experiment)[1].get("seed", default)
    return seed


def experiments_of(grid: Grid) -> Iterator[tuple[Point, Setup]]:
    """Yield every point with its setup, each checked.

    Raises `ExperimentError` at the end, with each mistake once, and with the first point that has it.
    """
    wrong: dict[tuple[str, str, str], list[Point]] = {}
    points = grid.points()
    for point in points:
        try:
            setup = loading.read(grid.experiment, point.seed, point.values)
            if setup.experiment.plan.policy is Policy.DETERMINISTIC:
                problem = "deterministic is a bound for `plan` and `compare`; it cannot be run"
                raise _error(grid.experiment, "plan.policy", problem)
        except ExperimentError as error:
            for mistake in error.mistakes:
                wrong.setdefault((error.file, mistake.field, mistake.message), []).append(point)
            continue
        yield point, setup
    if wrong:
        found_anywhere = [
            Mistake(field=field, message=message + _where(found, points))
            for (_, field, message), found in wrong.items()
        ]
        raise ExperimentError(next(iter(wrong))[0], tuple(found_anywhere))


def _where(found: Sequence[Point], points: Sequence[Point]) -> str:
    if len(found) == len(points):
        return ""
    words = [f"{axis} {shown(value)}" for axis, value in found[0].values.items()]
    more = f", and {len(found) - 1} other points" if len(found) > 1 else ""
    return f" (with {', '.join([*words, f'seed {found[0].seed}'])}{more})"


def _sweep_file(path: Path, fields: Mapping[str, Any]) -> _SweepFile:
    try:
        file = _SweepFile.model_validate(fields)
    except ValidationError as error:
        raise ExperimentError(str(path), tuple(mistakes(error))) from error
    if file.experiment in loading.built_in_names():
        return file
    return file.model_copy(update={"experiment": str((path.parent / file.experiment).resolve())})


def _check_axes(file: str, axes: Mapping[str, tuple[Any, ...]]) -> None:
    for axis, values in axes.items():
        problem = ""
        if axis == "seed":
            problem = "is no axis; name seeds"
        elif not values:
            problem = "needs a value"
        elif len({shown(value) for value in values}) < len(values):
            problem = "must have values that differ from each other"
        if problem:
            raise _error(file, f"axes.{axis}", problem)


def _error(file: str, field: str, problem: str) -> ExperimentError:
    return ExperimentError(file, (Mistake(field=field, message=problem),))
