"""The multiple-choice program over whole paths, stated in PuLP: of each request's columns, take one.

`take_i` counts the members of a group that take column i, path p with exactly k wavelengths, which bring
y_p units each.

    minimise   sum_i (c_p k + Q(k y_p) - Q(0)) take_i
    path_uniqueness_g       sum_{i of group g} take_i  <= n_g    for every group g
    wavelength_capacity_e   sum_{i through e} k_i take_i <= W_e  for every fiber e

and rows like those of fibers for odd nodes and odd sets (`instance`, `cuts`).  Where the other
constraints of the paper are: *flow conservation* holds because a column's path is a walk from source to
target; *required number of wavelengths* because Q is the least cost of meeting demand; *wavelength
continuity* and *wavelength uniqueness* are for `assignment`, this program is their relaxation.

It is stated here once, for all who solve it: the master of column generation as a linear program to which
columns are added, rounding as one whose bounds move, and the selection in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pulp

from global_manager.provisioning.instance import Instance
from global_manager.provisioning.routing import Path


@dataclass(frozen=True)
class Column:
    """One way for a member of a group: `wavelengths` on `path` (group's direction).

    `resources` are the rows of capacity in which it counts (`Instance.occupies`).
    """

    group: int
    path: Path
    resources: tuple[int, ...]
    path_cost: int
    wavelengths: int
    saving: float
    units_per_wavelength: int = 1

    @property
    def units(self) -> int:
        """What the wavelengths bring together."""
        return self.wavelengths * self.units_per_wavelength


def make_column(instance: Instance, group: int, path: Path, wavelengths: int) -> Column:
    """Return the column of this group, path and number of wavelengths, with its saving."""
    return next(make_columns(instance, group, path, (wavelengths,)))


def make_columns(
    instance: Instance, group: int, path: Path, wavelengths: Iterable[int]
) -> Iterator[Column]:
    """Yield the columns of this group and path for several numbers of wavelengths."""
    cost, over, brings = (
        instance.path_cost(path),
        instance.occupies(path),
        instance.units_along(path),
    )
    nothing = instance.recourse_of(group, 0)
    for k in wavelengths:
        saving = nothing - instance.recourse_of(group, k * brings) - cost * k
        yield Column(group, path, over, cost, k, saving, brings)


def multiple_choice(instance: Instance, columns: Sequence[Column]) -> tuple[Any, list[Any]]:
    """Return the PuLP model and its variables, one per column.

    Row e is the e-th of `Instance.capacity`, the groups' rows follow (`occupied_rows`).
    """
    model = pulp.LpProblem("multiple_choice", pulp.LpMinimize)
    take = [
        model.add_variable(
            f"take_{i:06d}", 0, len(instance.groups[column.group].members), pulp.LpInteger
        )
        for i, column in enumerate(columns)
    ]
    model.setObjective(
        pulp.LpAffineExpression(
            [(x, -column.saving) for x, column in zip(take, columns, strict=True)]
        )
    )
    rows: list[list[tuple[Any, float]]] = [[] for _ in (*instance.capacity, *instance.groups)]
    for x, column in zip(take, columns, strict=True):
        for row, value in occupied_rows(instance, column):
            rows[row].append((x, value))
    for (name, most), terms in zip(_row_bounds(instance), rows, strict=True):
        expression = pulp.LpAffineExpression(terms)
        model.addConstraint(pulp.LpConstraint(expression, pulp.LpConstraintLE, name, most))
    return model, take


def occupied_rows(instance: Instance, column: Column) -> Iterator[tuple[int, float]]:
    """Yield the rows in which a column counts, and how much."""
    for row in column.resources:
        yield row, float(column.wavelengths)
    yield len(instance.capacity) + column.group, 1.0


def _row_bounds(instance: Instance) -> Iterator[tuple[str, int]]:
    """Yield name and bound of every row."""
    fibers, sets = len(instance.wavelengths), len(instance.capacity) - len(instance.triples)
    for e, most in enumerate(instance.capacity):
        kind = "wavelength_capacity" if e < fibers else "odd_node" if e < sets else "odd_set"
        yield f"{kind}_{e}", most
    for g, group in enumerate(instance.groups):
        yield f"path_uniqueness_{g}", len(group.members)
