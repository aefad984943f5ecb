"""What the folder of a run claims, held against its journals: its origin, its sums and its prices.

The audit follows key; this follows money and demand.  Sums are made here again from facts, by request and
period, without the ledger: demanded = fiber + satellite + uav + shortfall; what was bought, and what never
came, costs units times the price of the experiment; what is reserved costs units times the fibers of its
path in the plan that was in force.  Then `ledger.parquet`, `decisions.parquet`, `plan.json` and
`summary.json` must say the same, and everybody whom the experiment has must have a journal.  The run's own
counters are not trusted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emulator.build.problem import problem_of
from emulator.build.setup import Setup
from emulator.results import decisions, journal_queries, ledger, sae_keys
from emulator.results.fact_columns import FactColumns, grouped
from emulator.results.journal_queries import Payment
from emulator.runtime import provenance
from emulator.store import journals
from emulator.store.files import PLAN, SUMMARY
from global_manager.provisioning.model import Problem
from protos.core import CONTROLLERS, GLOBAL_MANAGER, key_manager_of
from protos.facts import FactKind

_MOST_TOLD = 3
_ABSENT = dict.fromkeys(ledger.OF_STORES, 0)  # columns that a ledger leaves out where all are 0
_ON_DEMAND = ("satellite", "uav")
_Position = tuple[int, int]


@dataclass
class _Sums:
    """Units and costs by (request, period), and what does not add up already.

    `lost` is the price of a unit of each request that never comes, `keeping` that of one that is kept for
    the next period; `has_stores` says that a summary tells what stores keep and lose.
    """

    lost: tuple[int, ...]
    keeping: tuple[int, ...]
    has_stores: bool = False
    cells: dict[_Position, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    reserved: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    periods: int = 0
    wrong: list[str] = field(default_factory=list)

    def reservation_cost(self, request: int, period: int) -> int:
        """Return what a request's last reservation before a period began costs in it."""
        costs = [cost for since, cost in self.reserved[request] if since <= period]
        return costs[-1] if costs else 0

    def cell(self, request: int, period: int) -> dict[str, int]:
        """Return one row as the ledger should have it."""
        found = self.cells[request, period]
        served = sum(found[f"{medium}_units"] for medium in ("fiber", *_ON_DEMAND))
        shortfall = found["demanded_units"] - served
        reservation = self.reservation_cost(request, period)
        paid = {f"{medium}_cost": found[f"{medium}_cost"] for medium in _ON_DEMAND}
        paid |= self._of_store(request, found)
        cash = (
            reservation
            + found["change_cost"]
            + sum(cost for name, cost in paid.items() if name.endswith("_cost"))
        )
        return {
            "demanded_units": found["demanded_units"],
            **{f"{medium}_units": found[f"{medium}_units"] for medium in ("fiber", *_ON_DEMAND)},
            "late_units": found["late_units"],
            "failed_units": found["failed_units"],
            "shortfall_units": shortfall,
            "reservation_cost": reservation,
            "change_cost": found["change_cost"],
            **paid,
            "shortfall_cost": shortfall * self.lost[request],
            "cash": cash,
            "cost": cash + shortfall * self.lost[request],
        }

    def _of_store(self, request: int, found: Mapping[str, int]) -> dict[str, int]:
        """Return what a row has of a store."""
        kept, expired = found["kept_units"], found["expired_units"]
        cost = kept * self.keeping[request]
        return {"kept_units": kept, "expired_units": expired, "keeping_cost": cost}


def missing_journals(folder: Path, setup: Setup) -> list[str]:
    """Return who has no journal, a line each; nobody has to before the first window was run."""
    known = set(journals.entities(folder))
    nodes = [key_manager_of(node.name) for node in setup.topology.nodes]
    missing = [name for name in (GLOBAL_MANAGER, *CONTROLLERS, *nodes) if name not in known]
    return [f"there is no journal of {name}" for name in missing if journals.windows_run(folder)]


def problems(
    folder: Path, setup: Setup, summary: Mapping[str, Any] | None, audited: Mapping[str, Any]
) -> list[str]:
    """Return what a folder claims and its journals do not say, a line each.

    `audited` is what the audit found, `summary` what `summary.json` says, if there is one.
    """
    found = provenance.differences(folder)
    if missing := missing_journals(folder, setup):
        return found + missing
    if GLOBAL_MANAGER not in journals.entities(folder):
        return found
    problem = _priced(setup)
    options = setup.experiment.plan
    sums = _sums_of(folder, problem, options.change_cost if options.by_hour else 0)
    sums.has_stores = setup.experiment.keys.is_kept_count_of
    found += sums.wrong
    found += _plan_problems(folder)
    found += sae_keys.problems(folder) if setup.experiment.access is not None else []
    if summary is not None:
        found += _ledger_problems(folder, problem, sums)
        found += _decision_problems(folder, setup, problem)
        found += _summary_problems(folder, problem, sums, summary, audited)
    return found


def _priced(setup: Setup) -> Problem:
    """Return requests and fibers with their prices; what futures are like has no influence on these."""
    experiment = setup.experiment
    satellite = experiment.satellite.model_copy(update={"orbits": None})
    uav = experiment.uav.model_copy(update={"fleet": None, "weather": None})
    plan = experiment.plan.model_copy(update={"risk": None})
    plain = experiment.model_copy(
        update={"satellite": satellite, "uav": uav, "limits": None, "plan": plan}
    )
    return problem_of(setup.with_experiment(plain))


def _sums_of(folder: Path, problem: Problem, change_cost: int) -> _Sums:
    sums = _Sums(
        tuple(request.on_demand.shortfall_cost for request in problem.requests),
        tuple(request.keeping_cost for request in problem.requests),
    )
    _add_payments(sums, folder, problem, change_cost)
    for node in problem.nodes:
        _add_uses(sums, journal_queries.uses(folder, key_manager_of(node)))
    for position, cell in sums.cells.items():
        served = cell["fiber_units"] + cell["satellite_units"] + cell["uav_units"]
        if served + cell["lapsed_units"] > cell["demanded_units"]:
            sums.wrong.append(
                f"{_named(problem, position)}: more was served and lapsed than demanded"
            )
    return sums


def _add_uses(sums: _Sums, facts: FactColumns) -> None:
    """Add what the applications at a node asked for, got and went without."""
    request, period = facts.numbers("request"), facts.numbers("period")
    kind, medium = facts.coded("kind"), facts.coded("medium")
    groups = grouped(request, period, kind.indices, medium.indices)
    at, units = groups.first, groups.sums(facts.numbers("units")).tolist()
    positions = zip(request[at].tolist(), period[at].tolist(), strict=True)
    words = zip(kind.indices[at].tolist(), medium.indices[at].tolist(), strict=True)
    for position, (what, by), number in zip(positions, words, units, strict=True):
        name = _WORDS.get(kind.names[what], medium.names[by])
        sums.cells[position][f"{name}_units"] += number


_WORDS: dict[str, str] = {
    FactKind.DEMANDED: "demanded",
    FactKind.SHORT: "late",
    FactKind.LAPSED: "lapsed",
    FactKind.KEPT: "kept",
    FactKind.EXPIRED: "expired",
}


def _add_payments(sums: _Sums, folder: Path, problem: Problem, change_cost: int) -> None:
    """Add what the manager noted about money, in order, and compare it with prices and plans."""
    hop = {frozenset((fiber.a, fiber.b)): fiber.unit_cost for fiber in problem.fibers}
    on_demand = [vars(request.on_demand) for request in problem.requests]
    planned: dict[str, tuple[list[str], int, int]] = {}
    changes = _Changes(sums, problem, change_cost)
    for item in journal_queries.payments(folder):
        position = (item.request, item.period)
        if item.kind is FactKind.PLANNED:
            plan = json.loads(item.document)
            changes.take(plan["allocations"], item.period)
            planned = {
                its["request"]: (its["path"], len(its["wavelengths"]), its["units"])
                for its in plan["allocations"]
            }
            continue
        if item.kind is FactKind.PERIOD:
            expected = sum(sums.reservation_cost(at, item.period) for at in list(sums.reserved))
            sums.periods += 1
        elif item.kind is FactKind.RESERVED:
            path, lit, units = planned.get(problem.requests[item.request].id, ([], 0, 0))
            ways = pairwise(path)
            expected = lit * sum(hop[frozenset(way)] for way in ways) if item.units else 0
            if item.units and not item.units == units == lit * problem.units_along(path):
                who = _named(problem, position)
                sums.wrong.append(f"{who}: {item.units} units reserved on {lit} wavelengths")
            sums.reserved[item.request].append((item.period, item.cost))
        elif item.kind is FactKind.CHANGED:
            expected = changes.paid(item.request)
            sums.cells[position]["change_cost"] += item.cost
        else:
            price = on_demand[item.request][f"{item.medium}_cost"]
            expected = price * item.units * (-1 if item.kind is FactKind.FAILED else 1)
            sums.cells[position][f"{item.medium}_cost"] += item.cost
            sums.cells[position]["failed_units"] += (
                item.units if item.kind is FactKind.FAILED else 0
            )
        if item.cost != expected:
            sums.wrong.append(_priced_wrong(problem, item, expected))
    changes.close()


class _Changes:
    """What each plan changes of the reservations before, and which of that has been paid for."""

    def __init__(self, sums: _Sums, problem: Problem, change_cost: int) -> None:
        self._sums, self._problem, self._cost = sums, problem, change_cost
        self._number = {request.id: at for at, request in enumerate(problem.requests)}
        self._before: dict[str, Any] | None = None
        self._open: set[str] = set()
        self._period = 0

    def take(self, allocations: list[dict[str, Any]], period: int) -> None:
        """Take the next plan, in force from a period on."""
        self.close()
        held = {item["request"]: item for item in allocations if item["wavelengths"]}
        before, self._before, self._period = self._before, held, period
        if before is not None and self._cost:
            self._open = {
                name for name in held | before if _lit(held.get(name)) != _lit(before.get(name))
            }

    def paid(self, request: int) -> int:
        """Return what a change that was paid for costs; each costs once."""
        name = self._problem.requests[request].id
        found = name in self._open
        self._open.discard(name)
        return self._cost if found else 0

    def close(self) -> None:
        """Take note of changes that nobody has paid for, but for those after the last period."""
        for name in sorted(self._open) if self._period < self._sums.periods else ():
            who = _named(self._problem, (self._number.get(name, -1), self._period))
            self._sums.wrong.append(f"{who}: a changed reservation was not paid for")
        self._open = set()


def _lit(item: dict[str, Any] | None) -> tuple[list[str], list[int]]:
    return (item["path"], item["wavelengths"]) if item else ([], [])


def _priced_wrong(problem: Problem, item: Payment, expected: int) -> str:
    who = _named(problem, (item.request, item.period))
    return f"{who}: {item.kind.value} for {item.cost}, but units times price is {expected}"


def _named(problem: Problem, position: _Position) -> str:
    request, period = position
    name = problem.requests[request].id if request >= 0 else "all requests"
    return f"{name} in period {period}"


def _plan_problems(folder: Path) -> Iterator[str]:
    """Compare `plan.json` with the first plan; the file says more."""
    first, path = journal_queries.first_plan(folder), folder / PLAN
    if first is None or not path.exists():
        return
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        same = all(written.get(name) == value for name, value in json.loads(first).items())
    except (ValueError, AttributeError):
        same = False
    if not same:
        yield f"{PLAN} is not the plan that the manager made"


def _ledger_problems(folder: Path, problem: Problem, sums: _Sums) -> list[str]:
    rows = table_at(folder / ledger.FILE)
    if rows is None:
        return [f"{ledger.FILE} cannot be read"]
    number = {request.id: position for position, request in enumerate(problem.requests)}
    found, seen = [], set()
    for row in rows.to_pylist():
        position = (number.get(row.get("request"), -1), row.get("period"))
        expected = sums.cell(*position) if position[0] >= 0 else {}
        names = [
            name for name, value in expected.items() if row.get(name, _ABSENT.get(name)) != value
        ]
        if names or not expected:
            said = f"{row.get('request')} in period {row.get('period')}"
            found.append(f"{ledger.FILE}: {said}: {', '.join(names) or 'there is no such row'}")
        seen.add(position)
    if len(seen) != len(number) * sums.periods or rows.num_rows != len(seen):
        found.append(f"{ledger.FILE} has not a row for each request and period")
    return found[:_MOST_TOLD]


def _decision_problems(folder: Path, setup: Setup, problem: Problem) -> Iterator[str]:
    written = table_at(folder / decisions.FILE)
    window_s = setup.experiment.clock.window_s
    with TemporaryDirectory() as scratch:
        decisions.write(decisions.decisions(folder, problem.requests, window_s), Path(scratch))
        if written is None or not written.equals(table_at(Path(scratch) / decisions.FILE)):
            yield f"{decisions.FILE} is not what the manager decided"


def _summary_problems(
    folder: Path,
    problem: Problem,
    sums: _Sums,
    summary: Mapping[str, Any],
    audited: Mapping[str, Any],
) -> Iterator[str]:
    total: Counter[str] = Counter()
    for period in range(sums.periods):
        for position in range(len(problem.requests)):
            total.update(sums.cell(position, period))
    costs = {
        name: total[f"{name}_cost"] for name in ("reservation", "change", *_ON_DEMAND, "shortfall")
    }
    units = ("demanded_units", "late_units", "failed_units", "shortfall_units")
    stores = {name: total[name] for name in ("kept_units", "expired_units")}
    costs |= {"keeping": total["keeping_cost"]} if sums.has_stores else {}
    expected = {
        "digest": audited["digest"],
        "periods": sums.periods,
        "requests": len(problem.requests),
        **{name: total[name] for name in units},
        "served_units": {name: total[f"{name}_units"] for name in ("fiber", *_ON_DEMAND)},
        "cost": costs | {"total": total["cost"], "cash": total["cash"]},
        "windows_run": journals.windows_run(folder),
        **({"stores": stores} if sums.has_stores else {}),
    }
    for name, value in expected.items():
        if summary.get(name) != value:
            yield f"{SUMMARY}: {name} is {summary.get(name)}, but journals say {value}"
    said = summary.get("audit") or {}
    for name, value in audited.items():
        if name != "problems" and said.get(name) != value:
            yield f"{SUMMARY}: audit.{name} is {said.get(name)}, but journals say {value}"
    if summary["complete"] and (late := journals.unfinished(folder)):
        yield f"{SUMMARY} says complete, but the journal of {late[0]} is not"


def table_at(path: Path) -> Any:
    """Return a Parquet file as a table, or None."""
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException):
        return None
