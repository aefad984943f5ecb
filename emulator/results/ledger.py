"""The ledger of a run: one row per request and provisioning period, read from the journals.

demanded = fiber + satellite + uav + shortfall, in every row.  Cash is what the request's reservation, its
change, keeping key and purchases cost in that period, less the refunds of failed orders.  Cost is cash and
the price of key that never came; it is the figure by which policies are compared.  Nothing here was counted
during the run: what the journals do not say did not happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from emulator.results import journal_queries
from emulator.results.fact_columns import FactColumns, Numbers, grouped
from emulator.store import journals
from global_manager.provisioning.model import Request
from protos.core import KEY_MANAGER_PREFIX
from protos.facts import FactKind

FILE = "ledger.parquet"


@dataclass
class LedgerRow:
    """One request in one period, and its tenant if requests have tenants.

    Units are keys; `late_units` were missing when asked for, `shortfall_units` never came in time;
    `failed_units` were bought from a service that brought no key;
    `shortfall_s` is how long keys that were asked for were missing; `down_s` how long the encrypted link
    was down for lack of key, of the `needed_s` in which it was needed, keys being used one after the
    other; costs are monetary units, `shortfall_cost` that of the `shortfall_units`, which nobody is paid,
    `change_cost` that of changing the reservation for this period, `keeping_cost` that of the `kept_units`
    which the store had kept for it; `expired_units` became too old in it;
    `plan_gap` is that of the plan in force, by which fraction of its cost it may exceed the least.
    """

    request: str
    application: str
    source: str
    target: str
    period: int
    demanded_units: int = 0
    fiber_units: int = 0
    satellite_units: int = 0
    uav_units: int = 0
    late_units: int = 0
    failed_units: int = 0
    shortfall_units: int = 0
    shortfall_s: float = 0.0
    needed_s: float = 0.0
    down_s: float = 0.0
    reservation_cost: int = 0
    satellite_cost: int = 0
    uav_cost: int = 0
    shortfall_cost: int = 0
    change_cost: int = 0
    kept_units: int = 0
    expired_units: int = 0
    keeping_cost: int = 0
    plan_gap: float = 0.0
    tenant: str = ""

    @property
    def cash(self) -> int:
        """What was paid for this request in this period."""
        bought = self.satellite_cost + self.uav_cost
        return self.reservation_cost + self.change_cost + self.keeping_cost + bought

    @property
    def cost(self) -> int:
        """All that this request cost in this period, the price of lost key included."""
        return self.cash + self.shortfall_cost


@dataclass(frozen=True)
class Ledger:
    """All rows, by period and request: one after the other, or what `LedgerRow` has in columns."""

    columns: Mapping[str, Sequence[Any]]
    periods: int

    @cached_property
    def rows(self) -> tuple[LedgerRow, ...]:
        """All rows."""
        return tuple(map(LedgerRow, *(self.columns[field.name] for field in fields(LedgerRow))))

    def cost_by_period(self) -> list[int]:
        """Return what each period cost in all."""
        return self.by_period("cost")

    def by_period(self, name: str, application: str | None = None) -> list[int]:
        """Return the sum of a whole number over all rows of each period, or those of an application."""
        found = np.array(self.columns[name], dtype=np.int64)
        found = found.reshape(self.periods, len(found) // max(1, self.periods))
        if application is not None:
            names = self.columns["application"][: found.shape[1]]
            found = found[:, [each == application for each in names]]
        sums: list[int] = found.sum(axis=1).tolist()
        return sums

    def sums_by(self, name: str, numbers: Sequence[str]) -> dict[Any, dict[str, Any]]:
        """Return sums of columns over the rows that have the same in a column, in order of their first."""
        values = self.columns[name]
        place = {value: index for index, value in enumerate(dict.fromkeys(values))}
        of_row = np.array([place[value] for value in values], dtype=np.int64)
        sums = {}
        for each in numbers:
            column = np.array(self.columns[each])
            added = np.bincount(of_row, column, len(place))  # in order, as floats are added up
            sums[each] = added.astype(column.dtype).tolist()
        return {value: {n: sums[n][at] for n in numbers} for value, at in place.items()}


class UseBook:
    """Takes what applications asked for, got and went without, and what stores kept and lost."""

    def __init__(self) -> None:
        self._taken: list[_Noted] = []

    def take(self, entity: str, facts: FactColumns) -> None:
        """Take facts of an entity."""
        if not entity.startswith(KEY_MANAGER_PREFIX):
            return
        kind, medium = facts.coded("kind").numbered(_KINDS), facts.coded("medium")
        is_of_store = kind >= len(journal_queries.USES)
        is_here = ~facts.coded("end").is_one_of("target")
        rows = (kind >= 0) & np.where(is_of_store, medium.is_one_of("end-to-end"), is_here)
        columns = (
            facts.numbers("request"),
            facts.numbers("period"),
            kind,
            facts.numbers("window"),
            medium.numbered(_MEDIA),
            facts.numbers("units"),
        )
        self._taken.append(_Noted(*(column[rows] for column in columns)))

    def noted(self) -> _Noted:
        """Return all that was taken, in order."""
        columns = zip(*self._taken, strict=True) if self._taken else [[_NONE]] * len(_Noted._fields)
        return _Noted(*(np.concatenate(column) for column in columns))


def read(
    run_folder: Path,
    requests: tuple[Request, ...],
    window_s: float,
    period_s: float,
    units_per_key: Mapping[str, int] | None = None,
    *,
    tenants: Sequence[str] = (),
    uses: UseBook | None = None,
) -> Ledger:
    """Read the journals of a run, finished or not.  Raises `JournalError`.

    `units_per_key` says by application how many units its keys have; the default is one.  `tenants` has the
    tenant of every request, or none.  A book of `uses` has taken all facts already.
    """
    cells = _Cells.none(len(requests), journal_queries.periods_begun(run_folder))
    _add_reservations(cells, run_folder)
    _add_purchases(cells, run_folder)
    _add_gaps(cells, run_folder)
    sizes = [(units_per_key or {}).get(item.application, 1) for item in requests]
    found = _uses(cells, (uses or _read_uses(run_folder)).noted())
    _add_units(cells, found)
    _add_times(cells, found, _Times(window_s, period_s), sizes)
    return Ledger(_columns(cells, requests, tenants), cells.periods)


def none() -> Ledger:
    """Return the ledger of a run that has noted nothing."""
    return Ledger({name: [] for name in _NAMES}, 0)


def _read_uses(run_folder: Path) -> UseBook:
    book = UseBook()
    for entity in journals.entities(run_folder):
        if entity.startswith(KEY_MANAGER_PREFIX):
            book.take(entity, journal_queries.uses(run_folder, entity))
    return book


def down_s(
    arrivals: Iterable[tuple[float, int]],
    demanded_units: int,
    period_s: float,
    units_per_key: int = 1,
) -> float:
    """Return for how long a link was down in a period.

    A link that needs d keys in a period of T seconds uses each for T/d seconds, one after the other,
    whatever the cipher; a key is there when its last unit is, and keys that come late bring the link up
    again. `arrivals` are (seconds since the period began, units).  A link that needs no key is never
    down; what is demanded counts as whole keys, the last of which may want fewer units.
    """
    keys = -(-demanded_units // units_per_key)
    if keys == 0:
        return 0.0
    up_until_s = down = 0.0
    came_units = came_keys = 0
    for at_s, units in sorted(arrivals):
        came_units += units
        whole = keys if came_units >= demanded_units else came_units // units_per_key
        if whole > came_keys:
            down += max(0.0, min(at_s, period_s) - up_until_s)
            up_until_s = max(up_until_s, at_s) + (whole - came_keys) * period_s / keys
            came_keys = whole
    return down + max(0.0, period_s - up_until_s)


def write(ledger: Ledger, run_folder: Path) -> None:
    """Write the ledger as a Parquet file, zstd-compressed."""
    pq.write_table(table_of(ledger), run_folder / FILE, compression="zstd")


def table_of(ledger: Ledger) -> pa.Table:
    """Return the ledger as it is written: one column per field, `cash` and `cost`.

    Without tenants it has no such column, nor those of stores where these keep and lose nothing.
    """
    names = [*_NAMES]
    for group in (("tenant",), OF_STORES):
        if not any(any(ledger.columns[name]) for name in group):
            names = [name for name in names if name not in group]
    return pa.table({name: ledger.columns[name] for name in names})


def rows_of(run_folder: Path) -> tuple[LedgerRow, ...]:
    """Return the rows of a ledger that was written."""
    file = run_folder / FILE
    names = set(pq.read_schema(file).names)
    table = pq.read_table(file, columns=[n for n in LedgerRow.__dataclass_fields__ if n in names])
    return tuple(LedgerRow(**row) for row in table.to_pylist())


@dataclass(frozen=True)
class _Cells:
    """Columns of the ledger as arrays (request, period)."""

    columns: dict[str, NDArray[Any]]
    requests: int
    periods: int

    @classmethod
    def none(cls, requests: int, periods: int) -> _Cells:
        """Return cells in which nothing has happened."""
        types = {"int": np.int64, "float": np.float64}
        columns = {
            field.name: np.zeros((requests, periods), dtype=types[str(field.type)])
            for field in fields(LedgerRow)
            if field.default == 0 and field.name != "period"
        }
        return cls(columns, requests, periods)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]


class _Noted(NamedTuple):
    """What key managers noted of uses, in order; kinds and media are numbers."""

    request: Numbers
    period: Numbers
    kind: Numbers
    window: Numbers
    medium: Numbers
    units: Numbers


class _Uses(NamedTuple):
    """What was asked for, came and was missed, added up by the other columns, and in their order.

    `cell` counts through the cells of a request, then those of the next.
    """

    cell: Numbers
    kind: Numbers
    window: Numbers
    medium: Numbers
    units: Numbers

    def of(self, kind: FactKind) -> _Uses:
        """Return those of a kind."""
        return self._chosen(self.kind == _KINDS.index(kind))

    def by_applications(self) -> _Uses:
        """Return those that are not about what stores keep."""
        return self._chosen(self.kind < len(journal_queries.USES))

    def _chosen(self, rows: NDArray[np.bool_]) -> _Uses:
        return _Uses(*(column[rows] for column in self))


class _Times:
    """How long windows and periods are; links that got their keys alike were down alike."""

    def __init__(self, window_s: float, period_s: float) -> None:
        self.window_s, self.period_s = window_s, period_s
        self.down_s = lru_cache(maxsize=_ALIKE)(self._down_s)

    def _down_s(self, came: tuple[tuple[int, int], ...], units: int, units_per_key: int) -> float:
        """Return `down_s`; `came` are (windows since the period began, units)."""
        arrivals = [(windows * self.window_s, keys) for windows, keys in came]
        return down_s(arrivals, units, self.period_s, units_per_key)


_ALIKE = 100_000
OF_STORES = ("kept_units", "expired_units", "keeping_cost")
_KINDS = (*journal_queries.USES, *journal_queries.IN_STORES)
_MEDIA = ("fiber", "satellite", "uav")
_CASH = ("reservation_cost", "change_cost", "keeping_cost", "satellite_cost", "uav_cost")
_NAMES = (*(field.name for field in fields(LedgerRow)), "cash", "cost")
_NONE = np.array([], dtype=np.int64)


def _add_reservations(cells: _Cells, run_folder: Path) -> None:
    """Charge every period what was reserved last before it began."""
    for item in journal_queries.reservations(run_folder):
        cells["reservation_cost"][item.request, item.period :] = item.cost
    for item in journal_queries.changes(run_folder):
        if item.period < cells.periods:
            cells["change_cost"][item.request, item.period] = item.cost


def _add_purchases(cells: _Cells, run_folder: Path) -> None:
    """Charge what was bought; an order that failed has a negative cost and served nobody."""
    for item in journal_queries.purchases(run_folder):
        cells[f"{item.medium}_cost"][item.request, item.period] += item.cost
        if item.kind is FactKind.FAILED:
            cells["failed_units"][item.request, item.period] += item.units


def _add_gaps(cells: _Cells, run_folder: Path) -> None:
    """State the gap of the plan that was last made before a period began."""
    for since, gap in journal_queries.plan_gaps(run_folder):
        cells["plan_gap"][:, max(0, since) :] = float(gap)


def _uses(cells: _Cells, noted: _Noted) -> _Uses:
    """Return the uses of the keys of requests, in periods that have begun."""
    is_request = (noted.request >= 0) & (noted.request < cells.requests)
    rows = is_request & (noted.period >= 0) & (noted.period < cells.periods)
    cell = (noted.request * cells.periods + noted.period)[rows]
    kind, window, medium, units = (column[rows] for column in noted[2:])
    groups = grouped(cell, kind, window, medium)
    at = groups.first
    return _Uses(cell[at], kind[at], window[at], medium[at], groups.sums(units))


def _add_units(cells: _Cells, uses: _Uses) -> None:
    delivered = uses.of(FactKind.DELIVERED)
    noted = {
        "demanded_units": uses.of(FactKind.DEMANDED),
        "late_units": uses.of(FactKind.SHORT),
        "kept_units": uses.of(FactKind.KEPT),
        "expired_units": uses.of(FactKind.EXPIRED),
    }
    for number, medium in enumerate(_MEDIA):
        rows = delivered.medium == number
        noted[f"{medium}_units"] = _Uses(*(column[rows] for column in delivered))
    for name, found in noted.items():
        np.add.at(cells[name].reshape(-1), found.cell, found.units)


def _add_times(cells: _Cells, uses: _Uses, times: _Times, sizes: Sequence[int]) -> None:
    """State for how long key was missing, and links were down, in the cells that uses are about."""
    uses = uses.by_applications()
    began, ended = np.zeros((2, cells.requests * cells.periods), dtype=np.int64)
    demanded = uses.of(FactKind.DEMANDED)
    began[demanded.cell] = demanded.window
    is_end = uses.kind != _KINDS.index(FactKind.SHORT)
    np.maximum.at(ended, uses.cell[is_end], uses.window[is_end])
    here = np.unique(uses.cell)
    units, late = cells["demanded_units"].reshape(-1)[here], cells["late_units"].reshape(-1)[here]
    missing_s = (ended - began)[here] * times.window_s
    cells["needed_s"].reshape(-1)[here] = np.where(units > 0, times.period_s, 0.0)
    cells["shortfall_s"].reshape(-1)[here] = np.where(late > 0, missing_s, 0.0)
    came = uses.of(FactKind.DELIVERED)
    since = (came.window - began[came.cell]).tolist()
    arrivals = list(zip(since, came.units.tolist(), strict=True))
    bounds = np.searchsorted(came.cell, [here, here + 1]).tolist()
    sizes_here = np.array(sizes, dtype=np.int64)[here // cells.periods].tolist()
    cells["down_s"].reshape(-1)[here] = [
        times.down_s(tuple(arrivals[first:last]), needed, size)
        for first, last, needed, size in zip(*bounds, units.tolist(), sizes_here, strict=True)
    ]


def _columns(
    cells: _Cells, requests: Sequence[Request], tenants: Sequence[str]
) -> dict[str, Sequence[Any]]:
    """Return all rows as columns, by period and request."""
    served = cells["fiber_units"] + cells["satellite_units"] + cells["uav_units"]
    prices = np.array([item.on_demand.shortfall_cost for item in requests], dtype=np.int64)
    cells["shortfall_units"][:] = cells["demanded_units"] - served
    cells["shortfall_cost"][:] = cells["shortfall_units"] * prices.reshape(-1, 1)
    of_keeping = np.array([item.keeping_cost for item in requests], dtype=np.int64)
    cells["keeping_cost"][:] = cells["kept_units"] * of_keeping.reshape(-1, 1)
    columns: dict[str, Sequence[Any]] = {
        "request": [item.id for item in requests] * cells.periods,
        "application": [item.application for item in requests] * cells.periods,
        "source": [item.source for item in requests] * cells.periods,
        "target": [item.target for item in requests] * cells.periods,
        "period": [period for period in range(cells.periods) for _ in requests],
        "tenant": [*(tenants or [""] * len(requests))] * cells.periods,
    }
    cash = sum((cells[name] for name in _CASH), np.zeros_like(served))
    numbers = cells.columns | {"cash": cash, "cost": cash + cells["shortfall_cost"]}
    return columns | {name: each.T.reshape(-1).tolist() for name, each in numbers.items()}
