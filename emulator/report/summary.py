"""The results of a run for its reader: ledger.parquet, decisions.parquet, summary.json and report.html.

All numbers come from the journals by way of the ledger; the audit adds the digest.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from emulator.build.assembly import Assembly
from emulator.build.plan_report import (
    basis_of,
    expected_cost,
    policy_source,
    shortfall_costs_of,
)
from emulator.build.setup import Setup
from emulator.build.tenants import by_request, method_fields, shapley_fields
from emulator.config.applications import KeyUse
from emulator.config.experiment import Experiment
from emulator.report.assumptions import assumed_media, assumed_rates
from emulator.report.results import Results
from emulator.results import audit, journal_queries, ledger, outages
from emulator.results.audit import Audit
from emulator.results.decisions import Decision, decisions
from emulator.results.decisions import write as write_decisions
from emulator.results.journal_queries import Book
from emulator.results.ledger import Ledger, UseBook
from emulator.results.links import BlockBook, alarms, with_blocks
from emulator.results.resilience import Story, resilience
from emulator.results.tenants import by_tenant
from emulator.store import journal, journals
from emulator.store.files import REPORT, SUMMARY, Engine, engine_of, read_summary, write_atomically
from emulator.store.registry import Registry
from emulator.world.distributions import half_width
from global_manager.provisioning.model import OwnPolicy
from protos.facts import ReplanCause, Replanned

_OF_SOME_REPLANS = ("expected_cost", "lacking_units")
"""Fields of plans whose objective is not the mean cost, or that lack units to service levels."""


@dataclass(frozen=True)
class Ending:
    """When and how a run ended.

    `startup_s` is wall time until all actors served, `running_s` that of all windows.  `failure` is
    empty and `stopped_by` None if the run came to its end.
    """

    windows: int
    emulated_s: float
    wall_s: float
    startup_s: float = 0.0
    running_s: float = 0.0
    failure: str = ""
    is_lost: bool = False
    stopped_by: int | None = None

    @property
    def complete(self) -> bool:
        """Whether the run came to its end."""
        return not self.failure and self.stopped_by is None


def write(
    folder: Path, setup: Setup, assembly: Assembly, ending: Ending, *, report: bool = True
) -> dict[str, Any]:
    """Write all result files, the summary last, which says that there are the others; return it.

    A run that was ended before it had a journal gets a summary with zeros.  A `report` that cannot be drawn
    costs nothing but the report: the summary says why in `report_problem`.
    """
    results = results_of(folder, setup, assembly, ending)
    ledger.write(results.ledger, folder)
    write_decisions(results.decisions, folder)
    if report:
        _draw(folder, results)
    write_atomically(folder / SUMMARY, json.dumps(results.summary, indent=1) + "\n")
    return results.summary


def _draw(folder: Path, results: Results) -> None:
    from emulator.report import page  # slow to import

    try:
        page.write(folder, results)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a drawing library raises
        results.summary["report_problem"] = f"{type(error).__name__}: {error}"


def draw_again(folder: Path, setup: Setup, assembly: Assembly) -> Path:
    """Draw the report of a run that has ended, of whatever its journals hold; return its file.

    Raises `FormatError`, and whatever a drawing library raises.
    """
    from emulator.report import page  # slow to import

    summary = read_summary(folder)
    page.write(folder, results_again(folder, setup, assembly, summary))
    if summary is not None and summary.pop("report_problem", None):
        write_atomically(folder / SUMMARY, json.dumps(summary, indent=1) + "\n")
    return folder / REPORT


def results_again(
    folder: Path,
    setup: Setup,
    assembly: Assembly,
    summary: Mapping[str, Any] | None,
    audited: Audit | None = None,
) -> Results:
    """Return what the journals of a run that has ended say, now; it ended as its summary says."""
    return results_of(folder, setup, assembly, _ending_of(folder, setup, summary), audited)


def _ending_of(folder: Path, setup: Setup, summary: Mapping[str, Any] | None) -> Ending:
    """Return how a run ended, as its summary says; without one it was cut off."""
    if summary is None:
        windows = journals.last_window(folder)
        emulated_s = windows * setup.experiment.clock.window_s
        return Ending(windows, emulated_s, 0.0, failure="cut off before there were results")
    names = ("windows", "emulated_s", "wall_s", "startup_s", "running_s", "failure")
    is_stopped = not (summary["complete"] or summary["failure"])
    stopped_by = signal.SIGTERM if is_stopped else None  # which signal it was is not known any more
    return Ending(**{name: summary[name] for name in names}, stopped_by=stopped_by)


def results_of(
    folder: Path, setup: Setup, assembly: Assembly, ending: Ending, audited: Audit | None = None
) -> Results:
    """Return everything that the journals of a run say; write nothing.

    If they have been `audited` already, they are not again.
    """
    experiment = setup.experiment
    books, uses, blocks = audit.Books(), ledger.UseBook(), BlockBook()
    if journals.exists(folder):
        needed: list[Book] = [uses, blocks]
        journal_queries.have_taken(folder, needed if audited else [*needed, books])
    book = _book(folder, setup, assembly, uses)
    plans = _plans(folder, experiment.clock.window_s)
    summary = _summary(experiment, assembly, book, plans, ending)
    summary["links"] = with_blocks(folder, assembly.links, blocks)
    summary["alarms"] = alarms(folder, experiment.clock.window_s)
    summary["applications"] = _use_of_keys(experiment, book)
    summary["refused_reservations"] = _counted(journal_queries.refused_reservations, folder)
    summary["failed_plans"] = _counted(journal_queries.failed_plans, folder)
    if isinstance(experiment.plan.policy, OwnPolicy):
        summary["policy_failures"] = _policy_failures(folder)
    decided = decisions(folder, assembly.problem.requests, experiment.clock.window_s)
    summary |= _tenants(setup, assembly, book, decided)
    summary["faults"] = _faults(experiment, assembly, plans, book, decided, summary["alarms"])
    summary |= {"windows_run": journals.windows_run(folder), "restarts": Registry(folder).restarts}
    summary |= {"digest": "", "audit": {}, "observed": []}
    if journals.exists(folder):
        result = audited or _audited(folder, books, ending)
        summary |= {"digest": result.digest, "audit": result.fields()}
        summary |= _observed(folder, experiment.clock.window_s, ending.emulated_s)
    expected, classes = _expected_by_period(plans, book), _by_application(book)
    return Results(setup, assembly, summary, book, decided, expected, classes)


def _audited(folder: Path, books: audit.Books, ending: Ending) -> Audit:
    cut_off = bool(ending.failure or journals.unfinished(folder))
    follow = engine_of(folder) is not Engine.IN_PROCESS  # else it has just been written here
    if follow:
        journals.check(folder)
    return audit.balance(folder, books, cut_off=cut_off, follow=follow)


def _book(folder: Path, setup: Setup, assembly: Assembly, uses: UseBook) -> Ledger:
    experiment = setup.experiment
    try:
        unit_bits = experiment.keys.unit_bits
        sizes = {
            name: use.units_per_key(unit_bits) for name, use in experiment.applications.items()
        }
        requests, period_s = assembly.problem.requests, experiment.demand.period_s
        window_s, tenants = experiment.clock.window_s, by_request(setup)
        return ledger.read(folder, requests, window_s, period_s, sizes, tenants=tenants, uses=uses)
    except journal.JournalError:
        return ledger.none()


def _counted(query: Callable[[Path], int], folder: Path) -> int:
    try:
        return query(folder)
    except journal.JournalError:
        return 0


@dataclass(frozen=True)
class _InForce:
    """A plan, and the period from which on it was in force."""

    from_period: int
    plan: dict[str, Any]
    at_s: float
    reason: str
    set_up: int


def _plans(folder: Path, window_s: float) -> list[_InForce]:
    """Return all plans of a run in order; each later one with the reason for it."""
    plans: list[_InForce] = []
    for item in journal_queries.if_any(lambda: journal_queries.plans(folder)):
        plan = json.loads(item.document)
        reason = item.reason.text if item.reason is not None else "start"
        at_s = item.window * window_s
        plans.append(_InForce(item.period, plan, at_s, reason, item.set_up))
    return plans


def _expected_by_period(plans: list[_InForce], book: Ledger) -> list[float]:
    """Return what the plan in force expected each period to cost: losses, and changes by the hour."""
    expected, turns = [0.0] * book.periods, set()
    for item in plans:
        for period in range(item.from_period, book.periods):
            expected[period] = expected_cost(item.plan)
        if item.reason == Replanned(ReplanCause.HOUR).text:
            turns.add(item.from_period)
    if turns:
        costs = zip(book.columns["period"], book.columns["change_cost"], strict=True)
        for period, cost in costs:
            expected[period] += cost if period in turns else 0
    return expected


def _policy_failures(folder: Path) -> list[str]:
    """Return what the user's own policy did that was not carried out, each line once."""
    return journal_queries.plan_failures(folder) if journals.exists(folder) else []


def _shown(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan without its allocations."""
    return {key: value for key, value in plan.items() if key != "allocations"}


def _summary(
    experiment: Experiment, assembly: Assembly, book: Ledger, plans: list[_InForce], ending: Ending
) -> dict[str, Any]:
    expected = _expected_by_period(plans, book)
    cost = {
        "reservation": sum(book.columns["reservation_cost"]),
        "change": sum(book.columns["change_cost"]),
        "satellite": sum(book.columns["satellite_cost"]),
        "uav": sum(book.columns["uav_cost"]),
        "shortfall": sum(book.columns["shortfall_cost"]),
    }
    stores = {}
    if experiment.keys.is_kept_count_of:
        cost["keeping"] = sum(book.columns["keeping_cost"])
        units = ("kept_units", "expired_units")
        stores = {"stores": {name: sum(book.columns[name]) for name in units}}
    total = sum(cost.values())
    cost |= {"total": total, "cash": total - cost["shortfall"]}
    served = {
        "fiber": sum(book.columns["fiber_units"]),
        "satellite": sum(book.columns["satellite_units"]),
        "uav": sum(book.columns["uav_units"]),
    }
    return {
        "experiment": experiment.name,
        "seed": experiment.seed,
        "policy": experiment.plan.policy.value,
        **policy_source(experiment.plan.policy),
        "windows": ending.windows,
        "emulated_s": ending.emulated_s,
        "wall_s": round(ending.wall_s, 3),
        "startup_s": round(ending.startup_s, 3),
        "running_s": round(ending.running_s, 3),
        "periods": book.periods,
        "requests": len(assembly.problem.requests),
        "demanded_units": sum(book.columns["demanded_units"]),
        "served_units": served,
        "late_units": sum(book.columns["late_units"]),
        "failed_units": sum(book.columns["failed_units"]),
        "shortfall_units": sum(book.columns["shortfall_units"]),
        "shortfall_s": sum(book.columns["shortfall_s"]),
        "down_s": sum(book.columns["down_s"]),
        **stores,
        "cost": cost,
        "assumed_rates": assumed_rates(assumed_media(experiment), served, cost),
        "planned_cost": sum(expected),
        "cost_per_period": _mean_cost(book) | {"planned": fmean(expected) if expected else None},
        "complete": ending.complete,
        "failure": ending.failure,
        "plan": _shown(plans[0].plan) if plans else {},
        "basis": basis_of(experiment, assembly.problem),
        "replans": [
            {"at_s": item.at_s, "from_period": item.from_period}
            | {"reason": item.reason, "set_up": item.set_up}
            | {name: item.plan[name] for name in ("objective", "lower_bound", "gap")}
            | {name: item.plan[name] for name in _OF_SOME_REPLANS if name in item.plan}
            for item in plans[1:]
        ],
        "units": {
            "cost": "monetary units of the price table; total is cash and the price of lost key",
            "shortfall_cost": shortfall_costs_of(assembly.problem),
            "unit_bits": experiment.keys.unit_bits,
        },
    }


def _faults(  # noqa: PLR0917
    experiment: Experiment,
    assembly: Assembly,
    plans: list[_InForce],
    book: Ledger,
    decided: list[Decision],
    raised: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return the schedule, with the effect of each fault."""
    made = [(item.at_s, item.plan["allocations"]) for item in plans]
    requests = assembly.problem.requests
    events = [event.model_dump(mode="json", by_alias=True) for event in experiment.faults]
    rows = book.rows if events else ()
    story = Story(assembly.timeline, requests, made, raised, decided, rows)
    return [
        event | {"resilience": took}
        for event, took in zip(events, resilience(events, story), strict=True)
    ]


def _tenants(
    setup: Setup, assembly: Assembly, book: Ledger, decided: list[Decision]
) -> dict[str, Any]:
    """Return what the run came to by tenant; nothing if there are none."""
    tenants = by_request(setup)
    if not tenants:
        return {}
    ids = (item.id for item in assembly.problem.requests)
    values = shapley_fields(setup)
    weights = [value["shapley_cost"] for value in values] if values[0] else None
    lines = by_tenant(book.rows, dict(zip(ids, tenants, strict=True)), decided, weights)
    rows = [line | value for line, value in zip(lines, values, strict=True)]
    return {"tenants": method_fields(setup) | {"rows": rows}}


def _observed(folder: Path, window_s: float, ends_s: float) -> dict[str, Any]:
    """Return outages that others measured; what they wrote wrongly costs nothing but these."""
    try:
        return {"observed": outages.compared(folder, window_s, ends_s)}
    except outages.ObservedError as error:
        return {"observed_problem": str(error)}


def _mean_cost(book: Ledger) -> dict[str, float | None]:
    """Return the mean cost of a period, its 95 % confidence interval by Student's t, and of how many."""
    costs = book.cost_by_period()
    found = {"periods": len(costs)}
    if len(costs) < 2:
        return found | {"mean": costs[0] if costs else None, "ci95_low": None, "ci95_high": None}
    mean, half = fmean(costs), half_width(stdev(costs), len(costs))
    return found | {"mean": mean, "ci95_low": mean - half, "ci95_high": mean + half}


def _use_of_keys(experiment: Experiment, book: Ledger) -> dict[str, dict[str, Any]]:
    """Return by class what its keys were for, how long links were up, and what they carried."""
    found = {}
    for line in _by_application(book):
        use = experiment.applications.get(line["application"], KeyUse())
        served = line["demanded_units"] - line["shortfall_units"]
        up_s = line["needed_s"] - line["down_s"]
        found[line["application"]] = {
            "cipher": use.cipher.value,
            "key_bits": use.key_bits or experiment.keys.unit_bits,
            "needed_s": line["needed_s"],
            "up_s": up_s,
            "data_bits": use.data_bits(served, up_s, experiment.keys.unit_bits),
        }
    return found


def _by_application(book: Ledger) -> list[dict[str, Any]]:
    sums = book.sums_by("application", _SUMS)
    return [{"application": kind, **line} for kind, line in sums.items()]


_SUMS = (
    "demanded_units",
    "fiber_units",
    "satellite_units",
    "uav_units",
    "late_units",
    "shortfall_units",
    "shortfall_s",
    "down_s",
    "needed_s",
    "cost",
)
