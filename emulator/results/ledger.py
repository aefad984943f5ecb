"""The ledger of a run: one row per request and provisioning period, read from the journals.

demanded = fiber + satellite + uav + shortfall, in every row.  Cash is what the request's reservation, its
change and purchases cost in that period, less the refunds of failed orders.  Cost is cash and the price of
key that never came; it is the figure by which policies are compared.  Nothing here was counted during the
run: what the journals do not say did not happen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.results import journal_queries
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
    `change_cost` that of changing the reservation for this period;
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
    plan_gap: float = 0.0
    tenant: str = ""

    @property
    def cash(self) -> int:
        """What was paid for this request in this period."""
        return self.reservation_cost + self.change_cost + self.satellite_cost + self.uav_cost

    @property
    def cost(self) -> int:
        """All that this request cost in this period, the price of lost key included."""
        return self.cash + self.shortfall_cost


@dataclass(frozen=True)
class Ledger:
    """All rows, by period and request."""

    rows: tuple[LedgerRow, ...]
    periods: int

    def cost_by_period(self) -> list[int]:
        """Return what each period cost in all."""
        costs = [0] * self.periods
        for row in self.rows:
            costs[row.period] += row.cost
        return costs


def read(
    run_folder: Path,
    requests: tuple[Request, ...],
    window_s: float,
    period_s: float,
    units_per_key: Mapping[str, int] | None = None,
    *,
    tenants: Sequence[str] = (),
) -> Ledger:
    """Read the journals of a run, finished or not.  Raises `JournalError`.

    `units_per_key` says by application how many units its keys have; the default is one.  `tenants` has the
    tenant of every request, or none.
    """
    periods = journal_queries.periods_begun(run_folder)
    rows = {
        (number, period): LedgerRow(item.id, item.application, item.source, item.target, period)
        for period in range(periods)
        for number, item in enumerate(requests)
    }
    _add_reservations(rows, run_folder, periods)
    _add_purchases(rows, run_folder)
    _add_gaps(rows, run_folder)
    for entity in journals.entities(run_folder):
        if entity.startswith(KEY_MANAGER_PREFIX):
            uses = _uses(rows, run_folder, entity)
            _add_times(rows, uses, window_s, period_s, units_per_key or {})
    for (number, _), row in rows.items():
        served = row.fiber_units + row.satellite_units + row.uav_units
        row.shortfall_units = row.demanded_units - served
        row.tenant = tenants[number] if tenants else ""
        row.shortfall_cost = row.shortfall_units * requests[number].on_demand.shortfall_cost
    return Ledger(tuple(rows.values()), periods)


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
    """Write the ledger as a Parquet file, zstd-compressed, with one column per field, `cash` and `cost`.

    Without tenants it has no such column.
    """
    names = [*LedgerRow.__dataclass_fields__, "cash", "cost"]
    if not any(row.tenant for row in ledger.rows):
        names.remove("tenant")
    columns = {name: [getattr(row, name) for row in ledger.rows] for name in names}
    pq.write_table(pa.table(columns), run_folder / FILE, compression="zstd")


def rows_of(run_folder: Path) -> tuple[LedgerRow, ...]:
    """Return the rows of a ledger that was written."""
    file = run_folder / FILE
    names = set(pq.read_schema(file).names)
    table = pq.read_table(file, columns=[n for n in LedgerRow.__dataclass_fields__ if n in names])
    return tuple(LedgerRow(**row) for row in table.to_pylist())


_Position = tuple[int, int]
_Rows = dict[_Position, LedgerRow]


def _add_reservations(rows: _Rows, run_folder: Path, periods: int) -> None:
    """Charge every period what was reserved last before it began."""
    for item in journal_queries.reservations(run_folder):
        for period in range(item.period, periods):
            rows[item.request, period].reservation_cost = item.cost
    for item in journal_queries.changes(run_folder):
        if item.period < periods:
            rows[item.request, item.period].change_cost = item.cost


def _add_purchases(rows: _Rows, run_folder: Path) -> None:
    """Charge what was bought; an order that failed has a negative cost and served nobody."""
    for item in journal_queries.purchases(run_folder):
        row, name = rows[item.request, item.period], f"{item.medium}_cost"
        setattr(row, name, getattr(row, name) + item.cost)
        if item.kind is FactKind.FAILED:
            row.failed_units += item.units


def _add_gaps(rows: _Rows, run_folder: Path) -> None:
    """State the gap of the plan that was last made before a period began."""
    for since, gap in journal_queries.plan_gaps(run_folder):
        for (_, period), row in rows.items():
            if period >= since:
                row.plan_gap = float(gap)


def _uses(rows: _Rows, run_folder: Path, entity: str) -> dict[_Position, _Use]:
    """Add the units of one key manager's requests; return when they were asked for and came."""
    uses: dict[_Position, _Use] = defaultdict(_Use)
    for item in journal_queries.uses(run_folder, entity):
        key = (item.request, item.period)
        if key in rows:
            _add(rows[key], item.kind, item.medium, item.units)
            uses[key].take(item.kind, item.units, item.window)
    return uses


def _add_times(
    rows: _Rows,
    uses: dict[_Position, _Use],
    window_s: float,
    period_s: float,
    units_per_key: Mapping[str, int],
) -> None:
    for key, use in uses.items():
        row, arrivals = rows[key], use.arrivals_s(window_s)
        row.needed_s = period_s if row.demanded_units else 0.0
        units = units_per_key.get(row.application, 1)
        row.down_s = down_s(arrivals, row.demanded_units, period_s, units)
        if row.late_units:
            row.shortfall_s = (use.ended - use.began) * window_s


@dataclass
class _Use:
    """When a request's keys were asked for, came, and were missing no more; all in windows."""

    began: int = 0
    ended: int = 0
    came: list[tuple[int, int]] = field(default_factory=list)

    def take(self, kind: FactKind, units: int, window: int) -> None:
        """Take note of a fact."""
        if kind is FactKind.DEMANDED:
            self.began = window
        elif kind is FactKind.DELIVERED:
            self.came.append((window, units))
        if kind is not FactKind.SHORT:
            self.ended = max(self.ended, window)

    def arrivals_s(self, window_s: float) -> list[tuple[float, int]]:
        """Return when keys came, in seconds since they were asked for."""
        return [((window - self.began) * window_s, units) for window, units in self.came]


def _add(row: LedgerRow, kind: FactKind, medium: str, units: int) -> None:
    if kind is FactKind.DEMANDED:
        row.demanded_units += units
    elif kind is FactKind.SHORT:
        row.late_units += units
    elif kind is FactKind.DELIVERED:
        name = f"{medium}_units"
        setattr(row, name, getattr(row, name) + units)
